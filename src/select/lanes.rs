//! Do short requests wait behind long ones on these nodes? That differs from machine to machine:
//! where a node works on few requests at a time a long one blocks it, where plugins share cores it
//! hardly does. So it is measured, and only where it is so are long requests kept off one node.
//!
//! Measured are short requests, by `ln(duration / usual)`: those that were sent beside a long one
//! against those that were not. The difference of the two means is how much slower, as a logarithm,
//! a long neighbour makes a short request.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Short requests beside long ones are 2.7 times slower: from here on the lanes are apart.
const ON: f64 = 1.0;
/// 1.8 times: below it no longer. The gap keeps noise from switching back and forth.
const OFF: f64 = 0.6;
/// A new sample's weight.
const NEW: f64 = 1.0 / 100.0;
/// Both sides need so much weight: 36 samples. At most 1.
const ENOUGH: f64 = 0.3;
/// One request says no more.
const CUT: f64 = 4.0;

/// What was measured, and the mode that follows.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    sides: Mutex<[Mean; 2]>,
    apart: AtomicBool,
}

/// A mean that forgets, with the weight of what it has seen.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: f64,
    weight: f64,
}

impl Mean {
    fn push(&mut self, sample: f64) {
        self.sum += NEW * (sample - self.sum);
        self.weight += NEW * (1.0 - self.weight);
    }

    fn get(self) -> Option<f64> {
        (self.weight > ENOUGH).then(|| self.sum / self.weight)
    }
}

impl Lanes {
    /// A short request took `exp(residual)` times what is usual.
    pub(super) fn note(&self, beside_long: bool, residual: f64) {
        let mut sides = self.sides.lock();
        sides[usize::from(beside_long)].push(residual.clamp(-CUT, CUT));
        match ratio(*sides) {
            Some(ratio) if ratio > ON => self.apart.store(true, Ordering::Relaxed),
            Some(ratio) if ratio < OFF => self.apart.store(false, Ordering::Relaxed),
            _ => {}
        }
    }

    /// Are long requests kept apart?
    pub(super) fn apart(&self) -> bool {
        self.apart.load(Ordering::Relaxed)
    }

    /// The logarithm of how much slower a short request is beside a long one, once known.
    pub(super) fn ratio(&self) -> Option<f64> {
        ratio(*self.sides.lock())
    }
}

fn ratio(sides: [Mean; 2]) -> Option<f64> {
    Some(sides[1].get()? - sides[0].get()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_part_when_long_neighbours_hurt_and_join_when_they_do_not() {
        let lanes = Lanes::default();
        let feed = |times: u32, beside: f64| {
            (0..times).for_each(|_| {
                lanes.note(false, 0.0);
                lanes.note(true, beside);
            });
        };
        feed(35, 3.0);
        assert_eq!(lanes.ratio(), None, "35 prove nothing");
        assert!(!lanes.apart());
        feed(10, 3.0);
        assert!(lanes.apart());
        feed(1000, 0.8);
        assert!(lanes.apart(), "between the two it stays");
        feed(1000, 0.5);
        assert!(!lanes.apart());
        feed(1000, 0.9);
        assert!(!lanes.apart(), "between the two it stays");
    }

    #[test]
    fn one_side_alone_proves_nothing() {
        let lanes = Lanes::default();
        (0..1000).for_each(|_| lanes.note(true, 4.0));
        assert_eq!(lanes.ratio(), None);
        assert!(!lanes.apart());
    }
}
