//! What gateways share beside news: caps, rounds, and no clock.

use crate::redis::Server;
use crate::rig::{all_elsewhere, daemons, hold, in_flight, member, met, sim};
use crate::support::gateway::{Gateway, yaml};
use crate::support::program::{Serving, command};
use crate::support::{eventually, within};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use twolane::demo::daemon::Daemon;
use twolane::model::{Class, PluginPlace, Request, clock};
use twolane::nodes::Tried;
use twolane::upstream::Ask;

const PLUGIN: &str = crate::rig::PLUGIN;

/// Requests that wait for a place in a gateway.
fn waiting(gateway: &Gateway) -> usize {
    let snapshot = gateway.embedded.live().snapshot();
    let room = snapshot.pools()[0].waiting.as_ref().unwrap();
    Class::ALL.iter().map(|&class| room.waiting(class)).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn f047_gateways_share_the_places_of_a_node() {
    let (redis, nodes) = (Server::start().await, daemons(1).await);
    let caps = "max_in_flight: 8\nmax_hold: 600s\nlearn: { unknown: short }\n";
    let a = member(&nodes, &redis.url(), caps).await;
    let b = member(&nodes, &redis.url(), caps).await;
    met(&[&a, &b]).await;
    // What was heard is carried out before the next letter is written.
    let before = redis.letters();
    eventually("both know that they are two", async || {
        redis.letters() > before + 1
    })
    .await;
    let mut calls = Vec::new();
    for gateway in [&a, &b] {
        for _ in 0..16 {
            let script = sim(json!({"fail": "hang", "fail_after": 1}));
            let sent = gateway.dify().open("tool/invoke", PLUGIN, script).await;
            calls.push(sent.unwrap());
        }
    }
    for gateway in [&a, &b] {
        eventually("the rest waits", async || waiting(gateway) == 12).await;
        assert_eq!(in_flight(&gateway.embedded, "n1"), 4, "half of the places");
    }
    eventually("the node has its eight", async || {
        nodes[0].active_dispatch() == 8
    })
    .await;
    // One of the two ends: its half is the other's.
    calls.drain(16..);
    eventually("nobody is left in b", async || {
        waiting(&b) == 0 && in_flight(&b.embedded, "n1") == 0
    })
    .await;
    b.embedded.stop().await;
    eventually("a has all the places", async || {
        in_flight(&a.embedded, "n1") == 8
    })
    .await;
    let busy = || nodes[0].active_dispatch();
    eventually("and no more than there are", async || busy() == 8).await;
}

/// Chooses a node as a request does.
fn pick(gateway: &Gateway, luck: u64) {
    let snapshot = gateway.embedded.live().snapshot();
    let ask = Ask {
        request: Request::new(Class::Short, PluginPlace::NONE),
        tried: &Tried::new(),
        luck,
        affinity: None,
        owner: None,
        once: false,
        limits: None,
        overdue: false,
        now: clock::now(),
    };
    let pick = snapshot.pools()[0].choose(&ask);
    assert!(pick.is_ok(), "all may serve");
}

#[tokio::test(flavor = "multi_thread")]
async fn f118_one_command_of_redis_is_enough_for_64_picks() {
    let (redis, nodes) = (Server::start().await, daemons(3).await);
    let rules = format!(
        "share: {{ redis: \"{}\", interval: 500ms }}\nstrategy: round_robin\n",
        redis.url()
    );
    let a = member(&nodes, "", &rules).await;
    let b = member(&nodes, "", &rules).await;
    met(&[&a, &b]).await;
    let given = |commands: &[&str]| -> u64 { commands.iter().map(|it| redis.given(it)).sum() };
    // What gateways say to Redis, and what their letters do there for the round.
    let said = ["evalsha", "eval", "script|load", "incr", "expire", "exists"];
    let before = (given(&said), given(&["hincrby"]));
    let mut picks = 0;
    let first = redis.letters();
    within("six letters are sent", async {
        while redis.letters() < first + 6 {
            for _ in 0..10_000 {
                pick(&a, picks);
                pick(&b, picks);
                picks += 2;
            }
            // On its way to the next letter nobody waits for these.
            tokio::task::yield_now().await;
        }
    })
    .await;
    let (letters, blocks) = (given(&said) - before.0, given(&["hincrby"]) - before.1);
    println!("{picks} picks: {letters} commands of gateways, {blocks} blocks of turns");
    assert!(letters <= picks / 64, "{letters} commands");
    assert!((1..=picks / 64).contains(&blocks), "{blocks} blocks");
    let ttl: i64 = redis.cli(&["PTTL", "twolane:fleet:turns"]).parse().unwrap();
    assert!(ttl > 0, "and the round does not live for ever");
}

/// The library that gives a process another time.
fn wrong_clock() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap();
    let place = |folder: std::io::Result<std::fs::DirEntry>| {
        folder
            .ok()
            .map(|it| it.path().join("faketime/libfaketimeMT.so.1"))
    };
    let mut places = folders.filter_map(place);
    let found = places.find(|place| place.exists());
    found.expect("libfaketime is installed: make setup")
}

/// A gateway whose machine's clock is wrong by so much.
async fn with_clock(folder: &Path, nodes: &[Daemon], url: &str, shift: &str) -> Serving {
    let places: Vec<_> = nodes
        .iter()
        .map(|node| (node.id().to_owned(), node.addr()))
        .collect();
    let share = format!("share: {{ redis: \"{url}\", interval: 100ms }}\n");
    let file = folder.join("gateway.yaml");
    std::fs::write(&file, yaml(&places, &share)).unwrap();
    let mut shifted = command(folder, &["--config", &file.to_string_lossy()]);
    // Only the wall clock: a machine's other clock is not set by anybody.
    shifted
        .env("LD_PRELOAD", wrong_clock())
        .env("FAKETIME", shift);
    shifted
        .env("DONT_FAKE_MONOTONIC", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Serving::start(shifted).await
}

#[tokio::test(flavor = "multi_thread")]
async fn f111_a_gateway_whose_clock_is_an_hour_off_leads_and_counts_as_ever() {
    for (shift, seconds) in [("+1h", 3600), ("-1h", -3600)] {
        let (redis, nodes) = (Server::start().await, daemons(2).await);
        let folder = tempfile::tempdir().unwrap();
        let mut a = with_clock(folder.path(), &nodes, &redis.url(), shift).await;
        let leads = async || {
            let page = a.ask("/cluster/master").await;
            page.is_some_and(|page| page.json()["self"] == true)
        };
        eventually("a leads", async || leads().await).await;
        let b = member(&nodes, &redis.url(), "").await;
        eventually("b knows a", async || {
            b.embedded.live().fleet.others(clock::now()).len() == 1
        })
        .await;
        // Its clock is wrong indeed: it writes so for people.
        let told = || -> Option<i64> {
            let row = redis.cli(&["HGET", "twolane:node:status", "n1"]);
            let row: Value = serde_json::from_str(&row).ok()?;
            row["last_update"].as_i64()
        };
        eventually("a has told", async || told().is_some()).await;
        let now = clock::wall().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let off = told().unwrap() - i64::try_from(now).unwrap();
        assert!((off - seconds).abs() < 60, "{shift}: {off} s");
        // Far longer than a lease lasts: what a holds is seen, and a leads on.
        let held = hold(&a.dify()).await;
        eventually("b sees it", async || all_elsewhere(&b.embedded) == 1).await;
        let before = redis.letters();
        eventually("thirty letters", async || redis.letters() > before + 30).await;
        eventually("b sees it still", async || all_elsewhere(&b.embedded) == 1).await;
        eventually("one of the two leads, and Redis knows which", async || {
            let name = &b.embedded.live().identity.name;
            let lease = redis.cli(&["GET", "twolane:fleet:leader"]);
            let own = b.embedded.live().fleet.state.leads();
            own != leads().await && own == lease.starts_with(name)
        })
        .await;
        drop(held);
        eventually("b sees its end", async || all_elsewhere(&b.embedded) == 0).await;
        // Killed, it loses the lease by the clock of Redis.
        let held = hold(&a.dify()).await;
        eventually("b sees it", async || all_elsewhere(&b.embedded) == 1).await;
        a.program.signal("KILL");
        a.program.exit().await;
        eventually("b leads and counts what is alive", async || {
            b.embedded.live().fleet.state.leads() && all_elsewhere(&b.embedded) == 0
        })
        .await;
        drop(held);
    }
}
