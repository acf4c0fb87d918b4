//! Does a plugin run on a node? Two ways in which a daemon tells without running anything.
//!
//! A dispatch call with the body `{}` goes through the daemon's checks in their order: key,
//! installation, runtime, body. So 400 says that the runtime is there, and 404 that it is not
//! (`internal/server/middleware.go`). `/metrics/` (0.5.7 and later) has `plugin_runtime_status` for
//! every plugin at once, without a key and without the plugin's version.

use super::Refusal;
use std::collections::HashMap;

/// The path after `/v2/invoke/` and after `/plugin/:tenant/` that a probe asks for.
pub const PROBE: &str = "dispatch/tool/invoke";
/// The body that no daemon lets through.
pub const PROBE_BODY: &[u8] = b"{}";
/// Where a daemon shows its metrics; without the last slash it redirects.
pub const METRICS: &str = "/metrics/";

/// What the answer to a probe says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The plugin runs there.
    Present,
    /// It does not.
    Absent,
    /// The node does not take the key.
    WrongKey,
    /// The node, or what stands before it, cannot say now.
    NotNow,
    /// It will never say: not installed for the tenant, no such route, not a daemon.
    Unknown,
}

/// Reads the answer to a probe; `body` is its beginning, 2 KiB suffice.
#[must_use]
pub fn read_probe(status: u16, body: &[u8]) -> Reading {
    match Refusal::read(status, body) {
        // A 400 of a proxy on the way is no word of the daemon's.
        Some(Refusal::Invalid) if status == 400 && is_bad_request(body) => Reading::Present,
        Some(Refusal::NotHere) => Reading::Absent,
        Some(Refusal::WrongKey) => Reading::WrongKey,
        Some(Refusal::Overloaded) => Reading::NotNow,
        Some(_) if status >= 500 => Reading::NotNow,
        _ => Reading::Unknown,
    }
}

fn is_bad_request(body: &[u8]) -> bool {
    let Some(rest) = body.trim_ascii_start().strip_prefix(b"{\"code\":") else {
        return false;
    };
    rest.trim_ascii_start().starts_with(b"-400")
}

/// What `plugin_runtime_status` says of one plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Runtime {
    /// 0
    Stopped,
    /// Between: its process starts.
    Launching,
    /// 1
    Running,
}

/// The local runtimes that a metrics page shows, by `author/name`. What is no line of that family
/// is passed over, whatever it is; of two lines for one plugin the better one counts, because two
/// versions may be there.
#[must_use]
pub fn read_metrics(page: &str) -> HashMap<String, Runtime> {
    let mut found = HashMap::new();
    for (plugin, runtime) in page.lines().filter_map(line) {
        let best = found.entry(plugin).or_insert(runtime);
        *best = runtime.max(*best);
    }
    found
}

fn line(line: &str) -> Option<(String, Runtime)> {
    let rest = line.trim_start().strip_prefix("plugin_runtime_status")?;
    let mut rest = rest.trim_start().strip_prefix('{')?;
    let (mut plugin, mut local) = (None, false);
    let value = loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if let Some(value) = rest.strip_prefix('}') {
            break value;
        }
        let (name, quoted) = rest.split_once('=')?;
        let (text, behind) = label(quoted.trim_start().strip_prefix('"')?)?;
        match name.trim() {
            "plugin_id" => plugin = Some(text),
            "runtime_type" => local = text == "local",
            _ => {}
        }
        rest = behind;
    };
    // A time stamp may follow.
    let value: f64 = value.split_whitespace().next()?.parse().ok()?;
    let runtime = match value {
        value if value >= 1.0 => Runtime::Running,
        value if value > 0.0 => Runtime::Launching,
        value if value.is_nan() => return None,
        _ => Runtime::Stopped,
    };
    plugin
        .filter(|plugin| local && !plugin.is_empty())
        .map(|plugin| (plugin, runtime))
}

/// A label's text up to its closing quote, and what is behind that.
fn label(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, character)) = chars.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                escaped => value.push(escaped),
            },
            plain => value.push(plain),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_to_a_probe_is_read_as_what_it_means() {
        let envelope = |code: i32, text: &str| {
            format!(r#"{{"code":{code},"message":"{{\"message\":\"{text}\"}}","data":null}}"#)
        };
        let required = "Key: 'InvokePluginRequest.TenantId' Error:Field validation for 'TenantId' failed on the 'required' tag";
        for (status, body, expected) in [
            (400, envelope(-400, required), Reading::Present),
            (400, r#" {"code": -400}"#.to_owned(), Reading::Present),
            (400, "<html>400 Bad Request".to_owned(), Reading::Unknown),
            (400, envelope(-500, "x"), Reading::Unknown),
            (
                404,
                envelope(-500, "no available node, plugin runtime not found"),
                Reading::Absent,
            ),
            (404, envelope(-404, "plugin not found"), Reading::Unknown),
            (
                404,
                r#"{"code":"not_found","message":"route not found"}"#.to_owned(),
                Reading::Unknown,
            ),
            (401, envelope(-401, "unauthorized"), Reading::WrongKey),
            (200, envelope(0, "success"), Reading::Unknown),
            (302, String::new(), Reading::Unknown),
            (429, String::new(), Reading::NotNow),
            (502, "<html>".to_owned(), Reading::NotNow),
            (
                500,
                envelope(-500, "redis: connection pool timeout"),
                Reading::NotNow,
            ),
        ] {
            assert_eq!(
                read_probe(status, body.as_bytes()),
                expected,
                "{status} {body}"
            );
        }
    }

    #[test]
    fn runtimes_are_found_on_a_page_with_everything_else() {
        let page = "# HELP plugin_runtime_status Plugin runtime status\n\
            # TYPE plugin_runtime_status gauge\n\
            go_goroutines 41\n\
            plugin_runtime_status{plugin_id=\"langgenius/openai\",runtime_type=\"local\"} 1\n\
            plugin_runtime_status{runtime_type=\"local\", plugin_id=\"a/launching\",} 0.5 1763712000000\n\
              plugin_runtime_status { plugin_id = \"a/stopped\" , runtime_type = \"local\" } 0e0\r\n\
            plugin_runtime_status{plugin_id=\"a/else\",runtime_type=\"serverless\"} 1\n\
            plugin_runtime_status{plugin_id=\"a/\\\"q\\\\,}\\n\",runtime_type=\"local\"} +1\n\
            plugin_runtime_status_total{plugin_id=\"a/no\",runtime_type=\"local\"} 1\n\
            plugin_runtime_status{plugin_id=\"a/two\",runtime_type=\"local\",version=\"1\"} 1\n\
            plugin_runtime_status{plugin_id=\"a/two\",runtime_type=\"local\",version=\"2\"} 0\n\
            plugin_runtime_status{plugin_id=\"a/nan\",runtime_type=\"local\"} NaN\n\
            plugin_runtime_status{plugin_id=\"a/cut\",runtime_type=\"local\"}\n\
            plugin_runtime_status{plugin_id=\"a/cut\",runtime_ty";
        let found = read_metrics(page);
        let expected = [
            ("langgenius/openai", Runtime::Running),
            ("a/launching", Runtime::Launching),
            ("a/stopped", Runtime::Stopped),
            ("a/\"q\\,}\n", Runtime::Running),
            ("a/two", Runtime::Running),
        ];
        let expected: HashMap<_, _> = expected.map(|(name, it)| (name.to_owned(), it)).into();
        assert_eq!(found, expected);
    }

    proptest::proptest! {
        #[test]
        fn any_page_and_any_answer_can_be_read(
            page in "(plugin_runtime_status[{]?([a-z_]*=?\"?[^\n]{0,9}\"?,?){0,3}[}]? ?[0-9.eN]*\n?){0,4}",
            status: u16,
            body: Vec<u8>,
        ) {
            let _ = (read_metrics(&page), read_probe(status, &body));
        }
    }
}
