//! What outlives a restart?
//!
//! A gateway that forgets calls every long operation short, or the other way round, for the first
//! minutes of each day. Reading and writing the file is the caller's.

use super::by_hand::check_key;
use super::entry::Entry;
use super::estimate::{Estimate, LARGEST_WINDOW};
use super::histogram::{BUCKETS, Histogram};
use super::learner::Learner;
use super::threshold::{BOUNDS_NS, nanos};
use crate::model::{Class, Pin, Threshold};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

const VERSION: u32 = 1;
/// No key is longer: `model::Operation` cuts them.
const LONGEST_KEY: usize = 600;

/// All that was learned, as it is written down: JSON with a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    version: u32,
    threshold_ns: u64,
    everything: Counts,
    /// The latest used first.
    keys: Vec<Known>,
    /// What the operator pinned while the gateway ran: a key, and a class or `auto`.
    #[serde(default)]
    pins: Vec<(String, String)>,
}

/// A histogram: only the buckets that hold anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Counts {
    mean_ns: u64,
    weight: f64,
    buckets: Vec<(u8, f32)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Known {
    key: String,
    long: bool,
    promoted: bool,
    count: u64,
    work_ns: f64,
    min_ns: u64,
    max_ns: u64,
    window_ns: Vec<u64>,
    recent: Counts,
}

impl Memory {
    /// Reads what [`Memory::to_json`] wrote.
    ///
    /// # Errors
    /// Text that is no JSON, a version this program does not know, or a field that is missing or
    /// of the wrong kind.
    pub fn from_json(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        // The version first: another one may well have other fields.
        let Version { version } =
            serde_json::from_slice(text).map_err(|error| format!("no learned state: {error}"))?;
        known_version(version)?;
        serde_json::from_slice(text).map_err(|error| format!("broken learned state: {error}"))
    }

    /// One JSON object, without a line break.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers and text always become JSON")
    }

    /// How many keys are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Is no key in it?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

fn written(pin: Pin) -> (String, String) {
    let word = pin.class.map_or("auto", Class::word);
    (pin.operation, word.to_owned())
}

fn known_version(version: u32) -> Result<(), String> {
    if version == VERSION {
        return Ok(());
    }
    Err(format!(
        "learned state of version {version}; this program knows version {VERSION}"
    ))
}

impl Counts {
    fn of<const M: u32>(histogram: &Histogram<M>) -> Self {
        Self {
            mean_ns: histogram.mean().round() as u64,
            weight: histogram.weight(),
            buckets: histogram.filled().collect(),
        }
    }

    fn check<const M: u32>(&self) -> Result<Histogram<M>, String> {
        let most = f64::from(M) + 1.0;
        if !(0.0..=most).contains(&self.weight) {
            return Err(format!("weight {} is not within 0 and {most}", self.weight));
        }
        for &(at, weight) in &self.buckets {
            if usize::from(at) >= BUCKETS || !(0.0..=most).contains(&f64::from(weight)) {
                return Err(format!("bucket {at} with {weight} cannot be"));
            }
        }
        sane(self.mean_ns)?;
        Ok(Histogram::restored(
            &self.buckets,
            self.weight,
            self.mean_ns as f64,
        ))
    }
}

fn sane(ns: u64) -> Result<(), String> {
    if nanos(Duration::from_nanos(ns)) == ns {
        return Ok(());
    }
    Err(format!("a duration of {ns} ns is beyond a day"))
}

impl Known {
    fn check(&self) -> Result<Estimate, String> {
        if self.key.is_empty() || self.key.len() > LONGEST_KEY {
            return Err(format!("a key of {} bytes", self.key.len()));
        }
        let window = self.window_ns.len();
        if window == 0 || window > LARGEST_WINDOW || (window as u64) > self.count {
            return Err(format!("{window} of {} samples in the window", self.count));
        }
        for &ns in self.window_ns.iter().chain([&self.max_ns]) {
            sane(ns)?;
        }
        if self.min_ns > self.max_ns || !(self.work_ns >= 0.0 && self.work_ns.is_finite()) {
            return Err("its sums contradict each other".to_owned());
        }
        let mut estimate = Estimate::new();
        estimate.window = self.window_ns.iter().copied().collect();
        estimate.histogram = self.recent.check()?;
        estimate.count = self.count;
        estimate.work = self.work_ns;
        estimate.least = self.min_ns;
        estimate.most = self.max_ns;
        estimate.long = self.long;
        Ok(estimate)
    }

    fn of(entry: &Entry) -> Option<Self> {
        let state = entry.state.lock();
        let known = &state.estimate;
        (known.count > 0).then(|| Self {
            key: entry.key.to_string(),
            long: known.long,
            promoted: state.promoted,
            count: known.count,
            work_ns: known.work,
            min_ns: known.least,
            max_ns: known.most,
            window_ns: known.window.iter().copied().collect(),
            recent: Counts::of(&known.histogram),
        })
    }
}

impl Learner {
    /// Everything worth keeping, for [`Learner::recall`] after a restart.
    #[must_use]
    pub fn remember(&self) -> Memory {
        let entries = self.entries();
        Memory {
            version: VERSION,
            threshold_ns: self.threshold.load(Relaxed),
            everything: Counts::of(&self.everything.lock().histogram),
            keys: entries.iter().filter_map(|it| Known::of(it)).collect(),
            pins: self.pins_by_hand().into_iter().map(written).collect(),
        }
    }

    /// Takes back what was remembered; returns how many keys that were. What this learner knows
    /// already stays as it is, and the table does not outgrow its limit.
    ///
    /// # Errors
    /// A version this program does not know, or a key that cannot be; then nothing is taken.
    pub fn recall(&self, memory: &Memory, now: Instant) -> Result<usize, String> {
        known_version(memory.version)?;
        let everything = memory.everything.check()?;
        let mut names = HashSet::new();
        let mut known = Vec::with_capacity(memory.keys.len());
        for it in &memory.keys {
            let estimate = it
                .check()
                .map_err(|why| format!("key {:?}: {why}", it.key))?;
            if !names.insert(it.key.as_str()) {
                return Err(format!("key {:?} stands twice", it.key));
            }
            let key: Arc<str> = it.key.as_str().into();
            known.push(Entry::known(key, estimate, it.promoted, now));
        }
        for (operation, _) in &memory.pins {
            check_key(operation)?;
        }
        // Everything that can be refused was; but for a thousand pins more than can be kept.
        for (operation, word) in &memory.pins {
            self.pin(operation, Class::from_word(word))?;
        }
        let mean = self.recall_everything(memory.threshold_ns, everything);
        let mut keys = self.keys.lock();
        known.retain(|entry| !keys.knows(&entry.key));
        known.truncate(keys.room());
        let taken = known.len();
        for entry in known.into_iter().rev() {
            keys.put(entry);
        }
        drop(keys);
        self.refit_all(mean);
        Ok(taken)
    }

    /// Takes back the whole, unless something was learned meanwhile; returns its mean.
    fn recall_everything(&self, threshold_ns: u64, histogram: Histogram<512>) -> f64 {
        let mut everything = self.everything.lock();
        if everything.histogram.weight() == 0.0 {
            everything.histogram = histogram;
            if self.rules().long_threshold == Threshold::Auto {
                let threshold = (threshold_ns as f64).clamp(BOUNDS_NS.0, BOUNDS_NS.1);
                self.threshold.store(threshold as u64, Relaxed);
            }
        }
        everything.histogram.mean()
    }
}
