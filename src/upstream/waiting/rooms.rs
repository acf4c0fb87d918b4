//! Where does anybody wait, and for what?

use super::WaitingRoom;
use crate::admit::Quota;
use crate::config::{self, RuleEntry, When};
use crate::observe::Metrics;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

/// The rooms of all pools where requests may wait, and the places of all rules with a limit.
#[derive(Debug)]
pub struct Rooms {
    by_pool: Mutex<HashMap<String, Arc<WaitingRoom>>>,
    quotas: Mutex<Vec<(When, Arc<Quota>)>>,
    /// How many gateways share the caps and the limits.
    gateways: Arc<AtomicU16>,
}

impl Default for Rooms {
    fn default() -> Self {
        Self {
            by_pool: Mutex::default(),
            quotas: Mutex::default(),
            gateways: Arc::new(AtomicU16::new(1)),
        }
    }
}

impl Rooms {
    /// The room of a pool with these settings, which hold for those who wait there already; none
    /// when it has no caps, and no rule limits what may come there.
    pub(in crate::upstream) fn of(
        &self,
        settings: &config::Pool,
        rules: &[RuleEntry],
        all: &Metrics,
    ) -> Option<Arc<WaitingRoom>> {
        let mut by_pool = self.by_pool.lock();
        by_pool.retain(|_, room| Arc::strong_count(room) > 1);
        let limited = rules
            .iter()
            .filter(|rule| rule.limit.is_some())
            .any(|rule| {
                let pool = rule.pool.as_deref();
                pool.is_none_or(|pool| pool == settings.name)
            });
        if !settings.has_caps() && !limited {
            if let Some(room) = by_pool.remove(&settings.name) {
                room.set(settings, false);
            }
            return None;
        }
        let room = by_pool.entry(settings.name.clone()).or_insert_with(|| {
            Arc::new(WaitingRoom::new(settings, all, Arc::clone(&self.gateways)))
        });
        room.set(settings, true);
        Some(Arc::clone(room))
    }

    /// The places of each rule, by its position; none where it has no limit. A rule with the same
    /// conditions as before goes on counting what runs; one that is gone holds nobody any more.
    pub(in crate::upstream) fn quotas(&self, rules: &[RuleEntry]) -> Vec<Option<Arc<Quota>>> {
        let mut quotas = self.quotas.lock();
        let mut before = std::mem::take(&mut *quotas);
        let found = rules.iter().map(|rule| {
            let most = rule.limit?;
            let known = before.iter().position(|(when, _)| *when == rule.when);
            let quota = match known {
                Some(at) => before.swap_remove(at).1,
                None => Arc::new(Quota::new(most)),
            };
            quota.set(Some(most));
            quotas.push((rule.when.clone(), Arc::clone(&quota)));
            Some(quota)
        });
        let found = found.collect();
        for (_, gone) in before {
            gone.set(None);
        }
        found
    }

    /// So many gateways share the caps and the limits, this one among them.
    pub fn share_among(&self, gateways: usize) {
        let gateways = u16::try_from(gateways.max(1)).unwrap_or(u16::MAX);
        self.gateways.store(gateways, Ordering::Relaxed);
    }
}
