//! Is what `docs/redis-keys.md` says true? Its keys, its commands, and its rights.

use crate::redis::Server;
use crate::rig::{call, count, daemons, hand, learn, member, met, wish};
use crate::support::eventually;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use twolane::nodes::Hand;
use twolane::share::{Keys, SCRIPT};

const DOCUMENT: &str = include_str!("../../docs/redis-keys.md");

/// The rows of the document's tables: key, type, and how long it lives.
fn rows() -> Vec<Vec<&'static str>> {
    let lines = DOCUMENT.lines().filter(|line| line.starts_with("| `"));
    let cells = |line: &'static str| {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().trim_matches('`')).collect()
    };
    lines.map(cells).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_is_as_documented_and_every_command_shows_something() {
    let (redis, nodes) = (Server::start().await, daemons(2).await);
    let own = twolane::observe::OwnMetrics::new("acme").unwrap();
    let gauge = twolane::observe::prometheus::Gauge::new("x", "Ours.").unwrap();
    gauge.set(3.0);
    own.register(gauge).unwrap();
    let options = twolane::server::Options {
        metrics: Some(own),
        ..Default::default()
    };
    let share = format!(
        "share: {{ redis: \"{}\", interval: 100ms }}\nstrategy: round_robin\n",
        redis.url()
    );
    let config = crate::support::gateway::config(&[&nodes[0], &nodes[1]], &share);
    let a = crate::support::gateway::Gateway::start_with(config, options).await;
    call(&a.dify()).await;
    learn(&a.embedded, "op", 3, Duration::from_secs(9));
    wish(&a, "n2", "drain").await;
    crate::wishes::say(&a, "PUT", crate::wishes::WEIGHT, json!({"weight": 7})).await;
    crate::wishes::say(&a, "PUT", crate::wishes::KEY, json!({"class": "long"})).await;
    let rows = rows();
    let keys: BTreeSet<_> = rows
        .iter()
        .map(|row| format!("twolane:{}", row[0]))
        .collect();
    let ours: BTreeSet<_> = Keys::new("twolane:", false).all().iter().cloned().collect();
    assert_eq!(keys, ours, "the document names each key, and no other");
    eventually("every key is there", async || {
        let there: BTreeSet<_> = redis
            .cli(&["KEYS", "*"])
            .lines()
            .map(str::to_owned)
            .collect();
        there == ours
    })
    .await;
    for row in &rows {
        let key = format!("twolane:{}", row[0]);
        let kind = redis.cli(&["TYPE", &key]);
        let documented = if row[1] == "sorted set" {
            "zset"
        } else {
            row[1]
        };
        assert_eq!(kind, documented, "{key}");
        let ttl: i64 = redis.cli(&["PTTL", &key]).parse().unwrap();
        let most = match *row.last().unwrap() {
            "15 s" => 15_000,
            "2 s" => 2_000,
            "1 day" => 86_400_000,
            "2 days" => 2 * 86_400_000,
            other => panic!("{key} lives for {other:?}"),
        };
        assert!(0 < ttl && ttl <= most, "{key} lives for {ttl} ms");
        assert!(most < 15_001 || ttl > most / 2, "{key} lives for {ttl} ms");
    }
    let commands: Vec<_> = DOCUMENT
        .lines()
        .filter_map(|line| line.strip_prefix("redis-cli "))
        .collect();
    assert!(commands.len() >= 5, "one for each of the seed's keys");
    for command in commands {
        let words: Vec<_> = command.split_ascii_whitespace().collect();
        eventually(command, async || !redis.cli(&words).is_empty()).await;
        println!("{command}: {}", redis.cli(&words).replace('\n', " "));
    }
}

/// The document's rights.
fn rights() -> &'static str {
    let rule = DOCUMENT
        .lines()
        .find(|line| line.starts_with("ACL SETUSER "));
    rule.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn f064_the_leader_is_who_has_the_lease_and_nobody_votes() {
    assert!(DOCUMENT.contains("A lease, not a vote"));
    let (redis, nodes) = (Server::start().await, daemons(1).await);
    let a = member(&nodes, &redis.url(), "").await;
    let lease = || redis.cli(&["GET", "twolane:fleet:leader"]);
    let name = a.embedded.live().identity.name.clone();
    eventually("a leads", async || lease().starts_with(&name)).await;
    // Whoever else asks is told who leads; it is not asked whether it agrees.
    let held = lease();
    let b = member(&nodes, &redis.url(), "").await;
    met(&[&a, &b]).await;
    assert_eq!(lease(), held, "one more gateway changes nothing");
    assert!(!b.embedded.live().fleet.state.leads());
    // Nobody agrees to this either: the lease alone decides, and a knows it.
    assert_eq!(
        redis.cli(&["SET", "twolane:fleet:leader", "x y 9", "PX", "2000"]),
        "OK"
    );
    eventually("a has lost it", async || {
        !a.embedded.live().fleet.state.leads()
    })
    .await;
    eventually("one of the two leads again", async || {
        let leads = [&a, &b].map(|it| it.embedded.live().fleet.state.leads());
        leads[0] != leads[1]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f067_the_lease_of_two_seconds_is_renewed_with_each_exchange() {
    let (redis, nodes) = (Server::start().await, daemons(1).await);
    let share = format!("share: {{ redis: \"{}\" }}\n", redis.url());
    let a = member(&nodes, &redis.url(), &share).await;
    let page = a.admin("/api/v1/config").await.json().to_string();
    for shown in ["share.interval", "250ms", "share.ttl", "2s"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    eventually("a leads", async || a.embedded.live().fleet.state.leads()).await;
    let ttl: i64 = redis
        .cli(&["PTTL", "twolane:fleet:leader"])
        .parse()
        .unwrap();
    assert!((1..=2000).contains(&ttl), "{ttl}");
    // Far more than two seconds of exchanges, and it was taken only once.
    let held = redis.cli(&["GET", "twolane:fleet:leader"]);
    eventually("twenty letters", async || redis.letters() > 20).await;
    assert_eq!(redis.cli(&["GET", "twolane:fleet:leader"]), held);
    // No longer than seed 000's 500 ms may pass between two.
    let slower = share.replace(" }", ", interval: 501ms }");
    let known = twolane::server::known();
    let text = crate::support::gateway::yaml(&[("n1".into(), nodes[0].addr())], &slower);
    let refused = twolane::config::load(&text, "x.yaml", &known, &|_| None);
    let problems = refused.map(drop).unwrap_err().to_string();
    assert!(
        problems.contains("must be from 100ms to 500ms"),
        "{problems}"
    );
}

#[test]
fn no_right_is_granted_that_is_not_used() {
    let granted: BTreeSet<_> = rights()
        .split_ascii_whitespace()
        .filter_map(|word| word.strip_prefix('+'))
        .map(str::to_owned)
        .collect();
    let calls = SCRIPT.split("call('").skip(1);
    let mut used: BTreeSet<_> = calls
        .map(|rest| rest.split('\'').next().unwrap().to_lowercase())
        .collect();
    // `redis.call(is_long and 'SADD' or 'SREM', ...)`.
    used.extend(["sadd", "srem"].map(str::to_owned));
    // For the connection, and to run the script.
    let beside = ["ping", "select", "client", "hello", "eval", "evalsha"];
    used.extend(beside.map(str::to_owned));
    assert_eq!(granted, used);
}

#[tokio::test(flavor = "multi_thread")]
async fn f009_tls_and_a_user_with_the_documented_rights_are_enough() {
    let folder = tempfile::tempdir().unwrap();
    let (redis, port, certificate) = Server::with_tls(folder.path()).await;
    let nodes = daemons(1).await;
    let rule = rights().replace("twolane on >PASSWORD", "tw on >pw");
    let command: Vec<_> = rule.split_ascii_whitespace().collect();
    assert_eq!(redis.cli(&command), "OK");
    // Nobody else gets in, and nobody without TLS is asked.
    assert_eq!(
        redis.cli(&[
            "ACL", "SETUSER", "default", ">other", "-@all", "+acl", "+config"
        ]),
        "OK"
    );
    let share = format!(
        "share:\n  redis: rediss://tw:pw@127.0.0.1:{port}\n  interval: 100ms\n  ca: {certificate}\n"
    );
    let a = member(&nodes, "", &share).await;
    let b = member(&nodes, "", &share).await;
    met(&[&a, &b]).await;
    learn(&a.embedded, "op", 3, Duration::from_secs(9));
    wish(&a, "n1", "drain").await;
    eventually("b knows", async || {
        count(&b.embedded, "op") == 3 && hand(&b.embedded, "n1") == Hand::Drain
    })
    .await;
}
