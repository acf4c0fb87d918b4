//! Discovery: the sources of a pool, and Dify's own variables.

use super::{Around, dify_env, own};
use crate::config::address::Address;
use crate::config::defaults;
use crate::config::discover::{DifyRedis, Discover, Encryption, Sentinels};
use crate::config::finding::Findings;
use crate::config::pool::Pool;
use crate::config::resolve::Env;
use crate::config::sections::Admin;
use crate::config::table::{Table, Value};
use crate::config::tree::Tree;
use crate::model::Secret;
use ipnet::IpNet;
use std::net::IpAddr;
use std::path::PathBuf;

/// The sources of one pool.
pub(super) fn discover(value: &Value<'_>, around: &Around<'_>) -> Option<Discover> {
    let table = value.table()?;
    let default = Discover::default();
    let damping = |value: &Value<'_>| match value.typed()?.as_str() {
        "off" => Some(None),
        _ => value.duration().map(Some),
    };
    let allowed = table.value("allow");
    let found = Discover {
        dns: table.value("dns").and_then(|value| name(&value)),
        file: table.value("file").and_then(|value| file(&value)),
        dify_redis: table
            .value("dify_redis")
            .and_then(|value| dify_redis(&value, around.env)),
        own: table
            .value("own")
            .and_then(|value| own::word(&value, "discovery", &around.known.own.discoveries)),
        register: table.or("register", default.register, Value::flag),
        refresh: table.or("refresh", default.refresh, Value::duration),
        allow: allowed.as_ref().map(networks).unwrap_or_default(),
        damping: table.or("damping", default.damping, damping),
    };
    if !value.findings.sound(&value.path) {
        return Some(found);
    }
    if found.sources().is_empty() {
        value.wrong(
            "no source",
            "write one of dns, file, dify_redis, own and register",
        );
    }
    if found.register && found.allow.is_empty() {
        value.wrong(
            "`register` without `allow`",
            "write which networks nodes may register from: `allow: [10.0.0.0/8]`",
        );
    }
    Some(found)
}

/// Refuses registration where anybody could register.
pub(super) fn need_token(root: &Table<'_>, admin: &Admin, pools: &[Pool]) {
    let registers = |pool: &Pool| pool.discover.as_ref().is_some_and(|found| found.register);
    if admin.token.is_none() && pools.iter().any(registers) {
        root.findings.value(
            &root.path.key("admin").key("token"),
            "`discover.register` wants a token",
            "add `token: ${TWOLANE_ADMIN_TOKEN}` to admin: who may register may draw traffic",
        );
    }
}

fn name(value: &Value<'_>) -> Option<Address> {
    let address = address(value, defaults::PORT)?;
    if address.host.parse::<IpAddr>().is_ok() {
        value.wrong("an address and no name", "write it below `nodes`");
    }
    Some(address)
}

fn address(value: &Value<'_>, port: u16) -> Option<Address> {
    let read = Address::with_port(value.text()?.trim(), port);
    read.map_err(|bad| value.wrong(bad.what, bad.help)).ok()
}

fn file(value: &Value<'_>) -> Option<PathBuf> {
    let text = value.text()?;
    if text.is_empty() {
        value.wrong("no file has an empty name", "leave the key out");
        return None;
    }
    Some(PathBuf::from(text))
}

pub(super) fn networks(value: &Value<'_>) -> Vec<IpNet> {
    let network = |item: &Value<'_>| {
        let text = item.text()?.trim();
        let alone = || text.parse::<IpAddr>().ok().map(IpNet::from);
        let read = text.parse::<IpNet>().ok().or_else(alone);
        if read.is_none() {
            item.wrong("not a network", "write 10.0.0.0/8, or one address");
        }
        read.map(|network| network.trunc())
    };
    value.one_or_list().iter().filter_map(network).collect()
}

/// `env`, or a table.
fn dify_redis(value: &Value<'_>, env: Env<'_>) -> Option<DifyRedis> {
    if let Tree::Text(word) = value.tree {
        if word != "env" {
            value.wrong(
                "neither a table nor `env`",
                "write `{ address: redis:6379 }`, or `env` for Dify's own variables",
            );
            return None;
        }
        let found = dify_env::registry(value.findings, env);
        if found.is_none() && value.findings.sound(&value.path) {
            let what = "neither REDIS_HOST nor REDIS_SENTINELS is set";
            value.wrong(what, "set one, or write `{ address: redis:6379 }`");
        }
        return found;
    }
    let table = value.table()?;
    let placed = table.value("address");
    let sentinels = table.value("sentinel").and_then(|value| sentinel(&value));
    if placed.is_none() && sentinels.is_none() {
        table.lacks("address", "write where Dify's Redis is: redis:6379");
    }
    let placed = placed.and_then(|value| address(&value, defaults::REDIS_PORT));
    let default = DifyRedis::at(placed.unwrap_or_else(dify_env::usual));
    let words = [
        Encryption::Off,
        Encryption::Verified,
        Encryption::Unverified,
    ]
    .map(|encryption| (encryption.word(), encryption));
    Some(DifyRedis {
        sentinels,
        username: table.value("username").and_then(|value| filled(&value)),
        password: table
            .value("password")
            .and_then(|value| filled(&value))
            .map(Secret::new),
        db: table.or("db", default.db, |value| {
            value.whole(0..=255, "Dify's is 0")
        }),
        encryption: table.or("tls", default.encryption, |value| {
            value.word("kind of TLS", &words)
        }),
        ca: table.value("ca").and_then(|value| file(&value)),
        prefix: table.or("prefix", default.prefix.clone(), prefix),
        stale: table.or("stale", default.stale, Value::duration),
        owners: table.or("owners", default.owners, Value::flag),
        ..default
    })
}

/// A text; an empty one is none: `${REDIS_USERNAME:-}` stands for an optional variable.
fn filled(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// The daemon takes its default for a blank one.
fn prefix(value: &Value<'_>) -> Option<String> {
    let text = value.text()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn sentinel(value: &Value<'_>) -> Option<Sentinels> {
    let table = value.table()?;
    let (placed, service) = (table.value("addresses"), table.value("service"));
    if placed.is_none() {
        table.lacks(
            "addresses",
            "write where the sentinels are: [sentinel:26379]",
        );
    }
    if service.is_none() {
        table.lacks("service", "write the name they know Redis by");
    }
    let items = placed.map(|value| value.one_or_list()).unwrap_or_default();
    let addresses: Vec<_> = items
        .iter()
        .filter_map(|item| address(item, defaults::SENTINEL_PORT))
        .collect();
    Some(Sentinels {
        addresses,
        service: service.and_then(|value| filled(&value)).unwrap_or_default(),
        username: table.value("username").and_then(|value| filled(&value)),
        password: table
            .value("password")
            .and_then(|value| filled(&value))
            .map(Secret::new),
    })
}

/// What Dify's own variables lead to, when nothing else names a node.
pub(super) fn environment(findings: &Findings, env: Env<'_>) -> Option<Discover> {
    let registry = dify_env::registry(findings, env)?;
    let variable = dify_env::variable(registry.sentinels.is_some());
    findings.note_nodes_from(variable);
    Some(Discover {
        dify_redis: Some(registry),
        ..Discover::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Known, Loaded, OwnWords, Problems, examine};
    use std::time::Duration;

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Problems> {
        let known = Known {
            strategies: &["adaptive"],
            own: OwnWords::NONE,
        };
        let env = |asked: &str| {
            let found = variables.iter().find(|(name, _)| *name == asked);
            found.map(|(_, value)| (*value).to_owned())
        };
        examine(text, "test.yaml", &known, &env)
    }

    fn found(text: &str) -> Discover {
        let loaded = read(text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        let [pool] = <[Pool; 1]>::try_from(loaded.config.pools).expect("one pool");
        pool.discover.expect("it discovers")
    }

    fn redis(variables: &[(&str, &str)]) -> DifyRedis {
        let loaded = read("", variables).unwrap_or_else(|problems| panic!("{problems}"));
        let found = loaded.config.pools[0].discover.clone();
        found.and_then(|found| found.dify_redis).expect("a Redis")
    }

    #[test]
    fn sources_are_read_with_their_defaults() {
        let dns = found("discover: {dns: daemon}\n");
        assert_eq!(
            dns.dns.map(|name| name.to_string()),
            Some("daemon:5002".to_owned())
        );
        assert_eq!((dns.refresh, dns.allow.len()), (Duration::from_secs(2), 0));
        let text = "discover:\n  dify_redis: {address: redis, password: '', tls: verified}\n  \
                    allow: [10.1.2.3/8, 127.0.0.1]\n  damping: off\n";
        let all = found(text);
        let nets: Vec<_> = all.allow.iter().map(ToString::to_string).collect();
        assert_eq!(nets, ["10.0.0.0/8", "127.0.0.1/32"]);
        assert_eq!(all.damping, None);
        let redis = all.dify_redis.expect("a Redis");
        assert_eq!(redis.address.to_string(), "redis:6379");
        assert_eq!(
            (redis.password, redis.encryption),
            (None, Encryption::Verified)
        );
        let token = "admin: {token: hunter2}\n";
        let register = found(&format!(
            "{token}nodes: [a]\ndiscover: {{register: true, allow: 10.0.0.0/8}}\n"
        ));
        assert_eq!(register.sources(), ["register"]);
    }

    /// Text, path, message.
    const WRONG: [(&str, &str, &str); 16] = [
        ("discover: {refresh: 1s}\n", "discover", "no source"),
        ("discover: [dns]\n", "discover", "expected a table"),
        (
            "discover: {dns: 10.0.0.1}\n",
            "discover.dns",
            "an address and no name",
        ),
        (
            "discover: {dns: 'http://a:1'}\n",
            "discover.dns",
            "no scheme",
        ),
        ("discover: {file: ''}\n", "discover.file", "empty name"),
        (
            "discover: {dns: a, allow: [x]}\n",
            "discover.allow[0]",
            "not a network",
        ),
        (
            "discover: {dns: a, refresh: 0s}\n",
            "discover.refresh",
            "above 0",
        ),
        (
            "discover: {dns: a, damping: 1}\n",
            "discover.damping",
            "needs a unit",
        ),
        (
            "discover: {dify_redis: {}}\n",
            "discover.dify_redis",
            "`address` is missing",
        ),
        (
            "discover: {dify_redis: on}\n",
            "discover.dify_redis",
            "neither a table",
        ),
        (
            "discover: {dify_redis: env}\n",
            "discover.dify_redis",
            "REDIS_HOST",
        ),
        (
            "discover: {dify_redis: {address: a, db: 900}}\n",
            "discover.dify_redis.db",
            "from 0 to 255",
        ),
        (
            "discover: {dify_redis: {sentinel: {service: a}}}\n",
            "discover.dify_redis.sentinel",
            "`addresses` is missing",
        ),
        (
            "admin: {token: t}\ndiscover: {register: true}\n",
            "discover",
            "without `allow`",
        ),
        (
            "discover: {register: true, allow: 10.0.0.0/8}\n",
            "admin.token",
            "wants a token",
        ),
        ("pools: [{name: a}]\n", "pools[0]", "`nodes` is missing"),
    ];

    #[test]
    fn what_makes_no_sense_is_refused_with_its_place() {
        for (text, at, what) in WRONG {
            let problems = read(text, &[]).expect_err(text);
            let [problem] = problems.list.as_slice() else {
                panic!("{text}\nhas one problem, not these:\n{problems}");
            };
            assert_eq!(problem.at, at, "{problems}");
            assert!(problem.what.contains(what), "{problems}");
        }
    }

    #[test]
    fn difys_variables_come_last_and_are_enough() {
        let all = [
            ("REDIS_HOST", "redis"),
            ("PLUGIN_DAEMON_URL", "http://daemon:5002"),
            ("TWOLANE_NODES", "a,b"),
        ];
        for (count, variable, nodes) in [
            (1, "REDIS_HOST", 0),
            (2, "PLUGIN_DAEMON_URL", 1),
            (3, "TWOLANE_NODES", 2),
        ] {
            let loaded = read("", &all[..count]).expect("nodes");
            assert_eq!(loaded.nodes_from, Some(variable));
            assert_eq!(loaded.config.pools[0].nodes.len(), nodes);
            assert_eq!(loaded.config.pools[0].discover.is_some(), nodes == 0);
        }
        let written = read("nodes: [a]\n", &all).expect("nodes");
        assert_eq!(written.nodes_from, None, "what is written wins");
        let plain = redis(&all[..1]);
        let expected = DifyRedis::at("redis:6379".parse().expect("an address"));
        assert_eq!(plain, expected);
        let whole = redis(&[
            ("REDIS_HOST", "r"),
            ("REDIS_PORT", "6380"),
            ("REDIS_USERNAME", "u"),
            ("REDIS_PASSWORD", "p"),
            ("REDIS_DB", "3"),
            ("REDIS_USE_SSL", "True"),
            ("REDIS_SSL_CERT_REQS", "CERT_NONE"),
            ("REDIS_SSL_CA_CERTS", "/ca.pem"),
            ("REDIS_KEY_PREFIX", " "),
            ("REDIS_USE_SENTINEL", "false"),
        ]);
        assert_eq!(
            whole,
            DifyRedis {
                username: Some("u".to_owned()),
                password: Some(Secret::new("p".to_owned())),
                db: 3,
                encryption: Encryption::Unverified,
                ca: Some(PathBuf::from("/ca.pem")),
                ..DifyRedis::at("r:6380".parse().expect("an address"))
            }
        );
        let sentinels = redis(&[
            ("REDIS_USE_SENTINEL", "true"),
            ("REDIS_SENTINELS", "s1:26379, s2"),
            ("REDIS_SENTINEL_SERVICE_NAME", "dify"),
        ]);
        let sentinels = sentinels.sentinels.expect("sentinels");
        assert_eq!(sentinels.addresses[1].to_string(), "s2:26379");
        for (name, value) in [
            ("REDIS_PORT", "x"),
            ("REDIS_DB", "-1"),
            ("REDIS_USE_CLUSTERS", "true"),
        ] {
            let refused = read("", &[("REDIS_HOST", "r"), (name, value)]);
            let told = refused.expect_err(name).to_string();
            assert!(told.contains(name), "{told}");
        }
    }

    #[test]
    fn a_debug_plugin_may_belong_to_a_node_that_is_not_found_yet() {
        let plugin = "8d6c1f0e-2b4a-4c1d-9e3f-0a1b2c3d4e5f/tool";
        let owned = format!("debug_plugins: [{{plugin: {plugin}, node: '10.0.0.9:5002'}}]\n");
        let config: Config = read(&format!("discover: {{dns: a}}\n{owned}"), &[])
            .expect("sound")
            .config;
        assert_eq!(config.debug_plugins[0].node.as_str(), "10.0.0.9:5002");
        assert!(read(&format!("nodes: [a]\n{owned}"), &[]).is_err());
    }
}
