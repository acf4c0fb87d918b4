//! How does the daemon say that it is well?
//!
//! `/health/check` says ok as soon as the listener is up, with no plugin running at all. What it
//! is good for besides: it counts the dispatch calls of every gateway and of direct clients.

use serde::Serialize;
use serde_json::Value;

/// What a healthy node reports of itself. Everything but the status is optional: daemons before
/// 0.2.0 count nothing, and later ones may add and drop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Dispatch calls in flight on the node, whoever sent them; hooks are not among them.
    pub active_dispatch_requests: Option<u32>,
    /// Requests of any kind in flight on the node, this probe included.
    pub active_requests: Option<u32>,
    /// `local` or `serverless`.
    pub platform: Option<String>,
    /// The commit the daemon was built from, or a version.
    pub version: Option<String>,
    /// Free workers of the daemon's routine pool: at 0 every stream hangs.
    pub pool_free: Option<u32>,
    /// Workers of the daemon's routine pool.
    pub pool_total: Option<u32>,
}

/// Is a node well, going by its answer to `GET /health/check`?
///
/// # Errors
/// A status other than 200, a body that is no JSON, or a `status` other than `ok`: the sentence
/// says which, for the log and the admin page.
pub fn judge(status: u16, body: &[u8]) -> Result<Report, String> {
    if status != 200 {
        return Err(format!("status {status} instead of 200"));
    }
    let value: Value =
        serde_json::from_slice(body).map_err(|error| format!("no JSON in the answer: {error}"))?;
    match value.get("status") {
        Some(Value::String(word)) if word == "ok" => {}
        Some(Value::String(word)) => {
            return Err(format!("status {} instead of \"ok\"", short(word)));
        }
        _ => return Err("no \"status\" in the answer".to_owned()),
    }
    let pool = value.get("pool_status");
    Ok(Report {
        active_dispatch_requests: number(value.get("active_dispatch_requests")),
        active_requests: number(value.get("active_requests")),
        platform: text(value.get("platform")),
        version: text(value.get("version")),
        pool_free: number(pool.and_then(|pool| pool.get("free"))),
        pool_total: number(pool.and_then(|pool| pool.get("total"))),
    })
}

/// Is a node well that is no daemon? Any 2xx says so, unless it is JSON with another `status` than
/// `ok`: Dify's API answers `GET /health` with one.
///
/// # Errors
/// As [`judge`].
pub fn judge_plain(status: u16, body: &[u8]) -> Result<Report, String> {
    if !(200..300).contains(&status) {
        return Err(format!("status {status} instead of 2xx"));
    }
    let value: Option<Value> = serde_json::from_slice(body).ok();
    match value
        .as_ref()
        .and_then(|value| value.get("status")?.as_str())
    {
        Some(word) if word != "ok" => Err(format!("status {} instead of \"ok\"", short(word))),
        _ => Ok(Report::default()),
    }
}

fn number(value: Option<&Value>) -> Option<u32> {
    value?
        .as_u64()
        .and_then(|number| u32::try_from(number).ok())
}

fn text(value: Option<&Value>) -> Option<String> {
    let word: String = value?.as_str()?.chars().take(64).collect();
    Some(word).filter(|word| !word.is_empty())
}

/// A stranger's word as it may stand in a log line.
fn short(word: &str) -> String {
    format!("{:?}", word.chars().take(32).collect::<String>())
}

/// What the gateway says of itself at `/health/check`.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Dispatch calls in flight here.
    pub active_dispatch_requests: u32,
    /// Requests of any kind in flight here, this one included.
    pub active_requests: u32,
    /// When the binary was built, if that is known.
    pub build_time: Option<&'a str>,
    /// Nodes that may serve.
    pub nodes_healthy: usize,
    /// Nodes in all pools.
    pub nodes_total: usize,
    /// `ok`, or the reason why not in one word.
    pub status: &'a str,
    /// The gateway's version.
    pub version: &'a str,
}

/// The gateway's own health answer in the daemon's shape, keys sorted; `platform` tells a gateway
/// from a daemon.
#[must_use]
pub fn answer(answer: &Answer<'_>) -> String {
    #[derive(Serialize)]
    struct Nodes {
        healthy: usize,
        total: usize,
    }
    #[derive(Serialize)]
    struct Body<'a> {
        active_dispatch_requests: u32,
        active_requests: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        build_time: Option<&'a str>,
        nodes: Nodes,
        platform: &'static str,
        status: &'a str,
        version: &'a str,
    }
    serde_json::to_string(&Body {
        active_dispatch_requests: answer.active_dispatch_requests,
        active_requests: answer.active_requests,
        build_time: answer.build_time,
        nodes: Nodes {
            healthy: answer.nodes_healthy,
            total: answer.nodes_total,
        },
        platform: "gateway",
        status: answer.status,
        version: answer.version,
    })
    .expect("text and numbers always become JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemons_answer_is_read_whole() {
        let body = br#"{"active_dispatch_requests":3,"active_requests":4,"build_time":"2026-08-21T08:36:58+0000","platform":"local","pool_status":{"free":9999,"busy":1,"total":10000},"status":"ok","version":"bdb5642a"}"#;
        let report = judge(200, body).unwrap();
        assert_eq!(report.active_dispatch_requests, Some(3));
        assert_eq!(report.active_requests, Some(4));
        assert_eq!(report.platform.as_deref(), Some("local"));
        assert_eq!(report.version.as_deref(), Some("bdb5642a"));
        assert_eq!(
            (report.pool_free, report.pool_total),
            (Some(9999), Some(10000))
        );
    }

    #[test]
    fn an_old_daemon_that_counts_nothing_is_well() {
        assert_eq!(judge(200, br#"{"status":"ok"}"#), Ok(Report::default()));
        let odd = br#"{"status":"ok","active_requests":-1,"active_dispatch_requests":"x","pool_status":7,"version":1}"#;
        assert_eq!(judge(200, odd), Ok(Report::default()));
    }

    #[test]
    fn every_other_answer_says_what_is_wrong_with_it() {
        assert_eq!(
            judge(503, br#"{"status":"ok"}"#).unwrap_err(),
            "status 503 instead of 200"
        );
        assert!(judge(200, b"").unwrap_err().starts_with("no JSON"));
        assert!(judge(200, b"<html>").unwrap_err().starts_with("no JSON"));
        assert_eq!(
            judge(200, b"[]").unwrap_err(),
            "no \"status\" in the answer"
        );
        assert_eq!(
            judge(200, br#"{"status":1}"#).unwrap_err(),
            "no \"status\" in the answer"
        );
        assert_eq!(
            judge(200, br#"{"status":"down\n"}"#).unwrap_err(),
            "status \"down\\n\" instead of \"ok\""
        );
    }

    #[test]
    fn our_answer_passes_our_own_judgement_and_has_sorted_keys() {
        let said = answer(&Answer {
            active_dispatch_requests: 2,
            active_requests: 3,
            build_time: Some("2026-08-21"),
            nodes_healthy: 1,
            nodes_total: 2,
            status: "ok",
            version: "0.1.0",
        });
        assert_eq!(
            said,
            r#"{"active_dispatch_requests":2,"active_requests":3,"build_time":"2026-08-21","nodes":{"healthy":1,"total":2},"platform":"gateway","status":"ok","version":"0.1.0"}"#
        );
        let report = judge(200, said.as_bytes()).unwrap();
        assert_eq!(report.active_dispatch_requests, Some(2));
        assert_eq!(report.platform.as_deref(), Some("gateway"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_can_be_judged(status: u16, body: Vec<u8>) {
            let _ = judge(status, &body);
        }
    }
}
