//! How is a request written down? Field names are documented in `docs/access-log.md`.

use super::{Marks, Record, json, text};
use crate::model::LogFormat;

/// Appends one line, with its end.
pub(super) fn write(format: LogFormat, record: &Record<'_>, marks: Marks, into: &mut Vec<u8>) {
    match format {
        LogFormat::Json => json::write(record, marks, into),
        LogFormat::Text => text::write(record, marks, into),
    }
    into.push(b'\n');
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::kept::Kept;
    use super::super::record::{Facts, Texts};
    use super::*;
    use crate::model::{Basis, Class, RequestId, Verdict};
    use crate::observe::Ending;
    use proptest::prelude::*;
    use serde_json::Value;
    use std::net::Ipv4Addr;
    use std::time::{Duration, SystemTime};

    /// A request about which there is nothing to say.
    pub(in super::super) fn record() -> Record<'static> {
        Record {
            facts: Facts {
                ended: SystemTime::UNIX_EPOCH + Duration::from_millis(1500),
                id: Some(RequestId::Own {
                    gateway: 1,
                    number: 2,
                }),
                client: Some((Ipv4Addr::LOCALHOST.into(), Some(5))),
                protocol: "HTTP/1.1",
                ending: Ending::Answered(200),
                status: Some(200),
                node_status: Some(200),
                bytes_in: 3,
                bytes_out: 4,
                took: Duration::from_micros(1250),
                waited: Duration::ZERO,
                first_byte: Some(Duration::from_micros(500)),
                attempts: 1,
                verdict: Some(Verdict {
                    class: Class::Short,
                    basis: Basis::Prior,
                }),
                why: Some("least"),
                rejection: None,
            },
            texts: Texts {
                forwarded_for: None,
                method: "POST",
                path: "/plugin/t/dispatch/tool/invoke",
                tls: None,
                user_agent: Some(b"curl"),
                trace: None,
                node: Some("n1"),
                pool: Some("main"),
                operation: Some("tool/invoke"),
                plugin: Some("a/b"),
            },
        }
    }

    fn line(format: LogFormat, record: &Record<'_>) -> String {
        let (mut kept, mut line) = (Kept::default(), Vec::new());
        kept.put(format, record, Marks::default());
        kept.each(|format, record, marks| write(format, record, marks, &mut line));
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
            let texts = Texts {
                user_agent: Some(&agent),
                forwarded_for: Some(&agent),
                path: &path,
                trace: Some(trace.as_bytes()),
                ..record().texts
            };
            let forged = Record { texts, ..record() };
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
            let texts = Texts {
                user_agent: Some(agent.as_bytes()),
                path: &path,
                ..record().texts
            };
            let long = Record { texts, ..record() };
            for format in [LogFormat::Json, LogFormat::Text] {
                prop_assert!(line(format, &long).len() < 16 * 1024);
            }
        }
    }
}
