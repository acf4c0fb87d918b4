//! Does it make sense? Turns the tree of the file into a [`Config`] and notes all that is wrong.
//!
//! Whatever is wrong counts as its default, so that the reading goes on to the next problem.

mod access_log;
mod applications;
mod debug;
mod dify_env;
mod discover;
mod env;
mod expects;
mod hash;
mod learn;
mod limits;
mod nodes;
mod own;
mod pools;
mod rules;
mod sections;
mod share;
mod signals;
#[cfg(test)]
mod tests;
mod tls;
mod waiting;

use super::defaults;
use super::finding::Findings;
use super::load::Known;
use super::resolve::Env;
use super::sections::Config;
use super::table::{Table, Value};
use super::tree::{Path, Tree};
pub(super) use nodes::{edited, listed};

/// What the checks need to know beside the file.
pub(super) struct Around<'a> {
    /// The words there are.
    pub(super) known: &'a Known,
    /// The environment.
    pub(super) env: Env<'a>,
    /// A rule has a limit, so that requests may wait in any pool.
    pub(super) limited: bool,
}

/// Reads everything. The result is sound only when nothing was noted.
pub(super) fn read(tree: &Tree, around: &Around<'_>, findings: &Findings) -> Config {
    let root = Path::default();
    let entries = match tree {
        Tree::Table(entries) => entries.as_slice(),
        Tree::Null => &[],
        other => {
            let what = format!("expected keys and values, found {}", other.kind());
            findings.value(&root, what, "begin with `nodes: [10.0.0.11:5002]`");
            return Config::default_with([]);
        }
    };
    config(&Table::new(entries, root, findings), around)
}

fn config(root: &Table<'_>, around: &Around<'_>) -> Config {
    let around = &Around {
        limited: rules::any_limit(root),
        ..*around
    };
    let listen = sections::listen(root);
    let admin = sections::admin(&root.section("admin"), &listen);
    let mut own = listen.clone();
    own.push(admin.listen);
    let tcp = debug::tcp(&root.section("tcp"), &own);
    own.extend(tcp.listen);
    let tls = tls::tls(&root.section("tls"), &own);
    sections::reachable(root, &listen, &tls);
    own.extend(&tls.listen);
    let pools = pools::pools(root, around, &mut nodes::Roster::new(own));
    debug::no_loop(root, &tcp, &pools);
    discover::need_token(root, &admin, &pools);
    let applications = applications::applications(root, &pools);
    let shown = root.section("debug");
    Config {
        listen,
        tls,
        node_tls: tls::node_tls(&root.section("node_tls")),
        admin,
        threads: root.or("threads", 0, |value| {
            value.whole(0..=1024, "0 is one per core")
        }),
        routes: pools::routes(root, &pools),
        rules: rules::rules(root, &pools, &applications),
        applications,
        users: applications::users(&root.section("users")),
        debug_plugins: debug::debug_plugins(root, &pools),
        tcp,
        kinds: sections::kinds(&root.section("kinds")),
        strategies: sections::strategies(&root.section("strategies")),
        learn: learn::learn(&root.section("learn"), around),
        health: sections::health(&root.section("health")),
        retry: sections::retry(&root.section("retry")),
        cooldown: sections::cooldown(&root.section("cooldown")),
        timeouts: sections::timeouts(&root.section("timeouts")),
        limits: limits::limits(root, &pools),
        loops: sections::loops(&root.section("loops")),
        debug_headers: shown.or("headers", false, Value::flag),
        decisions: shown.or("decisions", defaults::DECISIONS, |value| {
            value.whole(0..=100_000, "0 keeps none; each takes a quarter of a KiB")
        }),
        log: signals::log(&root.section("log")),
        tracing: signals::tracing(&root.section("tracing")),
        access_log: access_log::access_log(&root.section("access_log")),
        share: share::share(&root.section("share"), around.env),
        state: sections::state(&root.section("state")),
        shutdown: sections::shutdown(&root.section("shutdown")),
        reload: sections::reload(&root.section("reload")),
        pools,
    }
}
