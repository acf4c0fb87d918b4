//! The section `share`.

use super::dify_env;
use crate::config::resolve::Env;
use crate::config::share::{Sentinel, Share};
use crate::config::table::{Table, Value};
use crate::config::unit;
use crate::model::Secret;
use std::path::PathBuf;
use std::time::Duration;

const SCHEMES: [&str; 4] = ["redis", "rediss", "unix", "redis+unix"];
/// More often says nothing new; seldom enough that a reader would still call it "now".
const INTERVAL: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(500)];
const TTL: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];
const TIMEOUT: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(2)];

/// Where the file does not say where the fleet meets, Dify's own variables do.
pub(super) fn share(section: &Table<'_>, env: Env<'_>) -> Share {
    let written = section.value("redis");
    let found = match written {
        Some(_) => None,
        None => dify_env::meeting(section.findings, env),
    };
    let default = found.map_or_else(Share::default, |(share, variable)| {
        section.findings.note_share_from(variable);
        share
    });
    let share = Share {
        urls: written.as_ref().map_or(default.urls, urls),
        sharded: section.or("sharded", default.sharded, Value::flag),
        sentinel: sentinel(&section.section("sentinel"), default.sentinel),
        ca: section
            .value("ca")
            .and_then(|value| value.text())
            .map_or(default.ca, |file| Some(PathBuf::from(file))),
        prefix: section.or("prefix", default.prefix, prefix),
        interval: section.or("interval", default.interval, |value| {
            within(value, INTERVAL)
        }),
        ttl: section.or("ttl", default.ttl, |value| within(value, TTL)),
        timeout: section.or("timeout", default.timeout, |value| within(value, TIMEOUT)),
    };
    if let Some(written) = written {
        agree(&written, &share);
    }
    let place = section.path.key("ttl");
    if share.ttl < 4 * share.interval && section.findings.sound(&place) {
        let what = "below four intervals: one slow exchange, and the fleet forgets us";
        section.findings.value(&place, what, "write 2s");
    }
    share
}

/// Do the kinds of servers and their number fit?
fn agree(written: &Value<'_>, share: &Share) {
    let sentinels = share.sentinel.name.is_some();
    if sentinels && share.sharded {
        let help = "a sharded Redis needs no sentinels: leave one of the two out";
        written.wrong("both behind sentinels and sharded", help);
    } else if share.urls.len() > 1 && !sentinels && !share.sharded {
        let what = "several servers that have nothing to do with each other";
        let help = "write one, or `sharded: true`, or the sentinels' `name`";
        written.wrong(what, help);
    }
}

/// One URL or several; an empty one is none: `${REDIS_URL:-}` stands for an optional variable.
fn urls(value: &Value<'_>) -> Vec<Secret> {
    let items = value.one_or_list();
    items.iter().filter_map(url).collect()
}

fn url(value: &Value<'_>) -> Option<Secret> {
    let text = value.text()?.trim();
    if text.is_empty() {
        return None;
    }
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let place = rest.rsplit('@').next().unwrap_or_default();
    let path = scheme.ends_with("unix");
    if !SCHEMES.contains(&scheme) || place.is_empty() || (!path && place.starts_with([':', '/'])) {
        value.wrong(
            "not the address of a Redis",
            "write redis://:password@host:6379/0, rediss:// for TLS, or unix:///path",
        );
        return None;
    }
    Some(Secret::new(text.to_owned()))
}

fn sentinel(section: &Table<'_>, default: Sentinel) -> Sentinel {
    let text = |key| {
        let value = section.value(key).and_then(|value| value.text());
        value.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    Sentinel {
        name: text("name").or(default.name),
        username: text("username").or(default.username),
        password: text("password").map(Secret::new).or(default.password),
        database: section.or("database", default.database, |value| {
            value.whole(0..=1_000_000, "0 is the one that everybody has")
        }),
        tls: section.or("tls", default.tls, Value::flag),
    }
}

fn prefix(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    if text.len() > 100 || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        value.wrong("a blank in it, or over 100 bytes", "write `twolane:`");
        return None;
    }
    Some(text.to_owned())
}

fn within(value: &Value<'_>, [least, most]: [Duration; 2]) -> Option<Duration> {
    let duration = value.duration()?;
    if duration < least || duration > most {
        let (least, most) = (unit::write_duration(least), unit::write_duration(most));
        value.wrong(
            format!("must be from {least} to {most}"),
            format!("write {most}"),
        );
        return None;
    }
    Some(duration)
}
