//! Which pools have a waiting room?

use super::WaitingRoom;
use crate::config;
use crate::observe::Metrics;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// The rooms of all pools that have caps.
#[derive(Debug, Default)]
pub struct Rooms {
    by_pool: Mutex<HashMap<String, Arc<WaitingRoom>>>,
}

impl Rooms {
    /// The room of a pool with these settings, which hold for those who wait there already; none
    /// when it has no caps.
    pub(in crate::upstream) fn of(
        &self,
        settings: &config::Pool,
        all: &Metrics,
    ) -> Option<Arc<WaitingRoom>> {
        let mut by_pool = self.by_pool.lock();
        by_pool.retain(|_, room| Arc::strong_count(room) > 1);
        if !settings.has_caps() {
            if let Some(room) = by_pool.remove(&settings.name) {
                room.set(settings, false);
            }
            return None;
        }
        let room = by_pool
            .entry(settings.name.clone())
            .or_insert_with(|| Arc::new(WaitingRoom::new(settings, all)));
        room.set(settings, true);
        Some(Arc::clone(room))
    }
}
