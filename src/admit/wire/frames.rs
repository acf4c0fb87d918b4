//! Does a client of HTTP/2 send what brings nothing?
//!
//! Settings, pings and priorities each cost a look or an answer, and the protocol does not say how
//! many are too many (CVE-2019-9512, -9515, and their kin). A client has some ahead, and new ones as
//! time goes by: one that asks every second whether we are there may do so for ever.

use std::time::{Duration, Instant};

/// So many may come at once.
const AHEAD: u32 = 1000;
/// So long until one of them is forgotten.
const EACH: Duration = Duration::from_millis(100);
/// What a connection begins with (RFC 9113, section 3.4).
const PREFACE: u32 = 24;
const HEAD: usize = 9;
const PRIORITY: u8 = 2;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
/// The last kind of the protocol itself; others are passed over unread.
const CONTINUATION: u8 = 9;

/// How far the frames of one connection are read.
#[derive(Clone, Debug)]
pub struct Frames {
    /// Bytes until the next head.
    left: u32,
    head: [u8; HEAD],
    /// Bytes of the head that have come.
    came: usize,
    /// When all that came for nothing is forgotten.
    forgotten: Option<Instant>,
    over: bool,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            left: PREFACE,
            head: [0; HEAD],
            came: 0,
            forgotten: None,
            over: false,
        }
    }
}

impl Frames {
    /// Reads on. Returns where to stop, at the end of a frame, when there were too many.
    pub fn feed(&mut self, bytes: &[u8], now: Instant) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            if self.left > 0 {
                let rest = u32::try_from(bytes.len() - at).unwrap_or(u32::MAX);
                let taken = self.left.min(rest);
                self.left -= taken;
                at += taken as usize;
            } else {
                self.head[self.came] = bytes[at];
                self.came += 1;
                at += 1;
                if self.came == HEAD {
                    self.came = 0;
                    self.begin(now);
                }
            }
            if self.over && self.left == 0 && self.came == 0 {
                return Some(at);
            }
        }
        None
    }

    fn begin(&mut self, now: Instant) {
        let [high, middle, low, kind, ..] = self.head;
        self.left = u32::from_be_bytes([0, high, middle, low]);
        if matches!(kind, PRIORITY | SETTINGS | PING) || kind > CONTINUATION {
            let from = self.forgotten.map_or(now, |forgotten| forgotten.max(now));
            let forgotten = from + EACH;
            self.forgotten = Some(forgotten);
            self.over |= forgotten.saturating_duration_since(now) > EACH * AHEAD;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;
    use proptest::prelude::*;

    fn frame(kind: u8, size: u8) -> Vec<u8> {
        let mut bytes = vec![0, 0, size, kind, 0, 0, 0, 0, 0];
        bytes.resize(HEAD + usize::from(size), 7);
        bytes
    }

    fn preface() -> Vec<u8> {
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()
    }

    #[test]
    fn a_thousand_are_read_and_the_next_is_the_last() {
        let now = clock::now();
        for (kind, size) in [
            (PRIORITY, 5),
            (SETTINGS, 0),
            (SETTINGS, 6),
            (PING, 8),
            (200, 3),
        ] {
            let mut frames = Frames::default();
            assert_eq!(frames.feed(&preface(), now), None);
            let thousand = frame(kind, size).repeat(1000);
            assert_eq!(frames.feed(&thousand, now), None, "{kind}");
            let more = frame(kind, size).repeat(3);
            assert_eq!(frames.feed(&more, now), Some(more.len() / 3), "{kind}");
        }
    }

    #[test]
    fn what_brings_something_is_not_counted() {
        let mut frames = Frames::default();
        let now = clock::now();
        frames.feed(&preface(), now);
        // Data, a request, a reset, a window, the rest of a request's fields.
        for kind in [0, 1, 3, 8, CONTINUATION] {
            assert_eq!(
                frames.feed(&frame(kind, 40).repeat(5000), now),
                None,
                "{kind}"
            );
        }
    }

    #[test]
    fn who_asks_now_and_then_may_do_so_for_ever() {
        let mut frames = Frames::default();
        let mut now = clock::now();
        frames.feed(&preface(), now);
        for _ in 0..20_000 {
            now += EACH;
            assert_eq!(frames.feed(&frame(PING, 8), now), None);
        }
    }

    proptest! {
        #[test]
        fn where_bytes_are_cut_changes_nothing(
            kinds in prop::collection::vec((0_u8..14, 0_u8..20), 0..40),
            times in 1_usize..60,
            cut in 1_usize..50,
        ) {
            let now = clock::now();
            let some: Vec<u8> = kinds.iter().flat_map(|(kind, size)| frame(*kind, *size)).collect();
            let bytes = [preface(), some.repeat(times)].concat();
            let whole = Frames::default().feed(&bytes, now);
            let (mut frames, mut read) = (Frames::default(), 0);
            let pieces = bytes.chunks(cut).find_map(|piece| {
                let end = frames.feed(piece, now).map(|end| read + end);
                read += piece.len();
                end
            });
            prop_assert_eq!(whole, pieces);
        }
    }
}
