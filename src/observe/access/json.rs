//! The line as JSON: one object, what is not known left out.
//!
//! The names and signs between the values are the same in each line, so they stand here as they are
//! written. Derived, a line cost twice as many instructions, and every request pays them.

use super::line::{cut, header, millis};
use super::{Marks, Record, stamp};
use serde::Serialize;

pub(super) fn write(record: &Record<'_>, marks: Marks, into: &mut Vec<u8>) {
    let line = &mut Line(into);
    line.word(br#"{"time":""#, stamp::of(record.ended).as_str());
    asked(line, record);
    ended(line, record);
    routed(line, record);
    line.some(br#","traceparent":""#, record.trace);
    let agent = record.user_agent.map(header);
    line.some(br#","user_agent":""#, agent.as_deref());
    if marks.slow {
        line.sign(br#","slow":true"#);
    }
    if marks.large {
        line.sign(br#","large":true"#);
    }
    line.sign(b"}");
}

fn asked(line: &mut Line<'_>, record: &Record<'_>) {
    let id = record.id.map(|id| id.text());
    line.some_word(br#","id":""#, id.as_ref().map(|id| id.as_str()));
    if let Some((address, port)) = record.client {
        line.value(br#","client":"#, address);
        line.known(br#","client_port":"#, port);
    }
    let forwarded = record.forwarded_for.map(header);
    line.some(br#","forwarded_for":""#, forwarded.as_deref());
    line.text(br#","method":""#, cut(record.method));
    line.text(br#","path":""#, cut(record.path));
    line.word(br#","protocol":""#, record.protocol);
    line.some_word(br#","tls":""#, record.tls);
}

fn ended(line: &mut Line<'_>, record: &Record<'_>) {
    line.known(br#","status":"#, record.status);
    line.word(br#","ending":""#, record.ended_how());
    line.some_word(br#","rejection":""#, record.rejection);
    line.value(br#","bytes_in":"#, record.bytes_in);
    line.value(br#","bytes_out":"#, record.bytes_out);
    line.value(br#","took_ms":"#, millis(record.took));
    line.value(br#","waited_ms":"#, millis(record.waited));
    line.known(br#","first_byte_ms":"#, record.first_byte.map(millis));
}

fn routed(line: &mut Line<'_>, record: &Record<'_>) {
    line.some(br#","node":""#, record.node);
    line.known(br#","node_status":"#, record.node_status);
    line.value(br#","attempts":"#, record.attempts);
    if let Some(routed) = &record.routed {
        line.text(br#","pool":""#, routed.pool);
        line.word(br#","class":""#, routed.verdict.class.word());
        line.word(br#","basis":""#, routed.verdict.basis.word());
    }
    line.some(br#","why":""#, record.why);
    if let Some(routed) = &record.routed {
        line.text(br#","operation":""#, routed.operation);
        line.some(br#","plugin":""#, routed.plugin);
    }
}

/// What is written of a line; a value comes with what stands between it and the one before, whose length
/// is known when it is compiled: no call is made to copy it.
struct Line<'a>(&'a mut Vec<u8>);

impl Line<'_> {
    #[inline]
    fn sign<const N: usize>(&mut self, sign: &[u8; N]) {
        self.0.extend_from_slice(sign);
    }

    fn value<const N: usize>(&mut self, name: &[u8; N], value: impl Serialize) {
        self.sign(name);
        // Writing into memory cannot fail.
        drop(serde_json::to_writer(&mut *self.0, &value));
    }

    fn known<const N: usize>(&mut self, name: &[u8; N], value: Option<impl Serialize>) {
        if let Some(value) = value {
            self.value(name, value);
        }
    }

    /// `name` ends with the quote that begins the text.
    fn text<const N: usize>(&mut self, name: &[u8; N], text: &str) {
        // RFC 8259, section 7. Looked for in all bytes at once, and found in hardly any text.
        let special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
        if text
            .bytes()
            .fold(false, |found, byte| found | special(byte))
        {
            self.sign(name);
            self.0.pop();
            drop(serde_json::to_writer(&mut *self.0, text));
        } else {
            self.word(name, text);
        }
    }

    /// One that needs no escapes.
    #[inline]
    fn word<const N: usize>(&mut self, name: &[u8; N], word: &str) {
        self.sign(name);
        self.0.extend_from_slice(word.as_bytes());
        self.0.push(b'"');
    }

    fn some<const N: usize>(&mut self, name: &[u8; N], text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    fn some_word<const N: usize>(&mut self, name: &[u8; N], word: Option<&str>) {
        if let Some(word) = word {
            self.word(name, word);
        }
    }
}
