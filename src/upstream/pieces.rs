//! How much of an answer is read at once?
//!
//! Between a node and a client, Pingora holds up to ten pieces of an answer, each as large as what
//! one read brought. A client that takes little makes the gateway hold all ten. So pieces are small
//! until the client has shown that it takes much: what is held for it is then soon gone.

use std::time::{Duration, Instant};

/// The most that Pingora reads at once.
const WHOLE: u64 = 64 << 10;
/// A usual answer is read at once.
const FIRST: u64 = 16 << 10;
/// Ten of them are what a slow reader may hold.
const SMALL: u64 = 8 << 10;
/// A client that takes so much
const PROOF: u64 = 512 << 10;
/// within so long is not slow. It is more than the kernel takes for a client that reads nothing.
const WITHIN: Duration = Duration::from_secs(1);

/// The pieces of one answer.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// Bytes since `since`, or since the answer began.
    read: u64,
    since: Option<Instant>,
    /// The client keeps pace.
    whole: bool,
}

impl Pieces {
    /// As much may be read now.
    pub(super) const fn next(&self) -> u64 {
        if self.whole {
            WHOLE
        } else if self.since.is_none() {
            FIRST
        } else {
            SMALL
        }
    }

    /// So much was read. The clock is asked once in many pieces.
    pub(super) fn note(&mut self, bytes: usize, now: impl FnOnce() -> Instant) {
        self.read += bytes as u64;
        match self.since {
            None if self.read >= FIRST => (self.read, self.since) = (0, Some(now())),
            Some(since) if self.read >= PROOF => {
                let now = now();
                self.whole = now.saturating_duration_since(since) <= WITHIN;
                (self.read, self.since) = (0, Some(now));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;

    /// Reads as much as is allowed, as long as `more` says so, and tells how much each piece was.
    fn read(pieces: &mut Pieces, now: Instant, bytes: u64) -> Vec<u64> {
        let mut all = Vec::new();
        while all.iter().sum::<u64>() < bytes {
            let next = pieces.next();
            pieces.note(next as usize, || now);
            all.push(next);
        }
        all
    }

    #[test]
    fn a_usual_answer_is_read_at_once() {
        let mut pieces = Pieces::default();
        assert_eq!(read(&mut pieces, clock::now(), 1), [FIRST]);
    }

    #[test]
    fn of_a_large_answer_little_is_read_until_its_client_keeps_pace() {
        let mut pieces = Pieces::default();
        let start = clock::now();
        let begun = read(&mut pieces, start, FIRST + PROOF);
        assert_eq!((begun[0], begun.len() as u64), (FIRST, 1 + PROOF / SMALL));
        assert!(begun[1..].iter().all(|&piece| piece == SMALL));
        let fast = read(&mut pieces, start + WITHIN, PROOF);
        assert!(fast.iter().all(|&piece| piece == WHOLE));
        // It became slow: the rest of what was begun is still read as before.
        let late = start + 3 * WITHIN;
        read(&mut pieces, late, PROOF);
        assert_eq!(pieces.next(), SMALL);
        read(&mut pieces, late, PROOF);
        assert_eq!(pieces.next(), WHOLE, "and fast again");
    }

    #[test]
    fn a_stream_of_small_pieces_is_never_held_to_less_than_it_brings() {
        let mut pieces = Pieces::default();
        for _ in 0..10_000 {
            assert!(pieces.next() >= SMALL);
            pieces.note(300, clock::now);
        }
    }
}
