//! Whose fault was it? Three domains: the node, one plugin's runtime on it, and everybody else
//! (the client, the vendor behind the plugin, the database all nodes share). Only the first two
//! have consequences here, so that a vendor's rate limit never sends a node to rest.

use super::End;
use crate::dify::Refusal;

/// Who bears the consequences of an attempt that came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The node: a strike.
    Node,
    /// The plugin's runtime on this node: believed absent for a while.
    Runtime,
    /// The node says itself that it is too busy: a pause if it named one, else a strike.
    Busy,
    /// Nobody here.
    Nobody,
}

impl Blame {
    /// Who bears the consequences.
    #[must_use]
    pub const fn of(end: End) -> Self {
        match end {
            End::Unreached | End::Broke | End::Silent => Self::Node,
            End::Refused(refusal) => match refusal {
                Refusal::NotHere | Refusal::RuntimeVanished => Self::Runtime,
                Refusal::Overloaded => Self::Busy,
                Refusal::Dependency | Refusal::Other => Self::Node,
                Refusal::OwnerGone
                | Refusal::Empty
                | Refusal::NotInstalled
                | Refusal::NoRoute
                | Refusal::WrongKey
                | Refusal::Invalid => Self::Nobody,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_miss_is_the_runtimes_and_a_wrong_request_is_nobodys() {
        assert_eq!(Blame::of(End::Refused(Refusal::NotHere)), Blame::Runtime);
        assert_eq!(Blame::of(End::Refused(Refusal::Invalid)), Blame::Nobody);
        assert_eq!(Blame::of(End::Refused(Refusal::WrongKey)), Blame::Nobody);
        assert_eq!(Blame::of(End::Unreached), Blame::Node);
        assert_eq!(Blame::of(End::Refused(Refusal::Overloaded)), Blame::Busy);
    }
}
