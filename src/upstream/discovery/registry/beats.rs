//! Who lives? A heartbeat that moves. Clocks are not compared, but at first sight: a daemon whose
//! clock is wrong beats all the same.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// What beats, by its name, with what it last said.
#[derive(Debug)]
pub(super) struct Beats<T> {
    known: HashMap<String, Beat<T>>,
    /// Nothing could be read, or nothing beat, since the last round.
    gap: bool,
    /// In the last round nobody moved.
    quiet: bool,
}

#[derive(Debug)]
struct Beat<T> {
    says: T,
    /// What changes with each beat.
    token: String,
    /// When it last changed; none = never, since we look.
    moved: Option<Instant>,
    living: bool,
    heard: bool,
}

impl<T> Default for Beats<T> {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            gap: false,
            quiet: false,
        }
    }
}

impl<T> Beats<T> {
    /// Something was read. `fresh` is what its clock says of it, which counts at first sight only.
    pub(super) fn hear(&mut self, name: String, token: String, says: T, fresh: bool, now: Instant) {
        let moved = match self.known.get(&name) {
            Some(before) if before.token == token => before.moved,
            Some(_moved) => Some(now),
            None => fresh.then_some(now),
        };
        let living = self.known.get(&name).is_some_and(|before| before.living);
        let beat = Beat {
            says,
            token,
            moved,
            living,
            heard: true,
        };
        self.known.insert(name, beat);
    }

    /// Nothing could be read. Who lived is not held to have stopped meanwhile.
    pub(super) fn note_gap(&mut self) {
        self.gap = true;
    }

    /// Everything was read. Who was not heard of is believed as long as who does not move: after
    /// Redis lost its data, daemons write themselves in again one by one.
    pub(super) fn end_round(&mut self, now: Instant, stale: Duration) {
        let resumed = self.gap && self.known.values().any(|beat| beat.moved == Some(now));
        for beat in self.known.values_mut() {
            if resumed && beat.living {
                beat.moved = Some(now);
            }
        }
        let lives = |beat: &Beat<T>| {
            let still = beat.moved.map(|moved| now.saturating_duration_since(moved));
            still.is_some_and(|still| still <= stale)
        };
        let any = self.known.values().any(lives);
        self.gap = !any && !self.known.is_empty() && (self.gap || self.any_lived());
        for beat in self.known.values_mut() {
            // While nobody moves, who lived last is remembered for the moment somebody does.
            beat.living = lives(beat) || (self.gap && beat.living);
        }
        self.known
            .retain(|_, beat| std::mem::take(&mut beat.heard) || beat.living);
        self.quiet = !any;
    }

    fn any_lived(&self) -> bool {
        self.known.values().any(|beat| beat.living)
    }

    /// Who lives, in the order of their names; nobody while nothing moves at all.
    pub(super) fn living(&self) -> impl Iterator<Item = (&str, &T)> {
        let mut living: Vec<_> = self
            .known
            .iter()
            .filter(|(_, beat)| beat.living && !self.quiet)
            .map(|(name, beat)| (name.as_str(), &beat.says))
            .collect();
        living.sort_by_key(|(name, _)| *name);
        living.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;

    const STALE: Duration = Duration::from_secs(15);

    struct Rig {
        beats: Beats<()>,
        start: Instant,
    }

    impl Rig {
        fn new() -> Self {
            Self {
                beats: Beats::default(),
                start: clock::now(),
            }
        }

        /// One round so many seconds after the start: names and the second they say they beat.
        fn round(&mut self, at: u64, rows: &[(&str, u64)]) -> Vec<&str> {
            let now = self.start + Duration::from_secs(at);
            for (name, said) in rows {
                let fresh = at.abs_diff(*said) <= STALE.as_secs();
                self.beats
                    .hear((*name).to_owned(), said.to_string(), (), fresh, now);
            }
            self.beats.end_round(now, STALE);
            self.beats.living().map(|(name, ())| name).collect()
        }
    }

    #[test]
    fn one_missed_beat_is_nothing_and_three_are_the_end() {
        let mut rig = Rig::new();
        assert_eq!(rig.round(0, &[("a", 0), ("b", 0)]), ["a", "b"]);
        assert_eq!(rig.round(8, &[("a", 5), ("b", 0)]), ["a", "b"]);
        assert_eq!(rig.round(15, &[("a", 15), ("b", 0)]), ["a", "b"]);
        assert_eq!(rig.round(16, &[("a", 15), ("b", 0)]), ["a"]);
        assert_eq!(rig.round(17, &[("a", 15), ("b", 17)]), ["a", "b"]);
        assert_eq!(rig.round(20, &[("a", 20)]), ["a", "b"], "gone is no news");
        assert_eq!(rig.round(33, &[("a", 30)]), ["a"]);
    }

    #[test]
    fn a_wrong_clock_beats_all_the_same_and_an_old_entry_does_not() {
        let mut rig = Rig::new();
        rig.round(0, &[("a", 0), ("late", 9_000), ("dead", 8_000)]);
        let living = rig.round(5, &[("a", 5), ("late", 9_005), ("dead", 8_000)]);
        assert_eq!(living, ["a", "late"]);
    }

    #[test]
    fn an_outage_is_not_held_against_anybody() {
        let mut rig = Rig::new();
        rig.round(0, &[("a", 0), ("b", 0)]);
        rig.beats.note_gap();
        assert_eq!(
            rig.round(600, &[("a", 600)]),
            ["a", "b"],
            "b has not written yet"
        );
        assert_eq!(rig.round(603, &[("a", 600), ("b", 602)]), ["a", "b"]);
        assert_eq!(rig.round(620, &[("a", 620)]), ["a"]);
    }

    #[test]
    fn a_redis_that_takes_no_writes_for_a_while_loses_nobody() {
        let mut rig = Rig::new();
        rig.round(0, &[("a", 0), ("b", 0)]);
        assert!(
            rig.round(100, &[("a", 0), ("b", 0)]).is_empty(),
            "not known"
        );
        assert!(rig.round(102, &[("a", 0), ("b", 0)]).is_empty());
        assert_eq!(rig.round(104, &[("a", 104), ("b", 0)]), ["a", "b"]);
        assert_eq!(rig.round(120, &[("a", 120), ("b", 0)]), ["a"]);
    }

    #[test]
    fn an_emptied_redis_loses_nobody() {
        let mut rig = Rig::new();
        rig.round(0, &[("a", 0), ("b", 0)]);
        assert_eq!(rig.round(2, &[]), ["a", "b"]);
        assert!(rig.round(60, &[]).is_empty(), "not known");
        assert_eq!(rig.round(62, &[("a", 62)]), ["a", "b"]);
    }
}
