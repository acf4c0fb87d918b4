//! The line as JSON: one object, what is not known left out.
//!
//! The names and signs between the values are the same in each line, so they stand here as they are
//! written. A serializer is asked only about texts with signs that must be escaped.

use super::plain::is_plain;
use super::{Marks, Record, stamp};
use crate::model::digits;
use std::net::IpAddr;
use std::time::Duration;

/// What stands between a value and the one before; where a text follows, it ends with the quote that begins
/// it. All are as long in memory, so that to copy one is no call.
struct Name {
    text: [u8; Self::ROOM],
    length: usize,
}

impl Name {
    const ROOM: usize = 24;

    const fn of(text: &str) -> Self {
        let mut room = [0; Self::ROOM];
        room.split_at_mut(text.len())
            .0
            .copy_from_slice(text.as_bytes());
        Self {
            text: room,
            length: text.len(),
        }
    }
}

/// Made when it is compiled.
macro_rules! name {
    ($text:literal) => {
        const { &Name::of($text) }
    };
}

pub(super) fn write(record: &Record<'_>, marks: Marks, into: &mut Vec<u8>) {
    let line = &mut Line(into);
    line.word(
        name!(r#"{"time":""#),
        stamp::of(record.facts.ended).as_bytes(),
    );
    asked(line, record);
    ended(line, record);
    routed(line, record);
    line.header(name!(r#","traceparent":""#), record.texts.trace);
    line.header(name!(r#","user_agent":""#), record.texts.user_agent);
    if marks.slow {
        line.0.extend_from_slice(br#","slow":true"#);
    }
    if marks.large {
        line.0.extend_from_slice(br#","large":true"#);
    }
    line.0.push(b'}');
}

fn asked(line: &mut Line<'_>, record: &Record<'_>) {
    if let Some(id) = &record.facts.id {
        line.word(name!(r#","id":""#), id.text().as_bytes());
    }
    if let Some((address, port)) = record.facts.client {
        line.address(name!(r#","client":""#), address);
        line.known(name!(r#","client_port":"#), port);
    }
    line.header(name!(r#","forwarded_for":""#), record.texts.forwarded_for);
    line.text(name!(r#","method":""#), Some(record.texts.method));
    line.text(name!(r#","path":""#), Some(record.texts.path));
    line.word(name!(r#","protocol":""#), record.facts.protocol.as_bytes());
    if let Some(tls) = record.texts.tls {
        line.word(name!(r#","tls":""#), tls.as_bytes());
    }
}

fn ended(line: &mut Line<'_>, record: &Record<'_>) {
    line.known(name!(r#","status":"#), record.facts.status);
    line.word(name!(r#","ending":""#), record.facts.ended_how().as_bytes());
    if let Some(rejection) = record.facts.rejection {
        line.word(name!(r#","rejection":""#), rejection.as_bytes());
    }
    line.number(name!(r#","bytes_in":"#), record.facts.bytes_in);
    line.number(name!(r#","bytes_out":"#), record.facts.bytes_out);
    line.millis(name!(r#","took_ms":"#), record.facts.took);
    line.millis(name!(r#","waited_ms":"#), record.facts.waited);
    if let Some(first) = record.facts.first_byte {
        line.millis(name!(r#","first_byte_ms":"#), first);
    }
}

fn routed(line: &mut Line<'_>, record: &Record<'_>) {
    line.text(name!(r#","node":""#), record.texts.node);
    line.known(name!(r#","node_status":"#), record.facts.node_status);
    line.number(name!(r#","attempts":"#), record.facts.attempts as u64);
    line.text(name!(r#","pool":""#), record.texts.pool);
    if let Some(verdict) = record.facts.verdict {
        line.word(name!(r#","class":""#), verdict.class.word().as_bytes());
        line.word(name!(r#","basis":""#), verdict.basis.word().as_bytes());
    }
    if let Some(why) = record.facts.why {
        line.word(name!(r#","why":""#), why.as_bytes());
    }
    line.text(name!(r#","operation":""#), record.texts.operation);
    line.text(name!(r#","plugin":""#), record.texts.plugin);
}

/// What is written of a line.
struct Line<'a>(&'a mut Vec<u8>);

impl Line<'_> {
    #[inline]
    fn name(&mut self, name: &Name) {
        let end = self.0.len() + name.length;
        self.0.extend_from_slice(&name.text);
        self.0.truncate(end);
    }

    #[inline(never)]
    fn number(&mut self, name: &Name, number: u64) {
        self.name(name);
        digits::whole(number, self.0);
    }

    fn known(&mut self, name: &Name, number: Option<u16>) {
        if let Some(number) = number {
            self.number(name, number.into());
        }
    }

    #[inline(never)]
    fn millis(&mut self, name: &Name, duration: Duration) {
        self.name(name);
        digits::millis(duration, self.0);
    }

    fn address(&mut self, name: &Name, address: IpAddr) {
        self.name(name);
        digits::address(address, self.0);
        self.0.push(b'"');
    }

    /// One that needs no escapes.
    #[inline(never)]
    fn word(&mut self, name: &Name, word: &[u8]) {
        self.name(name);
        self.0.extend_from_slice(word);
        self.0.push(b'"');
    }

    #[inline(never)]
    fn text(&mut self, name: &Name, text: Option<&str>) {
        match text {
            None => {}
            Some(text) if is_plain(text.as_bytes()) => self.word(name, text.as_bytes()),
            Some(text) => self.escaped(name, text),
        }
    }

    #[inline(never)]
    fn header(&mut self, name: &Name, value: Option<&[u8]>) {
        match value {
            None => {}
            Some(value) if is_plain(value) => self.word(name, value),
            Some(value) => self.foreign(name, value),
        }
    }

    #[cold]
    fn foreign(&mut self, name: &Name, value: &[u8]) {
        self.escaped(name, &String::from_utf8_lossy(value));
    }

    #[cold]
    fn escaped(&mut self, name: &Name, text: &str) {
        self.name(name);
        // The serializer writes it with its quotes.
        self.0.pop();
        // Writing into memory cannot fail.
        drop(serde_json::to_writer(&mut *self.0, text));
    }
}

#[cfg(test)]
mod tests {
    use super::super::kept::Kept;
    use super::super::line::tests::record;
    use super::super::record::{Facts, Texts};
    use super::*;
    use crate::model::{GivenId, LogFormat, RequestId, Verdict};
    use crate::observe::Ending;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use std::net::IpAddr;
    use std::time::SystemTime;

    /// The same by a serializer: each field that is known, in the same order.
    #[allow(clippy::too_many_lines, reason = "a line for each field")]
    fn serialized(record: &Record<'_>, marks: Marks) -> String {
        let millis = |duration: Duration| json!(duration.as_micros() as f64 / 1000.0);
        let header = |value: Option<&[u8]>| {
            value.map(|value| json!(String::from_utf8_lossy(&value[..value.len().min(256)])))
        };
        let short = |text: &str| {
            let end = (0..=text.len().min(1024)).rev();
            let end = end.into_iter().find(|&end| text.is_char_boundary(end));
            json!(text[..end.unwrap_or(0)])
        };
        let Record { facts, texts } = record;
        let client = facts.client;
        let of = |pick: fn(Verdict) -> Value| facts.verdict.map(pick);
        let known = |text: Option<&str>| text.map(short);
        let set = |mark: bool| mark.then_some(json!(true));
        let fields = [
            ("time", {
                let time = humantime::format_rfc3339_millis(facts.ended);
                Some(json!(time.to_string()))
            }),
            ("id", facts.id.map(|id| json!(id.to_string()))),
            ("client", client.map(|(address, _)| json!(address))),
            (
                "client_port",
                client.and_then(|(_, port)| Some(json!(port?))),
            ),
            ("forwarded_for", header(texts.forwarded_for)),
            ("method", Some(short(texts.method))),
            ("path", Some(short(texts.path))),
            ("protocol", Some(json!(facts.protocol))),
            ("tls", known(texts.tls)),
            ("status", facts.status.map(|status| json!(status))),
            ("ending", Some(json!(facts.ended_how()))),
            ("rejection", facts.rejection.map(|word| json!(word))),
            ("bytes_in", Some(json!(facts.bytes_in))),
            ("bytes_out", Some(json!(facts.bytes_out))),
            ("took_ms", Some(millis(facts.took))),
            ("waited_ms", Some(millis(facts.waited))),
            ("first_byte_ms", facts.first_byte.map(millis)),
            ("node", known(texts.node)),
            ("node_status", facts.node_status.map(|status| json!(status))),
            ("attempts", Some(json!(facts.attempts))),
            ("pool", known(texts.pool)),
            ("class", of(|verdict| json!(verdict.class.word()))),
            ("basis", of(|verdict| json!(verdict.basis.word()))),
            ("why", facts.why.map(|why| json!(why))),
            ("operation", known(texts.operation)),
            ("plugin", known(texts.plugin)),
            ("traceparent", header(texts.trace)),
            ("user_agent", header(texts.user_agent)),
            ("slow", set(marks.slow)),
            ("large", set(marks.large)),
        ];
        let fields = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        let written: Vec<_> = fields
            .map(|(name, value)| format!("{}:{value}", json!(name)))
            .collect();
        format!("{{{}}}", written.join(","))
    }

    /// What clients send: mostly plain, sometimes not, sometimes too long.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            "[ -~]{0,60}",
            "[a-z/-]{0,60}",
            "\\PC{0,30}",
            "(?s).{0,30}",
            "[a-z\u{fc}]{500,1100}",
        ]
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            text().prop_map(String::into_bytes),
        ]
    }

    proptest! {
        #[test]
        fn a_line_is_what_a_serializer_writes(
            texts in prop::collection::vec(text(), 7),
            headers in (prop::option::of(bytes()), prop::option::of(bytes())),
            known: [bool; 10],
            numbers: ([u64; 2], [u32; 2], u64, u8),
            statuses: (Option<u16>, Option<u16>),
            // 31 years at most.
            micros in prop::array::uniform3(0_u64..1_000_000_000_000_000),
            client: Option<(IpAddr, Option<u16>)>,
            marks: (bool, bool),
        ) {
            let some = |at: usize| Some(texts[at].as_str()).filter(|_| known[at]);
            let (bytes, shift, number, attempts) = numbers;
            let micros = micros.map(|micros| Duration::from_micros(micros >> (shift[0] % 50)));
            let given = GivenId::new(&texts[0]).map(RequestId::Given);
            let own = RequestId::Own { gateway: shift[1], number };
            let facts = Facts {
                ended: SystemTime::UNIX_EPOCH + Duration::from_millis(number % 253_402_300_800_000),
                id: given.or(Some(own)).filter(|_| known[7]),
                client,
                ending: if known[9] { Ending::Broken } else { Ending::Answered(200) },
                status: statuses.0,
                node_status: statuses.1,
                bytes_in: bytes[0] >> (shift[1] % 64),
                bytes_out: bytes[1],
                took: micros[0],
                waited: micros[1],
                first_byte: Some(micros[2]).filter(|_| known[1]),
                attempts: attempts.into(),
                verdict: record().facts.verdict.filter(|_| known[2]),
                why: Some("least").filter(|_| known[3]),
                rejection: Some("no_node").filter(|_| known[6]),
                ..record().facts
            };
            let texts = Texts {
                forwarded_for: headers.0.as_deref(),
                method: &texts[1],
                path: &texts[2],
                tls: Some("TLSv1.3").filter(|_| known[8]),
                user_agent: headers.1.as_deref(),
                trace: some(3).map(str::as_bytes),
                node: some(4),
                pool: some(6).filter(|_| known[2]),
                operation: some(5).filter(|_| known[2]),
                plugin: some(0),
            };
            let record = Record { facts, texts };
            let marks = Marks { slow: marks.0, large: marks.1 };
            let (mut kept, mut line) = (Kept::default(), Vec::new());
            kept.put(LogFormat::Json, &record, marks);
            kept.each(|_, record, marks| write(record, marks, &mut line));
            prop_assert_eq!(String::from_utf8(line).expect("UTF-8"), serialized(&record, marks));
        }
    }
}
