//! Every rule, broken once: what is refused, where, and with which cure.

use crate::config::{Config, Known, NodeEntry, OwnWords, Problems, examine, load};
use crate::model::{NodeId, Part, Role};
use std::time::Duration;

const KNOWN: Known = Known {
    strategies: &["adaptive", "seed", "round_robin"],
    own: OwnWords::NONE,
};
const NODES: &str = "nodes: [10.0.0.1:5002]\n";

fn env(name: &str) -> Option<String> {
    match name {
        "TEN" => Some("10".to_owned()),
        "FIVE_SECONDS" => Some("5s".to_owned()),
        "YES" => Some("true".to_owned()),
        "HOST" => Some("hunter2".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn read(text: &str) -> Result<Config, Problems> {
    load(text, "test.yaml", &KNOWN, &env)
}

fn good(text: &str) -> Config {
    read(text).unwrap_or_else(|problems| panic!("{text}\nis fine, but: {problems}"))
}

/// The text has this one problem and no other.
fn refused(text: &str, at: &str, line: usize, what: &str) {
    let problems = read(text).expect_err(text);
    let [problem] = problems.list.as_slice() else {
        panic!("{text}\nhas one problem, not these:\n{problems}");
    };
    let whole = problem.to_string();
    assert_eq!(
        (problem.at.as_str(), problem.line),
        (at, line),
        "{whole}\nin\n{text}"
    );
    assert!(whole.contains(what), "`{whole}` says `{what}`");
    assert!(
        problem.help.is_some() || what.contains("found"),
        "{whole} has a cure"
    );
}

/// The rows of a table, cell by cell.
fn rows<const N: usize>(table: &str) -> impl Iterator<Item = [&str; N]> {
    table.trim_matches('\n').lines().map(|row| {
        let cells: Vec<_> = row.trim_start().split(" ; ").collect();
        let cells = cells.try_into();
        cells.unwrap_or_else(|_| panic!("{N} cells in: {row}"))
    })
}

/// A file with one sound node and these lines, of which the second is wrong.
fn refused_section(section: &str, entry: &str, at: &str, what: &str) {
    refused(&format!("{NODES}{section}:\n  {entry}\n"), at, 3, what);
}

/// Text (`¶` ends a line), path, line, message.
const POOLS: &str = r#"
    threads: 1¶ ;  ; 1 ; `nodes` is missing
    nodes: []¶ ;  ; 1 ; `nodes` is missing
    - a¶- b¶ ;  ; 1 ; expected keys and values, found a list
    pools: []¶ ; pools ; 1 ; the list is empty
    pools:¶  - name: a¶    nodes: []¶ ; pools[0].nodes ; 3 ; a pool without nodes
    pools:¶  - name: a¶ ; pools[0] ; 2 ; `nodes` is missing
    pools:¶  - nodes: [a]¶ ; pools[0] ; 2 ; `name` is missing
    pools:¶  - name: a b¶    nodes: [a]¶ ; pools[0].name ; 2 ; not a name
    pools:¶  - {name: a, nodes: [a]}¶  - {name: a, nodes: [b]}¶ ; pools[1].name ; 3 ; a second pool named `a`
    nodes: [a]¶pools: [{name: x, nodes: [b]}]¶ ; nodes ; 1 ; stands beside `pools`
    strategy: seed¶pools: [{name: x, nodes: [b]}]¶ ; strategy ; 1 ; beside `pools`
    discover: {dns: a}¶pools: [{name: x, nodes: [b]}]¶ ; discover ; 1 ; beside `pools`
    nodes: [a]¶strategy: adaptiv¶ ; strategy ; 2 ; did you mean `adaptive`?
    pools:¶  - name: x¶    strategy: fastest¶    nodes: [a]¶ ; pools[0].strategy ; 3 ; unknown strategy `fastest` (known here: adaptive, seed, round_robin)
    nodes:¶  - {address: a, weight: 0}¶ ; nodes[0].weight ; 2 ; must be from 1 to 1000
    nodes:¶  - {address: a, weight: 1001}¶ ; nodes[0].weight ; 2 ; drain: true
    nodes:¶  - {address: a, weight: x}¶ ; nodes[0].weight ; 2 ; not a whole number
    nodes:¶  - {address: a, id: ''}¶ ; nodes[0].id ; 2 ; not a name
    nodes:¶  - {address: a, role: main}¶ ; nodes[0].role ; 2 ; unknown role `main`
    nodes:¶  - {address: a, enabled: 1}¶ ; nodes[0].enabled ; 2 ; neither true nor
    nodes:¶  - {id: a}¶ ; nodes[0] ; 2 ; `address` is missing
    nodes:¶  - a¶  - a:5002¶ ; nodes[1] ; 3 ; a second node with this address
    nodes:¶  - {id: x, address: a}¶  - {id: x, address: b}¶ ; nodes[1] ; 3 ; the first is at nodes[0]
    pools:¶  - {name: x, nodes: [a]}¶  - {name: y, nodes: [a]}¶ ; pools[1].nodes[0] ; 3 ; a second node with this id
    nodes:¶  - {address: a, role: primary}¶  - {address: b, role: primary}¶ ; nodes[1] ; 3 ; a second primary
    nodes:¶  - {address: a, role: backup}¶ ; nodes ; 2 ; only backups
    nodes:¶  - a¶  - {address: b, role: backup, backup: true}¶ ; nodes[1].backup ; 3 ; another name for `role`
    nodes: [a]¶hash: []¶ ; hash ; 2 ; nothing to hash by
    nodes: [a]¶hash: tenent¶ ; hash ; 2 ; did you mean `tenant`?
    nodes: [a]¶hash: [tenant, tenant]¶ ; hash[1] ; 2 ; stands twice
    nodes: [a]¶hash: 'header:X Y'¶ ; hash ; 2 ; not the name of a header
    nodes: [a]¶hash: {required: true}¶ ; hash ; 2 ; `by` is missing
    nodes: [{address: a, upstream_key: short}]¶applications: [{name: x, keys: [long-enough]}]¶ ; nodes[0].upstream_key ; 1 ; not a key
    nodes: [a]¶upstream_key: long-enough¶ ;  ; 1 ; there are no applications
    nodes: [a]¶kind: dify¶ ; kind ; 2 ; unknown kind `dify`
    nodes: [a]¶health_path: health¶ ; health_path ; 2 ; begin it with `/`
    pools: [{name: x, nodes: [a], fallback_pool: y}]¶ ; pools[0].fallback_pool ; 1 ; unknown pool `y`
    pools: [{name: x, nodes: [a], fallback_pool: x}]¶ ; pools[0].fallback_pool ; 1 ; the pool itself
    kind: dify_api¶pools: [{name: x, nodes: [b]}]¶ ; kind ; 1 ; beside `pools`
    nodes: [https://a]¶ ; nodes[0] ; 1 ; no port in the URL
    nodes: [a:5002, https://a:5002]¶ ; nodes[1] ; 1 ; a second node with this address
    nodes:¶  - {address: a, server_name: b}¶ ; nodes[0].server_name ; 2 ; no certificate is looked at
    nodes:¶  - {address: 'https://a:1', server_name: ''}¶ ; nodes[0].server_name ; 2 ; neither a host name
    nodes: [http://a:5002/x]¶ ; nodes[0] ; 1 ; an address has no path
    nodes: [5002]¶ ; nodes[0] ; 1 ; expected a text, found a number
    nodes: [127.0.0.1:5002]¶ ; nodes[0] ; 1 ; the gateway's own address
    nodes: ['localhost:5012']¶ ; nodes[0] ; 1 ; the gateway's own address
    listen: 10.0.0.1:80¶nodes: [10.0.0.1:80]¶ ; nodes[0] ; 2 ; own address
"#;

#[test]
fn pools_and_nodes_are_checked() {
    refused("", "", 1, "`nodes` is missing");
    for [text, at, line, what] in rows(POOLS) {
        let line = line.parse().expect("a line");
        refused(&text.replace('¶', "\n"), at, line, what);
    }
}

/// The applications of a sound file, path, message.
const APPLICATIONS: &str = r#"
    [{keys: [long-enough]}] ; applications[0] ; `name` is missing
    [{name: x}] ; applications[0] ; `keys` is missing
    [{name: x, keys: []}] ; applications[0] ; without a key
    [{name: x, keys: [hunter2]}] ; applications[0].keys[0] ; not a key
    [{name: x, keys: ['has a blank']}] ; applications[0].keys[0] ; not a key
    [{name: x, keys: [long-enough, long-enough]}] ; applications[0].keys[1] ; this key stands twice
    [{name: x, keys: [long-enough]}, {name: y, keys: [long-enough]}] ; applications[1].keys[0] ; this key stands twice
    [{name: x, keys: [long-enough]}, {name: x, keys: [long-enough-2]}] ; applications[1].name ; a second application
    [{name: x, keys: [long-enough], pool: man}] ; applications[0].pool ; did you mean `main`?
    [{name: 'x y', keys: [long-enough]}] ; applications[0].name ; not a name
    [{name: x, keys: [long-enough], token: y}] ; applications[0].token ; unknown key `token`
"#;

#[test]
fn f156_applications_are_checked_and_no_key_is_shown() {
    for [text, at, what] in rows(APPLICATIONS) {
        refused(&format!("{NODES}applications: {text}\n"), at, 2, what);
        let told = read(&format!("{NODES}applications: {text}\n")).expect_err(text);
        let told: Vec<_> = told.list.iter().map(ToString::to_string).collect();
        assert!(!told.concat().contains("long-enough"), "{told:?}");
    }
    let config = good(&format!(
        "{NODES}applications: [{{name: x, keys: long-enough}}]\n"
    ));
    assert_eq!(config.applications[0].pool, "main", "the first pool");
    for (rules, at, what) in [
        (
            "[{application: y, pool: main}]",
            "rules[0].application",
            "there are none",
        ),
        (
            "[{path: /e/*, open: true}]",
            "rules[0].open",
            "everything is open",
        ),
    ] {
        refused(&format!("{NODES}rules: {rules}\n"), at, 2, what);
    }
}

#[test]
fn f164_the_places_of_ids_are_checked() {
    for (entry, at, what) in [
        ("sources: []", "users.sources", "no place to look"),
        (
            "sources: [user]",
            "users.sources[0]",
            "not a place of an id",
        ),
        (
            "sources: ['body:user']",
            "users.sources[0]",
            "not a place of an id",
        ),
        (
            "sources: ['query:']",
            "users.sources[0]",
            "not a place of an id",
        ),
        (
            "sources: ['header:X Y']",
            "users.sources[0]",
            "not the name of a header",
        ),
        (
            "sources: ['json:a', 'json:a']",
            "users.sources[1]",
            "stands twice",
        ),
        ("look: 17MiB", "users.look", "more than 16MiB"),
        ("look: 0", "users.look", "must be above 0"),
    ] {
        refused_section("users", entry, at, what);
    }
}

#[test]
fn routes_are_checked() {
    for (route, at, what) in [
        (
            "{path: /e/, pool: man}",
            "routes[0].pool",
            "did you mean `main`?",
        ),
        (
            "{path: e/, pool: main}",
            "routes[0].path",
            "not the path of a request",
        ),
        (
            "{path: '/a b', pool: main}",
            "routes[0].path",
            "without blanks",
        ),
        ("{path: /e/}", "routes[0]", "`pool` is missing"),
        ("{pool: main}", "routes[0]", "`path` is missing"),
        ("/e/", "routes[0]", "expected a table, found a text"),
    ] {
        refused_section("routes", &format!("- {route}"), at, what);
    }
    let twice =
        format!("{NODES}routes:\n  - {{path: /e, pool: main}}\n  - {{path: /e, pool: main}}\n");
    refused(&twice, "routes[1].path", 4, "a second route for `/e`");
}

const DEBUGGED: &str = "8d6c1f0e-2b4a-4c1d-9e3f-0a1b2c3d4e5f/tool";

#[test]
fn debug_plugins_are_checked() {
    let at = |key| format!("debug_plugins[0].{key}");
    for (entry, key, what) in [
        (
            "{plugin: langgenius/openai, node: N}",
            "plugin",
            "not a debug plugin",
        ),
        ("{plugin: P:0.0.1, node: N}", "plugin", "without a version"),
        (
            "{plugin: P, node: '10.0.0.1:502'}",
            "node",
            "did you mean `10.0.0.1:5002`?",
        ),
        (
            "{plugin: P, node: N, weight: 1}",
            "weight",
            "unknown key `weight`",
        ),
        ("{plugin: 5, node: N}", "plugin", "expected a text"),
    ] {
        let entry = entry.replace('P', DEBUGGED).replace('N', "'10.0.0.1:5002'");
        refused_section("debug_plugins", &format!("- {entry}"), &at(key), what);
    }
    for (entry, what) in [
        ("{plugin: P}", "`node` is missing"),
        ("{node: '10.0.0.1:5002'}", "`plugin` is missing"),
        ("P", "expected a table, found a text"),
    ] {
        let entry = format!("- {}", entry.replace('P', DEBUGGED));
        refused_section("debug_plugins", &entry, "debug_plugins[0]", what);
    }
    let row = format!("  - {{plugin: {DEBUGGED}, node: '10.0.0.1:5002'}}\n");
    let twice = format!("{NODES}debug_plugins:\n{row}{row}");
    refused(&twice, "debug_plugins[1].plugin", 4, "a second owner of");
    let config = good(&format!("{NODES}debug_plugins:\n{row}"));
    assert_eq!(config.debug_plugins[0].node, NodeId::from("10.0.0.1:5002"));
}

#[test]
fn the_tcp_listener_is_checked_and_off_unless_it_is_wanted() {
    assert_eq!(good(NODES).tcp.listen, None);
    let tcp = good(&format!("{NODES}tcp: {{listen: 5003, idle: 10m}}\n")).tcp;
    assert_eq!(tcp.listen.map(|address| address.port()), Some(5003));
    assert_eq!((tcp.port, tcp.idle), (5003, Duration::from_secs(600)));
    for (entry, at, what) in [
        (
            "idle: 149s",
            "tcp.idle",
            "below 150s: a daemon and its plugin may be silent",
        ),
        ("idle: 0s", "tcp.idle", "must be above 0"),
        ("port: 0", "tcp.port", "must be from 1 to 65535"),
        (
            "max_connections: 0",
            "tcp.max_connections",
            "must be from 1",
        ),
        (
            "listen: localhost:5003",
            "tcp.listen",
            "names are not looked up",
        ),
        (
            "listen: 5002",
            "tcp.listen",
            "the port of another listener as well",
        ),
        (
            "listen: 127.0.0.1:5012",
            "tcp.listen",
            "the port of another listener as well",
        ),
        ("lisen: 5003", "tcp.lisen", "did you mean `listen`?"),
    ] {
        refused_section("tcp", entry, at, what);
    }
    let here = "nodes: ['127.0.0.1:5010']\ntcp: {listen: 5003}\n";
    refused(
        here,
        "tcp.listen",
        2,
        "a node stands there with tcp.port 5003",
    );
    good("nodes: ['127.0.0.1:5010']\ntcp: {listen: 5003, port: 5004}\n");
    let there = "nodes: ['127.0.0.1:5003']\ntcp: {listen: 5003, port: 5004}\n";
    refused(there, "nodes[0]", 1, "the gateway's own address");
}

#[test]
fn the_access_log_is_checked_and_off_unless_it_is_wanted() {
    assert_eq!(good(NODES).access_log.to, None);
    for (entry, at, what) in [
        (
            "to: access.log",
            "access_log.to",
            "neither a place nor a file",
        ),
        ("format: jsn", "access_log.format", "did you mean `json`?"),
        (
            "always: [slo]",
            "access_log.always[0]",
            "did you mean `slow`?",
        ),
        ("always: [6xx]", "access_log.always[0]", "not a condition"),
        ("always: slow", "access_log.always", "expected a list"),
        ("sample: 1.5", "access_log.sample", "from 0 to 1"),
        ("slow: 0s", "access_log.slow", "must be above 0"),
        ("large: 0", "access_log.large", "must be above 0"),
        ("queue: 0", "access_log.queue", "must be from 1"),
        ("file: /x", "access_log.file", "unknown key `file`"),
    ] {
        refused_section("access_log", entry, at, what);
    }
    let log = good(&format!(
        "{NODES}access_log: {{to: ./a.log, always: [], sample: 0}}\n"
    ));
    assert!(log.access_log.rules.always.is_empty());
}

#[test]
fn tls_is_checked_and_off_unless_it_is_wanted() {
    assert!(good(NODES).tls.listen.is_empty());
    const PAIR: &str = "certificates: [{cert: a.crt, key: a.key}]";
    for (entry, at, what) in [
        (
            "{listen: 5443}",
            "tls.listen",
            "no certificate to show there",
        ),
        (
            "{listen: 5002, P}",
            "tls.listen",
            "the port of another listener as well",
        ),
        (
            "{listen: 5012, P}",
            "tls.listen",
            "the port of another listener as well",
        ),
        (
            "{listen: [5443, 5443], P}",
            "tls.listen[1]",
            "another listener",
        ),
        (
            "{certificates: [{cert: a.crt}]}",
            "tls.certificates[0]",
            "`key` is missing",
        ),
        (
            "{certificates: [{cert: '', key: a}]}",
            "tls.certificates[0].cert",
            "an empty name",
        ),
        (
            "{client: {certificate: required}}",
            "tls.client.certificate",
            "no authority is named",
        ),
        (
            "{client: {certificate: on}}",
            "tls.client.certificate",
            "unknown rule `on`",
        ),
        ("{https: true}", "tls.https", "did you mean `http2`?"),
    ] {
        let text = format!("{NODES}tls: {}\n", entry.replace('P', PAIR));
        refused(&text, at, 2, what);
    }
    let lacking = format!("{NODES}node_tls: {{cert: a.crt}}\n");
    refused(&lacking, "node_tls", 2, "`key` is missing");
    let text = format!("{NODES}listen: []\ntls: {{listen: 5002, {PAIR}}}\n");
    let config = good(&text);
    assert!(config.listen.is_empty() && config.tls.listen.len() == 1);
}

#[test]
fn listeners_are_checked() {
    for (text, at, what) in [
        ("listen: [5002, 5002]\n", "listen[1]", "listed twice"),
        (
            "listen: []\n",
            "listen",
            "the list is empty, and so is `tls.listen`",
        ),
        (
            "listen: localhost:5002\n",
            "listen",
            "names are not looked up",
        ),
        ("listen: 70000\n", "listen", "not a port"),
        (
            "listen: {}\n",
            "listen",
            "expected a single value, found a table",
        ),
        (
            "admin: {listen: 0.0.0.0:5002, token: x}\n",
            "admin.listen",
            "the clients' port as well",
        ),
        (
            "admin: {listen: 127.0.0.1:5002}\n",
            "admin.listen",
            "the clients' port as well",
        ),
        (
            "admin: {listen: 5012}\n",
            "admin.listen",
            "add `token: ${TWOLANE_ADMIN_TOKEN}`",
        ),
        (
            "admin: {listen: 5012, token: '${EMPTY}'}\n",
            "admin.listen",
            "without a token",
        ),
        ("admin: {token: 123}\n", "admin.token", "put it in quotes"),
        ("threads: -1\n", "threads", "must be from 0 to 1024"),
    ] {
        refused(&format!("{text}{NODES}"), at, 1, what);
    }
}

/// Section, its only entry, path, message.
const SECTIONS: &str = r#"
    learn ; window: 0 ; learn.window ; must be from 1 to 64
    learn ; window: 65 ; learn.window ; must be from 1 to 64
    learn ; min_samples: 0 ; learn.min_samples ; must be from 1 to 1000
    learn ; exit_ratio: 0 ; learn.exit_ratio ; above 0, at most 1
    learn ; exit_ratio: 1.01 ; learn.exit_ratio ; above 0, at most 1
    learn ; exit_ratio: .nan ; learn.exit_ratio ; above 0, at most 1
    learn ; long_threshold: 0s ; learn.long_threshold ; must be above 0
    learn ; long_threshold: 5000 ; learn.long_threshold ; write 5s, 250ms or 10m
    learn ; long_threshold: soon ; learn.long_threshold ; not a duration
    learn ; long_threshold: 10M ; learn.long_threshold ; longer than a week
    learn ; max_keys: 15 ; learn.max_keys ; must be from 16
    learn ; score: medain ; learn.score ; did you mean `median`?
    learn ; unknown: slow ; learn.unknown ; unknown class `slow`
    learn ; key: [] ; learn.key ; write [op, plugin, item]
    learn ; key: [plugin] ; learn.key ; begins with `op`
    learn ; key: [op, path] ; learn.key ; without `path`
    learn ; key: [path, op] ; learn.key ; alone
    learn ; key: [op, plugin, plugin] ; learn.key[2] ; `plugin` stands twice
    learn ; key: [op, plugn] ; learn.key[1] ; did you mean `plugin`?
    learn ; key: op ; learn.key ; expected a list, found a text
    learn ; pins: [{operation: a, class: slow}] ; learn.pins[0].class ; unknown class `slow`
    learn ; pins: [{operation: a}] ; learn.pins[0] ; `class` is missing
    learn ; pins: [{class: long}] ; learn.pins[0] ; `operation` is missing
    learn ; pins: [{operation: '', class: long}] ; learn.pins[0].operation ; matches nothing
    learn ; windw: 3 ; learn.windw ; did you mean `window`?
    health ; interval: 0s ; health.interval ; must be above 0
    health ; timeout: 0s ; health.timeout ; must be above 0
    health ; fall: 0 ; health.fall ; must be from 1
    health ; rise: 0 ; health.rise ; must be from 1
    health ; path: health ; health.path ; begin it with `/`
    retry ; attempts: 0 ; retry.attempts ; must be from 1 to 10
    retry ; attempts: 11 ; retry.attempts ; must be from 1 to 10
    timeouts ; connect: 0s ; timeouts.connect ; must be above 0
    timeouts ; connect: 11m ; timeouts.connect ; not below timeouts.read, 660s
    timeouts ; read: 0s ; timeouts.read ; must be above 0
    timeouts ; reed: 5s ; timeouts.reed ; did you mean `read`?
    limits ; body: 0 ; limits.body ; must be above 0
    limits ; body: 5 apples ; limits.body ; write 100MiB
    share ; redis: 10.0.0.1:6379 ; share.redis ; write redis://
    share ; redis: 'http://h' ; share.redis ; not the address of a Redis
    share ; redis: 'redis://' ; share.redis ; not the address of a Redis
    share ; redis: ['redis://a', 'redis://b'] ; share.redis ; nothing to do with each other
    share ; redis: 5 ; share.redis ; expected a text
    share ; interval: 5s ; share.interval ; from 100ms to 500ms
    share ; ttl: 500ms ; share.ttl ; from 1s to 60s
    share ; timeout: 5s ; share.timeout ; from 10ms to 2s
    share ; prefix: 'a b' ; share.prefix ; a blank in it
    share ; sentinel: {database: -1} ; share.sentinel.database ; must be from 0
    share ; {redis: 'redis://a', sharded: true, sentinel: {name: x}} ; share.redis ; both behind sentinels
    strategies ; {consistent_hash: {algorithm: sha256x}} ; strategies.consistent_hash.algorithm ; unknown algorithm `sha256x`
    strategies ; {consistent_hash: {virtual_nodes: 0}} ; strategies.consistent_hash.virtual_nodes ; must be from 1 to 1000
    strategies ; {consistent_hash: {bound: 1}} ; strategies.consistent_hash.bound ; from 1.05 to 10, or off
    loops ; max_hops: 0 ; loops.max_hops ; must be from 1
    debug ; headers: maybe ; debug.headers ; neither true nor false
    state ; file: '' ; state.file ; no file has an empty name
    state ; interval: 0s ; state.interval ; must be above 0
    shutdown ; deadline: -1s ; shutdown.deadline ; not a duration
    reload ; poll: 0s ; reload.poll ; must be above 0
    reload ; poll: never ; reload.poll ; not a duration
    strategies ; adaptve: {} ; strategies.adaptve ; did you mean `adaptive`?
    strategies ; adaptive: {long_weight: -1} ; strategies.adaptive.long_weight ; from 0 to 1000
    strategies ; seed: {two_nodes: art} ; strategies.seed.two_nodes ; unknown rule `art`
"#;

#[test]
fn sections_are_checked() {
    for [section, entry, at, what] in rows(SECTIONS) {
        refused_section(section, entry, at, what);
    }
    refused(
        &format!("{NODES}health: 5\n"),
        "health",
        2,
        "expected a table, found a number",
    );
    refused(
        &format!("{NODES}helth: {{}}\n"),
        "helth",
        2,
        "did you mean `health`?",
    );
}

#[test]
fn a_short_read_timeout_is_a_warning() {
    let text = format!("{NODES}timeouts:\n  read: 30s\n");
    let loaded = examine(&text, "test.yaml", &KNOWN, &env).expect("a warning refuses nothing");
    assert_eq!(loaded.config.timeouts.read, Duration::from_secs(30));
    let warnings = loaded.warnings.to_string();
    assert!(
        warnings.starts_with("test.yaml:3:9: warning: timeouts.read: below the 600 s"),
        "{warnings}"
    );
    let quiet = examine(NODES, "test.yaml", &KNOWN, &env).expect("sound");
    assert!(quiet.warnings.list.is_empty());
}

#[test]
fn a_probe_may_take_longer_than_the_interval() {
    good(&format!("{NODES}health: {{interval: 1s, timeout: 5s}}\n"));
}

#[test]
fn everything_may_come_from_the_environment() {
    let config = good(
        "nodes: ['${HOST}:5003']\nthreads: ${TEN}\ndebug: {headers: '${YES}'}\n\
         learn: {long_threshold: '${FIVE_SECONDS}', exit_ratio: '${NONE:-0.5}'}\n\
         listen: '${NONE:-5004}'\n",
    );
    assert_eq!(config.pools[0].nodes[0].address.host, "hunter2");
    assert_eq!((config.threads, config.debug_headers), (10, true));
    assert!((config.learn.rules.exit_ratio - 0.5).abs() < f64::EPSILON);
    assert_eq!(config.listen[0].port(), 5004);
}

#[test]
fn what_came_from_the_environment_is_never_told() {
    for text in [
        "nodes: ['https://${HOST}']\n",
        "nodes: [a]\nstrategy: ${HOST}\n",
        "nodes: [a]\nlearn: {window: '${HOST}', score: '${HOST}', key: ['${HOST}']}\n",
        "nodes: [a]\nhealth: '${HOST}'\n",
        "nodes: [a]\nroutes: [{path: '${HOST}', pool: '${HOST}'}]\n",
        "nodes: [a]\nlisten: ['${HOST}']\nthreads: ${HOST}\nlimits: {body: '${HOST}'}\n",
        "nodes: [{address: a, id: '${HOST}'}, {address: b, id: '${HOST}'}]\n",
    ] {
        let problems = read(text).expect_err(text);
        let told = format!("{problems}\n{problems:?}\n{}", problems.render());
        assert!(!told.contains("hunter2"), "{told}");
    }
    let told = read("nodes: [a]\nstrategy: ${HOST}\n")
        .expect_err("unknown")
        .to_string();
    assert!(told.contains("unknown strategy `${HOST}`"), "{told}");
}

#[test]
fn a_missing_variable_is_one_problem_and_not_two() {
    refused(
        "nodes: ['${NONE}']\n",
        "nodes[0]",
        1,
        "the variable NONE is not set",
    );
    refused(
        "pools:\n  - name: ${NONE}\n    nodes: [a]\n",
        "pools[0].name",
        2,
        "write ${NONE:-default}",
    );
    refused(
        &format!("{NODES}admin: {{listen: 5012, token: '${{NONE}}'}}\n"),
        "admin.token",
        2,
        "the variable NONE is not set",
    );
}

#[test]
fn no_file_at_all_takes_the_nodes_of_the_environment() {
    let with = |name: &'static str, value: &'static str| {
        load("", "the environment", &KNOWN, &move |asked| {
            (asked == name).then(|| value.to_owned())
        })
    };
    let one = with("PLUGIN_DAEMON_URL", "http://plugin_daemon:5002/").expect("one node");
    let node = NodeEntry {
        id: NodeId::from("default"),
        ..NodeEntry::at("plugin_daemon:5002".parse().expect("an address"))
    };
    assert_eq!(one, Config::default_with([node]));

    let two = with("TWOLANE_NODES", "10.0.0.1:5002, 10.0.0.2").expect("two nodes");
    let ids: Vec<_> = two.pools[0]
        .nodes
        .iter()
        .map(|node| node.id.to_string())
        .collect();
    assert_eq!(ids, ["10.0.0.1:5002", "10.0.0.2:5002"]);

    for (value, what) in [
        ("a,a", "the same address twice"),
        ("a,https://b", "no port in the URL"),
        ("127.0.0.1:5002", "own address"),
    ] {
        let problems = with("TWOLANE_NODES", value).expect_err(value);
        assert_eq!(problems.list.len(), 1, "{problems}");
        let told = problems.to_string();
        assert!(
            told.starts_with("the environment: TWOLANE_NODES: "),
            "{told}"
        );
        assert!(told.contains(what), "{told}");
    }
}

#[test]
fn the_names_of_haproxy_are_understood() {
    let config = good("nodes:\n  - a\n  - {address: b, backup: true}\nhealth: {inter: 3s}\n");
    assert_eq!(config.pools[0].nodes[1].role, Role::Backup);
    assert_eq!(config.health.interval, Duration::from_secs(3));
}

#[test]
fn the_key_of_seed_000_is_the_path_alone() {
    let config = good(&format!(
        "{NODES}learn: {{key: [path], long_threshold: auto}}\n"
    ));
    assert_eq!(config.learn.key, [Part::Path]);
}

#[test]
fn a_rule_names_what_it_matches_what_it_decides_and_a_pool_that_exists() {
    let rules = |rule: &str| format!("{NODES}rules: [{{{rule}}}]\n");
    for (rule, at, what) in [
        ("class: long", "rules[0]", "`op` is missing"),
        ("op: '*'", "rules[0]", "`class` is missing"),
        ("op: '*', class: slow", "rules[0].class", "unknown class"),
        ("op: '*', pool: other", "rules[0].pool", "unknown pool"),
        ("op: '', class: long", "rules[0].op", "matches nothing"),
        (
            "op: '*', class: long, limits: 3",
            "rules[0].limits",
            "unknown key",
        ),
        ("op: '*', limit: 0", "rules[0].limit", "must be from 1"),
        (
            "op: '*', limit: many",
            "rules[0].limit",
            "not a whole number",
        ),
        (
            "header: {'X Team': a}, class: long",
            "rules[0].header.X Team",
            "not the name of a header",
        ),
        (
            "header: {}, class: long",
            "rules[0].header",
            "no header is named",
        ),
    ] {
        let problems = read(&rules(rule)).expect_err(rule);
        let [problem] = problems.list.as_slice() else {
            panic!("{rule} has one problem, not these:\n{problems}");
        };
        let told = problem.to_string();
        assert!(told.contains(what), "`{told}` says `{what}`");
        assert!(
            problem.at.starts_with(at.split(' ').next().unwrap()),
            "{told}"
        );
    }
    let config = good(&rules("op: '*', limit: 3"));
    assert_eq!(config.rules[0].limit, Some(3));
    let config = good(&rules("header: {X-Team: 'a*'}, class: auto"));
    assert_eq!(
        config.rules[0].when.header,
        [("x-team".to_owned(), "a*".to_owned())]
    );
}

#[test]
fn a_word_of_the_program_is_taken_and_any_other_refused_with_those_there_are() {
    let lines =
        "strategy: mine\nshadow: seed\nlearn: {classifier: by_hour}\ndiscover: {own: from_file}\n";
    let problems = load(lines, "test.yaml", &KNOWN, &env).expect_err("nobody brings them");
    let told = problems.to_string();
    for what in [
        "unknown strategy `mine`",
        "unknown classifier `by_hour`",
        "unknown discovery `from_file`",
    ] {
        assert!(told.contains(what), "{told}");
    }
    let known = Known {
        own: OwnWords {
            strategies: vec!["mine".to_owned()],
            classifiers: vec!["by_hour".to_owned()],
            discoveries: vec!["from_file".to_owned()],
        },
        ..KNOWN
    };
    let config = load(lines, "test.yaml", &known, &env).expect("all are known");
    let pool = &config.pools[0];
    assert_eq!(pool.strategy, "mine");
    assert_eq!(pool.shadow.as_deref(), Some("seed"));
    let word =
        |pool: &crate::config::Pool| pool.discover.as_ref().and_then(|found| found.own.clone());
    assert_eq!(word(pool).as_deref(), Some("from_file"));
    assert!(pool.nodes.is_empty(), "discovery finds them");
    let slip = "discover: {own: from_flie}\n";
    let problems = load(slip, "test.yaml", &known, &env).expect_err("a slip");
    let help = problems.list[0]
        .help
        .as_deref()
        .unwrap_or_default()
        .to_owned();
    assert!(
        help.contains("from_file"),
        "the word that was meant: {help}"
    );
    let both = format!("{NODES}discover: {{own: from_file}}\n");
    let config = load(&both, "test.yaml", &known, &env).expect("they are added up");
    let pool = &config.pools[0];
    assert_eq!(pool.nodes.len(), 1);
    assert_eq!(word(pool).as_deref(), Some("from_file"));
}

#[test]
fn caps_are_numbers_for_all_or_for_each_class() {
    use crate::config::{MaxInFlight, PluginCap};
    let of = |caps: &str| good(&format!("{NODES}{caps}")).pools.remove(0);
    let all = of("max_in_flight: 8\nmax_hold: 2s\nmax_queue: 5\n");
    assert_eq!(all.waiting.max_in_flight, Some(MaxInFlight::Node(8)));
    assert_eq!(
        all.limited_nodes()[0].max_in_flight,
        Some(MaxInFlight::Node(8))
    );
    assert_eq!(
        all.nodes[0].max_in_flight, None,
        "it says nothing for itself"
    );
    let hold = Duration::from_secs(2);
    assert_eq!((all.waiting.max_hold, all.waiting.max_queue), (hold, 5));
    let long = MaxInFlight::Classes {
        short: None,
        long: Some(4),
    };
    assert_eq!(
        of("max_in_flight: { long: 4 }\n").waiting.max_in_flight,
        Some(long)
    );
    let caps = of("plugin_caps: { \"b/*\": 2, a/one: 3 }\n")
        .waiting
        .plugin_caps;
    let cap = |plugin: &str, most| PluginCap {
        plugin: plugin.to_owned(),
        most,
    };
    assert_eq!(caps, [cap("b/*", 2), cap("a/one", 3)], "in their order");
    assert!(!of("").has_caps(), "nothing is limited unless it is said");
    let own = good("nodes: [{ address: \"10.0.0.1:5002\", max_in_flight: 3 }]\n");
    assert!(own.pools[0].has_caps());
}

#[test]
fn a_wrong_cap_is_refused() {
    for (caps, at, what) in [
        (
            "max_in_flight: 0",
            "max_in_flight",
            "must be from 1 to 100000",
        ),
        ("max_in_flight: many", "max_in_flight", "not a whole number"),
        ("max_in_flight: {}", "max_in_flight", "no class is limited"),
        (
            "max_in_flight: { long: 0 }",
            "max_in_flight.long",
            "must be from 1",
        ),
        (
            "max_in_flight: { long: 1, medium: 2 }",
            "max_in_flight.medium",
            "unknown key",
        ),
        ("plugin_caps: [a/b]", "plugin_caps", "expected a table"),
        (
            "plugin_caps: { a/b: 0 }",
            "plugin_caps.a/b",
            "must be from 1",
        ),
        (
            "plugin_caps: { \"a b\": 1 }",
            "plugin_caps.a b",
            "not a plugin's name",
        ),
        ("max_hold: 0s", "max_hold", "must be above 0"),
        ("max_queue: 0", "max_queue", "must be from 1 to 10000"),
    ] {
        refused(&format!("{NODES}{caps}\n"), at, 2, what);
    }
}

#[test]
fn how_to_wait_without_a_cap_is_a_warning() {
    for (text, many) in [("max_hold: 3s", 1), ("max_queue: 7\nmax_hold: 3s", 2)] {
        let text = format!("{NODES}{text}\n");
        let loaded = examine(&text, "test.yaml", &KNOWN, &env).expect("it refuses nothing");
        assert_eq!(loaded.warnings.list.len(), many, "{}", loaded.warnings);
        let told = loaded.warnings.to_string();
        assert!(told.contains("nothing waits without a cap"), "{told}");
        // A list in a file of its own may bring caps.
        for capped in ["max_in_flight: 4\n", "discover: { file: nodes.yaml }\n"] {
            let capped = format!("{text}{capped}");
            let loaded = examine(&capped, "test.yaml", &KNOWN, &env).expect("it is sound");
            assert!(loaded.warnings.list.is_empty(), "{}", loaded.warnings);
            assert!(loaded.config.pools[0].has_caps());
        }
    }
}
