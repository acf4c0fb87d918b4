//! Would a cap per plugin pay? Only the operator may set one; this says what was measured.
//!
//! Requests of one plugin share a process. Where they compute, each is slower by the number of its
//! neighbours; where they wait for a model, not at all. So each request's duration, as a multiple
//! of what its operation usually takes, is kept by how many of its plugin it met on the node. That
//! is a correlation: a vendor that is slow under load looks the same, and neighbours that came
//! later are not counted. Hence words for people, and no cap set by itself.

use parking_lot::Mutex;
use std::fmt;
use std::time::Duration;

/// A sample counts one in so many, once there are that many.
const MEMORY: f64 = 200.0;
/// Fewer prove nothing.
const ENOUGH: f64 = 30.0;
/// So many neighbours are a crowd: one more than the cap that is usually right for tools.
const CROWD: u32 = 3;
/// A crowd that doubles durations contends; less than that, noise and vendors do as well.
const PAYS: f64 = 2.0;
/// One request may not say more than this, as a logarithm: twenty times slower or faster.
const LOUDEST: f64 = 3.0;

/// What neighbours cost in one pool.
#[derive(Debug, Default)]
pub struct Advice {
    /// Of requests that met none, some, a crowd.
    met: Mutex<[Mean; 3]>,
}

/// Fading mean of the logarithm of measured by usual duration.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    value: f64,
    seen: f64,
}

/// What can be said about a cap per plugin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Counsel {
    /// Too few requests met a crowd of their plugin, or none, to compare.
    TooLittleSeen,
    /// Those in a crowd took so many times as long as those alone: not worth a cap.
    WouldNotPay(f64),
    /// They took so many times as long: a cap may pay.
    MayPay(f64),
}

impl Advice {
    /// A request that met so many of its plugin on the node took so long; its operation usually
    /// takes `usual`.
    pub fn note(&self, neighbours: u32, took: Duration, usual: Duration) {
        let ratio = took.as_secs_f64() / usual.as_secs_f64();
        if !ratio.is_finite() || ratio <= 0.0 {
            return;
        }
        let at = match neighbours {
            0 => 0,
            some if some < CROWD => 1,
            _ => 2,
        };
        let mean = &mut self.met.lock()[at];
        mean.seen = (mean.seen + 1.0).min(MEMORY);
        mean.value += (ratio.ln().clamp(-LOUDEST, LOUDEST) - mean.value) / mean.seen;
    }

    /// How many times as long requests take in a crowd of their plugin as alone; none while too
    /// little was seen.
    #[must_use]
    pub fn inflation(&self) -> Option<f64> {
        let [alone, _, crowd] = *self.met.lock();
        let enough = alone.seen >= ENOUGH && crowd.seen >= ENOUGH;
        enough.then(|| (crowd.value - alone.value).exp())
    }

    /// The same as a verdict.
    #[must_use]
    pub fn counsel(&self) -> Counsel {
        match self.inflation() {
            None => Counsel::TooLittleSeen,
            Some(times) if times >= PAYS => Counsel::MayPay(times),
            Some(times) => Counsel::WouldNotPay(times),
        }
    }
}

impl fmt::Display for Counsel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLittleSeen => f.write_str(
                "plugin_caps: too few requests met others of their plugin to say anything",
            ),
            Self::WouldNotPay(times) => write!(
                f,
                "plugin_caps: would not pay, requests among {CROWD} or more of their plugin take \
                 {times:.1} times as long"
            ),
            Self::MayPay(times) => write!(
                f,
                "plugin_caps: may pay, requests among {CROWD} or more of their plugin take \
                 {times:.1} times as long; begin with {CROWD} for plugins that compute"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(slower: impl Fn(u32) -> f64) -> Advice {
        let advice = Advice::default();
        for n in 0..400u32 {
            let neighbours = n % 6;
            // Two operations, a thousand times apart: only the ratio counts.
            let usual = if n % 2 == 0 { 0.02 } else { 20.0 };
            let took = Duration::from_secs_f64(usual * slower(neighbours));
            advice.note(neighbours, took, Duration::from_secs_f64(usual));
        }
        advice
    }

    #[test]
    fn plugins_that_compute_are_told_from_those_that_wait() {
        let computing = seen(|neighbours| f64::from(neighbours + 1));
        assert!(matches!(computing.counsel(), Counsel::MayPay(times) if times > 3.0));
        let waiting = seen(|_| 1.0);
        assert!(matches!(waiting.counsel(), Counsel::WouldNotPay(times) if times < 1.1));
        assert!(waiting.counsel().to_string().contains("would not pay"));
    }

    #[test]
    fn nothing_is_said_before_a_crowd_was_seen() {
        let advice = Advice::default();
        for _ in 0..1000 {
            advice.note(0, Duration::from_secs(1), Duration::from_secs(1));
        }
        advice.note(9, Duration::from_secs(9), Duration::from_secs(1));
        advice.note(9, Duration::from_secs(9), Duration::ZERO);
        assert_eq!(advice.inflation(), None);
        assert_eq!(advice.counsel(), Counsel::TooLittleSeen);
    }
}
