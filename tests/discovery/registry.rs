//! The daemons' own registry in Redis.

use crate::redis::{Daemons, Redis, at, commands, voted, was_read};
use crate::rig::{
    PLUGIN, become_members, become_up, call, daemons, id, looking, members, node, works, yaml,
};
use crate::support::client::expect_events;
use crate::support::filed::Filed;
use crate::support::gate::{Gate, HOLD};
use crate::support::{eventually, within};
use ::redis::AsyncCommands;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use twolane::demo::daemon::Plugin;
use twolane::model::Class;

const DEBUG: &str = "8d6c1f0e-2b4a-4c1d-9e3f-0a1b2c3d4e5f/my_tool";

fn source(redis: &Redis, more: &str) -> String {
    let port = redis.port;
    format!("  dify_redis: {{ address: \"127.0.0.1:{port}\"{more} }}\n")
}

async fn gateway(redis: &Redis, more: &str) -> Filed {
    looking(&source(redis, more), "").await
}

/// Nobody listens there.
fn dead(last: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 1, last], 1))
}

#[tokio::test(flavor = "multi_thread")]
async fn f062_a_node_that_writes_itself_in_gets_traffic() {
    let (redis, all) = (Redis::start().await, daemons(2).await);
    let registry = Daemons::of(&redis);
    registry.beat("run-1", vec![at(all[0].addr())]);
    let filed = gateway(&redis, "").await;
    become_members(&filed.gateway, &[&id(&all[0])]).await;
    works(&filed.gateway).await;
    registry.beat("run-2", vec![at(all[1].addr())]);
    become_members(&filed.gateway, &[&id(&all[0]), &id(&all[1])]).await;
    assert!(
        node(&filed.gateway, &id(&all[1])).is_checked(),
        "nobody is sent to it before its first check"
    );
    eventually("it gets calls", async || {
        works(&filed.gateway).await;
        all[0].ledger().per_node().contains_key("n2")
    })
    .await;
    become_up(&filed.gateway, true).await;
    let page = filed.gateway.metrics().await;
    let count = page.get("twolane_discovery_members{pool=\"main\"}");
    assert_eq!(count, Some(2.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn f098_gateways_may_meet_in_another_redis_than_the_daemons_do() {
    let (theirs, ours) = (Redis::start().await, Redis::start().await);
    let all = daemons(1).await;
    let registry = Daemons::of(&theirs);
    registry.beat("run-1", vec![at(all[0].addr())]);
    let share = format!("share: {{ redis: \"redis://127.0.0.1:{}\" }}\n", ours.port);
    let filed = looking(&source(&theirs, ""), &share).await;
    become_members(&filed.gateway, &[&id(&all[0])]).await;
    works(&filed.gateway).await;
    let keys = async |redis: &Redis| {
        let mut wire = redis.connection().await.unwrap();
        let keys: Vec<String> = wire.keys("*").await.unwrap();
        keys
    };
    eventually("ours has what gateways write", async || {
        let keys = keys(&ours).await;
        keys.iter().any(|key| key == "twolane:fleet:gateways")
    })
    .await;
    assert!(
        keys(&ours)
            .await
            .iter()
            .all(|key| key.starts_with("twolane:"))
    );
    assert_eq!(
        keys(&theirs).await,
        ["plugin_daemon:cluster-nodes-status-hash-map"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registry_is_only_read() {
    let (redis, all) = (Redis::start().await, daemons(1).await);
    let mut writer = redis.connection().await.unwrap();
    let node = json!({"ips": [at(all[0].addr())], "last_ping_at": 1}).to_string();
    let key = "plugin_daemon:cluster-nodes-status-hash-map";
    let _: () = ::redis::cmd("HSET")
        .arg(key)
        .arg("run-1")
        .arg(node)
        .query_async(&mut writer)
        .await
        .unwrap();
    let _filed = gateway(&redis, "").await;
    was_read(&redis).await;
    let ours = ["time", "hscan"];
    let tests = ["hset", "ping", "info", "client|setinfo", "select", "hello"];
    for name in commands(&redis).await {
        let known = ours.contains(&name.as_str()) || tests.contains(&name.as_str());
        assert!(known, "{name} was sent");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_leaves_ends_its_streams_in_peace() {
    let (redis, all) = (Redis::start().await, daemons(1).await);
    let gate = Gate::start("g1").await;
    let registry = Daemons::of(&redis);
    registry.beat("run-g", vec![at(gate.addr)]);
    let filed = gateway(&redis, ", stale: 2s").await;
    become_members(&filed.gateway, &[&gate.addr.to_string()]).await;
    let dify = filed.gateway.dify();
    let held = tokio::spawn(async move {
        let answer = dify.all("tool/invoke", PLUGIN, json!({"x": HOLD})).await;
        expect_events(answer).len()
    });
    eventually("the stream runs", async || gate.held() == 1).await;
    registry.beat("run-1", vec![at(all[0].addr())]);
    become_members(&filed.gateway, &[&gate.addr.to_string(), &id(&all[0])]).await;
    registry.stall("run-g");
    registry.forget("run-g").await;
    become_members(&filed.gateway, &[&id(&all[0])]).await;
    works(&filed.gateway).await;
    assert_eq!(gate.held(), 1, "its stream goes on");
    gate.open();
    let events = within("the stream ends", held).await.unwrap();
    assert_eq!(events, 2, "with its last event");
    eventually("its attempts are not shown for ever", async || {
        let page = filed.gateway.metrics().await;
        let label = format!("node=\"{}\"", gate.addr);
        page.sum("twolane_attempts_total", &[&label]) == 0.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_heartbeat_takes_a_node_out_and_a_moving_one_brings_it_back() {
    let (redis, all) = (Redis::start().await, daemons(2).await);
    let registry = Daemons::of(&redis);
    registry.beat("run-1", vec![at(all[0].addr())]);
    registry.beat("run-2", vec![at(all[1].addr())]);
    let filed = gateway(&redis, ", stale: 2s").await;
    become_members(&filed.gateway, &[&id(&all[0]), &id(&all[1])]).await;
    registry.stall("run-2");
    become_members(&filed.gateway, &[&id(&all[0])]).await;
    registry.beat("run-2", vec![at(all[1].addr())]);
    become_members(&filed.gateway, &[&id(&all[0]), &id(&all[1])]).await;
    registry.stall("run-1");
    registry.stall("run-2");
    become_up(&filed.gateway, false).await;
    assert!(
        !members(&filed.gateway).is_empty(),
        "when nothing moves at all, nobody is taken out"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_addresses_the_one_that_answers_is_taken() {
    let (redis, all) = (Redis::start().await, daemons(2).await);
    let bridge = dead(1);
    let registry = Daemons::of(&redis);
    let first = vec![
        at(bridge),
        at(dead(2)),
        voted(dead(3), true),
        at(all[0].addr()),
    ];
    registry.beat("run-1", first);
    registry.beat("run-2", vec![at(bridge), at(all[1].addr())]);
    let filed = gateway(&redis, "").await;
    become_members(&filed.gateway, &[&id(&all[0]), &id(&all[1])]).await;
    for _ in 0..10 {
        works(&filed.gateway).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_run_at_an_old_address_is_a_restart() {
    let (redis, all) = (Redis::start().await, daemons(2).await);
    let registry = Daemons::of(&redis);
    registry.beat("run-1", vec![at(all[0].addr())]);
    registry.beat("run-2", vec![at(all[1].addr())]);
    let filed = gateway(&redis, "").await;
    become_members(&filed.gateway, &[&id(&all[0]), &id(&all[1])]).await;
    let (first, second) = (
        node(&filed.gateway, &id(&all[0])),
        node(&filed.gateway, &id(&all[1])),
    );
    let before = (first.came_up(), second.came_up());
    registry.stall("run-1");
    registry.beat("run-1-again", vec![at(all[0].addr())]);
    eventually("the restart is noticed", async || {
        first.came_up() != before.0
    })
    .await;
    assert_eq!(
        second.came_up(),
        before.1,
        "the other one was not restarted"
    );
    let again = node(&filed.gateway, &id(&all[0]));
    assert!(Arc::ptr_eq(&first, &again), "its leases still count");
    works(&filed.gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_everything_stays_as_it_was_and_afterwards_too() {
    let (mut redis, all) = (Redis::start().await, daemons(2).await);
    let registry = Daemons::of(&redis);
    registry.beat("run-1", vec![at(all[0].addr())]);
    registry.beat("run-2", vec![at(all[1].addr())]);
    let both = [id(&all[0]), id(&all[1])];
    let both = [both[0].as_str(), both[1].as_str()];
    let filed = gateway(&redis, ", stale: 1h").await;
    become_members(&filed.gateway, &both).await;
    let known = node(&filed.gateway, both[0]);
    redis.kill();
    become_up(&filed.gateway, false).await;
    for _ in 0..10 {
        works(&filed.gateway).await;
    }
    let ready = filed.gateway.admin("/readyz").await;
    assert_eq!(ready.status, 200, "nobody is sent away because of it");
    for more in ["cooldown: { base: 11s }\n", "cooldown: { base: 12s }\n"] {
        filed
            .take(&yaml(&source(&redis, ", stale: 1h"), more))
            .await;
        become_members(&filed.gateway, &both).await;
    }
    let other = source(&redis, ", stale: 2h");
    filed.take(&yaml(&other, "")).await;
    become_members(&filed.gateway, &both).await;
    assert!(
        Arc::ptr_eq(&known, &node(&filed.gateway, both[0])),
        "a reload without Redis forgets nobody"
    );
    redis.revive().await;
    become_up(&filed.gateway, true).await;
    become_members(&filed.gateway, &both).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_comes_back_empty_takes_nobody_out() {
    let (mut redis, all) = (Redis::start().await, daemons(2).await);
    let registry = Daemons::of(&redis);
    registry.beat("run-1", vec![at(all[0].addr())]);
    registry.beat("run-2", vec![at(all[1].addr())]);
    let filed = gateway(&redis, ", stale: 1h").await;
    become_members(&filed.gateway, &[&id(&all[0]), &id(&all[1])]).await;
    redis.kill();
    become_up(&filed.gateway, false).await;
    registry.stall("run-2");
    redis.revive().await;
    become_up(&filed.gateway, true).await;
    assert_eq!(
        members(&filed.gateway).len(),
        2,
        "run-2 may write any moment"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_redis_holds_no_request() {
    let (redis, all) = (Redis::start().await, daemons(1).await);
    let registry = Daemons::of(&redis);
    registry.beat("run-1", vec![at(all[0].addr())]);
    let filed = gateway(&redis, "").await;
    become_members(&filed.gateway, &[&id(&all[0])]).await;
    redis.signal("STOP");
    for _ in 0..10 {
        works(&filed.gateway).await;
    }
    become_up(&filed.gateway, false).await;
    works(&filed.gateway).await;
    redis.signal("CONT");
    become_up(&filed.gateway, true).await;
    assert_eq!(members(&filed.gateway).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_outside_of_the_fence_is_no_node() {
    let (redis, all) = (Redis::start().await, daemons(3).await);
    let registry = Daemons::of(&redis);
    for (run, daemon) in ["run-1", "run-2", "run-3"].iter().zip(&all) {
        registry.beat(run, vec![at(daemon.addr())]);
    }
    let metadata: SocketAddr = "169.254.169.254:80".parse().unwrap();
    registry.beat("run-4", vec![at(metadata)]);
    let text = yaml(&source(&redis, ""), "").replace("127.0.0.0/8", "127.0.0.2, 127.0.0.3/32");
    let filed = Filed::start(&text).await;
    become_members(&filed.gateway, &[&id(&all[1]), &id(&all[2])]).await;
    assert_eq!(all[0].requests_seen(), 0, "it was not even asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_debug_plugin_goes_where_the_registry_says() {
    let (redis, all) = (Redis::start().await, daemons(3).await);
    let registry = Daemons::of(&redis);
    for (run, daemon) in ["run-1", "run-2", "run-3"].iter().zip(&all) {
        registry.beat(run, vec![at(daemon.addr())]);
        if *run != "run-3" {
            daemon.put_plugin(Plugin::absent(DEBUG));
        }
    }
    registry.own("run-1", DEBUG, 3600).await;
    registry.own("run-3", DEBUG, 0).await;
    let filed = gateway(&redis, ", stale: 15s").await;
    become_members(&filed.gateway, &[&id(&all[0]), &id(&all[1]), &id(&all[2])]).await;
    let owner = || filed.gateway.embedded.live().snapshot().owner_of(DEBUG);
    eventually("the owner is known", async || owner().is_some()).await;
    for _ in 0..20 {
        let (node, why) = call(&filed.gateway.dify(), DEBUG).await;
        assert_eq!((node, why.as_str()), (id(&all[2]), "owner"));
    }
    assert_eq!(all[0].plugin_calls(DEBUG) + all[1].plugin_calls(DEBUG), 0);
    // The developer connects again, and reaches another node.
    all[1].put_plugin(Plugin::running(DEBUG));
    registry.own("run-2", DEBUG, 0).await;
    eventually("the new owner is known", async || {
        call(&filed.gateway.dify(), DEBUG).await.0 == id(&all[1])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leases_of_a_node_that_comes_back_are_those_it_had() {
    let (redis, all) = (Redis::start().await, daemons(1).await);
    let gate = Gate::start("g1").await;
    let registry = Daemons::of(&redis);
    registry.beat("run-g", vec![at(gate.addr)]);
    let both = [gate.addr.to_string(), id(&all[0])];
    let both = [both[0].as_str(), both[1].as_str()];
    let filed = gateway(&redis, ", stale: 2s").await;
    become_members(&filed.gateway, &both[..1]).await;
    let dify = filed.gateway.dify();
    let held = dify.open("tool/invoke", PLUGIN, json!({"x": HOLD}));
    let mut held = held.await.unwrap();
    within("its first event", held.next()).await.unwrap();
    registry.beat("run-1", vec![at(all[0].addr())]);
    become_members(&filed.gateway, &both).await;
    let before = node(&filed.gateway, both[0]);
    registry.stall("run-g");
    become_members(&filed.gateway, &[both[1]]).await;
    registry.beat("run-g", vec![at(gate.addr)]);
    become_members(&filed.gateway, &both).await;
    let after = node(&filed.gateway, both[0]);
    assert!(Arc::ptr_eq(&before, &after), "somebody still holds it");
    let leases: u32 = Class::ALL.iter().map(|&class| after.in_flight(class)).sum();
    assert_eq!(leases, 1);
    gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sentinels_are_asked_where_redis_is() {
    let (redis, all) = (Redis::start().await, daemons(1).await);
    let sentinel = redis.sentinel("dify").await;
    let registry = Daemons::of(&redis);
    registry.beat("run-1", vec![at(all[0].addr())]);
    let source = format!(
        "  dify_redis:\n    sentinel: {{ service: dify, addresses: [\"{}\", \"127.0.0.1:{}\"] }}\n",
        dead(1),
        sentinel.port
    );
    let filed = looking(&source, "").await;
    become_members(&filed.gateway, &[&id(&all[0])]).await;
    works(&filed.gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_daemons_is_passed_over() {
    let (redis, all) = (Redis::start().await, daemons(1).await);
    let mut writer = redis.connection().await.unwrap();
    let key = "plugin_daemon:cluster-nodes-status-hash-map";
    let long = "x".repeat(70_000);
    let rubbish = [
        ("r-1", ""),
        ("r-2", "{}"),
        ("r-3", "[1]"),
        ("r-4", "\u{0}"),
        (&long, "x"),
        ("r-5", &long),
    ];
    for (field, value) in rubbish {
        let _: () = ::redis::cmd("HSET")
            .arg(key)
            .arg(field)
            .arg(value)
            .query_async(&mut writer)
            .await
            .unwrap();
    }
    let registry = Daemons::of(&redis);
    registry.beat("run-1", vec![at(all[0].addr())]);
    let filed = gateway(&redis, "").await;
    become_members(&filed.gateway, &[&id(&all[0])]).await;
    // A key of another type is somebody else's.
    let wrong = ["DEL", "SET"].map(|name| {
        let mut command = ::redis::cmd(name);
        command.arg("plugin_daemon:plugin_state");
        command
    });
    let [delete, mut set] = wrong;
    let _: () = delete.query_async(&mut writer).await.unwrap();
    let _: () = set.arg("x").query_async(&mut writer).await.unwrap();
    become_up(&filed.gateway, false).await;
    works(&filed.gateway).await;
    let _: () = delete.query_async(&mut writer).await.unwrap();
    become_up(&filed.gateway, true).await;
}
