//! Nobody may serve now: does it pay to ask again soon, and when?
//!
//! Only an operator knows: with several nodes the answer is nearly always no, and a client that
//! hears so at once can go on; with a single daemon, which is back seconds after a restart, waiting
//! turns an error into a pause. Caddy's `lb_try_duration`.

use crate::model::Dice;
use std::time::{Duration, Instant};

/// The first pause is at most this long; each further one twice as long,
const FIRST: Duration = Duration::from_millis(50);
/// up to this.
const LONGEST: Duration = Duration::from_secs(1);

/// One request's patience. The first pause starts the clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience {
    until: Option<Instant>,
    pauses: u32,
}

impl Patience {
    /// How long to pause before all nodes are asked again; `None` when patience is at its end.
    ///
    /// Pauses are drawn from the whole range ("full jitter"), so that the calls that were refused
    /// together do not come back together.
    pub fn pause(&mut self, patience: Duration, now: Instant, dice: &mut Dice) -> Option<Duration> {
        let until = *self.until.get_or_insert(now + patience);
        let left = until.saturating_duration_since(now);
        if left.is_zero() {
            return None;
        }
        let most = (FIRST * 2u32.saturating_pow(self.pauses)).min(LONGEST);
        self.pauses = (self.pauses + 1).min(8);
        Some(most.mul_f64(dice.f64()).min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;

    #[test]
    fn without_patience_nothing_waits() {
        let mut dice = Dice::with_seed(1);
        let mut patience = Patience::default();
        assert_eq!(
            patience.pause(Duration::ZERO, clock::now(), &mut dice),
            None
        );
    }

    #[test]
    fn pauses_grow_to_a_second_and_end_with_the_patience() {
        let mut dice = Dice::with_seed(7);
        let start = clock::now();
        let (mut now, mut patience, mut count) = (start, Patience::default(), 0);
        let whole = Duration::from_secs(20);
        while let Some(pause) = patience.pause(whole, now, &mut dice) {
            let most = (FIRST * 2u32.pow(count.min(8))).min(LONGEST);
            assert!(pause <= most, "pause {count} is {pause:?}");
            now += pause;
            count += 1;
        }
        assert_eq!(now, start + whole, "the last pause ends with the patience");
        assert!((20..100).contains(&count), "{count} pauses");
    }
}
