//! What becomes of the lines?

use prometheus::{IntCounter, IntCounterVec, Opts, Registry, Result};

/// Counts lines by what became of them.
#[derive(Clone, Debug)]
pub struct AccessMetrics {
    /// They are where they belong.
    pub(super) written: IntCounter,
    /// The queue was full.
    pub(super) lost: IntCounter,
    /// The disk did not take them.
    pub(super) failed: IntCounter,
}

impl AccessMetrics {
    pub(in crate::observe) fn register(into: &Registry) -> Result<Self> {
        let family = IntCounterVec::new(
            Opts::new(
                "twolane_access_log_lines_total",
                "Lines of the access log: written, lost because the queue was full, or failed \
                 because they could not be written.",
            ),
            &["result"],
        )?;
        into.register(Box::new(family.clone()))?;
        let count = |result| family.with_label_values(&[result]);
        Ok(Self {
            written: count("written"),
            lost: count("lost"),
            failed: count("failed"),
        })
    }
}
