//! What arrived? The request log, byte for byte where a test needs it.
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;

/// One request as it arrived at the daemon.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Position among all requests of this daemon, from 0.
    pub seq: u64,
    /// The method.
    pub method: String,
    /// Path and query as they stood in the request line.
    pub target: String,
    /// The head as it was on the wire, up to and including the empty line.
    pub head: Bytes,
    /// Headers in the order and the letter case of the wire.
    pub headers: Vec<(String, String)>,
    /// Bytes of the body that were read; 0 if the daemon refused before reading it.
    pub body_len: u64,
    /// [`checksum`] of the bytes that were read.
    pub body_checksum: u64,
    /// The first bytes of the body, as many as `Settings::keep_body_bytes`.
    pub body: Bytes,
}

impl Seen {
    /// All values of a header, whatever the case of its name.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&str> {
        let same = |header: &&(String, String)| header.0.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .filter(same)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The path without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// FNV-1a, 64 bits: enough to see that a body arrived unchanged.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u64 {
    checksum_on(EMPTY, bytes)
}

/// The checksum of no bytes.
pub(super) const EMPTY: u64 = 0xcbf2_9ce4_8422_2325;

/// Continues a checksum with more bytes.
pub(super) fn checksum_on(sum: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(sum, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The header lines of a head, in order.
pub(super) fn header_lines(head: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(head);
    let lines = text
        .split("\r\n")
        .skip(1)
        .filter_map(|line| line.split_once(':'));
    lines
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

#[derive(Debug, Default)]
struct Ring {
    kept: VecDeque<Seen>,
    total: u64,
}

/// The last requests of one daemon.
#[derive(Debug)]
pub(super) struct RequestLog {
    ring: Mutex<Ring>,
    capacity: usize,
}

impl RequestLog {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            ring: Mutex::default(),
            capacity,
        }
    }

    /// Keeps a request and gives it its number.
    pub(super) fn push(&self, mut seen: Seen) -> u64 {
        let mut ring = self.ring.lock();
        seen.seq = ring.total;
        ring.total += 1;
        ring.kept.push_back(seen);
        if ring.kept.len() > self.capacity {
            ring.kept.pop_front();
        }
        ring.total - 1
    }

    /// Adds what is known of the body of request `seq`, if it is still kept.
    pub(super) fn body(&self, seq: u64, len: u64, sum: u64, body: Bytes) {
        let mut ring = self.ring.lock();
        if let Some(seen) = ring.kept.iter_mut().rev().find(|seen| seen.seq == seq) {
            (seen.body_len, seen.body_checksum, seen.body) = (len, sum, body);
        }
    }

    pub(super) fn kept(&self) -> Vec<Seen> {
        self.ring.lock().kept.iter().cloned().collect()
    }

    pub(super) fn total(&self) -> u64 {
        self.ring.lock().total
    }
}
