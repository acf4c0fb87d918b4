//! How is a record of the log written?

use crate::model::EventFormat;
use log::Record;
use log::kv::{Error, Key, Value, VisitSource};
use std::fmt::Write;
use std::io::IsTerminal;
use std::time::SystemTime;

/// Whether lines are JSON. `hint` is Dify's own `LOG_OUTPUT_FORMAT`.
pub(super) fn is_json(format: EventFormat, hint: Option<&str>) -> bool {
    match (format, hint) {
        (EventFormat::Text, _) | (EventFormat::Auto, Some("text")) => false,
        (EventFormat::Json, _) | (EventFormat::Auto, Some("json")) => true,
        (EventFormat::Auto, _) => !std::io::stderr().is_terminal(),
    }
}

/// One line, without its end.
pub(super) fn line(json: bool, time: SystemTime, record: &Record<'_>) -> String {
    let level = record.level().as_str().to_ascii_lowercase();
    let target = record.target();
    let target = target.strip_prefix("twolane::").unwrap_or(target);
    let time = humantime::format_rfc3339_millis(time);
    let mut fields = Fields {
        json,
        line: String::with_capacity(160),
    };
    // Writing into memory cannot fail, and no visitor of ours does.
    let _ = if json {
        let message = serde_json::Value::String(record.args().to_string());
        let target = serde_json::Value::String(target.to_owned());
        write!(
            fields.line,
            r#"{{"ts":"{time}","level":"{level}","target":{target},"msg":{message}"#
        )
    } else {
        write!(fields.line, "{time} {level} {target}: {}", record.args())
    };
    let _ = record.key_values().visit(&mut fields);
    if json {
        fields.line.push('}');
    }
    fields.line
}

struct Fields {
    json: bool,
    line: String,
}

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let number = value.to_u64();
        let text = value.to_string();
        let _ = match (self.json, number) {
            (true, Some(number)) => write!(self.line, r#","{key}":{number}"#),
            (true, None) => write!(self.line, r#","{key}":{}"#, serde_json::Value::String(text)),
            (false, _) if is_plain(&text) => write!(self.line, " {key}={text}"),
            (false, _) => write!(self.line, " {key}={text:?}"),
        };
        Ok(())
    }
}

/// Whether a value needs no quotes: a client's words must not look like fields of ours.
fn is_plain(text: &str) -> bool {
    let sign = |c: char| !c.is_whitespace() && !c.is_control() && c != '"' && c != '=';
    !text.is_empty() && text.chars().all(sign)
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::Level;
    use std::time::UNIX_EPOCH;

    fn written(
        json: bool,
        message: std::fmt::Arguments<'_>,
        fields: &[(&str, Value<'_>)],
    ) -> String {
        let record = Record::builder()
            .level(Level::Info)
            .target("twolane::proxy::tracing")
            .args(message)
            .key_values(&fields)
            .build();
        line(json, UNIX_EPOCH, &record)
    }

    #[test]
    fn a_line_of_text_ends_with_its_fields_and_nobody_can_forge_one() {
        let fields = [
            ("node", Value::from("n1")),
            ("attempt", Value::from(2)),
            ("path", Value::from("/a b\nnode=n2")),
        ];
        assert_eq!(
            written(false, format_args!("node chosen"), &fields),
            "1970-01-01T00:00:00.000Z info proxy::tracing: node chosen node=n1 attempt=2 \
             path=\"/a b\\nnode=n2\""
        );
    }

    #[test]
    fn a_line_of_json_is_one_object_whatever_is_in_it() {
        let fields = [("node", Value::from("n\"1\n")), ("attempt", Value::from(2))];
        let text = written(true, format_args!("two\nlines"), &fields);
        assert!(!text.contains('\n'), "it is one line: {text}");
        let read: serde_json::Value = serde_json::from_str(&text).expect(&text);
        let expected = serde_json::json!({
            "ts": "1970-01-01T00:00:00.000Z", "level": "info", "target": "proxy::tracing",
            "msg": "two\nlines", "node": "n\"1\n", "attempt": 2,
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn the_configuration_wins_over_the_environment_and_that_over_the_terminal() {
        assert!(is_json(EventFormat::Json, Some("text")));
        assert!(!is_json(EventFormat::Text, Some("json")));
        assert!(is_json(EventFormat::Auto, Some("json")));
        assert!(!is_json(EventFormat::Auto, Some("text")));
        let terminal = std::io::stderr().is_terminal();
        assert_eq!(is_json(EventFormat::Auto, Some("other")), !terminal);
        assert_eq!(is_json(EventFormat::Auto, None), !terminal);
    }
}
