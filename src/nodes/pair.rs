//! How are two numbers that belong together read without a lock? As the halves of one word.

use std::sync::atomic::{AtomicU64, Ordering};

/// Two `f32` that are always of the same moment.
#[derive(Debug)]
pub(super) struct Pair(AtomicU64);

impl Pair {
    pub(super) const fn new(one: f32, other: f32) -> Self {
        Self(AtomicU64::new(join(one, other)))
    }

    pub(super) fn get(&self) -> (f32, f32) {
        split(self.0.load(Ordering::Relaxed))
    }

    pub(super) fn set(&self, one: f32, other: f32) {
        self.0.store(join(one, other), Ordering::Relaxed);
    }
}

const fn join(one: f32, other: f32) -> u64 {
    ((one.to_bits() as u64) << 32) | other.to_bits() as u64
}

const fn split(both: u64) -> (f32, f32) {
    let one = f32::from_bits((both >> 32) as u32);
    (one, f32::from_bits((both & 0xffff_ffff) as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_halves_come_back_as_they_went_in() {
        let pair = Pair::new(-1.5, f32::INFINITY);
        assert_eq!(pair.get(), (-1.5, f32::INFINITY));
        pair.set(0.0, -0.25);
        assert_eq!(pair.get(), (0.0, -0.25));
    }
}
