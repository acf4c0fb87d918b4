//! How does a program that embeds the gateway show metrics of its own on the same page?

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Encoder, Registry, TextEncoder};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Metrics of the embedding program. Their names begin with its prefix, so that none can be one of
/// ours; everything else about them is its own business.
#[derive(Clone, Debug)]
pub struct OwnMetrics {
    prefix: String,
    registry: Registry,
}

/// The first words of names that are taken.
const TAKEN: [&str; 4] = ["twolane", "plugin", "process", "go"];

impl OwnMetrics {
    /// Metrics whose names begin with `prefix` and `_`.
    ///
    /// # Errors
    /// When the prefix is not a word of small letters and digits, or one of ours.
    pub fn new(prefix: &str) -> prometheus::Result<Self> {
        let bad = |what: &str| Err(prometheus::Error::Msg(format!("prefix {prefix:?}: {what}")));
        let letter = |byte: u8| byte.is_ascii_lowercase();
        if !prefix.bytes().next().is_some_and(letter)
            || !prefix
                .bytes()
                .all(|byte| letter(byte) || byte.is_ascii_digit())
        {
            return bad("one word of small letters and digits, please");
        }
        if TAKEN.contains(&prefix) {
            return bad("names of the gateway begin so");
        }
        Ok(Self {
            prefix: prefix.to_owned(),
            registry: Registry::new_custom(Some(prefix.to_owned()), None)?,
        })
    }

    /// Adds a family or several; their names without the prefix.
    ///
    /// # Errors
    /// When a name stands twice or is none.
    pub fn register(&self, family: impl Collector + 'static) -> prometheus::Result<()> {
        self.registry.register(Box::new(family))
    }

    /// The word that all names begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// None when a family's own code panics.
    fn gather(&self) -> Option<Vec<MetricFamily>> {
        catch_unwind(AssertUnwindSafe(|| self.registry.gather())).ok()
    }

    /// Writes them behind ours. What is wrong with them must not take our page away.
    pub(super) fn show(&self, page: &mut Vec<u8>) {
        let ours = page.len();
        let families = self.gather();
        let shown = families.map(|families| TextEncoder::new().encode(&families, page));
        if !matches!(shown, Some(Ok(()))) {
            log::warn!("own metrics cannot be shown prefix={}", self.prefix);
            page.truncate(ours);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::IntCounter;

    #[test]
    fn names_begin_with_a_prefix_that_is_not_ours() {
        for bad in ["", "twolane", "plugin", "process", "a_b", "A", "1a", "ü"] {
            assert!(OwnMetrics::new(bad).is_err(), "{bad:?} was taken");
        }
        let own = OwnMetrics::new("acme").unwrap();
        let counter = IntCounter::new("requests_total", "Ours.").unwrap();
        own.register(counter.clone()).unwrap();
        assert!(own.register(counter).is_err(), "a name stands once");
        assert_eq!(own.gather().unwrap()[0].name(), "acme_requests_total");
    }
}
