//! Is a node slow, or had it only the long requests? Each request is compared with what its own
//! operation usually takes on all nodes; a node is slow when it stays behind, and only when chance
//! can be ruled out.
//!
//! The statistic: residuals `ln(duration) - usual`, cut at three to either side, in a mean and a
//! variance that forget (1/50). A node is slow by `exp(d)`, where `d` is how far its mean lies
//! above that of the fastest, less five standard errors of the difference. Evidence fades with
//! time, so that a node that is avoided gets its chance to be measured again.

use super::pair::Pair;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Weight of a new residual. From a mean and a variance of zero: a young node is believed to be
/// like the others.
const NEW: f64 = 0.02;
/// A decayed sample is worth at most so many.
const MOST: f64 = 2.0 / NEW - 1.0;
/// Fewer prove nothing.
const ENOUGH: f64 = 10.0;
/// One residual goes no further: a request that hung is one request.
const CUT: f64 = 3.0;
/// Standard errors that chance may explain. Three would do if residuals were independent; those of
/// requests that queue behind each other are not, and at 95 % load equal nodes passed for slow.
const SIGMAS: f64 = 5.0;
/// Part of every variance: a tenth more or less is no slowness, however regular.
const FLOOR: f64 = 0.01;
/// After so long without a sample the evidence is worth half.
const HALF_LIFE: Duration = Duration::from_secs(30);
/// No node is taken for slower than this: it still gets work when others are full.
const SLOWEST: f64 = 10.0;

/// What [`Speed::note`] tells before anything is proven.
pub(super) const fn unproven() -> Pair {
    Pair::new(f32::INFINITY, f32::NEG_INFINITY)
}

/// One node's pace against what is usual.
#[derive(Debug)]
pub struct Speed {
    since: Instant,
    residuals: Mutex<Residuals>,
    /// The mean and its squared standard error, which is infinite while nothing is proven: what
    /// a choice reads.
    proven: Pair,
    /// When the last sample came, in milliseconds since `since`.
    at: AtomicU64,
}

#[derive(Debug, Default)]
struct Residuals {
    mean: f64,
    variance: f64,
    samples: f64,
}

/// What is proven of a node's pace at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// The mean of the logarithms of (duration / usual).
    pub mean: f64,
    /// Its squared standard error.
    error: f64,
}

impl Speed {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            since: now,
            residuals: Mutex::new(Residuals {
                mean: 0.0,
                variance: 0.0,
                samples: 0.0,
            }),
            proven: Pair::new(0.0, f32::INFINITY),
            at: AtomicU64::new(0),
        }
    }

    /// A request took `exp(residual)` times what is usual for its operation. `seen` is told the mean, and
    /// the mean less the errors that chance may explain: as long as the least mean of all nodes is no
    /// less than anybody's second number, none of them is slow.
    pub(super) fn note(&self, residual: f64, now: Instant, seen: &Pair) {
        let mut known = self.residuals.lock();
        let off = residual.clamp(-CUT, CUT) - known.mean;
        known.mean += NEW * off;
        known.variance = (1.0 - NEW) * (known.variance + NEW * off * off);
        known.samples = (known.samples + 1.0).min(MOST);
        let error = if known.samples < ENOUGH {
            f64::INFINITY
        } else {
            (known.variance + FLOOR) / known.samples
        };
        self.proven.set(known.mean as f32, error as f32);
        if error.is_finite() {
            let surely = known.mean - SIGMAS * error.sqrt();
            seen.set(known.mean as f32, surely as f32);
        }
        self.at.store(self.clock(now), Ordering::Relaxed);
    }

    /// It came back, and may be another machine: nothing is known.
    pub(super) fn forget(&self, seen: &Pair) {
        let mut known = self.residuals.lock();
        *known = Residuals::default();
        self.proven.set(0.0, f32::INFINITY);
        seen.set(f32::INFINITY, f32::NEG_INFINITY);
    }

    /// What is proven; `None` while too little is known.
    #[must_use]
    pub fn pace(&self) -> Option<Pace> {
        let (mean, error) = self.proven.get();
        error.is_finite().then_some(Pace {
            mean: f64::from(mean),
            error: f64::from(error),
        })
    }

    /// How many times slower than the fastest it provably is: from 1 to 10.
    #[must_use]
    pub fn slowness(&self, fastest: Option<Pace>, now: Instant) -> f64 {
        let Some((fastest, own)) = fastest.and_then(|fastest| Some((fastest, self.pace()?))) else {
            return 1.0;
        };
        let behind = own.mean - fastest.mean;
        // Nearly always it ends here: no root is drawn, and no time is computed.
        if behind <= 0.0 || behind * behind <= SIGMAS * SIGMAS * (own.error + fastest.error) {
            return 1.0;
        }
        let proven = |error: f64| behind - SIGMAS * (error + fastest.error).sqrt();
        let age = self
            .clock(now)
            .saturating_sub(self.at.load(Ordering::Relaxed));
        let faded = (age as f64 / HALF_LIFE.as_millis() as f64).exp2();
        proven(own.error * faded).exp().clamp(1.0, SLOWEST)
    }

    fn clock(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.since).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX)
    }
}

impl Pace {
    /// The fastest of several nodes; `None` when nothing is proven of any.
    #[must_use]
    pub fn fastest<'a>(nodes: impl Iterator<Item = &'a Speed>) -> Option<Self> {
        nodes.filter_map(Speed::pace).reduce(Self::min)
    }

    /// The faster of two.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        if other.mean < self.mean { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Dice, clock};
    use proptest::prelude::{any, prop_assert, proptest};

    struct Rig {
        now: Instant,
        nodes: Vec<Speed>,
        seen: Vec<Pair>,
        dice: Dice,
    }

    impl Rig {
        fn new(nodes: usize, seed: u64) -> Self {
            let now = clock::now();
            Self {
                now,
                nodes: (0..nodes).map(|_| Speed::new(now)).collect(),
                seen: (0..nodes).map(|_| unproven()).collect(),
                dice: Dice::with_seed(seed),
            }
        }

        /// Somewhere between a third and three times what is usual.
        fn noise(&mut self) -> f64 {
            self.dice.f64() * 2.2 - 1.1
        }

        fn note(&self, node: usize, residual: f64) {
            self.nodes[node].note(residual, self.now, &self.seen[node]);
        }

        fn slowness(&self, node: usize) -> f64 {
            let fastest = Pace::fastest(self.nodes.iter());
            let slowness = self.nodes[node].slowness(fastest, self.now);
            let seen = self.seen.iter().map(Pair::get);
            let (least, surely) = seen.fold((f32::INFINITY, f32::NEG_INFINITY), |so_far, it| {
                (so_far.0.min(it.0), so_far.1.max(it.1))
            });
            assert!(surely > least || slowness == 1.0, "seen at a glance");
            slowness
        }
    }

    #[test]
    fn a_node_five_times_slower_is_found_out_and_nine_samples_prove_nothing() {
        let mut rig = Rig::new(2, 1);
        for n in 0..200 {
            for node in 0..2 {
                let noise = rig.noise();
                let slower = if node == 1 { 5f64.ln() } else { 0.0 };
                rig.note(node, noise + slower);
            }
            assert!(n >= 9 || rig.slowness(1) == 1.0, "after {n}");
        }
        assert!(
            (2.5..=5.5).contains(&rig.slowness(1)),
            "{}",
            rig.slowness(1)
        );
        assert!(rig.slowness(0) == 1.0, "it is the fastest");
    }

    #[test]
    fn what_was_proven_fades_until_the_node_is_tried_again() {
        let mut rig = Rig::new(2, 2);
        for _ in 0..200 {
            rig.note(0, 0.0);
            rig.note(1, 1.0);
        }
        let mut before = rig.slowness(1);
        assert!(before > 2.0);
        for _ in 0..40 {
            rig.now += HALF_LIFE / 2;
            assert!(rig.slowness(1) <= before);
            before = rig.slowness(1);
        }
        assert!(before == 1.0, "{before}");
    }

    #[test]
    fn a_node_that_became_fast_is_believed_within_a_hundred_samples() {
        let rig = Rig::new(2, 3);
        (0..200).for_each(|_| rig.note(0, 0.0));
        (0..200).for_each(|_| rig.note(1, 1.5));
        assert!(rig.slowness(1) > 3.0);
        (0..200).for_each(|_| rig.note(1, 0.0));
        assert!(rig.slowness(1) < 1.1, "{}", rig.slowness(1));
        (0..200).for_each(|_| rig.note(1, 1.5));
        rig.nodes[1].forget(&rig.seen[1]);
        assert!(rig.slowness(1) == 1.0);
    }

    proptest! {
        /// Section 6, invariant 6: within its bounds, 1 below ten samples, whatever comes.
        #[test]
        fn slowness_stays_within_its_bounds(
            residuals in proptest::collection::vec((0usize..3, -1e9f64..1e9), 0..300),
            seconds in 0u64..10_000,
        ) {
            let mut rig = Rig::new(3, 0);
            let mut counts = [0; 3];
            for (node, residual) in residuals {
                rig.note(node, residual);
                counts[node] += 1;
            }
            rig.now += Duration::from_secs(seconds);
            for (node, count) in counts.into_iter().enumerate() {
                let slowness = rig.slowness(node);
                prop_assert!((1.0..=SLOWEST).contains(&slowness));
                prop_assert!(count >= 10 || slowness == 1.0);
            }
        }

        /// Nodes that are alike are not told apart by chance: over many seeds hardly a choice is
        /// disturbed.
        #[test]
        fn equal_nodes_are_hardly_ever_called_slow(seed in any::<u64>()) {
            let mut rig = Rig::new(3, seed);
            let mut wrong = 0;
            for _ in 0..2000 {
                for node in 0..3 {
                    let noise = rig.noise();
                    rig.note(node, noise);
                }
                wrong += u32::from((0..3).any(|node| rig.slowness(node) > 1.1));
            }
            prop_assert!(wrong < 200, "{wrong} of 2000");
        }
    }
}
