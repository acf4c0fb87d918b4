//! The line for people and for programs that read Apache's.

use super::{Marks, Record, stamp};
use std::fmt::Display;
use std::io::Write;
use std::time::Duration;

/// `client - - [time] "GET /path HTTP/1.1" 200 123 "-" "agent" key=value ...`
pub(super) fn write(record: &Record<'_>, marks: Marks, into: &mut Vec<u8>) {
    let Record { facts, texts } = record;
    let client = facts.client.map(|(address, _)| address.to_string());
    // Writing into memory cannot fail.
    let _ = write!(
        into,
        "{} - - [{}] \"{} {} {}\" {} {} \"-\" \"{}\"",
        client.as_deref().unwrap_or("-"),
        stamp::of(facts.ended).as_str(),
        Plain(texts.method),
        Plain(texts.path),
        facts.protocol,
        facts.status.unwrap_or(0),
        facts.bytes_out,
        Plain(&String::from_utf8_lossy(texts.user_agent.unwrap_or(b"-"))),
    );
    let mut pair = |key: &str, value: &dyn Display| drop(write!(into, " {key}={value}"));
    pair("took_ms", &millis(facts.took));
    pair("waited_ms", &millis(facts.waited));
    if let Some(first) = facts.first_byte {
        pair("first_byte_ms", &millis(first));
    }
    pair("bytes_in", &facts.bytes_in);
    pair("attempts", &facts.attempts);
    pair("ending", &facts.ended_how());
    let (verdict, trace) = (facts.verdict, texts.trace);
    let trace = trace.map(String::from_utf8_lossy);
    let words = [
        ("rejection", facts.rejection),
        ("node", texts.node),
        ("pool", texts.pool),
        ("class", verdict.map(|verdict| verdict.class.word())),
        ("basis", verdict.map(|verdict| verdict.basis.word())),
        ("why", facts.why),
        ("operation", texts.operation),
        ("plugin", texts.plugin),
        ("tls", texts.tls),
        ("traceparent", trace.as_deref()),
    ];
    for (key, value) in words {
        if let Some(value) = value {
            pair(key, &Plain(value));
        }
    }
    if let Some(id) = &facts.id {
        pair("id", id);
    }
    for (key, mark) in [("slow", marks.slow), ("large", marks.large)] {
        if mark {
            pair(key, &true);
        }
    }
}

/// Milliseconds with a thousandth: what is below is noise.
fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

/// Text that can neither end a quoted field nor begin a line.
struct Plain<'a>(&'a str);

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let usual = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
        if self.0.bytes().all(usual) {
            return f.write_str(self.0);
        }
        write!(f, "{}", self.0.escape_debug())
    }
}
