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
/// So many bytes of an answer suffice for [`first_event_failed`].
pub const FIRST_EVENT_HEAD: usize = 32;

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

/// Does an answer begin with an event that says the plugin or the node failed? Such an answer has
/// status 200 and `data: {"code":-500,...}` inside; its duration teaches nothing. Success is code
/// 0, every failure is negative. `head` is the beginning of the body, [`FIRST_EVENT_HEAD`] bytes
/// of it or more.
#[must_use]
pub fn first_event_failed(head: &[u8]) -> bool {
    let head = head.trim_ascii_start();
    let head = head.strip_prefix(b"data:").unwrap_or(head);
    head.trim_ascii_start()
        .strip_prefix(b"{\"code\":")
        .is_some_and(|code| code.trim_ascii_start().starts_with(b"-"))
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
    body.windows(phrase.len())
        .any(|part| part == phrase.as_bytes())
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
            let _ = (first_event_failed(&bytes), not_here(status, &bytes));
        }
    }

    #[test]
    fn a_failure_in_the_first_event_is_seen() {
        assert!(first_event_failed(br#"data: {"code":-500,"message":"x"}"#));
        assert!(first_event_failed(b"\ndata:{\"code\": -400"));
        assert!(
            first_event_failed(br#"{"code":-500,"#),
            "polling answers without `data:`"
        );
        assert!(!first_event_failed(
            br#"data: {"code":0,"message":"success","data":-500"#
        ));
        assert!(!first_event_failed(b"data: {\"co"));
        assert!(!first_event_failed(b""));
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
