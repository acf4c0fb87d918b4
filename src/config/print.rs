//! How would an operator write this configuration, with every key?
//!
//! The tree of a [`Config`] is written as YAML for `check --print`, and compared leaf by leaf by
//! `diff`. A secret is `***` in it.

use super::file;
use super::pool::{DebugPlugin, Strategies, TwoNodes};
use super::print_pool::{pool, route, rule};
use super::sections::{
    Admin, Config, Cooldown, Health, Kinds, Learn, Loops, Reload, Retry, State, Tcp, Timeouts,
};
use super::tree::Tree;
use super::unit::{write_duration, write_size};
use crate::model::{Class, Pin, Score, Secret, Threshold, Unknown};
use std::path::PathBuf;
use std::time::Duration;

/// The whole configuration as YAML, every key written, secrets masked.
#[must_use]
pub fn masked(config: &Config) -> String {
    file::write(&tree(config))
}

/// The whole configuration, every key written, secrets masked.
#[expect(clippy::too_many_lines, reason = "two lines for each section")]
pub(super) fn tree(config: &Config) -> Tree {
    let Config {
        listen,
        tls,
        node_tls,
        admin,
        threads,
        pools,
        routes,
        rules,
        applications,
        users,
        debug_plugins,
        tcp,
        strategies,
        learn,
        health,
        kinds,
        retry,
        cooldown,
        timeouts,
        limits,
        loops,
        debug_headers,
        log,
        tracing,
        decisions,
        access_log,
        share,
        state,
        shutdown,
        reload,
    } = config;
    table([
        ("listen", list(listen, |address| text(address))),
        ("tls", tls.tree()),
        ("node_tls", node_tls.tree()),
        ("admin", admin_tree(admin)),
        ("threads", whole(*threads)),
        ("pools", list(pools, pool)),
        ("routes", list(routes, route)),
        ("rules", list(rules, rule)),
        ("applications", list(applications, |it| it.tree())),
        ("users", users.tree()),
        ("debug_plugins", list(debug_plugins, debug_plugin)),
        ("tcp", tcp_tree(tcp)),
        ("kinds", kinds_tree(kinds)),
        ("strategies", strategies_tree(strategies)),
        ("learn", learn_tree(learn)),
        ("health", health_tree(health)),
        ("retry", retry_tree(retry)),
        ("cooldown", cooldown_tree(cooldown)),
        ("timeouts", timeouts_tree(timeouts)),
        ("limits", limits.tree()),
        ("trusted_proxies", limits.proxies()),
        ("proxy_protocol", limits.balancers()),
        ("loops", loops_tree(loops)),
        ("debug", debug_tree(*debug_headers, *decisions)),
        ("log", log.tree()),
        ("tracing", tracing.tree()),
        ("access_log", access_log.tree()),
        ("share", share.tree()),
        ("state", state_tree(state)),
        ("shutdown", super::shutdown::tree(shutdown)),
        ("reload", reload_tree(reload)),
    ])
}

fn admin_tree(admin: &Admin) -> Tree {
    let token = secret(admin.token.as_ref());
    table([("listen", text(admin.listen)), ("token", token)])
}

fn debug_tree(headers: bool, decisions: usize) -> Tree {
    table([
        ("headers", Tree::Flag(headers)),
        ("decisions", whole(decisions)),
    ])
}

fn reload_tree(reload: &Reload) -> Tree {
    table([("poll", reload.poll.map_or(text("off"), time))])
}

fn loops_tree(loops: &Loops) -> Tree {
    table([
        ("marks", Tree::Flag(loops.marks)),
        ("max_hops", whole(loops.max_hops)),
    ])
}

fn kinds_tree(kinds: &Kinds) -> Tree {
    let writer = if kinds.one_writer { "tenant" } else { "any" };
    table([
        ("enabled", Tree::Flag(kinds.enabled)),
        ("denied", list(&kinds.denied, |path| text(path))),
        (
            "hook",
            table([
                ("body", text(write_size(kinds.hook_body))),
                ("sticky", Tree::Flag(kinds.sticky_hooks)),
                ("websocket", Tree::Flag(kinds.websocket_hooks)),
            ]),
        ),
        (
            "management",
            table([
                ("read", time(kinds.management_read)),
                ("write", time(kinds.management_write)),
                ("writer", text(writer)),
            ]),
        ),
        ("asset", table([("read", time(kinds.asset_read))])),
        (
            "transaction",
            table([("read", time(kinds.transaction_read))]),
        ),
    ])
}

fn retry_tree(retry: &Retry) -> Tree {
    table([
        ("attempts", whole(retry.attempts)),
        ("body_limit", text(write_size(retry.body_limit))),
        ("budget_ratio", Tree::Number(retry.budget_ratio)),
        ("budget_floor", whole(retry.budget_floor)),
        ("deadline", time(retry.deadline)),
        ("wait", time(retry.wait)),
    ])
}

fn cooldown_tree(cooldown: &Cooldown) -> Tree {
    table([
        ("max_fails", whole(cooldown.max_fails)),
        ("fail_timeout", time(cooldown.fail_timeout)),
        ("base", time(cooldown.base)),
        ("longest", time(cooldown.longest)),
        ("absent", time(cooldown.absent)),
    ])
}

fn debug_plugin(owned: &DebugPlugin) -> Tree {
    table([("plugin", text(&owned.plugin)), ("node", text(&owned.node))])
}

fn tcp_tree(tcp: &Tcp) -> Tree {
    table([
        ("listen", tcp.listen.map_or(Tree::Null, text)),
        ("port", whole(tcp.port)),
        ("idle", time(tcp.idle)),
        ("max_connections", whole(tcp.max_connections)),
    ])
}

fn strategies_tree(strategies: &Strategies) -> Tree {
    let rule = match strategies.two_nodes {
        TwoNodes::Prose => "prose",
        TwoNodes::Diagram => "diagram",
    };
    let adaptive = table([
        ("plugin_weight", Tree::Number(strategies.plugin_weight)),
        ("long_weight", Tree::Number(strategies.long_weight)),
        (
            "plugin_long_weight",
            Tree::Number(strategies.plugin_long_weight),
        ),
    ]);
    table([
        ("adaptive", adaptive),
        ("seed", table([("two_nodes", text(rule))])),
        ("consistent_hash", strategies.ring.tree()),
    ])
}

fn learn_tree(
    Learn {
        key,
        classifier,
        rules,
    }: &Learn,
) -> Tree {
    let threshold = match rules.long_threshold {
        Threshold::Fixed(duration) => time(duration),
        Threshold::Auto => text("auto"),
    };
    let score = match rules.score {
        Score::Decayed => "decayed",
        Score::Median => "median",
        Score::Mean => "mean",
    };
    let unknown = match rules.unknown {
        Unknown::Prior => "prior",
        Unknown::Always(class) => class.word(),
    };
    table([
        ("key", list(key, |part| text(part.word()))),
        ("classifier", maybe(classifier.as_ref())),
        ("long_threshold", threshold),
        ("exit_ratio", Tree::Number(rules.exit_ratio)),
        ("score", text(score)),
        ("window", whole(rules.window)),
        ("min_samples", whole(rules.min_samples)),
        ("unknown", text(unknown)),
        ("max_keys", whole(rules.max_keys)),
        ("pins", list(&rules.pins, pin)),
    ])
}

fn pin(pin: &Pin) -> Tree {
    let class = pin.class.map_or("auto", Class::word);
    table([("operation", text(&pin.operation)), ("class", text(class))])
}

fn health_tree(health: &Health) -> Tree {
    table([
        ("enabled", Tree::Flag(health.enabled)),
        ("path", text(&health.path)),
        ("interval", time(health.interval)),
        ("timeout", time(health.timeout)),
        ("fall", whole(health.fall)),
        ("rise", whole(health.rise)),
        ("use_daemon_load", Tree::Flag(health.use_daemon_load)),
        ("on_connect", Tree::Flag(health.on_connect)),
        ("warmup", time(health.warmup)),
        ("slow_start", time(health.slow_start)),
    ])
}

fn timeouts_tree(timeouts: &Timeouts) -> Tree {
    table([
        ("connect", time(timeouts.connect)),
        ("read", time(timeouts.read)),
        ("write", time(timeouts.write)),
        ("client_idle", time(timeouts.client_idle)),
        ("client_header", time(timeouts.client_header)),
        ("client_read", time(timeouts.client_read)),
        ("client_write", time(timeouts.client_write)),
        ("node_idle", time(timeouts.node_idle)),
    ])
}

fn state_tree(state: &State) -> Tree {
    table([
        ("file", path(state.file.as_ref())),
        ("interval", time(state.interval)),
    ])
}

pub(super) fn table<const N: usize>(entries: [(&str, Tree); N]) -> Tree {
    let entries = entries.into_iter();
    Tree::Table(
        entries
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    )
}

pub(super) fn list<T>(items: &[T], write: impl Fn(&T) -> Tree) -> Tree {
    Tree::List(items.iter().map(write).collect())
}

pub(super) fn maybe(value: Option<&String>) -> Tree {
    value.map_or(Tree::Null, text)
}

pub(super) fn text(value: impl ToString) -> Tree {
    Tree::Text(value.to_string())
}

pub(super) fn path(file: Option<&PathBuf>) -> Tree {
    file.map_or(Tree::Null, |file| text(file.display()))
}

pub(super) fn secret(secret: Option<&Secret>) -> Tree {
    secret.map_or(Tree::Null, |_| text("***"))
}

pub(super) fn time(duration: Duration) -> Tree {
    Tree::Text(write_duration(duration))
}

pub(super) fn whole<T: TryInto<i128>>(number: T) -> Tree {
    Tree::Whole(number.try_into().unwrap_or(i128::MAX))
}
