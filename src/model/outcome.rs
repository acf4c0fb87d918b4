//! How did an attempt end, and what does it teach?

use std::time::Duration;

/// How one attempt on one node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The node executed the request and answered to the end.
    Answered,
    /// The node answered that it did not execute the request, or that the plugin failed.
    Refused,
    /// The node was reached and broke off before the end.
    Failed,
    /// The node was never reached.
    Unreached,
    /// The client left first.
    Abandoned,
}

/// One duration that may be worth learning from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// From the choice of the node, connecting included, until its last byte.
    pub duration: Duration,
    /// True when the operation would have taken longer than `duration`, or other than usual (a
    /// client that left, a refusal): a lower bound, which counts only once it reaches the
    /// threshold.
    pub censored: bool,
}

impl Outcome {
    /// What an attempt of this outcome and length teaches, if anything: a refusal says nothing
    /// about how long the operation takes, however fast it came.
    #[must_use]
    pub fn sample(self, duration: Duration) -> Option<Sample> {
        let censored = match self {
            Self::Answered => false,
            Self::Refused | Self::Failed | Self::Abandoned => true,
            Self::Unreached => return None,
        };
        Some(Sample { duration, censored })
    }
}
