//! The sections `log` and `tracing`.

use crate::config::signals::{EventLog, Tracing};
use crate::config::table::{Table, Value};
use crate::model::EventFormat;

pub(super) fn log(section: &Table<'_>) -> EventLog {
    let default = EventLog::default();
    EventLog {
        format: section.or("format", default.format, |value| {
            value.word("format", &EventFormat::WORDS)
        }),
    }
}

pub(super) fn tracing(section: &Table<'_>) -> Tracing {
    let default = Tracing::default();
    Tracing {
        request_id: section.or("request_id", default.request_id, Value::flag),
        traceparent: section.or("traceparent", default.traceparent, Value::flag),
    }
}
