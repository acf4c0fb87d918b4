//! How is a request written down? Field names are documented in `docs/access-log.md`.

use super::{Marks, Record};
use crate::model::LogFormat;
use crate::observe::Ending;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt::Display;
use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

/// Of a path, so many bytes are written; of a header, a quarter of them. Lines wait in memory.
const LONGEST: usize = 1024;

/// Appends one line, with its end.
pub(super) fn write(format: LogFormat, record: &Record<'_>, marks: Marks, into: &mut Vec<u8>) {
    let line = Line::new(record, marks);
    match format {
        // Writing into memory cannot fail.
        LogFormat::Json => drop(serde_json::to_writer(&mut *into, &line)),
        LogFormat::Text => line.text(record, into),
    }
    into.push(b'\n');
}

/// The fields in the order in which they are written; what is not known is left out.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(serialize_with = "shown")]
    time: humantime::Rfc3339Timestamp,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_shown")]
    id: Option<crate::model::RequestId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forwarded_for: Option<Cow<'a, str>>,
    method: &'a str,
    path: &'a str,
    protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    ending: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejection: Option<&'static str>,
    bytes_in: u64,
    bytes_out: u64,
    took_ms: f64,
    waited_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_status: Option<u16>,
    attempts: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    basis: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "is_false")]
    slow: bool,
    #[serde(skip_serializing_if = "is_false")]
    large: bool,
}

impl<'a> Line<'a> {
    fn new(record: &Record<'a>, marks: Marks) -> Self {
        let routed = record.routed;
        let header = |value: &'a [u8]| {
            let end = value.len().min(LONGEST / 4);
            String::from_utf8_lossy(&value[..end])
        };
        Self {
            time: humantime::format_rfc3339_millis(record.ended),
            id: record.id,
            client: record.client.map(|(address, _)| address),
            client_port: record.client.and_then(|(_, port)| port),
            forwarded_for: record.forwarded_for.map(header),
            method: cut(record.method),
            path: cut(record.path),
            protocol: record.protocol,
            tls: record.tls,
            status: record.status,
            ending: match record.ending {
                Ending::Answered(_) => "answered",
                other => other.word(),
            },
            rejection: record.rejection,
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            took_ms: millis(record.took),
            waited_ms: millis(record.waited),
            first_byte_ms: record.first_byte.map(millis),
            node: record.node,
            node_status: record.node_status,
            attempts: record.attempts,
            pool: routed.map(|routed| routed.pool),
            class: routed.map(|routed| routed.verdict.class.word()),
            basis: routed.map(|routed| routed.verdict.basis.word()),
            why: record.why,
            operation: routed.map(|routed| routed.operation),
            plugin: routed.and_then(|routed| routed.plugin),
            traceparent: record.trace,
            user_agent: record.user_agent.map(header),
            slow: marks.slow,
            large: marks.large,
        }
    }

    /// `client - - [time] "GET /path HTTP/1.1" 200 123 "-" "agent" key=value ...`
    fn text(&self, record: &Record<'_>, into: &mut Vec<u8>) {
        let client = record
            .client
            .map_or_else(|| "-".to_owned(), |(address, _)| address.to_string());
        let status = self.status.unwrap_or(0);
        // Writing into memory cannot fail.
        let _ = write!(
            into,
            "{client} - - [{}] \"{} {} {}\" {status} {} \"-\" \"{}\"",
            self.time,
            Plain(self.method),
            Plain(self.path),
            self.protocol,
            self.bytes_out,
            Plain(self.user_agent.as_deref().unwrap_or("-")),
        );
        let mut pair = |key: &str, value: &dyn Display| drop(write!(into, " {key}={value}"));
        pair("took_ms", &self.took_ms);
        pair("waited_ms", &self.waited_ms);
        if let Some(first) = &self.first_byte_ms {
            pair("first_byte_ms", first);
        }
        pair("bytes_in", &self.bytes_in);
        pair("attempts", &self.attempts);
        pair("ending", &self.ending);
        let texts = [
            ("rejection", self.rejection),
            ("node", self.node),
            ("pool", self.pool),
            ("class", self.class),
            ("basis", self.basis),
            ("why", self.why),
            ("operation", self.operation),
            ("plugin", self.plugin),
            ("tls", self.tls),
            ("traceparent", self.traceparent),
        ];
        for (key, value) in texts {
            if let Some(value) = value {
                pair(key, &Plain(value));
            }
        }
        if let Some(id) = &self.id {
            pair("id", id);
        }
        for (key, mark) in [("slow", self.slow), ("large", self.large)] {
            if mark {
                pair(key, &true);
            }
        }
    }
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

fn cut(text: &str) -> &str {
    let end = text.len().min(LONGEST);
    let end = (0..=end).rev().find(|&at| text.is_char_boundary(at));
    &text[..end.unwrap_or(0)]
}

fn millis(duration: Duration) -> f64 {
    // Whole microseconds: what is below them is noise.
    duration.as_micros() as f64 / 1000.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

fn shown<S: Serializer>(value: &impl Display, into: S) -> Result<S::Ok, S::Error> {
    into.collect_str(value)
}

fn some_shown<S: Serializer>(value: &Option<impl Display>, into: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => into.collect_str(value),
        None => into.serialize_none(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::record::Routed;
    use super::*;
    use crate::model::{Basis, Class, RequestId, Verdict};
    use proptest::prelude::*;
    use serde_json::Value;
    use std::net::Ipv4Addr;
    use std::time::SystemTime;

    /// A request about which there is nothing to say.
    pub(in super::super) fn record() -> Record<'static> {
        Record {
            ended: SystemTime::UNIX_EPOCH + Duration::from_millis(1500),
            id: Some(RequestId::Own {
                gateway: 1,
                number: 2,
            }),
            client: Some((Ipv4Addr::LOCALHOST.into(), Some(5))),
            forwarded_for: None,
            method: "POST",
            path: "/plugin/t/dispatch/tool/invoke",
            protocol: "HTTP/1.1",
            tls: None,
            user_agent: Some(b"curl"),
            trace: None,
            ending: Ending::Answered(200),
            status: Some(200),
            node_status: Some(200),
            bytes_in: 3,
            bytes_out: 4,
            took: Duration::from_micros(1250),
            waited: Duration::ZERO,
            first_byte: Some(Duration::from_micros(500)),
            node: Some("n1"),
            attempts: 1,
            routed: Some(Routed {
                pool: "main",
                verdict: Verdict {
                    class: Class::Short,
                    basis: Basis::Prior,
                },
                operation: "tool/invoke",
                plugin: Some("a/b"),
            }),
            why: Some("least"),
            rejection: None,
        }
    }

    fn line(format: LogFormat, record: &Record<'_>) -> String {
        let mut line = Vec::new();
        write(format, record, Marks::default(), &mut line);
        String::from_utf8(line).expect("lines are UTF-8")
    }

    #[test]
    fn f212_a_line_is_json_with_every_field_that_is_known() {
        assert_eq!(
            line(LogFormat::Json, &record()),
            concat!(
                r#"{"time":"1970-01-01T00:00:01.500Z","id":"00000001-2","client":"127.0.0.1","#,
                r#""client_port":5,"method":"POST","path":"/plugin/t/dispatch/tool/invoke","#,
                r#""protocol":"HTTP/1.1","status":200,"ending":"answered","bytes_in":3,"#,
                r#""bytes_out":4,"took_ms":1.25,"waited_ms":0.0,"first_byte_ms":0.5,"node":"n1","#,
                r#""node_status":200,"attempts":1,"pool":"main","class":"short","basis":"prior","#,
                r#""why":"least","operation":"tool/invoke","plugin":"a/b","user_agent":"curl"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn the_text_form_begins_as_apaches_combined_one_does() {
        assert_eq!(
            line(LogFormat::Text, &record()),
            concat!(
                "127.0.0.1 - - [1970-01-01T00:00:01.500Z] ",
                "\"POST /plugin/t/dispatch/tool/invoke HTTP/1.1\" 200 4 \"-\" \"curl\" ",
                "took_ms=1.25 waited_ms=0 first_byte_ms=0.5 bytes_in=3 attempts=1 ",
                "ending=answered node=n1 pool=main class=short basis=prior why=least ",
                "operation=tool/invoke plugin=a/b id=00000001-2\n"
            )
        );
    }

    proptest! {
        #[test]
        fn no_client_can_forge_a_line(agent: Vec<u8>, path: String, trace: String) {
            let forged = Record {
                user_agent: Some(&agent),
                forwarded_for: Some(&agent),
                path: &path,
                trace: Some(&trace),
                ..record()
            };
            let json = line(LogFormat::Json, &forged);
            prop_assert!(serde_json::from_str::<Value>(&json).is_ok());
            let text = line(LogFormat::Text, &forged);
            for line in [json, text] {
                prop_assert_eq!(line.matches(['\n', '\r']).count(), 1);
                prop_assert!(line.ends_with('\n'));
            }
        }

        #[test]
        fn no_client_can_make_a_line_long(agent in "\\PC{0,3000}", path in "/\\PC{0,9000}") {
            let long = Record {
                user_agent: Some(agent.as_bytes()),
                path: &path,
                ..record()
            };
            for format in [LogFormat::Json, LogFormat::Text] {
                prop_assert!(line(format, &long).len() < 16 * 1024);
            }
        }
    }
}
