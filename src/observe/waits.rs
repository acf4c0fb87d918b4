//! What is counted of a waiting room?

use super::families::Waits;
use crate::model::Class;
use prometheus::{Histogram, IntCounter, IntGauge};
use std::time::Duration;

/// The counters of one pool's waiting room, looked up once.
#[derive(Debug)]
pub struct WaitMetrics {
    waiting: [IntGauge; Class::ALL.len()],
    waited: [Histogram; Class::ALL.len()],
    overdue: IntCounter,
    refused: IntCounter,
    reserve: IntGauge,
}

impl WaitMetrics {
    pub(super) fn new(of: &Waits, pool: &str) -> Self {
        Self {
            waiting: Class::ALL.map(|class| of.waiting.with_label_values(&[pool, class.word()])),
            waited: Class::ALL.map(|class| of.waited.with_label_values(&[pool, class.word()])),
            overdue: of.overdue.with_label_values(&[pool]),
            refused: of.refused.with_label_values(&[pool]),
            reserve: of.reserve.with_label_values(&[pool]),
        }
    }

    /// So many of a class wait now.
    pub fn waiting(&self, class: Class, many: usize) {
        let many = i64::try_from(many).unwrap_or(i64::MAX);
        self.waiting[class.index()].set(many);
    }

    /// One has waited for so long, and goes.
    pub fn waited(&self, class: Class, long: Duration) {
        self.waited[class.index()].observe(long.as_secs_f64());
    }

    /// One has waited for as long as one may, and goes without a place.
    pub fn overdue(&self) {
        self.overdue.inc();
    }

    /// One was refused.
    pub fn refused(&self) {
        self.refused.inc();
    }

    /// So many places are kept for short requests.
    pub fn reserve(&self, places: u32) {
        self.reserve.set(i64::from(places));
    }
}
