//! The sections that consist of a few scalars.

use crate::config::address;
use crate::config::pool::{Strategies, TwoNodes};
use crate::config::sections::{
    Admin, Cooldown, Health, Kinds, Loops, Reload, Retry, State, Timeouts,
};
use crate::config::shutdown::Shutdown;
use crate::config::table::{Table, Value};
use crate::config::tls::Tls;
use crate::config::{defaults, unit};
use crate::model::Secret;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub(super) fn socket(value: &Value<'_>) -> Option<SocketAddr> {
    address::listen(value.typed()?.trim())
        .map_err(|bad| value.wrong(bad.what, bad.help))
        .ok()
}

pub(super) fn listen(root: &Table<'_>) -> Vec<SocketAddr> {
    let Some(value) = root.value("listen") else {
        return vec![defaults::LISTEN];
    };
    let items = value.one_or_list();
    let mut addresses = Vec::new();
    for item in &items {
        let Some(address) = socket(item) else {
            continue;
        };
        if addresses.contains(&address) {
            item.wrong("this address is listed twice", "remove one of the two");
        }
        addresses.push(address);
    }
    addresses
}

/// Somewhere clients must be able to connect.
pub(super) fn reachable(root: &Table<'_>, listen: &[SocketAddr], tls: &Tls) {
    let place = root.path.key("listen");
    let sound = root.findings.sound(&place) && root.findings.sound(&root.path.key("tls"));
    if listen.is_empty() && tls.listen.is_empty() && sound {
        let what = "the list is empty, and so is `tls.listen`";
        root.findings.value(&place, what, "write `listen: 5002`");
    }
}

pub(super) fn admin(section: &Table<'_>, listen: &[SocketAddr]) -> Admin {
    let admin = Admin {
        listen: section.or("listen", defaults::ADMIN, socket),
        // An empty token is none: `${TWOLANE_ADMIN_TOKEN:-}` stands for an optional variable.
        token: section
            .value("token")
            .and_then(|value| value.text())
            .filter(|text| !text.is_empty())
            .map(|text| Secret::new(text.to_owned())),
    };
    let place = section.path.key("listen");
    if listen.iter().any(|own| overlap(*own, admin.listen)) {
        let what = "the clients' port as well: see `listen`";
        section
            .findings
            .value(&place, what, "take another port, such as 127.0.0.1:5012");
    }
    let open = !admin.listen.ip().is_loopback() && admin.token.is_none();
    if open && section.findings.sound(&section.path.key("token")) {
        section.findings.value(
            &place,
            "reachable from other machines without a token",
            "add `token: ${TWOLANE_ADMIN_TOKEN}` to admin, or listen on 127.0.0.1:5012",
        );
    }
    admin
}

/// True when only one of two listeners could start. Port 0 is another port each time.
pub(super) fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip(), other.ip());
    one.port() != 0
        && one.port() == other.port()
        && (a == b || a.is_unspecified() || b.is_unspecified())
}

pub(super) fn strategies(section: &Table<'_>) -> Strategies {
    let default = Strategies::default();
    let adaptive = section.section("adaptive");
    let seed = section.section("seed");
    let weight = |value: &Value<'_>| {
        value.number("from 0 to 1000", "2", |number| {
            (0.0..=1000.0).contains(&number)
        })
    };
    let rules = [("prose", TwoNodes::Prose), ("diagram", TwoNodes::Diagram)];
    Strategies {
        plugin_weight: adaptive.or("plugin_weight", default.plugin_weight, weight),
        long_weight: adaptive.or("long_weight", default.long_weight, weight),
        plugin_long_weight: adaptive.or("plugin_long_weight", default.plugin_long_weight, weight),
        two_nodes: seed.or("two_nodes", default.two_nodes, |value| {
            value.word("rule", &rules)
        }),
        ring: super::hash::ring(&section.section("consistent_hash")),
    }
}

pub(super) fn health(section: &Table<'_>) -> Health {
    let default = Health::default();
    let times = |value: &Value<'_>| value.whole(1..=100, "1 is the first one already");
    Health {
        enabled: section.or("enabled", default.enabled, Value::flag),
        path: section.or("path", default.path, path),
        interval: section
            .value_or_alias("interval", "inter")
            .and_then(|value| value.duration())
            .unwrap_or(default.interval),
        timeout: section.or("timeout", default.timeout, Value::duration),
        fall: section.or("fall", default.fall, times),
        rise: section.or("rise", default.rise, times),
        use_daemon_load: section.or("use_daemon_load", default.use_daemon_load, Value::flag),
        on_connect: section.or("on_connect", default.on_connect, Value::flag),
        warmup: section.or("warmup", default.warmup, Value::delay),
        slow_start: section.or("slow_start", default.slow_start, Value::delay),
    }
}

/// A request's path, as nginx would take it in a request line.
pub(super) fn path(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if !text.starts_with('/') || !plain {
        value.wrong(
            "not the path of a request",
            "begin it with `/`, without blanks",
        );
        return None;
    }
    Some(text.to_owned())
}

pub(super) fn kinds(section: &Table<'_>) -> Kinds {
    let default = Kinds::default();
    let denied = section.value("denied").map(|value| {
        let entries = value.list().unwrap_or_default();
        entries.iter().filter_map(path).collect()
    });
    let hook = section.section("hook");
    let management = section.section("management");
    let (asset, transaction) = (section.section("asset"), section.section("transaction"));
    let writer = |value: &Value<'_>| value.word("writer", &[("tenant", true), ("any", false)]);
    let time = |section: &Table<'_>, key, default| section.or(key, default, Value::duration);
    Kinds {
        enabled: section.or("enabled", default.enabled, Value::flag),
        denied: denied.unwrap_or(default.denied),
        hook_body: hook.or("body", default.hook_body, Value::size),
        sticky_hooks: hook.or("sticky", default.sticky_hooks, Value::flag),
        websocket_hooks: hook.or("websocket", default.websocket_hooks, Value::flag),
        management_read: time(&management, "read", default.management_read),
        management_write: time(&management, "write", default.management_write),
        one_writer: management.or("writer", default.one_writer, writer),
        asset_read: time(&asset, "read", default.asset_read),
        transaction_read: time(&transaction, "read", default.transaction_read),
    }
}

pub(super) fn retry(section: &Table<'_>) -> Retry {
    let attempts = |value: &Value<'_>| value.whole(1..=10, "1 tries one node and no other");
    let ratio = |value: &Value<'_>| {
        value.number("from 0 to 1", "0.1", |number| (0.0..=1.0).contains(&number))
    };
    let default = Retry::default();
    Retry {
        attempts: section.or("attempts", default.attempts, attempts),
        body_limit: section.or("body_limit", default.body_limit, Value::size),
        budget_ratio: section.or("budget_ratio", default.budget_ratio, ratio),
        budget_floor: section.or("budget_floor", default.budget_floor, |value| {
            value.whole(
                0..=1_000_000,
                "a quiet pool may still repeat so many per second",
            )
        }),
        deadline: section.or("deadline", default.deadline, Value::duration),
        wait: section.or("wait", default.wait, Value::delay),
    }
}

pub(super) fn cooldown(section: &Table<'_>) -> Cooldown {
    let default = Cooldown::default();
    let time = |key, default: Duration| section.or(key, default, Value::duration);
    Cooldown {
        max_fails: section.or("max_fails", default.max_fails, |value| {
            value.whole(0..=1_000_000, "0 switches it off")
        }),
        fail_timeout: time("fail_timeout", default.fail_timeout),
        base: time("base", default.base),
        longest: time("longest", default.longest),
        absent: time("absent", default.absent),
    }
}

pub(super) fn timeouts(section: &Table<'_>) -> Timeouts {
    let default = Timeouts::default();
    let time = |key, default: Duration| section.or(key, default, Value::duration);
    let timeouts = Timeouts {
        connect: time("connect", default.connect),
        read: time("read", default.read),
        write: time("write", default.write),
        client_idle: time("client_idle", default.client_idle),
        client_header: time("client_header", default.client_header),
        client_read: time("client_read", default.client_read),
        client_write: time("client_write", default.client_write),
        node_idle: time("node_idle", default.node_idle),
    };
    let (connect, read) = (section.path.key("connect"), section.path.key("read"));
    let findings = section.findings;
    if !findings.sound(&connect) || !findings.sound(&read) {
        return timeouts;
    }
    if timeouts.connect >= timeouts.read {
        let what = format!(
            "not below timeouts.read, {}",
            unit::write_duration(timeouts.read)
        );
        let what = if findings.is_substituted(&read) {
            "not below timeouts.read"
        } else {
            &what
        };
        findings.value(
            &connect,
            what,
            "a connection is made within a second or not at all",
        );
    }
    if timeouts.read < defaults::SHORTEST_READ {
        findings.warning(
            &read,
            "below the 600 s that a plugin may run (the daemon's PLUGIN_MAX_EXECUTION_TIMEOUT)",
            "write 660s, or lower the daemon's limit as well",
        );
    }
    timeouts
}

pub(super) fn loops(section: &Table<'_>) -> Loops {
    let hops = |value: &Value<'_>| value.whole(1..=100, "1 lets a request pass one gateway");
    let default = Loops::default();
    Loops {
        marks: section.or("marks", default.marks, Value::flag),
        max_hops: section.or("max_hops", default.max_hops, hops),
    }
}

pub(super) fn state(section: &Table<'_>) -> State {
    let default = State::default();
    let file = |value: &Value<'_>| match value.text()? {
        "" => {
            value.wrong(
                "no file has an empty name",
                "leave the key out to keep nothing",
            );
            None
        }
        text => Some(Some(PathBuf::from(text))),
    };
    State {
        file: section.or("file", default.file, file),
        interval: section.or("interval", default.interval, Value::duration),
    }
}

/// Linux has no room for a longer one (`sun_path` of unix(7)).
const LONGEST_SOCKET: usize = 107;

pub(super) fn shutdown(section: &Table<'_>) -> Shutdown {
    let default = Shutdown::default();
    Shutdown {
        pre_stop_delay: section.or("pre_stop_delay", default.pre_stop_delay, Value::delay),
        deadline: section.or("deadline", default.deadline, Value::delay),
        upgrade_socket: section.or("upgrade_socket", default.upgrade_socket, |value| {
            let text = value.text()?;
            if text.is_empty() || text.len() > LONGEST_SOCKET {
                value.wrong("no name for a socket", "write a path of 1 to 107 bytes");
                return None;
            }
            Some(PathBuf::from(text))
        }),
    }
}

pub(super) fn reload(section: &Table<'_>) -> Reload {
    let poll = |value: &Value<'_>| match value.typed()?.as_str() {
        "off" => Some(None),
        _ => value.duration().map(Some),
    };
    Reload {
        poll: section.or("poll", Reload::default().poll, poll),
    }
}
