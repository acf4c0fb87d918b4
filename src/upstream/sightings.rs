//! Which plugins were seen in traffic, and how would one ask for them?
//!
//! Fed by requests that a node answered, read by the probes. One place per plugin, as in the nodes'
//! own tables, so it is bounded; what is kept is in memory only, and a key cannot be printed.

use crate::model::{PluginPlace, Secret};
use crate::nodes::{Plugin, Plugins};
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How the requests of a plugin name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way<T> {
    /// `/v2/invoke/`, with this unique identifier.
    Identifier(T),
    /// `/plugin/:tenant/`, with this tenant.
    Tenant(T),
}

impl<T: AsRef<str>> Way<T> {
    fn as_ref(&self) -> Way<&str> {
        match self {
            Self::Identifier(identifier) => Way::Identifier(identifier.as_ref()),
            Self::Tenant(tenant) => Way::Tenant(tenant.as_ref()),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Identifier(text) | Self::Tenant(text) => text.as_ref(),
        }
    }
}

/// What a request that a node answered tells.
#[derive(Clone, Copy)]
pub struct Told<'r> {
    /// How it named the plugin.
    pub way: Way<&'r str>,
    /// Its `X-Api-Key`, which the node took.
    pub key: Option<&'r str>,
}

impl fmt::Debug for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told")
            .field("way", &self.way)
            .finish_non_exhaustive()
    }
}

/// What it takes to ask for one plugin.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// Its place.
    pub place: PluginPlace,
    /// `author/name`.
    pub plugin: Box<str>,
    /// How its last request named it.
    pub way: Way<Box<str>>,
    /// The key of its last request.
    pub key: Option<Secret>,
    /// Changes when the rest does.
    pub revision: u64,
}

impl Sighting {
    fn is(&self, plugin: &Plugin, told: &Told<'_>) -> bool {
        self.place == plugin.place()
            && self.way.as_ref() == told.way
            && self.key.as_ref().map(Secret::expose) == told.key
    }
}

/// The sightings, one place per plugin.
pub struct Sightings {
    since: Instant,
    slots: Box<[Slot]>,
}

#[derive(Default)]
struct Slot {
    /// The plugin's generation (16 bits) and when it was last noted (48 bits of milliseconds,
    /// from 1).
    noted: AtomicU64,
    known: Mutex<Option<Arc<Sighting>>>,
}

/// A plugin is looked at this often; what its requests tell in between is what they told before.
const LOOK: Duration = Duration::from_secs(1);
/// Longer texts are nobody's tenant, key or identifier, and are not kept.
const LONGEST: usize = 512;
const TIME: u64 = u64::MAX >> 16;

impl Sightings {
    /// No plugin was seen yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            since: now,
            slots: (0..Plugins::CAPACITY).map(|_| Slot::default()).collect(),
        }
    }

    fn clock(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.since).as_millis();
        u64::try_from(since).map_or(TIME, |ms| (ms + 1).min(TIME))
    }

    /// A node answered a request of this plugin. What the request tells is looked at once a second
    /// at most; in between this costs one read.
    pub fn note<'r>(&self, plugin: &Plugin, now: Instant, told: impl FnOnce() -> Option<Told<'r>>) {
        let place = plugin.place();
        if place == PluginPlace::NONE {
            return;
        }
        let slot = &self.slots[usize::from(place.index)];
        let (noted, now) = (slot.noted.load(Ordering::Relaxed), self.clock(now));
        let same = noted & TIME > 0 && noted >> 48 == u64::from(place.generation);
        if same && Duration::from_millis(now.saturating_sub(noted & TIME)) < LOOK {
            return;
        }
        let fits = |told: &Told<'_>| {
            told.way.text().len() <= LONGEST && told.key.is_none_or(|key| key.len() <= LONGEST)
        };
        let Some(told) = told().filter(fits) else {
            return;
        };
        let word = u64::from(place.generation) << 48 | now;
        slot.noted.store(word, Ordering::Relaxed);
        let mut known = slot.known.lock();
        if known.as_ref().is_none_or(|known| !known.is(plugin, &told)) {
            let revision = known.as_ref().map_or(0, |known| known.revision + 1);
            *known = Some(Arc::new(Sighting {
                place,
                plugin: plugin.name().into(),
                way: match told.way {
                    Way::Identifier(identifier) => Way::Identifier(identifier.into()),
                    Way::Tenant(tenant) => Way::Tenant(tenant.into()),
                },
                key: told.key.map(|key| Secret::new(key.to_owned())),
                revision,
            }));
        }
    }

    /// The plugins that were seen in the last `within`.
    #[must_use]
    pub fn recent(&self, now: Instant, within: Duration) -> Vec<Arc<Sighting>> {
        let now = self.clock(now);
        let is_recent = |slot: &&Slot| {
            let noted = slot.noted.load(Ordering::Relaxed) & TIME;
            noted > 0 && Duration::from_millis(now.saturating_sub(noted)) < within
        };
        let slots = self.slots.iter().filter(is_recent);
        slots.filter_map(|slot| slot.known.lock().clone()).collect()
    }
}

impl fmt::Debug for Sightings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sightings").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;

    const HOUR: Duration = Duration::from_secs(3600);

    fn tenant<'r>(tenant: &'r str, key: &'r str) -> impl FnOnce() -> Option<Told<'r>> {
        move || {
            Some(Told {
                way: Way::Tenant(tenant),
                key: Some(key),
            })
        }
    }

    #[test]
    fn what_requests_tell_is_looked_at_once_a_second_and_forgotten_after_an_hour() {
        let start = clock::now();
        let sightings = Sightings::new(start);
        let plugin = Plugins::new().find(Some("a/b"));
        sightings.note(&plugin, start, tenant("t1", "k1"));
        let soon = start + Duration::from_millis(999);
        sightings.note(&plugin, soon, || panic!("looked at too often"));
        let later = start + LOOK;
        sightings.note(&plugin, later, tenant("t1", "k1"));
        let known = sightings.recent(later, HOUR).remove(0);
        assert_eq!((known.way.as_ref(), known.revision), (Way::Tenant("t1"), 0));
        sightings.note(&plugin, later + LOOK, tenant("t1", "k2"));
        let known = sightings.recent(later + LOOK, HOUR).remove(0);
        assert_eq!(known.key.as_ref().map(Secret::expose), Some("k2"));
        assert_eq!(known.revision, 1);
        assert_eq!(sightings.recent(later + LOOK + HOUR, HOUR).len(), 0);
    }

    #[test]
    fn a_place_that_changes_hands_tells_of_its_new_plugin_at_once() {
        let start = clock::now();
        let sightings = Sightings::new(start);
        let plugins = Plugins::new();
        for n in 0..Plugins::CAPACITY {
            let plugin = plugins.find(Some(&format!("a/{n}")));
            sightings.note(&plugin, start, tenant("t", "k"));
        }
        let all = sightings.recent(start, HOUR);
        assert_eq!(all.len(), usize::from(Plugins::CAPACITY) - 1);
        let places = all.iter().filter(|one| &*one.plugin == "a/0").count();
        assert_eq!(places, 0, "its place was given to the last one");
    }

    #[test]
    fn neither_what_has_no_place_nor_what_is_too_long_is_kept_and_no_key_is_printed() {
        let start = clock::now();
        let sightings = Sightings::new(start);
        let plugins = Plugins::new();
        sightings.note(&plugins.find(None), start, tenant("t", "k"));
        let long = "x".repeat(LONGEST + 1);
        sightings.note(&plugins.find(Some("a/b")), start, tenant(&long, "k"));
        sightings.note(&plugins.find(Some("a/b")), start, tenant("t", &long));
        assert_eq!(sightings.recent(start, HOUR).len(), 0);
        sightings.note(&plugins.find(Some("a/b")), start, tenant("t", "s3cret"));
        let printed = format!("{:?}", sightings.recent(start, HOUR));
        assert!(!printed.contains("s3cret"), "{printed}");
    }
}
