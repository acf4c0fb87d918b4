//! What are the keys called?

/// The names, below the prefix, in the order in which the script takes them. The last five are
/// seed 000's and are there for operators; `docs/redis-keys.md` describes all of them.
const NAMES: [&str; 15] = [
    "fleet:meta",
    "fleet:gateways",
    "fleet:hands",
    "fleet:weights",
    "fleet:pins",
    "fleet:turns",
    "fleet:leader",
    "fleet:learned",
    "fleet:changed",
    "fleet:seen",
    "request:stats",
    "request:long_requests",
    "node:status",
    "cluster:status",
    "custom:stats",
];

/// Every key of one fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys(Vec<String>);

impl Keys {
    /// The keys below a prefix. A sharded Redis wants all of a script's keys in one slot: there, a
    /// prefix without a hash tag becomes one.
    #[must_use]
    pub fn new(prefix: &str, sharded: bool) -> Self {
        let tagged = sharded && !prefix.contains('{');
        let prefix = match tagged {
            true if prefix.is_empty() => "{twolane}".to_owned(),
            true => format!("{{{prefix}}}"),
            false => prefix.to_owned(),
        };
        Self(NAMES.iter().map(|name| format!("{prefix}{name}")).collect())
    }

    /// All of them, in the script's order.
    #[must_use]
    pub fn all(&self) -> &[String] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sharded_redis_gets_one_slot() {
        assert_eq!(
            Keys::new("twolane:", false).all()[10],
            "twolane:request:stats"
        );
        assert_eq!(Keys::new("", false).all()[13], "cluster:status");
        let sharded = Keys::new("twolane:", true);
        let tagged = sharded
            .all()
            .iter()
            .filter(|key| key.starts_with("{twolane:}"));
        assert_eq!(tagged.count(), NAMES.len());
        assert_eq!(Keys::new("a{b}:", true).all()[0], "a{b}:fleet:meta");
    }
}
