//! Is every file that we hand out sound, and is every mistake in one told?
//!
//! The files of `conf/` are read as an operator's would be, then broken in every place where one
//! could slip.

#[path = "reference/comments.rs"]
mod comments;
#[path = "reference/page.rs"]
mod page;
#[path = "reference/schema.rs"]
mod schema;

use proptest::prelude::*;
use serde_yaml::{Mapping, Value};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;
use twolane::config::{
    self, Address, Application, Change, Config, DebugPlugin, DifyRedis, Discover, Known, Loaded,
    NodeEntry, OwnWords, Problems, Rate, RateBy, RateEntry, RouteEntry, RuleEntry, Sentinels,
    Severity, Tcp, TwoNodes, When,
};
use twolane::model::{
    Class, LearnRules, NodeId, Part, Pin, Role, Score, Secret, Threshold, Unknown,
};

const KNOWN: Known = Known {
    strategies: &[
        "adaptive",
        "seed",
        "round_robin",
        "weighted_round_robin",
        "least_in_flight",
        "two_choices",
        "peak_ewma",
        "consistent_hash",
    ],
    own: OwnWords::NONE,
};
const TOKEN: &str = "hunter2-hunter2";

fn env(name: &str) -> Option<String> {
    match name {
        "PLUGIN_DAEMON_URL" => Some("http://plugin_daemon:5002".to_owned()),
        "TWOLANE_ADMIN_TOKEN" => Some(TOKEN.to_owned()),
        _ => None,
    }
}

fn examine(text: &str) -> Result<Loaded, Problems> {
    config::examine(text, "test.yaml", &KNOWN, &env)
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("conf")
}

/// Name and text of every file that we hand out.
fn files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for folder in [root(), root().join("examples")] {
        for entry in fs::read_dir(folder).expect("the folder is there") {
            let path = entry.expect("it can be listed").path();
            if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                let text = fs::read_to_string(&path).expect("it can be read");
                files.push((path.display().to_string(), text));
            }
        }
    }
    files.sort();
    files
}

fn reference() -> String {
    fs::read_to_string(root().join("reference.yaml")).expect("the reference is there")
}

#[test]
fn f225_f258_every_file_is_sound_and_says_what_it_is_for() {
    let files = files();
    assert!(files.len() >= 9, "only {} files", files.len());
    for (name, text) in &files {
        let loaded = examine(text).unwrap_or_else(|problems| panic!("{name}:\n{problems}"));
        assert!(
            loaded.warnings.list.is_empty(),
            "{name}: {}",
            loaded.warnings
        );
        assert!(text.starts_with("# "), "{name} begins with its purpose");
        // What is printed is a configuration again, and the same.
        let secret = loaded.config.admin.token.is_some() || !loaded.config.applications.is_empty();
        if !secret {
            let again = examine(&config::masked(&loaded.config)).expect("printed YAML is sound");
            assert_eq!(again.config, loaded.config, "{name}");
        }
    }
    let minimal = fs::read_to_string(root().join("examples/minimal.yaml")).expect("it is there");
    assert_eq!(minimal.lines().count(), 7, "minimal stays minimal");
}

#[test]
fn the_reference_is_the_defaults() {
    let loaded = examine(&reference()).expect("the reference is sound");
    let node = NodeEntry::at("127.0.0.1:5003".parse().expect("an address"));
    let default = Config::default_with([node]);
    assert_eq!(loaded.config, default);
    assert_eq!(config::diff(&loaded.config, &default), []);
}

#[test]
fn the_reference_names_every_key() {
    let node = NodeEntry::at("127.0.0.1:5003".parse().expect("an address"));
    let mut full = Config::default_with([node]);
    let printed: Value = serde_yaml::from_str(&config::masked(&full)).expect("YAML");
    let written: Value = serde_yaml::from_str(&reference()).expect("YAML");
    assert_eq!(
        written, printed,
        "the reference is what is printed of the defaults"
    );

    // Keys of lists that are empty by default, short forms and aliases stand in comments.
    full.routes.push(route("/x"));
    full.learn.rules.pins.push(pin());
    full.rules.push(RuleEntry {
        open: true,
        ..rule()
    });
    full.applications.push(application("hunter2-hunter2"));
    full.debug_plugins.push(debug_plugin("a"));
    full.pools[0].discover = Some(everywhere());
    full.limits.rates = rates();
    let printed: Value = serde_yaml::from_str(&config::masked(&full)).expect("YAML");
    // No program brings the word `hosts`.
    let found = full.pools[0].discover.as_mut().expect("just now");
    found.own = None;
    assert_eq!(objection(&VALIDATOR, &config::masked(&full)), None);
    let mut keys = vec![
        "own".to_owned(),
        "inter".to_owned(),
        "backup".to_owned(),
        "nodes".to_owned(),
    ];
    mappings(&printed, "", &mut |path, mapping| {
        // Its keys are names of headers.
        if path.ends_with("header") {
            return;
        }
        keys.extend(mapping.keys().filter_map(Value::as_str).map(str::to_owned));
    });
    assert!(keys.len() > 60, "{keys:?}");
    for key in keys {
        let named =
            reference().contains(&format!("{key}:")) || reference().contains(&format!("`{key}`"));
        assert!(named, "the reference does not name {key}");
    }
}

/// Every source that there is.
fn everywhere() -> Discover {
    let address: Address = "redis:6379".parse().expect("an address");
    Discover {
        dns: Some(address.clone()),
        file: Some(PathBuf::from("nodes.yaml")),
        dify_redis: Some(DifyRedis {
            sentinels: Some(Sentinels {
                addresses: vec![address.clone()],
                service: "s".to_owned(),
                username: Some("u".to_owned()),
                password: Some(Secret::new(TOKEN.to_owned())),
            }),
            username: Some("u".to_owned()),
            password: Some(Secret::new(TOKEN.to_owned())),
            ca: Some(PathBuf::from("ca.pem")),
            ..DifyRedis::at(address)
        }),
        own: Some("hosts".to_owned()),
        allow: vec!["10.0.0.0/8".parse().expect("a network")],
        ..Discover::default()
    }
}

#[test]
fn every_source_is_printed_so_that_it_is_read_again_without_its_secrets() {
    let mut full = Config::default_with([]);
    full.pools[0].discover = Some(everywhere());
    let printed = config::masked(&full);
    assert!(!printed.contains(TOKEN) && !format!("{full:?}").contains(TOKEN));
    let known = Known {
        own: OwnWords {
            discoveries: vec!["hosts".to_owned()],
            ..OwnWords::NONE
        },
        ..KNOWN
    };
    let again = config::examine(&printed, "test.yaml", &known, &env);
    let again = again.expect("printed YAML is sound").config;
    assert_eq!(config::masked(&again), printed);
    let mut other = full.clone();
    let redis = |config: &mut Config| {
        let found = config.pools[0].discover.as_mut().expect("it discovers");
        let redis = found.dify_redis.as_mut().expect("there");
        redis.password = Some(Secret::new("another".to_owned()));
    };
    redis(&mut other);
    let changes = config::diff(&full, &other);
    let told: Vec<_> = changes.iter().map(Change::to_string).collect();
    assert_eq!(
        told,
        ["pools.main.discover.dify_redis.password: *** -> ***"]
    );
}

fn route(path: &str) -> RouteEntry {
    RouteEntry {
        path: path.to_owned(),
        pool: "main".to_owned(),
    }
}

fn debug_plugin(node: &str) -> DebugPlugin {
    DebugPlugin {
        plugin: "8d6c1f0e-2b4a-4c1d-9e3f-0a1b2c3d4e5f/my_tool".to_owned(),
        node: NodeId::from(node),
    }
}

fn rule() -> RuleEntry {
    RuleEntry {
        when: When {
            op: Some("tool/*".to_owned()),
            plugin: Some("langgenius/comfyui".to_owned()),
            tenant: Some("*-team".to_owned()),
            application: Some("chat*".to_owned()),
            host: Some("*.example.org".to_owned()),
            path: Some("/v1/*".to_owned()),
            method: Some("POST".to_owned()),
            header: vec![("x-team".to_owned(), "batch*".to_owned())],
        },
        class: Some(Class::Long),
        pool: Some("main".to_owned()),
        open: false,
        limit: Some(20),
    }
}

fn application(key: &str) -> Application {
    Application {
        name: "chat".to_owned(),
        keys: vec![Secret::new(key.to_owned())],
        pool: "main".to_owned(),
    }
}

/// A rule that only exempts.
fn exemption() -> RuleEntry {
    RuleEntry {
        when: When {
            tenant: Some("b".to_owned()),
            ..When::default()
        },
        class: None,
        pool: None,
        open: false,
        limit: None,
    }
}

fn pin() -> Pin {
    Pin {
        operation: "tool/*".to_owned(),
        class: Some(Class::Long),
    }
}

fn unpin() -> Pin {
    Pin {
        class: None,
        ..pin()
    }
}

/// Visits every mapping with its path.
fn mappings(value: &Value, path: &str, visit: &mut dyn FnMut(&str, &Mapping)) {
    match value {
        Value::Mapping(mapping) => {
            visit(path, mapping);
            for (key, value) in mapping {
                let key = key.as_str().expect("keys are text");
                mappings(value, &join(path, key), visit);
            }
        }
        Value::Sequence(items) => {
            for (at, item) in items.iter().enumerate() {
                mappings(item, &format!("{path}[{at}]"), visit);
            }
        }
        _ => {}
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The mapping at this path, changeable.
fn at<'a>(value: &'a mut Value, goal: &str, path: &str) -> Option<&'a mut Mapping> {
    if path == goal {
        return value.as_mapping_mut();
    }
    match value {
        Value::Mapping(mapping) => mapping.iter_mut().find_map(|(key, value)| {
            let key = key.as_str().expect("keys are text");
            at(value, goal, &join(path, key))
        }),
        Value::Sequence(items) => items
            .iter_mut()
            .enumerate()
            .find_map(|(index, item)| at(item, goal, &format!("{path}[{index}]"))),
        _ => None,
    }
}

#[test]
fn a_key_that_does_not_exist_is_refused_in_every_table() {
    let mut tried = 0;
    for (name, text) in files() {
        let value: Value = serde_yaml::from_str(&text).expect("YAML");
        let mut paths = Vec::new();
        mappings(&value, "", &mut |path, _| paths.push(path.to_owned()));
        for path in paths {
            let mut broken = value.clone();
            let table = at(&mut broken, &path, "").expect("the table is there");
            table.insert("bogus_key".into(), 1.into());
            let text = serde_yaml::to_string(&broken).expect("YAML");
            let line = 1 + text
                .lines()
                .position(|line| line.contains("bogus_key"))
                .expect("it is written");
            let problems = examine(&text).expect_err("a key that does not exist");
            let told = format!("{name}: {problems}");
            assert_eq!(problems.list.len(), 1, "{told}");
            assert_eq!(problems.list[0].at, join(&path, "bogus_key"), "{told}");
            assert_eq!(problems.list[0].line, line, "{told}");
            assert!(told.contains("unknown key `bogus_key`"), "{told}");
            tried += 1;
        }
    }
    assert!(tried >= 50, "only {tried} tables");
}

#[test]
fn a_key_that_stands_twice_is_refused_with_its_line() {
    let mut tried = 0;
    for (name, text) in files() {
        let lines: Vec<_> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let entry = line.trim_start();
            let scalar = entry.split_once(": ").is_some_and(|(key, _)| {
                key.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            });
            if !scalar {
                continue;
            }
            let mut twice = lines.clone();
            twice.insert(number + 1, line);
            let problems = examine(&twice.join("\n")).expect_err("a key that stands twice");
            let told = format!("{name}: {problems}");
            assert_eq!(problems.list.len(), 1, "{told}");
            assert_eq!(problems.list[0].line, number + 2, "{told}");
            assert!(told.contains("this key stands twice"), "{told}");
            tried += 1;
        }
    }
    assert!(tried >= 60, "only {tried} lines");
}

const BROKEN: &str = r#"listen: [5002, localhost:1]
admin:
  listen: 0.0.0.0:5012
  tokn: hunter2-hunter2
nodes:
  - 10.0.0.11:5002
  - address: 10.0.0.12:5002
    weight: 0
    weight: 5
  - https://10.0.0.13
strategy: ${STRATEGY:-adaptiv}
learn:
  long_treshold: 5s
  window: 65
  key: [op, plugn]
health: 5
timeouts:
  connect: 10
  read: ${READ_TIMEOUT}
"#;

#[test]
fn problems_of_every_kind_are_told_in_one_run_with_their_lines() {
    let problems = examine(BROKEN).expect_err("it is full of mistakes");
    let found: Vec<_> = problems
        .list
        .iter()
        .map(|problem| (problem.at.as_str(), problem.line, problem.column))
        .collect();
    assert_eq!(
        found,
        [
            ("listen[1]", 1, 16),
            ("admin.listen", 3, 11),
            ("admin.tokn", 4, 3),
            ("nodes[1].weight", 8, 13),
            ("nodes[1].weight", 9, 5),
            ("nodes[2]", 10, 5),
            ("strategy", 11, 11),
            ("learn.long_treshold", 13, 3),
            ("learn.window", 14, 11),
            ("learn.key[1]", 15, 13),
            ("health", 16, 9),
            ("timeouts.connect", 18, 12),
            ("timeouts.read", 19, 9),
        ],
        "{problems}"
    );
    let severe = |problem: &config::Problem| problem.severity == Severity::Error;
    assert!(problems.list.iter().all(severe));
}

#[test]
fn a_problem_looks_like_a_compilers() {
    let text = "nodes: [10.0.0.11:5002]\nlearn:\n  long_treshold: 5s   # as in seed 000\n";
    let problems = config::load(text, "conf/twolane.yaml", &KNOWN, &env).expect_err("a slip");
    assert_eq!(
        problems.render(),
        "\
error: unknown key `long_treshold`
 --> conf/twolane.yaml:3:3
  |
3 |   long_treshold: 5s   # as in seed 000
  |   ^^^^^^^^^^^^^
  |
  = note: at learn.long_treshold
  = help: did you mean `long_threshold`?"
    );
    assert_eq!(
        problems.to_string(),
        "conf/twolane.yaml:3:3: learn.long_treshold: unknown key `long_treshold` \
         (did you mean `long_threshold`?)"
    );
}

#[test]
fn secrets_are_in_no_text_that_we_write() {
    let problems = examine(BROKEN).expect_err("it is full of mistakes");
    let mut told = vec![
        problems.to_string(),
        format!("{problems:?}"),
        problems.render(),
    ];

    let text = fs::read_to_string(root().join("examples/open-admin.yaml")).expect("it is there");
    let loaded = examine(&text).expect("sound");
    let token = loaded.config.admin.token.as_ref().map(Secret::expose);
    assert_eq!(token, Some(TOKEN), "the token did arrive");
    told.push(format!("{loaded:?}"));
    told.push(config::masked(&loaded.config));
    let mut other = loaded.config.clone();
    other.admin.token = Some(Secret::new(format!("{TOKEN}-2")));
    told.push(format!("{:?}", config::diff(&loaded.config, &other)));

    let inline = format!("nodes: [a]\nadmin: {{token: {TOKEN}, listn: x}}\nbad: [\n");
    told.push(examine(&inline).expect_err("no YAML").render());
    let inline = format!("nodes: [a]\nadmin: {{token: {TOKEN}, listn: x}}\n");
    told.push(examine(&inline).expect_err("a slip").render());
    for text in told {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn what_is_no_yaml_is_told_with_its_line() {
    for (text, line) in [
        ("nodes: [a\nlisten: 5002\n", 2),
        ("nodes: [a]\n\tlisten: 5002\n", 2),
        ("nodes: [${HOST}]\n", 1),
        ("nodes: !tag [a]\n", 1),
    ] {
        let problems = examine(text).expect_err(text);
        assert_eq!(problems.list[0].line, line, "{problems}");
    }
    let problems = examine("nodes: [${HOST}:1]\n").expect_err("not quoted");
    assert!(
        problems.to_string().contains("a ${VAR} needs quotes"),
        "{problems}"
    );
}

#[test]
fn a_file_is_loaded_from_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("twolane.yaml");
    let missing = config::load_file(&path, &KNOWN).expect_err("it is not there");
    assert!(missing.to_string().contains("No such file"), "{missing}");
    fs::write(&path, b"nodes: [\xff]").expect("written");
    assert!(config::load_file(&path, &KNOWN).is_err(), "not UTF-8");
    let text = "nodes: [10.0.0.1:5002]\n";
    fs::write(&path, text).expect("written");
    let loaded = config::load_file(&path, &KNOWN).expect("sound");
    assert_eq!(loaded.text.hash(), config::content_hash(text));
    assert_ne!(loaded.text.hash(), config::content_hash(""));
    assert_eq!(
        config::find().as_deref(),
        Some(Path::new("conf/twolane.yaml"))
    );
}

#[test]
fn a_change_of_the_listener_needs_a_restart() {
    let old = examine("nodes: [10.0.0.1:5002]").expect("sound").config;
    let new = examine("nodes: [10.0.0.1:5002]\nlisten: 5003\nretry: {attempts: 2}");
    assert_eq!(
        config::diff(&old, &new.expect("sound").config),
        [
            Change::NeedsRestart("listen".to_owned()),
            Change::Live("retry.attempts".to_owned(), "3".to_owned(), "2".to_owned()),
        ]
    );
}

fn rates() -> Vec<RateEntry> {
    let rate = |count, seconds| Rate {
        count,
        per: Duration::from_secs(seconds),
    };
    let entry = |by, rate, at_once| RateEntry {
        by,
        rate,
        burst: rate.map_or(1, |rate: Rate| rate.count + 7),
        at_once,
        pool: at_once.map(|_| "main".to_owned()),
    };
    vec![
        entry(RateBy::Address, Some(rate(200, 1)), Some(3)),
        entry(RateBy::Tenant, Some(rate(5, 3600)), None),
        entry(RateBy::Header("X-Team".to_owned()), None, Some(9)),
    ]
}

fn tcp(listen: Option<bool>, longer: Duration, most: u16) -> Tcp {
    Tcp {
        listen: listen.map(|_| "127.0.0.1:5013".parse().expect("an address")),
        port: most,
        idle: longer + Duration::from_secs(150),
        max_connections: most.into(),
    }
}

/// What has few values, other than by default.
fn other_words(mut config: Config) -> Config {
    config.learn.key = vec![Part::Op, Part::Version, Part::Tenant];
    config.routes = vec![route("/e/"), route("/plugin/")];
    config.debug_plugins = vec![debug_plugin("node-0")];
    config.strategies.two_nodes = TwoNodes::Diagram;
    config.rules = vec![rule(), exemption()];
    config.pools[0].shadow = Some("seed".to_owned());
    config.decisions = 0;
    config.limits.rates = rates();
    config.limits.client_rate = 0;
    config.limits.header = 100_000;
    config.limits.trusted_proxies = vec!["10.0.0.0/8".parse().expect("a network")];
    config
}

/// A sound configuration, every kind of value in it.
fn any_config() -> impl Strategy<Value = Config> {
    let nodes = prop::collection::vec(
        (1..=1000_u16, any::<bool>(), any::<bool>(), 0..3_usize),
        1..6,
    );
    let times = prop::collection::vec(1..600_000_u64, 12);
    let classes = prop::option::of(prop::bool::ANY);
    let learn = (
        0.01..1.0_f64,
        1..=64_usize,
        16..9999_usize,
        0..3_usize,
        classes,
    );
    (nodes, times, learn, 1..u64::MAX >> 1).prop_map(|(nodes, times, learn, body)| {
        let entries = nodes
            .iter()
            .enumerate()
            .map(|(at, (weight, enabled, drain, role))| {
                let address = format!("10.0.0.{at}:5002").parse().expect("an address");
                NodeEntry {
                    id: NodeId::from(format!("node-{at}")),
                    weight: *weight,
                    enabled: *enabled,
                    drain: *drain,
                    // At most one primary, and never only backups: the first is an ordinary one.
                    role: [Role::Secondary, Role::Backup, Role::Secondary]
                        [if at == 0 { 0 } else { *role }],
                    ..NodeEntry::at(address)
                }
            });
        let mut config = Config::default_with(entries);
        let time = |at: usize| Duration::from_millis(times[at]);
        let class = |long| if long { Class::Long } else { Class::Short };
        let (exit_ratio, window, max_keys, score, unknown) = learn;
        config.learn.rules = LearnRules {
            exit_ratio,
            window,
            max_keys,
            score: [Score::Decayed, Score::Median, Score::Mean][score],
            unknown: unknown.map_or(Unknown::Prior, |long| Unknown::Always(class(long))),
            long_threshold: unknown.map_or(Threshold::Auto, |_| Threshold::Fixed(time(0))),
            pins: vec![pin(), unpin()],
            ..LearnRules::default()
        };
        config.strategies.plugin_weight = exit_ratio * 10.0;
        config.health.interval = time(1);
        config.health.timeout = time(2);
        config.timeouts.read = time(3) + Duration::from_secs(700);
        config.timeouts.connect = time(4);
        config.state.interval = time(5);
        config.state.file = Some("/var/lib/twolane/learned.json".into());
        config.shutdown.deadline = time(6);
        config.reload.poll = unknown.map(|_| time(7));
        config.limits.body = body;
        config.tcp = tcp(unknown, time(8), nodes[0].0);
        other_words(config)
    })
}

proptest! {
    #[test]
    fn no_text_makes_us_panic(text in "\\PC{0,200}") {
        let _ = examine(&text).map_err(|problems| problems.render());
    }

    #[test]
    fn no_yaml_like_text_makes_us_panic(
        text in "(([ ]{0,4}(nodes|learn|key|admin|token|x|- |\\? |&a |\\*a|<<|[0-9.]{1,4}|\\$\\{A|\\}|:-|: |, |\\[|\\]|\\{|\\}|\"|'|#|!|\\||>|ü)){0,6}\n){0,8}"
    ) {
        let _ = examine(&text).map_err(|problems| problems.render());
    }

    #[test]
    fn a_file_that_was_cut_or_changed_does_not_make_us_panic(
        from in 0..6000_usize, length in 0..40_usize, put in "\\PC{0,6}"
    ) {
        let text: Vec<char> = reference().chars().collect();
        let (from, to) = (from.min(text.len()), (from + length).min(text.len()));
        let changed: String = text[..from].iter().copied()
            .chain(put.chars())
            .chain(text[to..].iter().copied())
            .collect();
        let _ = examine(&changed).map_err(|problems| problems.render());
    }

    #[test]
    fn what_is_printed_is_read_again(config in any_config()) {
        let printed = config::masked(&config);
        prop_assert_eq!(objection(&VALIDATOR, &printed), None);
        let again = examine(&printed).map_err(|problems| TestCaseError::fail(problems.render()))?;
        prop_assert_eq!(again.config, config);
    }
}

fn schema_file() -> serde_json::Value {
    let text = fs::read_to_string(root().join("schema.json")).expect("the schema is there");
    serde_json::from_str(&text).expect("it is JSON")
}

static VALIDATOR: LazyLock<jsonschema::Validator> =
    LazyLock::new(|| jsonschema::draft7::new(&schema_file()).expect("the schema is one"));

/// The first thing that the schema has against a text, if there is any.
fn objection(validator: &jsonschema::Validator, text: &str) -> Option<String> {
    let value: serde_json::Value = serde_yaml::from_str(text).expect("YAML");
    let first = validator.iter_errors(&value).next();
    first.map(|error| format!("{}: {error}", error.instance_path))
}

/// What is generated, and its file: the same, or `make docs` writes it.
fn is_up_to_date(file: &Path, generated: &str) {
    if std::env::var_os("TWOLANE_WRITE_DOCS").is_some() {
        fs::write(file, generated).expect("written");
    }
    let found = fs::read_to_string(file).unwrap_or_default();
    let name = file.display();
    assert!(found == generated, "{name} is old: make docs");
}

#[test]
fn the_schema_and_the_page_say_what_the_reference_says() {
    let entries = comments::entries(&reference());
    assert!(entries.len() > 100, "only {} keys were read", entries.len());
    let described = schema::described(&schema_file(), &entries);
    is_up_to_date(&root().join("schema.json"), &schema::written(&described));
    let page = page::written(&entries, &described);
    is_up_to_date(&root().join("../docs/configuration.md"), &page);
}

#[test]
fn the_schema_knows_every_key_and_no_other() {
    let mut known = Vec::new();
    schema::keys(&schema_file(), &mut known);
    assert!(known.len() > 100, "only {} keys", known.len());
    for key in known {
        let named =
            reference().contains(&format!("{key}:")) || reference().contains(&format!("`{key}`"));
        assert!(named, "the reference does not name {key}");
    }
}

#[test]
fn f224_every_file_that_we_hand_out_is_valid_and_names_the_schema() {
    for (name, text) in files() {
        assert_eq!(objection(&VALIDATOR, &text), None, "{name}");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("# yaml-language-server: $schema="));
        let named = Path::new(&name)
            .parent()
            .expect("a folder")
            .join(line.unwrap_or("nothing"));
        assert!(
            named.ends_with("schema.json") && named.exists(),
            "{name} names the schema"
        );
    }
}

/// What only `check` can know: the environment, and what keys mean together.
const BEYOND: [&str; 4] = [
    "unknown pool `",
    "reachable from other machines without a token",
    "unknown node `",
    "a certificate and its key go together",
];

#[test]
fn f224_what_the_schema_refuses_check_refuses_and_the_reverse_where_it_can() {
    let (mut refused, mut wrong) = (0, Vec::new());
    for (name, text) in files() {
        let value: serde_json::Value = serde_yaml::from_str(&text).expect("YAML");
        for (broken, what) in schema::mutations(&value) {
            let text = serde_yaml::to_string(&broken).expect("YAML");
            let by_check = examine(&text).err().map(|all| all.list[0].to_string());
            let told = match (objection(&VALIDATOR, &text), by_check) {
                (Some(objection), None) => format!("only the schema: {objection}"),
                (None, Some(first)) if !BEYOND.iter().any(|known| first.contains(known)) => {
                    format!("only check: {first}")
                }
                (Some(_), Some(_)) => {
                    refused += 1;
                    continue;
                }
                _ => continue,
            };
            wrong.push(format!("{name}: {what}: {told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(refused > 1000, "only {refused} mistakes were tried");
}

#[test]
fn f160_f161_a_node_is_written_with_few_words_and_printed_with_all() {
    let text = "pools:\n- name: main\n  nodes:\n  - { id: a, address: 10.0.0.1:5002 }\n  \
                - { id: b, address: \"https://10.0.0.2:5003\", weight: 150, role: backup, \
                upstream_key: node-key-of-b, enabled: false, max_in_flight: 8, server_name: b.example }\n\
                applications: [{ name: app, keys: [client-key-1], pool: main }]\n";
    let config = config::load(text, "test.yaml", &KNOWN, &|_| None).expect("sound");
    let [plain, full] = config.pools[0].nodes.as_slice() else {
        panic!("two nodes");
    };
    assert_eq!((plain.weight, plain.role), (1, Role::Secondary));
    assert!(plain.enabled && !plain.drain && plain.upstream_key.is_none());
    assert_eq!(
        (full.weight, full.role, full.enabled),
        (150, Role::Backup, false)
    );
    assert_eq!(full.certified_as(), Some("b.example"));
    let printed = config::masked(&config);
    for line in [
        "max_fails: 3",
        "fail_timeout: 30s",
        "weight: 1\n",
        "upstream_key: '***'",
    ] {
        assert!(printed.contains(line), "{line} is not in\n{printed}");
    }
}
