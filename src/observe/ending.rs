//! How did a request end?

/// How a request ended, for the `code` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With a node's answer of this status.
    Answered(u16),
    /// With our own answer.
    Rejected,
    /// The client left first.
    ClientGone,
    /// The answer broke off in the middle.
    Broken,
}

impl Ending {
    pub(super) const WORDS: [&'static str; 8] = [
        "1xx",
        "2xx",
        "3xx",
        "4xx",
        "5xx",
        "rejected",
        "client_gone",
        "broken",
    ];

    pub(super) fn index(self) -> usize {
        match self {
            Self::Answered(status) => usize::from(status / 100).clamp(1, 5) - 1,
            Self::Rejected => 5,
            Self::ClientGone => 6,
            Self::Broken => 7,
        }
    }

    /// The label.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS[self.index()]
    }
}
