//! On what ground was a request called short or long?

use super::Class;
use std::time::Duration;

/// A class and its ground: a learned verdict and a guess must not look alike in a log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// The class.
    pub class: Class,
    /// Its ground.
    pub basis: Basis,
}

/// The ground of a verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Basis {
    /// The operator said so.
    Pinned,
    /// Enough samples said so.
    Learned {
        /// The estimate that was compared with the threshold.
        score: Duration,
        /// How many samples it rests on.
        samples: u32,
    },
    /// A request of this operation has been running for longer than the threshold.
    Promoted,
    /// A classifier from outside has its own reasons.
    Custom,
    /// Nothing is known; this is what the kind of operation usually is.
    Prior,
}

impl Basis {
    /// How long the request is expected to take, where samples say so.
    #[must_use]
    pub const fn expected(self) -> Option<Duration> {
        match self {
            Self::Learned { score, .. } => Some(score),
            Self::Pinned | Self::Promoted | Self::Custom | Self::Prior => None,
        }
    }

    /// The word in logs, headers and admin answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Learned { .. } => "learned",
            Self::Promoted => "promoted",
            Self::Custom => "custom",
            Self::Prior => "prior",
        }
    }
}
