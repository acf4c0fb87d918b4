//! Whose turn is it? The tenant that had least of the nodes' time.
//!
//! Deficit round robin without a quantum (start-time fair queueing): each tenant carries the
//! node-seconds it was given, predicted when a request goes and corrected when it ends; the lowest
//! goes next. Who was away does not save up: coming back, it starts where the others are.

use std::time::Duration;

/// Tenants share so many accounts by their hash; two that meet in one share its turns. Bounded by
/// construction: no client can make this table grow.
pub(super) const ACCOUNTS: u64 = 1024;

/// The accounts of one class.
#[derive(Debug)]
pub(super) struct Turns {
    /// Node-seconds given to each account.
    given: Box<[f64]>,
    /// Where the account that went last stood: nobody starts lower.
    level: f64,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            given: vec![0.0; ACCOUNTS as usize].into(),
            level: 0.0,
        }
    }

    fn at(tenant: u64) -> usize {
        (tenant % ACCOUNTS) as usize
    }

    /// Where a tenant stands; the lowest goes next.
    pub(super) fn stand(&self, tenant: u64) -> f64 {
        self.given[Self::at(tenant)].max(self.level)
    }

    /// One of its requests goes, and will probably hold a place for so long.
    pub(super) fn charge(&mut self, tenant: u64, predicted: Duration) {
        let stand = self.stand(tenant);
        self.level = stand;
        self.given[Self::at(tenant)] = stand + predicted.as_secs_f64();
    }

    /// It ended, after another time than was predicted.
    pub(super) fn correct(&mut self, tenant: u64, predicted: Duration, actual: Duration) {
        self.given[Self::at(tenant)] += actual.as_secs_f64() - predicted.as_secs_f64();
    }
}
