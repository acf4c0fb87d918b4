//! Why a node? One word for each reason.

/// A candidate, and the one word that explains it in logs, metrics and headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The position among the candidates.
    pub at: usize,
    /// The reason.
    pub why: Why,
}

/// Why a node was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// Nobody else may serve.
    OnlyCandidate,
    /// It carries least.
    LeastLoaded,
    /// It carries least of those that are not proven slow.
    SlowNodeAvoided,
    /// It carries least, apart from the node that is left to short requests.
    ShortLane,
    /// By chance.
    Chance,
    /// It was its turn.
    Turn,
    /// The main node takes it: the primary, else the first (seed 000: short requests do).
    Main,
    /// Seed 000: the other node was busy and the main node idle.
    Overflow,
    /// All requests of this key go to one node.
    Affinity,
    /// The node of its key may not serve, or has too much: the next one on the ring takes it.
    NextOnRing,
    /// Every node is unhealthy; one is tried all the same.
    FailOpen,
    /// It holds the connection of a debug plugin, or took the installation of a plugin not long ago.
    Owner,
    /// It waited for a place, and this one became free.
    AfterWaiting,
    /// It waited for as long as one may, and went to the least loaded node without a place.
    Overdue,
    /// The strategy failed; round robin chose in its place.
    Fallback,
    /// A strategy from outside has its own reasons.
    Custom,
}

impl Why {
    /// Every reason.
    pub const ALL: [Self; 16] = [
        Self::OnlyCandidate,
        Self::LeastLoaded,
        Self::SlowNodeAvoided,
        Self::ShortLane,
        Self::Chance,
        Self::Turn,
        Self::Main,
        Self::Overflow,
        Self::Affinity,
        Self::NextOnRing,
        Self::FailOpen,
        Self::Owner,
        Self::AfterWaiting,
        Self::Overdue,
        Self::Fallback,
        Self::Custom,
    ];

    /// The word in logs, metric labels and headers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::OnlyCandidate => "only_candidate",
            Self::LeastLoaded => "least_loaded",
            Self::SlowNodeAvoided => "slow_node_avoided",
            Self::ShortLane => "short_lane",
            Self::Chance => "chance",
            Self::Turn => "turn",
            Self::Main => "main",
            Self::Overflow => "overflow",
            Self::Affinity => "affinity",
            Self::NextOnRing => "next_on_ring",
            Self::FailOpen => "fail_open",
            Self::Owner => "owner",
            Self::AfterWaiting => "after_waiting",
            Self::Overdue => "overdue",
            Self::Fallback => "fallback",
            Self::Custom => "custom",
        }
    }
}
