//! What part does a node play in its pool?

use std::fmt;

/// A node's part in its pool: configured, never elected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Seed 000's "main node": where its rule sends short requests. At most one per pool.
    Primary,
    /// An ordinary member.
    #[default]
    Secondary,
    /// Serves only while no other node of the pool can (`HAProxy`'s `backup`).
    Backup,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Primary, Self::Secondary, Self::Backup];

    /// The word in YAML, logs and admin answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
            Self::Backup => "backup",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
