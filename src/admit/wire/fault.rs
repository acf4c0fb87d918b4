//! What is wrong with it, and how is that answered?

use crate::model::Rejection;
use crate::model::rejection::Reason;
use std::fmt;

/// Why bytes are not read any further. It is small and made of constants: a flood of them costs
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The row of the table of rejections.
    pub reason: Reason,
    /// What the client is told.
    pub text: &'static str,
}

impl Fault {
    pub(super) const fn new(reason: Reason, text: &'static str) -> Self {
        Self { reason, text }
    }

    /// The framing can be read in two ways.
    pub(super) const fn framing(text: &'static str) -> Self {
        Self::new(Reason::BadFraming, text)
    }

    /// It is not HTTP/1.
    pub(super) const fn head(text: &'static str) -> Self {
        Self::new(Reason::BadRequest, text)
    }

    /// The client took too long.
    #[must_use]
    pub const fn slow(text: &'static str) -> Self {
        Self::new(Reason::ClientTimeout, text)
    }

    /// The answer in our own name.
    #[must_use]
    pub fn rejection(self) -> Rejection {
        Rejection::new(self.reason, self.text)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl std::error::Error for Fault {}
