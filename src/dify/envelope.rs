//! How does the daemon say no?
//!
//! Dify ignores the status of a dispatch call and parses the body line by line: an empty 502 reads
//! as an empty success, HTML as a `ValueError`. So every answer of our own is one line of the
//! daemon's JSON, whose `message` is JSON once more.

use crate::model::Rejection;
use crate::model::rejection::Reason;
use serde::Serialize;

/// `Content-Type` of an envelope.
pub const CONTENT_TYPE: &str = "application/json; charset=utf-8";
/// The daemon's 404 for a plugin that does not run on the node: not here, and not executed.
pub const NO_NODE: &str = "no available node, plugin runtime not found";
/// The start of [`NO_NODE`] and of its ancestors (0.4 and older: `..., plugin not found`); newer
/// Dify recognises it and calls the failure retryable.
pub const NO_NODE_START: &str = "no available node";
/// The daemon's 500 when the plugin vanished between check and use: not executed either.
pub const RUNTIME_VANISHED: &str = "failed to get plugin runtime";
/// The daemon's 404 for a plugin that the tenant did not install: true of every node.
pub const NOT_INSTALLED: &str = "plugin not found";

/// The error type of a failure that the daemon itself reports.
const DAEMON_ERROR: &str = "PluginDaemonInternalServerError";
/// The error type of a failure that the plugin reports.
const PLUGIN_ERROR: &str = "PluginInvokeError";

#[derive(Serialize)]
struct Outer<'a> {
    code: i16,
    message: &'a str,
    data: Option<()>,
}

#[derive(Serialize)]
struct Inner<'a> {
    message: &'a str,
    error_type: &'static str,
    args: Option<()>,
}

/// The body that answers a rejected request: one line, whatever the text holds.
///
/// What [`Reason::NoNode`] says begins with the daemon's own phrase, because Dify looks for it.
#[must_use]
pub fn envelope(rejection: &Rejection) -> String {
    let row = rejection.reason.row();
    let mut text = rejection.public.clone();
    if rejection.reason == Reason::NoNode && !text.contains(NO_NODE_START) {
        text = format!("{NO_NODE_START}, {text}");
    }
    // JSON leaves these three as they are, and Python's `splitlines` ends a line at each.
    let text = text.replace(['\u{85}', '\u{2028}', '\u{2029}'], " ");
    let inner = json(&Inner {
        message: &text,
        error_type: row.error_type,
        args: None,
    });
    json(&Outer {
        code: row.code,
        message: &inner,
        data: None,
    })
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("text and numbers always become JSON")
}

/// Who failed inside an answer of status 200?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InBand {
    /// The plugin's runtime on this node: killed, stopped, or without an instance. Another node's
    /// may be well.
    Runtime,
    /// The plugin, or the vendor behind it: the same on every node.
    Plugin,
}

/// Does an answer begin with an event that says that something failed? Such an answer has status
/// 200 and `data: {"code":-500,...}` inside; its duration teaches nothing. Success is code 0, every
/// failure is negative. `head` is the body's first piece: the daemon writes an event at once.
#[must_use]
pub fn first_failure(head: &[u8]) -> Option<InBand> {
    let event = head.trim_ascii_start();
    let event = event.strip_prefix(b"data:").unwrap_or(event);
    let code = event.trim_ascii_start().strip_prefix(b"{\"code\":")?;
    if !code.trim_ascii_start().starts_with(b"-") {
        return None;
    }
    // What a plugin says may quote a daemon: an agent's error tells that of the tool it called.
    let daemon = says(event, DAEMON_ERROR) && !says(event, PLUGIN_ERROR);
    Some(if daemon {
        InBand::Runtime
    } else {
        InBand::Plugin
    })
}

fn says(body: &[u8], phrase: &str) -> bool {
    body.windows(phrase.len())
        .any(|part| part == phrase.as_bytes())
}

/// Does a node's answer say *not here, not executed*? Then any other node may be asked, whatever
/// the method. `body` is the beginning of it; 512 bytes suffice.
#[must_use]
pub fn not_here(status: u16, body: &[u8]) -> bool {
    let phrase = match status {
        404 => NO_NODE_START,
        500 => RUNTIME_VANISHED,
        _ => return false,
    };
    says(body, phrase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rejection::TABLE;

    #[test]
    fn the_envelope_is_the_daemons_to_the_letter() {
        let rejection = Rejection::new(
            Reason::NoNode,
            "no available node, twolane: 3 of 3 nodes tried: absent=2 down=1",
        );
        assert_eq!(
            envelope(&rejection),
            r#"{"code":-500,"message":"{\"message\":\"no available node, twolane: 3 of 3 nodes tried: absent=2 down=1\",\"error_type\":\"PluginDaemonInternalServerError\",\"args\":null}","data":null}"#
        );
    }

    #[test]
    fn no_node_always_says_the_phrase_that_dify_looks_for() {
        let text = envelope(&Rejection::new(Reason::NoNode, "all 3 are down"));
        assert!(text.contains("no available node, all 3 are down"), "{text}");
        let text = envelope(&Rejection::new(Reason::Loop, "seen before"));
        assert!(!text.contains(NO_NODE_START), "{text}");
    }

    #[test]
    fn the_private_cause_stays_in_the_log() {
        let rejection = Rejection::new(Reason::NodeBroke, "broke off").because("10.0.0.7 reset");
        assert!(!envelope(&rejection).contains("10.0.0.7"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_comes_back_from_one_line(text in "\\PC*|[\u{0}-\u{9f}\u{2028}\u{2029}\"\\\\]*", at in 0..TABLE.len()) {
            let line = envelope(&Rejection::new(TABLE[at].reason, text.clone()));
            let breaks = ['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'];
            proptest::prop_assert!(!line.contains(breaks));
            let outer: serde_json::Value = serde_json::from_str(&line).unwrap();
            proptest::prop_assert_eq!(outer["code"].as_i64(), Some(i64::from(TABLE[at].code)));
            let inner: serde_json::Value = serde_json::from_str(outer["message"].as_str().unwrap()).unwrap();
            let said = inner["message"].as_str().unwrap();
            let kept = text.replace(['\u{85}', '\u{2028}', '\u{2029}'], " ");
            proptest::prop_assert!(said.ends_with(&kept));
        }

        #[test]
        fn any_bytes_can_be_judged(bytes: Vec<u8>, status: u16) {
            let _ = (first_failure(&bytes), not_here(status, &bytes));
        }
    }

    #[test]
    fn a_failure_in_the_first_event_is_seen_and_whose_it_is() {
        let inner = |kind: &str| {
            let line = r#"data: {"code":-500,"message":"{\"error_type\":\"KIND\"}"}"#;
            first_failure(line.replace("KIND", kind).as_bytes())
        };
        assert_eq!(
            inner("PluginDaemonInternalServerError"),
            Some(InBand::Runtime)
        );
        assert_eq!(inner("PluginInvokeError"), Some(InBand::Plugin));
        assert_eq!(
            inner("PluginInvokeError\",\"message\":\"PluginDaemonInternalServerError"),
            Some(InBand::Plugin),
            "an agent quotes the tool it called"
        );
        let plugin = Some(InBand::Plugin);
        assert_eq!(first_failure(b"\ndata:{\"code\": -400"), plugin);
        assert_eq!(
            first_failure(br#"{"code":-500,"#),
            plugin,
            "polling answers without `data:`"
        );
        let success = br#"data: {"code":0,"message":"success","data":-500"#;
        assert_eq!(first_failure(success), None);
        assert_eq!(first_failure(b"data: {\"co"), None);
        assert_eq!(first_failure(b""), None);
    }

    #[test]
    fn not_here_is_told_from_not_installed() {
        let envelope = |text: &str| format!(r#"{{"code":-500,"message":"{{\"message\":\"{text}\""#);
        assert!(not_here(404, envelope(NO_NODE).as_bytes()));
        assert!(not_here(
            404,
            envelope("no available node, plugin not found").as_bytes()
        ));
        assert!(not_here(500, envelope(RUNTIME_VANISHED).as_bytes()));
        assert!(!not_here(404, envelope(NOT_INSTALLED).as_bytes()));
        assert!(!not_here(
            404,
            br#"{"code":"not_found","message":"route not found"}"#
        ));
        assert!(!not_here(200, envelope(NO_NODE).as_bytes()));
    }
}
