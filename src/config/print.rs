//! How would an operator write this configuration, with every key?
//!
//! The tree of a [`Config`] is written as YAML for `check --print`, and compared leaf by leaf by
//! `diff`. A secret is `***` in it.

use super::file;
use super::pool::{
    DebugPlugin, MaxInFlight, NodeEntry, Pool, RouteEntry, RuleEntry, Strategies, TwoNodes,
    Waiting, When,
};
use super::print_discover::discover;
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

fn pool(pool: &Pool) -> Tree {
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
        ("strategy", text(&pool.strategy)),
        ("shadow", maybe(pool.shadow.as_ref())),
        ("fail_open", Tree::Flag(pool.fail_open)),
        ("use_all_backups", Tree::Flag(pool.use_all_backups)),
        ("max_in_flight", max_in_flight(*most)),
        ("plugin_caps", Tree::Table(caps.collect())),
        ("max_hold", time(*max_hold)),
        ("max_queue", whole(*max_queue)),
        ("nodes", list(&pool.nodes, node)),
        (
            "discover",
            pool.discover.as_ref().map_or(Tree::Null, discover),
        ),
    ])
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

fn route(route: &RouteEntry) -> Tree {
    table([("path", text(&route.path)), ("pool", text(&route.pool))])
}

fn rule(rule: &RuleEntry) -> Tree {
    let When {
        op,
        plugin,
        tenant,
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
    ])
}

/// A pattern for a header that carries a key is most probably the key.
fn header_pattern(name: &str, pattern: &str) -> Tree {
    let name = name.to_ascii_lowercase();
    let carries = ["auth", "cookie", "key", "token", "secret", "password"];
    let secret = carries.iter().any(|word| name.contains(word));
    text(if secret { "***" } else { pattern })
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
