//! What does the operator want of a node?

/// The operator's hand on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hand {
    /// Takes requests.
    Ready,
    /// Takes nothing new; what runs there ends in peace.
    Drain,
    /// Takes nothing, and is not expected to work.
    Maint,
}

impl Hand {
    /// The word in admin answers (`HAProxy`'s `set server state`).
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maint => "maint",
        }
    }

    /// Reads the word that [`Hand::word`] writes.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Ready, Self::Drain, Self::Maint]
            .into_iter()
            .find(|hand| hand.word() == word)
    }
}
