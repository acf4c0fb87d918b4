//! One event of a stream, which tells when it was made.

use std::sync::LazyLock;
use std::time::{Duration, Instant};
use twolane::model::clock;

/// What ends an event. It is neither in a header nor in the frame of a chunk.
const END: &[u8] = b"\n\n";
const MADE: &[u8] = b"\"made\":\"";
/// The size of an event of a model's stream.
const SIZE: usize = 300;

/// Who makes events and who reads them are one process, so that one clock serves both.
fn since_start() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(clock::now);
    START.elapsed()
}

/// An event that is made now, as the daemon writes one: a chunk of its own.
pub(crate) fn chunk() -> Vec<u8> {
    let start = r#"data: {"code":0,"message":"success","data":{"text":""#;
    let end = format!(r#"","made":"{:020}"}}}}"#, since_start().as_nanos());
    let filled = SIZE - start.len() - end.len() - END.len();
    let text = "x".repeat(filled);
    format!("{SIZE:x}\r\n{start}{text}{end}\n\n\r\n").into_bytes()
}

/// Takes the next whole event out of what was read: how long it was on its way until now.
pub(crate) fn next_delay(read: &mut Vec<u8>) -> Option<Duration> {
    let end = find(read, END)? + END.len();
    let at = find(&read[..end], MADE).expect("it says when it was made") + MADE.len();
    let digits = std::str::from_utf8(&read[at..at + 20]).expect("digits");
    let made = Duration::from_nanos(digits.parse().expect("a number"));
    read.drain(..end);
    Some(since_start().saturating_sub(made))
}

fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    bytes.windows(word.len()).position(|it| it == word)
}
