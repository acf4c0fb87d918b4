//! Pools and routes.

use super::nodes::Roster;
use super::{Around, applications, discover, expects, hash, own, sections, waiting};
use crate::config::defaults;
use crate::config::pool::{Pool, RouteEntry};
use crate::config::table::{Table, Value};
use crate::config::tree::Tree;

/// Top-level keys that are short for one pool.
const SHORT: [&str; 8] = [
    "nodes",
    "strategy",
    "fail_open",
    "use_all_backups",
    "shadow",
    "discover",
    hash::KEY,
    "expects",
];

/// Every pool: those of the list, or the one that top-level `nodes` is short for.
pub(super) fn pools(root: &Table<'_>, around: &Around<'_>, roster: &mut Roster) -> Vec<Pool> {
    let list = root.value("pools");
    let short = SHORT.map(|key| root.value(key));
    let Some(list) = list else {
        return vec![short_pool(root, short, around, roster)];
    };
    let caps = waiting::KEYS.map(|key| root.value(key));
    let own = applications::KEYS.map(|key| root.value(key));
    for value in short.into_iter().chain(caps).chain(own).flatten() {
        value.wrong(
            "stands beside `pools`",
            "top-level nodes, discover, strategy, shadow, fail_open, use_all_backups, hash, \
             expects, kind, upstream_key, health_path and caps are short for one pool: move them into it",
        );
    }
    let items = list.list().unwrap_or_default();
    if items.is_empty() && root.findings.sound(&list.path) {
        list.wrong(
            "the list is empty",
            "write `nodes: [10.0.0.11:5002]` instead",
        );
    }
    let mut pools: Vec<Pool> = Vec::new();
    let mut places = Vec::new();
    for item in items {
        if let Some(pool) = pool(&item, &pools, around, roster) {
            pools.push(pool);
            places.push(item.path.clone());
        }
    }
    applications::fallbacks(&pools, &places, root.findings);
    pools
}

fn pool(
    item: &Value<'_>,
    before: &[Pool],
    around: &Around<'_>,
    roster: &mut Roster,
) -> Option<Pool> {
    let table = item.table()?;
    let named = table.value("name");
    if named.is_none() {
        table.lacks("name", "give the pool a name: routes refer to it");
    }
    let name = named.and_then(|value| pool_name(&value, before));
    let nodes = table.value("nodes");
    let found = table.value("discover");
    if nodes.is_none() && found.is_none() {
        let help = "write `nodes: [10.0.0.11:5002]`, or `discover: { dns: plugin_daemon:5002 }`";
        table.lacks("nodes", help);
    }
    let strategy = strategy(table.value("strategy"), around);
    let fail_open = table.or("fail_open", defaults::FAIL_OPEN, Value::flag);
    let nodes = nodes
        .map(|value| roster.list(&value, found.is_none()))
        .unwrap_or_default();
    let discover = found.and_then(|value| discover::discover(&value, around));
    let shadow = shadow(table.value("shadow"), &strategy, around);
    let own = applications::of_pool(&table);
    Some(Pool {
        name: name.unwrap_or_default(),
        kind: own.kind,
        health_path: own.health_path,
        upstream_key: own.upstream_key,
        fallback: table
            .value("fallback_pool")
            .and_then(|value| value.text())
            .map(str::to_owned),
        hash: hash::by(
            table.value(hash::KEY),
            rings(&strategy, shadow.as_deref(), around),
        ),
        shadow,
        strategy,
        fail_open,
        use_all_backups: table.or("use_all_backups", defaults::USE_ALL_BACKUPS, Value::flag),
        waiting: waiting::waiting(&table, (&nodes, discover.as_ref()), around),
        nodes,
        discover,
        expects: table
            .value("expects")
            .and_then(|value| expects::expects(&value)),
    })
}

fn pool_name(value: &Value<'_>, before: &[Pool]) -> Option<String> {
    let name = value.name()?;
    if before.iter().any(|pool| pool.name == name) {
        value.wrong(
            format!("a second pool named {}", value.shown()),
            "names are unique",
        );
    }
    Some(name.to_owned())
}

/// The values of [`SHORT`].
fn short_pool(
    root: &Table<'_>,
    values: [Option<Value<'_>>; SHORT.len()],
    around: &Around<'_>,
    roster: &mut Roster,
) -> Pool {
    let [
        nodes,
        word,
        fail_open,
        use_all_backups,
        beside,
        found,
        by,
        expected,
    ] = values;
    let flag =
        |value: Option<Value<'_>>, default| value.and_then(|value| value.flag()).unwrap_or(default);
    let nodes = nodes.filter(|value| !matches!(value.tree, Tree::List(list) if list.is_empty()));
    let strategy = strategy(word, around);
    let written = nodes.is_some() || found.is_some();
    let (nodes, discover) = if written {
        let nodes = nodes
            .map(|value| roster.list(&value, found.is_none()))
            .unwrap_or_default();
        let discover = found.and_then(|value| discover::discover(&value, around));
        (nodes, discover)
    } else {
        roster.environment(root, around.env)
    };
    let shadow = shadow(beside, &strategy, around);
    let own = applications::of_pool(root);
    Pool {
        name: defaults::POOL.to_owned(),
        kind: own.kind,
        health_path: own.health_path,
        upstream_key: own.upstream_key,
        fallback: None,
        hash: hash::by(by, rings(&strategy, shadow.as_deref(), around)),
        shadow,
        strategy,
        fail_open: flag(fail_open, defaults::FAIL_OPEN),
        use_all_backups: flag(use_all_backups, defaults::USE_ALL_BACKUPS),
        waiting: waiting::waiting(root, (&nodes, discover.as_ref()), around),
        nodes,
        discover,
        expects: expected.and_then(|value| expects::expects(&value)),
    }
}

fn strategy(value: Option<Value<'_>>, around: &Around<'_>) -> String {
    value
        .and_then(|value| own::strategy(&value, around))
        .unwrap_or_else(|| defaults::STRATEGY.to_owned())
}

/// Whether one of a pool's strategies may look at a request's key: ours that does, or one of the
/// program's own.
fn rings(strategy: &str, shadow: Option<&str>, around: &Around<'_>) -> bool {
    let own = &around.known.own.strategies;
    let may = |word: &str| word == "consistent_hash" || own.iter().any(|own| own == word);
    may(strategy) || shadow.is_some_and(may)
}

fn shadow(value: Option<Value<'_>>, strategy: &str, around: &Around<'_>) -> Option<String> {
    let value = value?;
    let word = own::strategy(&value, around)?;
    if word == strategy {
        value.wrong(
            "the pool's own strategy: they would always agree",
            "write another one",
        );
    }
    Some(word)
}

/// The routes; each pool they name must exist.
pub(super) fn routes(root: &Table<'_>, pools: &[Pool]) -> Vec<RouteEntry> {
    let names: Vec<_> = pools.iter().map(|pool| pool.name.as_str()).collect();
    let words: Vec<_> = names.iter().map(|name| (*name, *name)).collect();
    let list = root.value("routes").and_then(|value| value.list());
    let mut routes: Vec<RouteEntry> = Vec::new();
    for item in list.unwrap_or_default() {
        let Some(table) = item.table() else { continue };
        let (path, pool) = (table.value("path"), table.value("pool"));
        if path.is_none() {
            table.lacks("path", "write the beginning of a request's path: /plugin/");
        }
        if pool.is_none() {
            table.lacks("pool", "write the name of a pool");
        }
        let prefix = path.as_ref().and_then(sections::path);
        let target = pool.and_then(|value| value.word("pool", &words));
        let (Some(prefix), Some(target)) = (prefix, target) else {
            continue;
        };
        if let Some(value) = path.filter(|_| routes.iter().any(|route| route.path == prefix)) {
            value.wrong(
                format!("a second route for {}", value.shown()),
                "remove one of the two",
            );
        }
        routes.push(RouteEntry {
            path: prefix,
            pool: target.to_owned(),
        });
    }
    routes
}
