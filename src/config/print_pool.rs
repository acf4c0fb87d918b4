//! How would an operator write a pool, its nodes, and what leads to it?

use super::expects::Expects;
use super::pool::{MaxInFlight, NodeEntry, Pool, RouteEntry, RuleEntry, Waiting, When};
use super::print::{list, maybe, secret, table, text, time, whole};
use super::print_discover::discover;
use super::tree::Tree;
use crate::model::Class;

pub(super) fn pool(pool: &Pool) -> Tree {
    let Waiting {
        max_in_flight: most,
        plugin_caps,
        max_hold,
        max_queue,
    } = &pool.waiting;
    let caps = plugin_caps.iter();
    let caps = caps.map(|cap| (cap.plugin.clone(), whole(cap.most)));
    table([
        ("name", text(&pool.name)),
        ("kind", text(pool.kind.word())),
        ("health_path", maybe(pool.health_path.as_ref())),
        ("upstream_key", secret(pool.upstream_key.as_ref())),
        ("fallback_pool", maybe(pool.fallback.as_ref())),
        ("strategy", text(&pool.strategy)),
        ("shadow", maybe(pool.shadow.as_ref())),
        ("fail_open", Tree::Flag(pool.fail_open)),
        ("use_all_backups", Tree::Flag(pool.use_all_backups)),
        ("hash", pool.hash.tree()),
        ("max_in_flight", max_in_flight(*most)),
        ("plugin_caps", Tree::Table(caps.collect())),
        ("max_hold", time(*max_hold)),
        ("max_queue", whole(*max_queue)),
        ("nodes", list(&pool.nodes, node)),
        (
            "discover",
            pool.discover.as_ref().map_or(Tree::Null, discover),
        ),
        (
            "expects",
            pool.expects.as_ref().map_or(Tree::Null, Expects::tree),
        ),
    ])
}

/// A node as it may be sent to a running gateway: what is not said is left out, its key is `***`.
#[must_use]
pub fn node_json(entry: &NodeEntry) -> serde_json::Value {
    let Tree::Table(mut entries) = node(entry) else {
        return serde_json::Value::Null;
    };
    entries.retain(|(_, value)| *value != Tree::Null);
    serde_json::to_value(Tree::Table(entries)).unwrap_or_default()
}

fn node(node: &NodeEntry) -> Tree {
    table([
        ("id", text(&node.id)),
        ("address", text(&node.address)),
        ("role", text(node.role)),
        ("weight", whole(node.weight)),
        ("enabled", Tree::Flag(node.enabled)),
        ("drain", Tree::Flag(node.drain)),
        ("max_in_flight", max_in_flight(node.max_in_flight)),
        ("upstream_key", secret(node.upstream_key.as_ref())),
        ("server_name", maybe(node.server_name.as_ref())),
    ])
}

fn max_in_flight(most: Option<MaxInFlight>) -> Tree {
    let or_null = |most: Option<u32>| most.map_or(Tree::Null, whole);
    match most {
        None => Tree::Null,
        Some(MaxInFlight::Node(most)) => whole(most),
        Some(MaxInFlight::Classes { short, long }) => {
            table([("short", or_null(short)), ("long", or_null(long))])
        }
    }
}

pub(super) fn route(route: &RouteEntry) -> Tree {
    table([("path", text(&route.path)), ("pool", text(&route.pool))])
}

pub(super) fn rule(rule: &RuleEntry) -> Tree {
    let When {
        op,
        plugin,
        tenant,
        application,
        host,
        path,
        method,
        header,
    } = &rule.when;
    let header: Vec<_> = header
        .iter()
        .map(|(name, pattern)| (name.clone(), header_pattern(name, pattern)))
        .collect();
    table([
        ("op", maybe(op.as_ref())),
        ("plugin", maybe(plugin.as_ref())),
        ("tenant", maybe(tenant.as_ref())),
        ("application", maybe(application.as_ref())),
        ("host", maybe(host.as_ref())),
        ("path", maybe(path.as_ref())),
        ("method", maybe(method.as_ref())),
        (
            "header",
            if header.is_empty() {
                Tree::Null
            } else {
                Tree::Table(header)
            },
        ),
        ("class", text(rule.class.map_or("auto", Class::word))),
        ("pool", maybe(rule.pool.as_ref())),
        ("limit", rule.limit.map_or(Tree::Null, whole)),
        (
            "open",
            if rule.open {
                Tree::Flag(true)
            } else {
                Tree::Null
            },
        ),
    ])
}

/// A pattern for a header that carries a key is most probably the key.
fn header_pattern(name: &str, pattern: &str) -> Tree {
    let name = name.to_ascii_lowercase();
    let carries = ["auth", "cookie", "key", "token", "secret", "password"];
    let secret = carries.iter().any(|word| name.contains(word));
    text(if secret { "***" } else { pattern })
}
