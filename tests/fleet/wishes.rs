//! What an operator says to one gateway, all do: pins and weights, and after a restart too.

use crate::redis::Server;
use crate::rig::{daemons, header_of, member, met};
use crate::support::client::Dify;
use crate::support::eventually;
use crate::support::filed::Filed;
use crate::support::gateway::{Gateway, config, parse, yaml};
use serde_json::{Value, json};
use twolane::demo::daemon::Daemon;
use twolane::model::clock;
use twolane::server::Options;
use twolane::upstream::Standing;

pub(crate) const KEY: &str = "/api/v1/operations/tool%2Finvoke/pin";
pub(crate) const WEIGHT: &str = "/api/v1/nodes/n2/weight";

/// What the operator says, and what the gateway answers.
pub(crate) async fn say(gateway: &Gateway, verb: &str, path: &str, body: Value) -> u16 {
    let admin = Dify::new(gateway.embedded.admin(), None);
    let body = body.to_string();
    let answer = admin.raw(verb, path, &[], body.as_bytes()).await.unwrap();
    answer.status
}

/// The pins that the admin API shows.
async fn pins(gateway: &Gateway) -> Value {
    gateway.admin("/api/v1/operations").await.json()["pins"].clone()
}

fn weight(gateway: &Gateway) -> u16 {
    gateway.embedded.live().snapshot().nodes()[1].weight()
}

async fn all_pin(gateways: &[&Gateway], expected: &Value) {
    for gateway in gateways {
        eventually(&format!("it has {expected}"), async || {
            pins(gateway).await == *expected
        })
        .await;
    }
}

async fn all_weigh(gateways: &[&Gateway], expected: u16) {
    for gateway in gateways {
        eventually("it has the weight", async || weight(gateway) == expected).await;
    }
}

/// The file of a gateway with n2 at this weight, or without it.
fn file(nodes: &[Daemon], url: &str, weight: Option<u16>) -> String {
    let row = |at: usize, weight| {
        let address = nodes[at].addr();
        format!(
            "  - {{ id: n{}, address: \"{address}\", weight: {weight} }}\n",
            at + 1
        )
    };
    let rows = row(0, 1) + &weight.map_or(String::new(), |weight| row(1, weight));
    let share = format!("share: {{ redis: \"{url}\", interval: 100ms }}\n");
    yaml(
        &[],
        &format!("{share}reload: {{ poll: \"off\" }}\nnodes:\n{rows}"),
    )
}

async fn with_weight(nodes: &[Daemon], url: &str, weight: u16) -> Gateway {
    Gateway::start(parse(&file(nodes, url, Some(weight)))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_through_one_reaches_all_and_so_does_its_end() {
    let (redis, nodes) = (Server::start().await, daemons(2).await);
    let a = member(&nodes, &redis.url(), "").await;
    let b = member(&nodes, &redis.url(), "").await;
    met(&[&a, &b]).await;
    let began = clock::now();
    assert_eq!(say(&a, "PUT", KEY, json!({"class": "long"})).await, 200);
    let long = json!([{ "key": "tool/invoke", "class": "long" }]);
    all_pin(&[&b], &long).await;
    println!("a pin through a reached b after {:?}", began.elapsed());
    assert_eq!(header_of(&b.dify(), "X-Twolane-Class").await, "long");
    let told = redis.cli(&["HGET", "twolane:fleet:pins", "tool/invoke"]);
    assert!(told.ends_with(" long"), "{told}");
    // Who comes later knows it, and may take it back.
    let c = member(&nodes, &redis.url(), "").await;
    all_pin(&[&c], &long).await;
    assert_eq!(say(&c, "PUT", KEY, json!({"class": "short"})).await, 200);
    let short = json!([{ "key": "tool/invoke", "class": "short" }]);
    all_pin(&[&a, &b, &c], &short).await;
    assert_eq!(say(&b, "DELETE", KEY, json!({})).await, 200);
    all_pin(&[&a, &b, &c], &json!([])).await;
    assert_eq!(say(&a, "DELETE", KEY, json!({})).await, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weight_through_one_reaches_all_until_the_file_says_another() {
    let (redis, nodes) = (Server::start().await, daemons(2).await);
    let a = with_weight(&nodes, &redis.url(), 1).await;
    let b = with_weight(&nodes, &redis.url(), 1).await;
    met(&[&a, &b]).await;
    let began = clock::now();
    assert_eq!(say(&a, "PUT", WEIGHT, json!({"weight": 7})).await, 200);
    all_weigh(&[&b], 7).await;
    println!("a weight through a reached b after {:?}", began.elapsed());
    let page = b.admin("/api/v1/nodes").await.json();
    assert_eq!(page["nodes"][1]["weight"], 7, "{page}");
    let told = redis.cli(&["HGET", "twolane:fleet:weights", "n2"]);
    assert!(told.ends_with(" 7/1"), "{told}");
    // Both end, and one begins again: Redis has kept it.
    a.embedded.stop().await;
    b.embedded.stop().await;
    let a = with_weight(&nodes, &redis.url(), 1).await;
    all_weigh(&[&a], 7).await;
    // One whose file says another weight by now goes by its file, and can be told better.
    let b = with_weight(&nodes, &redis.url(), 3).await;
    met(&[&a, &b]).await;
    assert_eq!((weight(&a), weight(&b)), (7, 3));
    assert_eq!(say(&b, "PUT", WEIGHT, json!({"weight": 5})).await, 200);
    assert_eq!(say(&a, "PUT", WEIGHT, json!({"weight": 1001})).await, 400);
    all_weigh(&[&b], 5).await;
    assert_eq!(weight(&a), 7, "its file says 1, and the wish was for 3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_found_later_gets_what_was_wished_before() {
    let (redis, nodes) = (Server::start().await, daemons(2).await);
    let a = member(&nodes, &redis.url(), "").await;
    let filed = Filed::start(&file(&nodes, &redis.url(), None)).await;
    let b = &filed.gateway;
    met(&[&a, b]).await;
    assert_eq!(say(&a, "PUT", WEIGHT, json!({"weight": 4})).await, 200);
    crate::rig::wish(&a, "n2", "drain").await;
    eventually("it is told", async || {
        let weights = redis.cli(&["HLEN", "twolane:fleet:weights"]);
        weights == "1" && redis.cli(&["HLEN", "twolane:fleet:hands"]) == "1"
    })
    .await;
    // The exchange after the next letter has certainly brought it.
    let before = redis.letters();
    eventually("both have asked again", async || {
        redis.letters() > before + 2
    })
    .await;
    filed.take(&file(&nodes, &redis.url(), Some(1))).await;
    all_weigh(&[b], 4).await;
    eventually("it is drained", async || {
        crate::rig::hand(&b.embedded, "n2") == twolane::nodes::Hand::Drain
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_wished_while_redis_was_gone_is_lost_by_nobody() {
    let (mut redis, nodes) = (Server::start().await, daemons(2).await);
    let a = with_weight(&nodes, &redis.url(), 1).await;
    let b = with_weight(&nodes, &redis.url(), 1).await;
    met(&[&a, &b]).await;
    assert_eq!(say(&b, "PUT", WEIGHT, json!({"weight": 2})).await, 200);
    all_weigh(&[&a], 2).await;
    redis.kill();
    let down = |gateway: &Gateway| gateway.embedded.live().fleet.standing() == Standing::Down;
    for gateway in [&a, &b] {
        eventually("it is alone", async || down(gateway)).await;
    }
    assert_eq!(say(&a, "PUT", KEY, json!({"class": "long"})).await, 200);
    let long = json!([{ "key": "tool/invoke", "class": "long" }]);
    assert_eq!(pins(&a).await, long, "here it holds at once");
    // It comes back empty: what was known before is told again, and what is new too.
    redis.restart().await;
    all_pin(&[&b], &long).await;
    eventually("Redis has the weight again", async || {
        redis
            .cli(&["HGET", "twolane:fleet:weights", "n2"])
            .ends_with(" 2/1")
    })
    .await;
    all_weigh(&[&a, &b], 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pins_of_a_state_file_reach_a_fleet_that_knows_nothing_and_obey_one_that_does() {
    let (redis, nodes) = (Server::start().await, daemons(1).await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    let state = format!("state: {{ file: \"{}\", interval: 1s }}\n", file.display());
    let kept = || std::fs::read_to_string(&file).is_ok_and(|it| it.contains("\"tool/invoke\""));
    let start = async |more: &str| {
        let config = config(&[&nodes[0]], &format!("{state}{more}"));
        Gateway::start_with(config, Options::default()).await
    };
    let alone = start("").await;
    assert_eq!(say(&alone, "PUT", KEY, json!({"class": "long"})).await, 200);
    eventually("it is written down", async || kept()).await;
    alone.embedded.stop().await;
    let share = format!("share: {{ redis: \"{}\", interval: 100ms }}\n", redis.url());
    let a = start(&share).await;
    let b = member(&nodes, &redis.url(), "").await;
    let long = json!([{ "key": "tool/invoke", "class": "long" }]);
    all_pin(&[&a, &b], &long).await;
    a.embedded.stop().await;
    // Taken away while that gateway is down: its file has it still.
    assert_eq!(say(&b, "DELETE", KEY, json!({})).await, 200);
    eventually("it is told", async || {
        redis
            .cli(&["HGET", "twolane:fleet:pins", "tool/invoke"])
            .ends_with(" none")
    })
    .await;
    assert!(kept());
    let a = start(&share).await;
    met(&[&a, &b]).await;
    all_pin(&[&a, &b], &json!([])).await;
}
