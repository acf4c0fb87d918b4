//! How are a gateway's figures written for a terminal?

use serde_json::Value;

/// A duration in milliseconds, short; a dash where there is none.
pub(super) fn duration(ms: &Value) -> String {
    match ms.as_f64() {
        None => "-".to_owned(),
        Some(ms) if ms < 10.0 => format!("{ms:.1} ms"),
        Some(ms) if ms < 1000.0 => format!("{ms:.0} ms"),
        Some(ms) if ms < 10_000.0 => format!("{:.1} s", ms / 1e3),
        Some(ms) if ms < 120_000.0 => format!("{:.0} s", ms / 1e3),
        Some(ms) if ms < 7_200_000.0 => format!("{:.0} min", ms / 6e4),
        Some(ms) => format!("{:.0} h", ms / 3.6e6),
    }
}

/// A text or a number as it stands; a dash where there is none.
pub(super) fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Half of them and nearly all of them: `144 ms / 4.6 s`.
pub(super) fn took(lane: &Value) -> String {
    if lane["p50_ms"].is_null() {
        return "-".to_owned();
    }
    let (half, most) = (duration(&lane["p50_ms"]), duration(&lane["p99_ms"]));
    format!("{half} / {most}")
}

/// How the last check ended, and when.
pub(super) fn check(node: &Value) -> String {
    let check = &node["check"];
    if let Some(wrong) = check["wrong"].as_str() {
        return wrong.to_owned();
    }
    match check["ago_s"].as_f64() {
        None => "not yet".to_owned(),
        Some(ago) => format!("{}, {:.0} s ago", duration(&check["took_ms"]), ago.max(1.0)),
    }
}

/// What the light of a node is called.
pub(super) fn light(node: &Value) -> &str {
    match node["light"].as_str().unwrap_or_default() {
        "going_down" => "check failed",
        "coming_up" => "coming up",
        "maint" => "maintenance",
        other => other,
    }
}

/// How the whole gateway is, in one line, and whether that is as it should be.
pub(super) fn verdict(overview: &Value) -> (bool, String) {
    let gateway = &overview["gateway"];
    let nodes = rows(&overview["nodes"]);
    let off = nodes.iter().filter(|node| node["light"] != "up").count();
    if gateway["draining"] == true {
        (false, "this gateway is ending".to_owned())
    } else if gateway["ready"] != true {
        (false, "not ready".to_owned())
    } else if off > 0 {
        (
            false,
            format!("{off} of {} nodes do not serve", nodes.len()),
        )
    } else {
        (true, "all nodes up".to_owned())
    }
}

/// The entries of a list.
pub(super) fn rows(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

/// A count.
pub(super) fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn durations_are_short_and_nothing_is_a_dash() {
        for (ms, text) in [
            (json!(0.44), "0.4 ms"),
            (json!(144), "144 ms"),
            (json!(4600.0), "4.6 s"),
            (json!(61_000), "61 s"),
            (json!(600_000), "10 min"),
            (json!(36_000_000), "10 h"),
            (Value::Null, "-"),
        ] {
            assert_eq!(duration(&ms), text);
        }
    }
}
