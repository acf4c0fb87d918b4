//! Short or long?

use std::fmt;

/// How long a request is expected to occupy a node. Decided before it runs, corrected by what it
/// turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Expected to end well below `learn.long_threshold`.
    Short,
    /// Expected to last for `learn.long_threshold` or more.
    Long,
}

impl Class {
    /// Every class, in the order of every per-class table.
    pub const ALL: [Self; 2] = [Self::Short, Self::Long];

    /// The word in YAML, logs, metric labels and headers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Long => "long",
        }
    }

    /// The position in per-class tables.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Reads the word that [`Class::word`] writes.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.word() == word)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
