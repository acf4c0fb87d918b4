//! Which limits hold for how often requests come, across reloads?

use crate::admit::{Limit, Refused};
use crate::config::{Limits as Settings, RateEntry};
use crate::model::Rejection;
use crate::model::rejection::Reason;
use parking_lot::Mutex;
use std::sync::Arc;

/// The limits there are. One whose entry did not change keeps what it has counted.
#[derive(Debug, Default)]
pub struct Limiters(Mutex<Vec<(usize, Arc<Limit>)>>);

impl Limiters {
    /// Those of a configuration.
    #[must_use]
    pub fn muster(&self, settings: &Settings) -> Box<[Arc<Limit>]> {
        let keys = settings.rate_keys;
        let mut known = self.0.lock();
        let mut old = std::mem::take(&mut *known);
        *known = settings
            .rates
            .iter()
            .map(|entry| {
                let is_it =
                    |(size, limit): &(usize, Arc<Limit>)| *size == keys && limit.entry() == entry;
                match old.iter().position(is_it) {
                    Some(at) => old.swap_remove(at),
                    None => (keys, Arc::new(Limit::new(entry.clone(), keys))),
                }
            })
            .collect();
        known.iter().map(|(_, limit)| Arc::clone(limit)).collect()
    }
}

/// The answer to a request beyond a limit.
#[must_use]
pub fn over_limit(entry: &RateEntry, refused: Refused) -> Rejection {
    let by = entry.by.word();
    let (reason, text) = match refused {
        Refused::TooOften(_) => (
            Reason::RateLimited,
            format!("too many requests with the same {by}"),
        ),
        Refused::TooMany => (
            Reason::TooManyAtOnce,
            format!("too many requests with the same {by} at once"),
        ),
    };
    Rejection::new(reason, text).retry_after(refused.retry_after())
}
