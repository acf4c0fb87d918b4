//! May it go again, to another node? One function, because every clause of it is about money or
//! side effects: a tool that ran twice cannot be taken back.

use crate::dify::Refusal;

/// How an attempt came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The node was never reached: nothing was sent.
    Unreached,
    /// The node answered that it does not serve this.
    Refused(Refusal),
    /// The connection broke before the node answered. Whether the request ran is unknown.
    Broke,
    /// The node was silent for too long. It may still be working.
    Silent,
}

impl End {
    /// The word in metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unreached => "unreached",
            Self::Refused(_) => "refused",
            Self::Broke => "broke",
            Self::Silent => "silent",
        }
    }
}

/// What else matters.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The request only reads: running twice does no harm.
    pub read: bool,
    /// The route is one that some versions of the daemon have and others have not.
    pub versioned: bool,
    /// A byte of an answer went to the client.
    pub answered: bool,
    /// All of the body can be sent again.
    pub body_kept: bool,
    /// It came so long ago that nothing of it is repeated any more.
    pub late: bool,
    /// Nodes that failed this request, this one included.
    pub failures: u8,
    /// At most so many may.
    pub attempts: u8,
    /// Nodes that answered "not here", this one included.
    pub misses: u8,
}

/// Whether another node may be tried, and on whose account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// No.
    No,
    /// Yes: nothing was executed, and it is no fault that could storm.
    Free,
    /// Yes, if the pool's budget has room.
    Charged,
}

/// A request is sent to at most so many nodes that turn out not to have its plugin: a pool larger
/// than this learns who has it over several requests.
pub const MOST_MISSES: u8 = 10;

/// Whether another node may be tried.
#[must_use]
pub fn may_go_again(end: End, facts: &Facts) -> Again {
    if facts.answered || facts.late || !facts.body_kept {
        return Again::No;
    }
    let attempts_left = facts.failures < facts.attempts;
    let when = |allowed: bool, again| if allowed { again } else { Again::No };
    match end {
        // Not executed and not a fault: bounded by the number of nodes.
        End::Refused(Refusal::NotHere | Refusal::RuntimeVanished) => {
            when(facts.misses < MOST_MISSES, Again::Free)
        }
        // Nothing was sent, so nothing is repeated.
        End::Unreached | End::Refused(Refusal::OwnerGone | Refusal::Empty) => {
            when(attempts_left, Again::Free)
        }
        // One more try: another version of the daemon may have the route; a shared database that
        // is down is not likely to be up behind another node.
        End::Refused(Refusal::NoRoute) => {
            when(facts.versioned && facts.failures < 2, Again::Charged)
        }
        End::Refused(Refusal::Dependency) => when(facts.failures < 2, Again::Charged),
        End::Refused(Refusal::Overloaded | Refusal::Other) | End::Broke => {
            when(facts.read && attempts_left, Again::Charged)
        }
        End::Refused(Refusal::NotInstalled | Refusal::WrongKey | Refusal::Invalid) => Again::No,
        // Hedging by timeout would double the work of a node that is slow already.
        End::Silent => Again::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Just, Strategy, any, prop_assert, prop_oneof, proptest};

    const FACTS: Facts = Facts {
        read: false,
        versioned: true,
        answered: false,
        body_kept: true,
        late: false,
        failures: 1,
        attempts: 3,
        misses: 1,
    };

    /// Each end, and whether a dispatch and a read may go again.
    const TABLE: [(End, bool, bool); 13] = [
        (End::Unreached, true, true),
        (End::Refused(Refusal::NotHere), true, true),
        (End::Refused(Refusal::RuntimeVanished), true, true),
        (End::Refused(Refusal::OwnerGone), true, true),
        (End::Refused(Refusal::NoRoute), true, true),
        (End::Refused(Refusal::Dependency), true, true),
        (End::Refused(Refusal::NotInstalled), false, false),
        (End::Refused(Refusal::WrongKey), false, false),
        (End::Refused(Refusal::Invalid), false, false),
        (End::Refused(Refusal::Overloaded), false, true),
        (End::Refused(Refusal::Other), false, true),
        (End::Broke, false, true),
        (End::Silent, false, false),
    ];

    #[test]
    fn each_end_is_decided_by_the_table() {
        for (end, dispatch, read) in TABLE {
            assert_eq!(
                may_go_again(end, &FACTS) != Again::No,
                dispatch,
                "a dispatch after {end:?}"
            );
            let facts = Facts {
                read: true,
                ..FACTS
            };
            assert_eq!(
                may_go_again(end, &facts) != Again::No,
                read,
                "a read after {end:?}"
            );
        }
    }

    #[test]
    fn a_shared_database_that_is_down_is_asked_about_twice_at_most() {
        let facts = Facts {
            failures: 2,
            ..FACTS
        };
        assert_eq!(
            may_go_again(End::Refused(Refusal::Dependency), &facts),
            Again::No
        );
        assert_eq!(may_go_again(End::Unreached, &facts), Again::Free);
    }

    fn ends() -> impl Strategy<Value = End> {
        let refusals = TABLE.map(|(end, _, _)| end);
        prop_oneof![
            (0..refusals.len()).prop_map(move |at| refusals[at]),
            Just(End::Broke)
        ]
    }

    proptest! {
        /// Whatever happens: a request that may have run is repeated only if it reads, and nothing
        /// is repeated after a byte of an answer, without its body, or without end.
        #[test]
        fn nothing_that_may_have_run_runs_twice_unless_it_reads(
            end in ends(), read in any::<bool>(), answered in any::<bool>(),
            body_kept in any::<bool>(), late in any::<bool>(), failures in 0u8..6, misses in 0u8..20,
        ) {
            let facts = Facts { read, versioned: true, answered, body_kept, late, failures, attempts: 3, misses };
            let again = may_go_again(end, &facts) != Again::No;
            let unexecuted = match end {
                End::Unreached => true,
                End::Refused(refusal) => refusal.is_unexecuted(),
                End::Broke | End::Silent => false,
            };
            prop_assert!(!again || unexecuted || read);
            prop_assert!(!again || (!answered && !late && body_kept));
            prop_assert!(!(again && failures >= 3 && misses >= MOST_MISSES));
        }
    }
}
