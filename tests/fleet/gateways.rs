//! What gateways know of each other, through a Redis that works.

use crate::redis::Server;
use crate::rig::{
    PLUGIN, all_elsewhere, call, count, daemons, elsewhere, hand, header_of, hold, in_flight,
    known, learn, member, met, wish,
};
use crate::support::eventually;
use crate::support::gateway::{Gateway, config, yaml};
use crate::support::program::{Program, Serving};
use crate::wire::Wire;
use serde_json::Value;
use std::time::Duration;
use twolane::demo::daemon::Plugin;
use twolane::model::clock;
use twolane::nodes::{CooldownRules, Hand, Presence};
use twolane::observe::{OwnMetrics, prometheus};
use twolane::server::{Embedded, Options};
use twolane::upstream::Standing;

/// What nobody has seen is short.
const UNKNOWN: &str = "learn: { unknown: short }\n";

#[tokio::test(flavor = "multi_thread")]
async fn f075_what_one_learned_as_long_all_route_as_long() {
    let (redis, nodes) = (Server::start().await, daemons(2).await);
    let a = member(&nodes, &redis.url(), UNKNOWN).await;
    let b = member(&nodes, &redis.url(), UNKNOWN).await;
    met(&[&a, &b]).await;
    assert_eq!(header_of(&b.dify(), "X-Twolane-Class").await, "short");
    // The keys of the call above, learned by a alone.
    let all = b.embedded.live().learner.view(9, clock::now());
    let finest = all
        .iter()
        .max_by_key(|row| row.key.len())
        .unwrap()
        .key
        .clone();
    let told = clock::now();
    let mut operation = twolane::model::Operation::new("tool/invoke");
    operation.push(PLUGIN);
    let item = finest.strip_prefix(&format!("tool/invoke|{PLUGIN}|"));
    operation.push(item.unwrap());
    assert_eq!(operation.as_str(), finest, "the key of the call");
    for _ in 0..30 {
        let sample = twolane::model::Sample {
            duration: Duration::from_secs(9),
            censored: false,
        };
        twolane::learn::Classifier::learn(
            a.embedded.live().learner.as_ref(),
            &operation,
            sample,
            clock::now(),
        );
    }
    eventually("b calls it long", async || {
        known(&b.embedded, &finest).is_some_and(|row| row.long)
    })
    .await;
    println!("learned by a, long at b after {:?}", told.elapsed());
    assert_eq!(header_of(&b.dify(), "X-Twolane-Class").await, "long");
    // A gateway that joins later knows it from its first exchange on.
    let c = member(&nodes, &redis.url(), UNKNOWN).await;
    eventually("c calls it long", async || {
        known(&c.embedded, &finest).is_some_and(|row| row.long)
    })
    .await;
    eventually("all count alike", async || {
        let counts = [&a, &b, &c].map(|it| count(&it.embedded, &finest));
        counts[0] >= 32 && counts.iter().all(|count| *count == counts[0])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f046_what_one_holds_all_see_and_avoid() {
    let (redis, nodes) = (Server::start().await, daemons(2).await);
    // a knows only the first node: whatever it holds is there.
    let a = member(&nodes[..1], &redis.url(), "").await;
    let b = member(&nodes, &redis.url(), "").await;
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(hold(&a.dify()).await);
    }
    let began = clock::now();
    eventually("b sees what a holds", async || {
        elsewhere(&b.embedded, "n1") == 8
    })
    .await;
    println!(
        "a's eight in flight were seen by b after {:?}",
        began.elapsed()
    );
    for _ in 0..6 {
        assert_eq!(header_of(&b.dify(), "X-Twolane-Node").await, "n2");
    }
    let page = b.admin("/cluster/nodes").await.json();
    assert_eq!(page["nodes"][0]["other_gateways"]["total"], 8);
    assert_eq!(page["nodes"][0]["in_flight"]["total"], 0);
    drop(held);
    eventually("b sees that a is idle", async || {
        elsewhere(&b.embedded, "n1") == 0
    })
    .await;
    assert_eq!(in_flight(&a.embedded, "n1"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn f045_what_a_killed_gateway_held_is_forgotten() {
    let (redis, nodes) = (Server::start().await, daemons(2).await);
    let places: Vec<_> = nodes
        .iter()
        .map(|node| (node.id().to_owned(), node.addr()))
        .collect();
    let share = format!("share: {{ redis: \"{}\" }}\n", redis.url());
    let folder = tempfile::tempdir().unwrap();
    let mut a = Serving::with_file(folder.path(), &yaml(&places, &share)).await;
    let b = member(&nodes, &redis.url(), "").await;
    let c = member(&nodes, &redis.url(), "").await;
    let mut held = Vec::new();
    let dify = a.dify();
    for _ in 0..200 {
        held.push(hold(&dify).await);
    }
    held.push(hold(&c.dify()).await);
    eventually("b sees all streams", async || {
        all_elsewhere(&b.embedded) == 201
    })
    .await;
    a.program.signal("KILL");
    let killed = clock::now();
    eventually("b counts what is alive", async || {
        let seen = all_elsewhere(&b.embedded);
        assert!(seen <= 201, "never more than there was: {seen}");
        seen == 1
    })
    .await;
    println!(
        "a killed gateway's 200 streams were forgotten after {:?}",
        killed.elapsed()
    );
    assert!(!a.program.exit().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn f066_a_drain_through_one_reaches_all_and_those_who_come_later() {
    let (redis, nodes) = (Server::start().await, daemons(2).await);
    let a = member(&nodes, &redis.url(), "").await;
    let b = member(&nodes, &redis.url(), "").await;
    met(&[&a, &b]).await;
    let wished = clock::now();
    wish(&a, "n2", "drain").await;
    eventually("b drains n2", async || {
        hand(&b.embedded, "n2") == Hand::Drain
    })
    .await;
    println!("a drain through a reached b after {:?}", wished.elapsed());
    for _ in 0..4 {
        assert_eq!(header_of(&b.dify(), "X-Twolane-Node").await, "n1");
    }
    let c = member(&nodes, &redis.url(), "").await;
    eventually("c drains n2", async || {
        hand(&c.embedded, "n2") == Hand::Drain
    })
    .await;
    wish(&b, "n2", "ready").await;
    for gateway in [&a, &b, &c] {
        eventually("all let n2 work", async || {
            hand(&gateway.embedded, "n2") == Hand::Ready
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f066_another_configuration_is_drift() {
    let (redis, nodes) = (Server::start().await, daemons(2).await);
    let a = member(&nodes, &redis.url(), "").await;
    let b = member(&nodes, &redis.url(), "").await;
    met(&[&a, &b]).await;
    let page = async |gateway: &Gateway| gateway.admin("/cluster/gateways").await.json();
    let shown = page(&a).await;
    assert_eq!(shown["config_drift"], false, "{shown}");
    assert_eq!(shown["gateways"].as_array().unwrap().len(), 2);
    assert_eq!(shown["gateways"][1]["version"], env!("CARGO_PKG_VERSION"));
    let c = member(&nodes, &redis.url(), "strategy: round_robin\n").await;
    met(&[&a, &b, &c]).await;
    for gateway in [&a, &b, &c] {
        assert_eq!(page(gateway).await["config_drift"], true);
    }
    c.embedded.stop().await;
    let name = b.embedded.live().identity.name.clone();
    eventually("who left is gone", async || {
        let shown = page(&a).await;
        let rows = shown["gateways"].as_array().unwrap();
        rows.len() == 2 && rows[1]["id"] == name.as_str() && shown["config_drift"] == false
    })
    .await;
}

/// What `/cluster/master` says.
async fn leader_page(gateway: &Gateway) -> Value {
    gateway.admin("/cluster/master").await.json()
}

fn leads(gateway: &Embedded) -> bool {
    gateway.live().fleet.state.leads()
}

#[tokio::test(flavor = "multi_thread")]
async fn f063_a_leader_that_freezes_or_dies_is_replaced_and_knows_it() {
    let (redis, nodes) = (Server::start().await, daemons(1).await);
    let places: Vec<_> = nodes
        .iter()
        .map(|node| (node.id().to_owned(), node.addr()))
        .collect();
    let share = format!("share: {{ redis: \"{}\", interval: 100ms }}\n", redis.url());
    let folder = tempfile::tempdir().unwrap();
    let frozen = Serving::with_file(folder.path(), &yaml(&places, &share)).await;
    let says = async || Some(frozen.ask("/cluster/master").await?.json());
    eventually("the first one leads", async || {
        says().await.is_some_and(|page| page["self"] == true)
    })
    .await;
    let first = says().await.unwrap();
    let b = member(&nodes, &redis.url(), "").await;
    let c = member(&nodes, &redis.url(), "").await;
    met_with(&[&b, &c], 2).await;
    assert!(!leads(&b.embedded) && !leads(&c.embedded));
    assert_eq!(leader_page(&b).await["leader"], first["leader"]);

    frozen.program.signal("STOP");
    let stopped = clock::now();
    eventually("another one leads", async || {
        leads(&b.embedded) || leads(&c.embedded)
    })
    .await;
    println!("a frozen leader was replaced after {:?}", stopped.elapsed());
    frozen.program.signal("CONT");
    // Its own clock has gone on: it knows at once that its word has ended.
    let woken = says().await.unwrap();
    assert_eq!(woken["self"], false, "two lead: {woken}");
    let (second, third) = if leads(&b.embedded) { (b, c) } else { (c, b) };
    assert!(!leads(&third.embedded), "two lead");
    let page = leader_page(&second).await;
    assert!(page["fence"].as_u64() > first["fence"].as_u64());
    eventually("the first one follows", async || {
        says()
            .await
            .is_some_and(|shown| shown["leader"] == page["leader"])
    })
    .await;

    drop(second);
    let died = clock::now();
    eventually("one of the rest leads", async || {
        let woken = says().await.is_some_and(|page| page["self"] == true);
        assert!(!(woken && leads(&third.embedded)), "two lead");
        woken || leads(&third.embedded)
    })
    .await;
    println!("a dead leader was replaced after {:?}", died.elapsed());
}

async fn met_with(gateways: &[&Gateway], others: usize) {
    for gateway in gateways {
        let fleet = &gateway.embedded.live().fleet;
        eventually("all gateways know each other", async || {
            fleet.others(clock::now()).len() == others
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f130_a_node_that_rests_for_one_rests_for_all() {
    let (redis, nodes) = (Server::start().await, daemons(2).await);
    let a = member(&nodes, &redis.url(), "").await;
    let b = member(&nodes, &redis.url(), "").await;
    met(&[&a, &b]).await;
    let node = |gateway: &Gateway| gateway.embedded.live().snapshot().nodes()[0].clone();
    let rules = CooldownRules {
        max_fails: 1,
        fail_timeout: Duration::from_secs(30),
        base: Duration::from_secs(60),
        longest: Duration::from_secs(60),
    };
    node(&a).strike(clock::now(), &rules).unwrap();
    eventually("b lets n1 rest", async || {
        !node(&b).resting(clock::now()).is_zero()
    })
    .await;
    let left = node(&b).resting(clock::now());
    assert!(left <= Duration::from_secs(60));
    assert!(
        node(&b).resting_here(clock::now()).is_zero(),
        "it is a's rest"
    );
    assert_eq!(header_of(&b.dify(), "X-Twolane-Node").await, "n2");
    let row = b.admin("/cluster/nodes").await.json()["nodes"][0].clone();
    assert!(row["resting_ms"].as_f64().unwrap() > 0.0, "{row}");
    // a alone can end it: it was a's.
    node(&a).set_healthy(false);
    node(&a).set_healthy(true);
    eventually("b uses n1 again", async || {
        node(&b).resting(clock::now()).is_zero()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_missed_on_a_node_no_other_tries_there() {
    let (redis, nodes) = (Server::start().await, daemons(2).await);
    nodes[0].put_plugin(Plugin::absent(PLUGIN));
    let a = member(&nodes, &redis.url(), "cooldown: { absent: 60s }\n").await;
    let b = member(&nodes, &redis.url(), "").await;
    met(&[&a, &b]).await;
    let presence = |gateway: &Gateway| {
        let live = gateway.embedded.live();
        let plugin = live.plugins.find(Some(PLUGIN));
        let nodes = live.snapshot().nodes();
        nodes[0].presence(plugin.place(), clock::now())
    };
    let dify = a.dify();
    eventually("a has missed it on n1", async || {
        call(&dify).await;
        presence(&a) == Presence::Absent
    })
    .await;
    let missed = clock::now();
    eventually("b knows", async || presence(&b) == Presence::Absent).await;
    println!("what a missed was known to b after {:?}", missed.elapsed());
    let asked = || {
        let all = nodes[0].requests();
        all.iter().filter(|it| it.target != "/health/check").count()
    };
    let before = asked();
    for _ in 0..20 {
        assert_eq!(header_of(&b.dify(), "X-Twolane-Node").await, "n2");
    }
    assert_eq!(asked(), before, "b has not tried n1");
    // It is there again, and b is the first to see it: a believes b, and not its own old word.
    nodes[0].put_plugin(Plugin::running(PLUGIN));
    let place = b.embedded.live().plugins.find(Some(PLUGIN)).place();
    b.embedded.live().snapshot().nodes()[0].note_found(place, clock::now());
    eventually("a knows", async || presence(&a) == Presence::Present).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f074_metrics_of_an_embedding_program_are_in_redis_and_on_the_page() {
    let (redis, nodes) = (Server::start().await, daemons(1).await);
    let with = async |x: f64| {
        let own = OwnMetrics::new("acme").unwrap();
        let gauge = prometheus::Gauge::new("x", "A strategy's own.").unwrap();
        own.register(gauge.clone()).unwrap();
        gauge.set(x);
        let options = Options {
            metrics: Some(own),
            ..Options::default()
        };
        let share = format!("share: {{ redis: \"{}\", interval: 100ms }}\n", redis.url());
        Gateway::start_with(config(&[&nodes[0]], &share), options).await
    };
    let in_redis = |name: &str| redis.cli(&["HGET", "twolane:custom:stats", name]);
    let a = with(3.0).await;
    eventually("x is 3", async || in_redis("acme_x") == "3").await;
    let page = a.admin("/metrics").await;
    assert!(page.text().contains("\nacme_x 3\n"), "{}", page.text());
    let b = with(4.5).await;
    met(&[&a, &b]).await;
    eventually("all of the fleet are added up", async || {
        in_redis("acme_x") == "7.5"
    })
    .await;
    drop(b);
    eventually("who is gone does not count", async || {
        in_redis("acme_x") == "3"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f043_f072_f073_the_seeds_status_keys_follow_the_fleet() {
    let (redis, nodes) = (Server::start().await, daemons(2).await);
    let a = member(&nodes, &redis.url(), UNKNOWN).await;
    let b = member(&nodes, &redis.url(), UNKNOWN).await;
    met(&[&a, &b]).await;
    let status = |node: &str| -> Value {
        let shown = redis.cli(&["HGET", "twolane:node:status", node]);
        serde_json::from_str(&shown).unwrap_or(Value::Null)
    };
    // Whichever of the two leads and writes: it tells of both.
    for gateway in [&a, &b] {
        let held = hold(&gateway.dify()).await;
        let busy = if in_flight(&gateway.embedded, "n1") > 0 {
            "n1"
        } else {
            "n2"
        };
        eventually("it works", async || status(busy)["is_working"] == true).await;
        assert_eq!(status(busy)["is_long_request"], false);
        assert!(status(busy)["last_update"].as_u64().unwrap() > 1_700_000_000);
        let idle = if busy == "n1" { "n2" } else { "n1" };
        eventually("the other is idle", async || {
            status(idle)["is_working"] == false
        })
        .await;
        drop(held);
        eventually("it is idle", async || status(busy)["is_working"] == false).await;
    }
    let names = [&a, &b].map(|it| it.embedded.live().identity.name.clone());
    for name in ["n1", "n2", &names[0], &names[1]] {
        let row = async || {
            let shown = redis.cli(&["HGET", "twolane:cluster:status", name]);
            serde_json::from_str::<Value>(&shown).ok()
        };
        eventually("it is listed", async || row().await.is_some()).await;
        let row = row().await.unwrap();
        for field in ["last_ping", "status", "role", "version", "address"] {
            assert!(row.get(field).is_some(), "{name} lacks {field}: {row}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f116_two_gateways_share_one_round() {
    let (redis, nodes) = (Server::start().await, daemons(3).await);
    let a = member(&nodes, &redis.url(), "strategy: round_robin\n").await;
    let b = member(&nodes, &redis.url(), "strategy: round_robin\n").await;
    met(&[&a, &b]).await;
    let left = |gateway: &Gateway| {
        let snapshot = gateway.embedded.live().snapshot();
        let turns = snapshot.pools()[0].chooser().turns().unwrap();
        turns.left(twolane::model::Class::Short)
    };
    for gateway in [&a, &b] {
        eventually("it has turns", async || left(gateway) > 0).await;
    }
    for _ in 0..150 {
        call(&a.dify()).await;
        call(&b.dify()).await;
    }
    for (node, calls) in nodes[0].ledger().per_node() {
        assert!((98..=102).contains(&calls), "{node} took {calls} of 300");
    }
    let taken: u64 = redis
        .cli(&["HGET", "twolane:fleet:turns", "main/short"])
        .parse()
        .unwrap();
    assert!(taken >= 512, "{taken}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f077_round_trips_do_not_grow_with_requests() {
    let (redis, nodes) = (Server::start().await, daemons(2).await);
    let wire = Wire::to(redis.address()).await;
    let share = format!("share: {{ redis: \"{}\" }}\n", wire.url());
    let a = member(&nodes, &wire.url(), &share).await;
    eventually("it has met Redis", async || {
        a.embedded.live().fleet.standing() == Standing::Up
    })
    .await;
    let (asked, began) = (wire.asked(), clock::now());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let dify = a.dify();
        tasks.spawn(async move {
            for _ in 0..250 {
                call(&dify).await;
            }
        });
    }
    tasks.join_all().await;
    let (trips, took) = (wire.asked() - asked, began.elapsed().as_secs_f64());
    println!("2000 requests in {took:.2} s made {trips} round trips to Redis");
    // Four a second, and one that was under way: far below twenty.
    assert!(
        (trips as f64) <= 5.0 * took + 2.0,
        "{trips} round trips in {took} s"
    );
    let key = known(&a.embedded, "tool/invoke").unwrap();
    assert_eq!(key.total, 2000);
    let commands = redis.cli(&["INFO", "commandstats"]);
    for never in ["cmdstat_keys:", "cmdstat_scan:"] {
        assert!(!commands.contains(never), "{commands}");
    }
    eventually("all is told", async || {
        let all = redis.cli(&["HVALS", "twolane:request:stats"]);
        all.contains("\"count\":2000")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_are_asked_where_redis_is() {
    let (redis, nodes) = (Server::start().await, daemons(1).await);
    let folder = tempfile::tempdir().unwrap();
    let port = crate::redis::free_port();
    let file = folder.path().join("sentinel.conf");
    let text = format!(
        "port {port}\nbind 127.0.0.1\nsentinel monitor mymaster 127.0.0.1 {} 1\n",
        redis.port
    );
    std::fs::write(&file, text).unwrap();
    let mut sentinel = std::process::Command::new("redis-server");
    sentinel
        .arg(&file)
        .arg("--sentinel")
        .current_dir(folder.path())
        .stdout(std::process::Stdio::null());
    let _sentinel = Program::spawn(sentinel);
    let share = format!(
        "share:\n  redis: redis://127.0.0.1:{port}\n  interval: 100ms\n  sentinel: {{ name: mymaster }}\n"
    );
    let a = member(&nodes, "", &share).await;
    let b = member(&nodes, &redis.url(), "").await;
    met(&[&a, &b]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_may_speak_tls_under_a_certificate_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (redis, port, certificate) = Server::with_tls(folder.path()).await;
    let nodes = daemons(1).await;
    let share = format!(
        "share:\n  redis: rediss://127.0.0.1:{port}\n  interval: 100ms\n  ca: {certificate}\n"
    );
    let a = member(&nodes, "", &share).await;
    let b = member(&nodes, &redis.url(), "").await;
    met(&[&a, &b]).await;
    // Without the certificate it is not believed.
    let other = share
        .lines()
        .filter(|line| !line.contains("ca:"))
        .collect::<Vec<_>>()
        .join("\n");
    let c = member(&nodes, "", &format!("{other}\n")).await;
    let standing = || c.embedded.live().fleet.standing();
    eventually("it is refused", async || standing() == Standing::Down).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sharded_redis_holds_all_keys_in_one_slot() {
    let (redis, nodes) = (
        Server::with(&["--cluster-enabled", "yes"]).await,
        daemons(1).await,
    );
    let slots: Vec<_> = (0..16_384).map(|slot: u32| slot.to_string()).collect();
    let mut command = vec!["CLUSTER", "ADDSLOTS"];
    command.extend(slots.iter().map(String::as_str));
    assert_eq!(redis.cli(&command), "OK");
    eventually("it serves", async || {
        redis.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
    })
    .await;
    let share = format!(
        "share:\n  redis: [\"redis://127.0.0.1:{}\"]\n  interval: 100ms\n  sharded: true\n",
        redis.port
    );
    let a = member(&nodes, "", &share).await;
    let b = member(&nodes, "", &share).await;
    met(&[&a, &b]).await;
    learn(&a.embedded, "op", 3, Duration::from_secs(9));
    eventually("b knows", async || count(&b.embedded, "op") == 3).await;
    let keys = redis.cli(&["KEYS", "*"]);
    assert!(keys.lines().count() >= 6);
    assert!(
        keys.lines().all(|key| key.starts_with("{twolane:}")),
        "{keys}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_is_told_once_and_its_end_too() {
    let (mut redis, nodes) = (Server::start().await, daemons(1).await);
    let places: Vec<_> = nodes
        .iter()
        .map(|node| (node.id().to_owned(), node.addr()))
        .collect();
    let share = format!("share: {{ redis: \"{}\", interval: 100ms }}\n", redis.url());
    let folder = tempfile::tempdir().unwrap();
    let a = Serving::with_file(folder.path(), &yaml(&places, &share)).await;
    a.program.line("fleet reached").await;
    redis.kill();
    a.program.line("fleet not reached").await;
    let metric = async |line: &str| {
        let page = a.ask("/metrics").await;
        page.is_some_and(|page| page.text().lines().any(|it| it.starts_with(line)))
    };
    eventually("the metric says so", async || {
        metric("twolane_share_up 0").await
    })
    .await;
    assert!(metric("twolane_share_errors_total{cause=\"").await);
    assert_eq!(
        a.ask("/readyz").await.unwrap().status,
        200,
        "no fleet is no reason to turn away"
    );
    assert_eq!(a.ask("/status").await.unwrap().json()["redis"], "down");
    // Many more exchanges fail meanwhile.
    let dify = a.dify();
    for _ in 0..50 {
        call(&dify).await;
    }
    redis.restart().await;
    eventually("it is up again", async || {
        metric("twolane_share_up 1").await
    })
    .await;
    let log = a.program.log();
    assert_eq!(log.matches("fleet not reached").count(), 1, "{log}");
    assert_eq!(log.matches("fleet reached").count(), 2, "{log}");
}
