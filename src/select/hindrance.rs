//! Who hinders a request: those of its own plugin, or anybody on the node?
//!
//! On a plugin daemon a plugin is one process, and what shares it waits for it. Where all requests of
//! a node share its workers or cores alike, counting some of them three times only unbalances the
//! nodes. So it is measured: `ln(duration / usual)` of each request against how many of its own
//! plugin and how many others ran on the node when it came, as a linear regression that forgets
//! (1/2000). *Alike* is when one more of its own is proven to cost less than three times what one
//! more of the others costs: two standard errors below; it ends when the estimate is above again.
//!
//! *Alike* is also, for the beginning, when one more of its own is proven to cost next to nothing, by three
//! standard errors: before queues begin there is nothing to compare, and whoever lets requests of a plugin
//! avoid each other until then has unbalanced nodes when they do. That holds until something of its own
//! was once proven to hinder, and never again: on daemons the estimate dips now and then, and a
//! weight that comes and goes with it costs a tenth.
//!
//! In simulation (`benches/README.md`) the distance from that border is 3 to 16 standard errors on
//! one side for daemons, and 2 to 12 on the other for workers, shared cores and slots.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// A new sample's weight.
const NEW: f64 = 1.0 / 2000.0;
/// Fewer samples prove nothing.
const ENOUGH: u32 = 150;
/// One request says no more than this, as a logarithm.
const CUT: f64 = 4.0;
/// More neighbours count as so many: beyond, one more changes little.
const CROWD: u32 = 24;
/// It is looked at once in so many samples.
const EVERY: u32 = 16;
/// A plugin is a place of its own when its requests hinder each other so many times as much.
const TIMES: f64 = 3.0;
/// Standard errors that chance may explain.
const SIGMAS: f64 = 2.0;
/// One more of its own costs less than this, as a logarithm: next to nothing.
const NOTHING: f64 = 0.03;
/// Standard errors that chance may explain when it is said to cost next to nothing.
const SURELY: f64 = 3.0;
/// Neighbours that hardly vary tell nothing.
const FLAT: f64 = 1e-6;

/// What was measured, and what follows.
#[derive(Debug, Default)]
pub(super) struct Hindrance {
    known: Mutex<Known>,
    alike: AtomicBool,
    /// Its own were once proven to hinder a request.
    hindered: AtomicBool,
}

/// What one more neighbour costs, as a logarithm.
#[derive(Clone, Copy, Debug)]
struct Fit {
    own: f64,
    /// Its standard error.
    own_error: f64,
    others: f64,
    /// By how many standard errors one more of its own costs more than [`TIMES`] one more of the others.
    beyond: f64,
}

/// Means that forget, of products of: own, others, residual. Their weight stands beside them.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    seen: u32,
    weight: f64,
    own: f64,
    others: f64,
    residual: f64,
    own_own: f64,
    others_others: f64,
    own_others: f64,
    own_residual: f64,
    others_residual: f64,
    residual_residual: f64,
}

impl Known {
    fn push(&mut self, own: f64, others: f64, residual: f64) {
        let add = |mean: &mut f64, value: f64| *mean += NEW * (value - *mean);
        add(&mut self.weight, 1.0);
        add(&mut self.own, own);
        add(&mut self.others, others);
        add(&mut self.residual, residual);
        add(&mut self.own_own, own * own);
        add(&mut self.others_others, others * others);
        add(&mut self.own_others, own * others);
        add(&mut self.own_residual, own * residual);
        add(&mut self.others_residual, others * residual);
        add(&mut self.residual_residual, residual * residual);
        self.seen = self.seen.saturating_add(1);
    }

    /// None while nothing can be said.
    fn fit(&self) -> Option<Fit> {
        if self.seen < ENOUGH {
            return None;
        }
        let w = self.weight;
        let joint = |product: f64, one: f64, other: f64| product / w - one * other / (w * w);
        let own_own = joint(self.own_own, self.own, self.own);
        let others_others = joint(self.others_others, self.others, self.others);
        let own_others = joint(self.own_others, self.own, self.others);
        let own_residual = joint(self.own_residual, self.own, self.residual);
        let others_residual = joint(self.others_residual, self.others, self.residual);
        let all = joint(self.residual_residual, self.residual, self.residual);
        let apart = own_own * others_others - own_others * own_others;
        if apart < FLAT {
            return None;
        }
        let own = (own_residual * others_others - others_residual * own_others) / apart;
        let others = (others_residual * own_own - own_residual * own_others) / apart;
        let unexplained = (all - own * own_residual - others * others_residual).max(FLAT);
        let spread = others_others + 2.0 * TIMES * own_others + TIMES * TIMES * own_own;
        let error = |spread: f64| (unexplained * spread.max(0.0) / apart / (w / NEW)).sqrt();
        Some(Fit {
            own,
            own_error: error(others_others),
            others,
            beyond: (own - TIMES * others) / error(spread),
        })
    }
}

impl Hindrance {
    /// A request that met so many of its own plugin and so many others took `exp(residual)` times
    /// what is usual.
    pub(super) fn note(&self, (own, others): (u32, u32), residual: f64) {
        let count = |many: u32| f64::from(many.min(CROWD));
        let mut known = self.known.lock();
        known.push(count(own), count(others), residual.clamp(-CUT, CUT));
        if !known.seen.is_multiple_of(EVERY) {
            return;
        }
        let Some(fit) = known.fit() else { return };
        if fit.own - SIGMAS * fit.own_error > NOTHING {
            self.hindered.store(true, Ordering::Relaxed);
        }
        // Where nothing hinders anybody, nothing is proven by comparison.
        let compared = fit.others > 0.0 && fit.beyond < -SIGMAS;
        let free = fit.own + SURELY * fit.own_error < NOTHING;
        if compared || (free && !self.hindered.load(Ordering::Relaxed)) {
            self.alike.store(true, Ordering::Relaxed);
        } else if fit.beyond > 0.0 {
            self.alike.store(false, Ordering::Relaxed);
        }
    }

    /// Do all requests of a node hinder each other alike?
    pub(super) fn alike(&self) -> bool {
        self.alike.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Dice;

    /// So many requests, each slower by what it met.
    fn feed(hindrance: &Hindrance, many: u32, slower: impl Fn(u32, u32) -> f64) {
        let mut dice = Dice::with_seed(u64::from(many));
        for _ in 0..many {
            let (own, others) = (dice.u32(..4), dice.u32(..8));
            let noise = 2.0 * dice.f64() - 1.0;
            hindrance.note((own, others), slower(own, others) + noise);
        }
    }

    #[test]
    fn shared_cores_are_told_from_a_process_for_each_plugin_and_back() {
        let shared = |own, others| 0.1 * f64::from(own + others);
        let process = |own, others| 0.3 * f64::from(own) + 0.01 * f64::from(others);
        let hindrance = Hindrance::default();
        feed(&hindrance, 149, shared);
        assert!(!hindrance.alike(), "149 prove nothing");
        feed(&hindrance, 1500, shared);
        assert!(hindrance.alike());
        feed(&hindrance, 8000, process);
        assert!(!hindrance.alike());
        let fresh = Hindrance::default();
        feed(&fresh, 5000, process);
        assert!(!fresh.alike());
    }

    #[test]
    fn where_all_meet_the_same_nothing_is_concluded() {
        let hindrance = Hindrance::default();
        for _ in 0..3000 {
            hindrance.note((1, 3), 1.0);
        }
        assert!(!hindrance.alike());
    }

    #[test]
    fn who_was_never_hindered_by_its_own_counts_it_no_more_until_it_is() {
        let hindrance = Hindrance::default();
        let nobody = |_: u32, _: u32| 0.0;
        feed(&hindrance, 149, nobody);
        assert!(!hindrance.alike(), "149 prove nothing");
        feed(&hindrance, 4000, nobody);
        assert!(hindrance.alike());
        feed(&hindrance, 8000, |own, _| 0.3 * f64::from(own));
        assert!(!hindrance.alike(), "it was hindered");
        for n in 0..8000 {
            hindrance.note((n % 3, n % 5), 0.0);
        }
        assert!(!hindrance.alike(), "a quiet hour says nothing after that");
    }
}
