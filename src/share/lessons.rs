//! What of that which the others learned is new to us?
//!
//! Per operation and per gateway it is remembered up to which sample we have heard, so that each
//! counts once, however often and in whatever order a record comes.

use super::diary::gateway_of;
use super::{Lesson, Record};
use crate::model::Operation;
use lru::LruCache;
use std::collections::HashMap;
use std::num::NonZeroUsize;

/// Gateways come and go; so many are remembered per operation at least.
const MOST_ORIGINS: usize = 256;

/// Up to where we have heard.
#[derive(Debug)]
pub(super) struct Lessons {
    gateway: String,
    heard: LruCache<String, HashMap<String, u64>>,
}

impl Lessons {
    pub(super) fn new(gateway: &str, most: NonZeroUsize) -> Self {
        Self {
            gateway: gateway.to_owned(),
            heard: LruCache::new(most),
        }
    }

    /// What a record teaches; `None` when all of it is known or ours. `joining`: we have just joined
    /// and count under this name; all the rest counts, also what gateways took that are long gone.
    pub(super) fn take(
        &mut self,
        key: &str,
        record: &Record,
        joining: Option<&str>,
    ) -> Option<Lesson> {
        let whole = joining.is_some();
        let gateway = self.gateway.as_str();
        let is_ours = |origin: &str| match joining {
            Some(own) => origin == own,
            None => gateway_of(origin) == gateway,
        };
        let operation = Operation::restored(key, &record.ends)?;
        if !self.heard.contains(key) {
            self.heard.put(key.to_owned(), HashMap::new());
        }
        let heard = self.heard.get_mut(key)?;
        // A record that lacks a gateway may be late, or just begun anew: what was heard of the
        // gateway stays, within reason.
        if heard.len() > MOST_ORIGINS {
            heard.retain(|origin, _| record.totals.iter().any(|(known, _)| known == origin));
        }
        let mut fresh = HashMap::new();
        let mut count = if whole { record.base } else { 0 };
        for (origin, total) in &record.totals {
            let known = heard.get(origin).copied().unwrap_or(0);
            heard.insert(origin.clone(), known.max(*total));
            if is_ours(origin) {
                continue;
            }
            let new = if whole {
                *total
            } else {
                total.saturating_sub(known)
            };
            fresh.insert(origin.as_str(), new);
            count = count.saturating_add(new);
        }
        if count == 0 {
            return None;
        }
        let mut samples = Vec::new();
        for (origin, ns) in record.latest.iter().rev() {
            let left = fresh.get_mut(origin.as_str());
            let new = match left {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    true
                }
                // Those of gateways that are gone: a newcomer learns from them too.
                None => whole && !is_ours(origin) && (samples.len() as u64) < count,
                Some(_) => false,
            };
            if new {
                samples.push(*ns);
            }
        }
        samples.reverse();
        Some(Lesson {
            operation,
            count,
            samples,
            whole,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lessons() -> Lessons {
        Lessons::new("me", NonZeroUsize::new(8).unwrap())
    }

    fn record(base: u64, totals: &[(&str, u64)], latest: &[(&str, u64)]) -> Record {
        let owned = |pairs: &[(&str, u64)]| {
            let pairs = pairs.iter();
            pairs.map(|(name, n)| ((*name).to_owned(), *n)).collect()
        };
        Record {
            ends: vec![1],
            base,
            totals: owned(totals),
            latest: owned(latest),
            ..Record::default()
        }
    }

    fn said(lesson: Option<Lesson>) -> (u64, Vec<u64>) {
        lesson.map_or((0, Vec::new()), |lesson| (lesson.count, lesson.samples))
    }

    #[test]
    fn each_sample_of_another_counts_once_and_ours_never() {
        let mut lessons = lessons();
        let first = record(0, &[("a", 2), ("me", 5)], &[("a", 1), ("me", 9), ("a", 2)]);
        assert_eq!(said(lessons.take("x", &first, None)), (2, vec![1, 2]));
        assert_eq!(said(lessons.take("x", &first, None)), (0, vec![]));
        let next = record(
            0,
            &[("a", 3), ("b", 70)],
            &[("a", 1), ("a", 2), ("b", 7), ("a", 3)],
        );
        assert_eq!(said(lessons.take("x", &next, None)), (71, vec![7, 3]));
        assert_eq!(said(lessons.take("x", &first, None)), (0, vec![]), "late");
        assert_eq!(said(lessons.take("x", &next, None)), (0, vec![]), "twice");
    }

    #[test]
    fn who_joins_learns_what_those_who_are_gone_took() {
        let mut lessons = lessons();
        let all = record(10, &[("a", 2)], &[("gone", 5), ("a", 1), ("a", 2)]);
        assert_eq!(
            said(lessons.take("x", &all, Some("me"))),
            (12, vec![5, 1, 2])
        );
        assert_eq!(said(lessons.take("x", &all, None)), (0, vec![]));
        let folded = record(12, &[], &[("gone", 5), ("a", 1), ("a", 2)]);
        assert_eq!(said(lessons.take("x", &folded, None)), (0, vec![]));
    }
}
