//! How does a program that embeds the gateway show metrics of its own on the same page?

use prometheus::core::Collector;
use prometheus::proto::{MetricFamily, MetricType};
use prometheus::{Encoder, Registry, TextEncoder};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Metrics of the embedding program. Their names begin with its prefix, so that none can be one of
/// ours; everything else about them is its own business.
#[derive(Clone, Debug)]
pub struct OwnMetrics {
    prefix: String,
    registry: Registry,
}

/// More single values than these are not shown one by one, and no longer names.
const MOST: usize = 256;
const LONGEST: usize = 256;
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

    /// Each of them as one number, for whoever reads single values: a family with labels has one per
    /// label set, a histogram its sum and its count. What is no number is left out.
    #[must_use]
    pub fn values(&self) -> Vec<(String, f64)> {
        let families = self.gather().unwrap_or_default();
        let values = families.iter().flat_map(family_values);
        let plain = |(name, value): &(String, f64)| value.is_finite() && name.len() <= LONGEST;
        values.filter(plain).take(MOST).collect()
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

fn family_values(family: &MetricFamily) -> Vec<(String, f64)> {
    let mut values = Vec::new();
    for row in family.get_metric() {
        let labels = row.get_label().iter();
        let labels: Vec<_> = labels
            .map(|label| format!("{}={:?}", label.name(), label.value()))
            .collect();
        let name = |end: &str| match labels.is_empty() {
            true => format!("{}{end}", family.name()),
            false => format!("{}{end}{{{}}}", family.name(), labels.join(",")),
        };
        match family.get_field_type() {
            MetricType::COUNTER => values.push((name(""), row.get_counter().get_value())),
            MetricType::GAUGE => values.push((name(""), row.get_gauge().get_value())),
            MetricType::HISTOGRAM => {
                let all = row.get_histogram();
                values.push((name("_sum"), all.get_sample_sum()));
                values.push((name("_count"), all.get_sample_count() as f64));
            }
            MetricType::SUMMARY | MetricType::UNTYPED => {}
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts};

    #[test]
    fn f074_each_is_one_number() {
        let own = OwnMetrics::new("acme").unwrap();
        let gauge = Gauge::new("x", "Ours.").unwrap();
        let odd = Gauge::new("odd", "Ours.").unwrap();
        let kinds = IntCounterVec::new(Opts::new("kinds", "Ours."), &["kind"]).unwrap();
        let sizes = Histogram::with_opts(HistogramOpts::new("sizes", "Ours.")).unwrap();
        gauge.set(3.0);
        odd.set(f64::NAN);
        kinds.with_label_values(&["a"]).inc_by(2);
        sizes.observe(0.5);
        own.register(gauge).unwrap();
        own.register(odd).unwrap();
        own.register(kinds).unwrap();
        own.register(sizes).unwrap();
        let mut values = own.values();
        values.sort_by(|a, b| a.0.cmp(&b.0));
        let shown: Vec<_> = values
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        let kinds = ("acme_kinds{kind=\"a\"}", 2.0);
        let sizes = [("acme_sizes_count", 1.0), ("acme_sizes_sum", 0.5)];
        assert_eq!(shown, [kinds, sizes[0], sizes[1], ("acme_x", 3.0)]);
    }

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
