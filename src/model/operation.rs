//! What is asked, without who asks: the key under which durations are learned.

use std::fmt;

/// What an operation's key may be made of, in the order in which `learn.key` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The path template: `tool/invoke`, `llm/invoke`, `e`.
    Op,
    /// `author/name` of the plugin; the hook id under `/e/`.
    Plugin,
    /// The plugin's version, where the request names it (`X-Plugin-Unique-Identifier`).
    Version,
    /// Provider and tool, model or agent strategy, from the head of the body.
    Item,
    /// The tenant of the path: only where tenants' hardware differs.
    Tenant,
    /// The whole path as it came: seed 000's key, for comparison.
    Path,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 6] = [
        Self::Op,
        Self::Plugin,
        Self::Version,
        Self::Item,
        Self::Tenant,
        Self::Path,
    ];

    /// The word in `learn.key`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Op => "op",
            Self::Plugin => "plugin",
            Self::Version => "version",
            Self::Item => "item",
            Self::Tenant => "tenant",
            Self::Path => "path",
        }
    }
}

/// An operation as nested keys, from coarse to fine:
/// `tool/invoke`, `tool/invoke|langgenius/comfyui`, `tool/invoke|langgenius/comfyui|workflow`.
///
/// One string holds all levels, because each level is a prefix of the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    key: String,
    ends: [u16; Self::LEVELS],
    levels: u8,
}

impl Operation {
    /// The deepest nesting of keys.
    pub const LEVELS: usize = 6;
    /// Longer keys are cut: a client must not choose how much we remember.
    const LONGEST: usize = 512;
    /// A cut key may still gain the bars of its empty finer levels.
    const LARGEST: usize = Self::LONGEST + Self::LEVELS;

    /// Begins with the coarsest part.
    #[must_use]
    pub fn new(first: &str) -> Self {
        let mut operation = Self {
            key: String::with_capacity(96),
            ends: [0; Self::LEVELS],
            levels: 0,
        };
        operation.push(first);
        operation
    }

    /// Adds a finer level. Beyond [`Operation::LEVELS`] nothing is added.
    pub fn push(&mut self, part: &str) {
        if usize::from(self.levels) == Self::LEVELS {
            return;
        }
        if self.levels > 0 {
            self.key.push('|');
        }
        let room = Self::LONGEST.saturating_sub(self.key.len());
        let cut = (0..=part.len().min(room))
            .rev()
            .find(|&at| part.is_char_boundary(at))
            .unwrap_or(0);
        self.key.push_str(&part[..cut]);
        self.ends[usize::from(self.levels)] =
            u16::try_from(self.key.len()).expect("a key is cut far below 64 KiB");
        self.levels += 1;
    }

    /// The keys from fine to coarse: the most specific one that knows enough decides.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.ends[..usize::from(self.levels)]
            .iter()
            .rev()
            .map(|&end| &self.key[..usize::from(end)])
    }

    /// The finest key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.key
    }

    /// Where each level ends in [`Operation::as_str`], from coarse to fine.
    #[must_use]
    pub fn ends(&self) -> &[u16] {
        &self.ends[..usize::from(self.levels)]
    }

    /// Puts together again what [`Operation::as_str`] and [`Operation::ends`] took apart; `None`
    /// when they do not belong together.
    #[must_use]
    pub fn restored(key: &str, ends: &[u16]) -> Option<Self> {
        let whole = ends.last().map(|&end| usize::from(end)) == Some(key.len());
        let rising = ends.windows(2).all(|pair| pair[0] < pair[1]);
        let apart = ends
            .iter()
            .all(|&end| key.is_char_boundary(usize::from(end)));
        if !whole || !rising || !apart || ends.len() > Self::LEVELS || key.len() > Self::LARGEST {
            return None;
        }
        let mut operation = Self {
            key: key.to_owned(),
            ends: [0; Self::LEVELS],
            levels: u8::try_from(ends.len()).ok()?,
        };
        operation.ends[..ends.len()].copy_from_slice(ends);
        Some(operation)
    }

    /// The coarsest key: the path template alone.
    #[must_use]
    pub fn op(&self) -> &str {
        &self.key[..usize::from(self.ends[0])]
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_run_from_fine_to_coarse() {
        let mut operation = Operation::new("tool/invoke");
        operation.push("a/b");
        operation.push("google|search");
        let levels: Vec<_> = operation.levels().collect();
        assert_eq!(
            levels,
            [
                "tool/invoke|a/b|google|search",
                "tool/invoke|a/b",
                "tool/invoke"
            ]
        );
        assert_eq!(operation.op(), "tool/invoke");
    }

    #[test]
    fn a_key_that_travelled_has_its_levels_and_one_that_was_garbled_is_refused() {
        let mut operation = Operation::new("tool/invoke");
        operation.push("ä/b");
        operation.push("google|search");
        let (key, ends) = (operation.as_str(), operation.ends());
        assert_eq!(Operation::restored(key, ends), Some(operation.clone()));
        for (key, ends) in [
            (key, &ends[..2]),
            (key, &[][..]),
            ("ä", &[1, 2][..]),
            ("ab", &[2, 2][..]),
            ("abcdefgh", &[1, 2, 3, 4, 5, 6, 8][..]),
        ] {
            assert_eq!(Operation::restored(key, ends), None, "{key} {ends:?}");
        }
    }

    #[test]
    fn a_client_cannot_make_a_key_longer_than_the_limit() {
        let mut operation = Operation::new("tool/invoke");
        operation.push(&"ü".repeat(70_000));
        operation.push("x");
        assert!(operation.as_str().len() <= Operation::LONGEST + 2);
    }
}
