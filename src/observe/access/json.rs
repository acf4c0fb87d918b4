//! The line as JSON: one object, what is not known left out.
//!
//! The names and signs between the values are the same in each line, so they stand here as they are
//! written: a third of what deriving them costs, and every request pays it.

use super::line::{cut, header, millis};
use super::{Marks, Record, stamp};
use serde::Serialize;

pub(super) fn write(record: &Record<'_>, marks: Marks, into: &mut Vec<u8>) {
    let line = &mut Line(into);
    line.text(r#"{"time":""#, stamp::of(record.ended).as_str());
    asked(line, record);
    ended(line, record);
    routed(line, record);
    line.some(r#","traceparent":""#, record.trace);
    let agent = record.user_agent.map(header);
    line.some(r#","user_agent":""#, agent.as_deref());
    for (name, mark) in [
        (r#","slow":true"#, marks.slow),
        (r#","large":true"#, marks.large),
    ] {
        if mark {
            line.sign(name);
        }
    }
    line.sign("}");
}

fn asked(line: &mut Line<'_>, record: &Record<'_>) {
    let id = record.id.map(|id| id.text());
    line.some(r#","id":""#, id.as_ref().map(|id| id.as_str()));
    if let Some((address, port)) = record.client {
        line.value(r#","client":"#, address);
        line.known(r#","client_port":"#, port);
    }
    let forwarded = record.forwarded_for.map(header);
    line.some(r#","forwarded_for":""#, forwarded.as_deref());
    line.text(r#","method":""#, cut(record.method));
    line.text(r#","path":""#, cut(record.path));
    line.text(r#","protocol":""#, record.protocol);
    line.some(r#","tls":""#, record.tls);
}

fn ended(line: &mut Line<'_>, record: &Record<'_>) {
    line.known(r#","status":"#, record.status);
    line.text(r#","ending":""#, record.ended_how());
    line.some(r#","rejection":""#, record.rejection);
    line.value(r#","bytes_in":"#, record.bytes_in);
    line.value(r#","bytes_out":"#, record.bytes_out);
    line.value(r#","took_ms":"#, millis(record.took));
    line.value(r#","waited_ms":"#, millis(record.waited));
    line.known(r#","first_byte_ms":"#, record.first_byte.map(millis));
}

fn routed(line: &mut Line<'_>, record: &Record<'_>) {
    line.some(r#","node":""#, record.node);
    line.known(r#","node_status":"#, record.node_status);
    line.value(r#","attempts":"#, record.attempts);
    if let Some(routed) = &record.routed {
        line.text(r#","pool":""#, routed.pool);
        line.text(r#","class":""#, routed.verdict.class.word());
        line.text(r#","basis":""#, routed.verdict.basis.word());
    }
    line.some(r#","why":""#, record.why);
    if let Some(routed) = &record.routed {
        line.text(r#","operation":""#, routed.operation);
        line.some(r#","plugin":""#, routed.plugin);
    }
}

/// What is written of a line; a value comes with what stands between it and the one before.
struct Line<'a>(&'a mut Vec<u8>);

impl Line<'_> {
    fn sign(&mut self, sign: &str) {
        self.0.extend_from_slice(sign.as_bytes());
    }

    fn value(&mut self, name: &str, value: impl Serialize) {
        self.sign(name);
        // Writing into memory cannot fail.
        drop(serde_json::to_writer(&mut *self.0, &value));
    }

    fn known(&mut self, name: &str, value: Option<impl Serialize>) {
        if let Some(value) = value {
            self.value(name, value);
        }
    }

    /// `name` ends with the quote that begins the text.
    fn text(&mut self, name: &str, text: &str) {
        // RFC 8259, section 7. Looked for in all bytes at once, and found in hardly any text.
        let special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
        if text
            .bytes()
            .fold(false, |found, byte| found | special(byte))
        {
            return self.value(name.trim_end_matches('"'), text);
        }
        self.sign(name);
        self.sign(text);
        self.0.push(b'"');
    }

    fn some(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }
}
