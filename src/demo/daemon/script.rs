//! What shall this request do? Its timing, its size, its failure.
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The longest line a plugin may write: above it the real daemon kills the plugin's process
/// (`PLUGIN_STDIO_MAX_BUFFER_SIZE`). Bytes.
pub const MAX_EVENT_BYTES: usize = 5 * 1024 * 1024;

/// How one request runs. Times are milliseconds before [`Settings::clock_scale`].
///
/// Taken from, later ones winning field by field: the shape of the operation, the table set by
/// [`Daemon::script`], and the object `__sim` in the request's body (`data.tool_parameters.__sim`,
/// `data.__sim` or `__sim`).
///
/// [`Settings::clock_scale`]: super::Settings::clock_scale
/// [`Daemon::script`]: super::Daemon::script
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Unique id of the request, for the ledger.
    pub id: Option<String>,
    /// Silence before the first event, milliseconds.
    pub ttfb_ms: u64,
    /// Events before the stream ends well. 0 is an empty, successful stream.
    pub events: u32,
    /// Pause between two events, milliseconds.
    pub gap_ms: u64,
    /// Padding inside each event, bytes, at most [`MAX_EVENT_BYTES`].
    pub event_bytes: usize,
    /// How it fails, if it fails.
    pub fail: Fail,
    /// Events sent before the failure; counts only if `fail` is set.
    pub fail_after: u32,
    /// Answer one JSON document with `Content-Length` in place of an event stream.
    pub json: bool,
}

/// The ways of failing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fail {
    /// It works.
    #[default]
    None,
    /// The plugin raises: 200, and an event with code -500 and `PluginInvokeError`.
    PluginError,
    /// The daemon's execution limit strikes: 200, and an event `killed by timeout`.
    KilledByTimeout,
    /// The connection is reset (RST).
    #[serde(alias = "reset_before")]
    Reset,
    /// The connection is closed (FIN) without the last chunk.
    Close,
    /// Nothing more is sent; the execution limit ends it.
    Hang,
    /// The whole daemon exits: every socket is reset, the listener closes.
    #[serde(alias = "exit_process")]
    Exit,
    /// 500 `failed to get plugin runtime`: not executed, not in the ledger.
    RuntimeVanished,
    /// An arbitrary answer: not executed, not in the ledger.
    Status(StatusAnswer),
}

/// An arbitrary answer, with `Content-Length`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StatusAnswer {
    /// HTTP status code.
    pub code: u16,
    /// The body, as it is.
    pub body: String,
    /// More headers; `Content-Type` is `application/json; charset=utf-8` unless it is here.
    pub headers: BTreeMap<String, String>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            id: None,
            ttfb_ms: 0,
            events: 1,
            gap_ms: 0,
            event_bytes: 0,
            fail: Fail::None,
            fail_after: 0,
            json: false,
        }
    }
}

impl Script {
    /// Fails at once, before any event.
    #[must_use]
    pub fn failing(fail: Fail) -> Self {
        Self {
            fail,
            ..Self::default()
        }
    }

    /// Sends `events`, then resets the connection.
    #[must_use]
    pub fn reset_after(events: u32) -> Self {
        Self {
            fail: Fail::Reset,
            fail_after: events,
            ..Self::default()
        }
    }

    /// Answers `code` with `body`, and executes nothing.
    #[must_use]
    pub fn status(code: u16, body: &str) -> Self {
        let answer = StatusAnswer {
            code,
            body: body.to_owned(),
            ..StatusAnswer::default()
        };
        Self::failing(Fail::Status(answer))
    }

    /// This script with the fields of the JSON object `sim` put over it.
    ///
    /// # Errors
    /// A sentence, if a field is unknown, has the wrong type or is too large.
    pub fn overlaid(&self, sim: &Value) -> Result<Self, String> {
        let Value::Object(fields) = sim else {
            return Err("__sim must be an object".to_owned());
        };
        let mut whole = serde_json::to_value(self).map_err(|e| format!("__sim: {e}"))?;
        if let Value::Object(base) = &mut whole {
            base.extend(fields.clone());
        }
        let script: Self = serde_json::from_value(whole).map_err(|e| format!("__sim: {e}"))?;
        if script.event_bytes > MAX_EVENT_BYTES {
            return Err(format!("__sim: event_bytes above {MAX_EVENT_BYTES}"));
        }
        Ok(script)
    }
}

/// The `__sim` object of a dispatch body, wherever it is.
pub(super) fn sim(body: &Value) -> Option<&Value> {
    ["/data/tool_parameters/__sim", "/data/__sim", "/__sim"]
        .iter()
        .find_map(|pointer| body.pointer(pointer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lays_the_fields_of_the_body_over_the_table() {
        let table = Script {
            ttfb_ms: 50,
            events: 3,
            ..Script::default()
        };
        let body = json!({"data": {"tool_parameters": {"__sim": {"events": 7, "fail": "reset"}}}});
        let script = table.overlaid(sim(&body).unwrap()).unwrap();
        assert_eq!(
            (script.ttfb_ms, script.events, script.fail),
            (50, 7, Fail::Reset)
        );
    }

    #[test]
    fn reads_every_way_of_failing() {
        for (name, fail) in [
            ("none", Fail::None),
            ("plugin_error", Fail::PluginError),
            ("killed_by_timeout", Fail::KilledByTimeout),
            ("reset_before", Fail::Reset),
            ("close", Fail::Close),
            ("hang", Fail::Hang),
            ("exit_process", Fail::Exit),
            ("runtime_vanished", Fail::RuntimeVanished),
        ] {
            let script = Script::default().overlaid(&json!({"fail": name})).unwrap();
            assert_eq!(script.fail, fail, "{name}");
        }
        let status = json!({"fail": {"status": {"code": 429, "headers": {"Retry-After": "1"}}}});
        let script = Script::default().overlaid(&status).unwrap();
        assert!(matches!(script.fail, Fail::Status(answer) if answer.code == 429));
    }

    #[test]
    fn refuses_a_typo_and_an_event_that_would_kill_the_plugin() {
        assert!(
            Script::default()
                .overlaid(&json!({"evnts": 1}))
                .unwrap_err()
                .contains("evnts")
        );
        let huge = json!({"event_bytes": MAX_EVENT_BYTES + 1});
        assert!(Script::default().overlaid(&huge).is_err());
    }
}
