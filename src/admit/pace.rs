//! How fast do requests come, how long do they stay, and how many places should long ones leave?
//!
//! The reserve: with S places in a pool, long requests may hold S - r of them. Short ones come and
//! go so fast that they need few places, but those at once. Their offered load is their rate times
//! their stay (Little); a margin of a part of its square root covers the bursts (Halfin and Whitt,
//! "Heavy-traffic limits for queues with many exponential servers", 1981). Both are measured, so the
//! reserve follows when classes drift, and costs nothing while long requests do not fill the rest.
//!
//! The margin was found on the race in `race.rs`; a larger one gives little to short requests and
//! makes long ones wait for a place more.

use crate::model::Class;
use std::time::{Duration, Instant};

/// Of the square root of the offered load.
const MARGIN: f64 = 0.4;
/// What came longer ago than this has faded to a third: noise below 3 % at 50 requests a second,
/// and a drift is followed within half a minute.
const MEMORY: Duration = Duration::from_secs(20);
/// A stay counts one in so many, once there are that many.
const STAYS: f64 = 64.0;

/// What is measured of one pool.
#[derive(Debug)]
pub struct Pace {
    since: Instant,
    /// Short requests that came, fading; and when it was last brought up to date.
    came: f64,
    at: Instant,
    stays: [Stay; Class::ALL.len()],
}

/// The fading mean of how long requests of one class held their place.
#[derive(Clone, Copy, Debug, Default)]
struct Stay {
    seconds: f64,
    seen: f64,
}

impl Pace {
    /// Nothing was measured yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            since: now,
            came: 0.0,
            at: now,
            stays: Default::default(),
        }
    }

    /// A request came.
    pub fn note_came(&mut self, class: Class, now: Instant) {
        if class == Class::Short {
            self.came = self.faded(now) + 1.0;
            self.at = now;
        }
    }

    /// One left its place.
    pub fn note_stay(&mut self, class: Class, lasted: Duration) {
        let stay = &mut self.stays[class.index()];
        stay.seen = (stay.seen + 1.0).min(STAYS);
        stay.seconds += (lasted.as_secs_f64() - stay.seconds) / stay.seen;
    }

    /// How long requests of a class usually hold a place; none when none did yet.
    #[must_use]
    pub fn usual(&self, class: Class) -> Option<Duration> {
        let stay = self.stays[class.index()];
        (stay.seen > 0.0).then(|| Duration::from_secs_f64(stay.seconds.max(0.0)))
    }

    /// How many of a pool's places long requests leave to short ones: at most half.
    #[must_use]
    pub fn reserve(&self, places: u32, now: Instant) -> u32 {
        if self.faded(now) < 1.0 {
            // Not one came within the memory.
            return 0;
        }
        let offered = self.rate(now) * self.stays[Class::Short.index()].seconds;
        let wanted = (offered + MARGIN * offered.sqrt()).ceil();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, and a cast ends at the bounds of its type"
        )]
        let wanted = wanted as u32;
        wanted.min(places / 2)
    }

    /// Short requests per second.
    fn rate(&self, now: Instant) -> f64 {
        let memory = MEMORY.as_secs_f64();
        let age = now.saturating_duration_since(self.since).as_secs_f64();
        // In the beginning less than the whole memory is filled.
        let filled = memory * (1.0 - (-age / memory).exp());
        self.faded(now) / filled.max(1.0)
    }

    fn faded(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at);
        self.came * (-passed.as_secs_f64() / MEMORY.as_secs_f64()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;

    fn paced(per_second: u32, stay: Duration, seconds: u32) -> (Pace, Instant) {
        let start = clock::now();
        let mut pace = Pace::new(start);
        let mut now = start;
        for _ in 0..per_second * seconds {
            now += Duration::from_secs(1) / per_second;
            pace.note_came(Class::Short, now);
            pace.note_stay(Class::Short, stay);
        }
        (pace, now)
    }

    #[test]
    fn the_reserve_follows_the_offered_load_of_short_requests() {
        let ms = Duration::from_millis;
        let of = |rate, stay| {
            let (pace, now) = paced(rate, ms(stay), 120);
            pace.reserve(32, now)
        };
        assert_eq!(of(54, 50), 4, "2.7 places and a margin");
        assert_eq!(of(54, 10), 1);
        assert_eq!(of(54, 150), 10);
        assert_eq!(of(540, 50), 16, "never more than half");
    }

    #[test]
    fn without_short_requests_nothing_is_kept_for_them() {
        let start = clock::now();
        let mut pace = Pace::new(start);
        pace.note_came(Class::Long, start);
        pace.note_stay(Class::Long, Duration::from_secs(9));
        assert_eq!(pace.reserve(32, start), 0);
        let (busy, now) = paced(54, Duration::from_millis(50), 60);
        let later = now + Duration::from_secs(600);
        assert_eq!(busy.reserve(32, later), 0, "they have not come for long");
        assert_eq!(busy.reserve(1, now), 0, "one place cannot be shared");
    }

    #[test]
    fn the_reserve_follows_a_drift_within_a_minute() {
        let (mut pace, mut now) = paced(54, Duration::from_millis(50), 60);
        for _ in 0..60 * 54 {
            now += Duration::from_secs(1) / 54;
            pace.note_came(Class::Short, now);
            pace.note_stay(Class::Short, Duration::from_millis(200));
        }
        assert!(pace.reserve(32, now) >= 12, "{}", pace.reserve(32, now));
    }
}
