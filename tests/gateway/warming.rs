//! What the gateway finds out about plugins beside its requests, and what a node that came back
//! gets meanwhile.

use crate::rig::Rig;
use crate::support::client::{Dify, expect_events};
use crate::support::gateway::{Gateway, config, yaml};
use crate::support::program::Serving;
use crate::support::within;
use crate::{PLUGIN, sim};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use twolane::demo::daemon::{Daemon, Install, Plugin, Seen, Settings, Stop, World};
use twolane::nodes::Hand;

/// Checks every 100 ms, probes from 200 ms on.
const QUICK: &str = "health: { interval: 100ms, slow_start: 500ms }\ncooldown: { absent: 200ms }\n";

/// Daemons n1, n2, ... that share a ledger, each made from its settings.
async fn daemons(count: usize, change: impl Fn(usize, &mut Settings)) -> Vec<Daemon> {
    let world = World::default();
    let mut daemons = Vec::new();
    for n in 1..=count {
        let mut settings = Settings::named(&format!("n{n}"), &world);
        change(n, &mut settings);
        daemons.push(Daemon::start(settings).await.unwrap());
    }
    daemons
}

async fn before(nodes: Vec<Daemon>, more: &str) -> Rig {
    let all: Vec<_> = nodes.iter().collect();
    let gateway = Gateway::start(config(&all, more)).await;
    Rig { nodes, gateway }
}

fn is_by(seen: &Seen, agent: &str) -> bool {
    seen.values("User-Agent")
        .iter()
        .any(|value| value.contains(agent))
}

/// Probes by POST that a node has seen.
fn probes(node: &Daemon) -> usize {
    let all = node.requests();
    let post = |seen: &&Seen| is_by(seen, "twolane-probe") && seen.method == "POST";
    all.iter().filter(post).count()
}

/// Everything the prober has asked of a node.
fn questions(node: &Daemon) -> usize {
    let all = node.requests();
    all.iter()
        .filter(|seen| is_by(seen, "twolane-probe"))
        .count()
}

/// Plugin calls of clients that a node has seen, refused ones included.
fn calls(node: &Daemon) -> usize {
    let all = node.requests();
    let call = |seen: &&Seen| is_by(seen, "httpx") && seen.target.contains("/dispatch/");
    all.iter().filter(call).count()
}

/// Those of them that a plugin served.
fn served(rig: &Rig, node: &str) -> usize {
    let all = rig.ledger().executions();
    all.iter().filter(|entry| entry.node == node).count()
}

async fn call(dify: &Dify) {
    let answer = dify.all("tool/invoke", PLUGIN, sim(json!({"events": 1})));
    expect_events(within("an answer", answer).await);
}

/// Calls until a node has served so many more.
async fn call_until_served(rig: &Rig, node: &str, more: usize) {
    let (dify, enough) = (rig.dify(), served(rig, node) + more);
    within("the node serves", async {
        while served(rig, node) < enough {
            call(&dify).await;
        }
    })
    .await;
}

/// Kills a node that nothing runs on, waits until the checks see it, and starts it again.
async fn restart(rig: &Rig, at: usize) {
    let node = rig.node(rig.nodes[at].id());
    node.set_hand(Hand::Drain);
    let idle = rig.gateway.until(|_| node.total_in_flight() == 0);
    within("nothing runs there any more", idle).await;
    rig.nodes[at].stop(Stop::Cut).await;
    let down = rig.gateway.until(|_| !node.is_healthy());
    within("the checks find it dead", down).await;
    rig.nodes[at].restart().await.unwrap();
    node.set_hand(Hand::Ready);
}

/// Eight clients, each with one call after another; how many each made without an error.
fn load(rig: &Rig, over: &Arc<AtomicBool>) -> JoinSet<usize> {
    let mut load = JoinSet::new();
    for _ in 0..8 {
        let (dify, over) = (rig.dify(), Arc::clone(over));
        load.spawn(async move {
            let mut done = 0;
            while !over.load(Ordering::Relaxed) {
                let script = sim(json!({"ttfb_ms": 500, "events": 1}));
                expect_events(dify.all("tool/invoke", PLUGIN, script).await);
                done += 1;
            }
            done
        });
    }
    load
}

/// Row 9.3 (b): a plugin needs a minute (here 1.2 s) after its daemon says that it is well.
async fn restarts_under_load(metrics: bool) {
    let nodes = daemons(3, |_, settings| {
        settings.metrics = metrics;
        settings.clock_scale = 0.02;
        settings.plugins = vec![Plugin {
            start_delay_ms: 60_000,
            ..Plugin::running(PLUGIN)
        }];
    })
    .await;
    for node in &nodes {
        node.set_running(PLUGIN, true);
    }
    let rig = before(nodes, QUICK).await;
    let over = Arc::new(AtomicBool::new(false));
    let load = load(&rig, &over);
    let all_serve = rig
        .gateway
        .until(|_| ["n1", "n2", "n3"].iter().all(|node| served(&rig, node) > 5));
    within("every node serves", all_serve).await;
    restart(&rig, 0).await;
    let (asked, before) = (calls(&rig.nodes[0]), served(&rig, "n1"));
    let back = rig.gateway.until(|_| rig.node("n1").is_healthy());
    within("the checks find it well, long before its plugin runs", back).await;
    let again = rig.gateway.until(|_| served(&rig, "n1") > before + 10);
    within("it serves again", again).await;
    over.store(true, Ordering::Relaxed);
    let done: usize = load.join_all().await.into_iter().sum();
    assert!(done > 100, "there should be load, not {done} calls");
    assert_eq!(
        calls(&rig.nodes[0]) - asked,
        served(&rig, "n1") - before,
        "no call should be sent to a node whose plugin does not run yet"
    );
    assert_eq!(rig.ledger().duplicates().len(), 0);
    let asked_for = probes(&rig.nodes[0]);
    if metrics {
        assert_eq!(asked_for, 0, "the metrics page says it all");
    } else {
        assert!((2..8).contains(&asked_for), "{asked_for} probes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f248_a_node_that_restarts_under_load_gets_no_call_before_its_plugin_runs() {
    restarts_under_load(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f248_so_it_is_with_daemons_that_have_no_metrics_page() {
    restarts_under_load(false).await;
}

/// Row 9.3 (j).
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_called_right_after_it_was_installed() {
    let nodes = daemons(3, |_, settings| {
        settings.accept_all_plugins = false;
        settings.install = Install {
            here_ms: 50,
            sweep_ms: 600,
            elsewhere_ms: 100,
            ..Install::default()
        };
    })
    .await;
    let rig = before(nodes, QUICK).await;
    let dify = rig.dify();
    let target = "/plugin/tenant/management/install/identifiers";
    let identifier = format!("{PLUGIN}:0.0.1@abcd");
    let asked = json!({"plugin_unique_identifiers": [identifier], "source": "marketplace"});
    let task = dify.post(target, &asked).await.json();
    let task = task["data"]["task_id"].as_str().unwrap().to_owned();
    within("it is installed", async {
        let target = format!("/plugin/tenant/management/install/tasks/{task}");
        while dify.get(&target).await.json()["data"]["status"] != "success" {}
    })
    .await;
    for _ in 0..50 {
        call(&dify).await;
    }
    assert_eq!(rig.ledger().len(), 50);
    // For a minute this tenant's calls go where it was installed; others' find it everywhere.
    let body = json!({"user_id": "u", "data": sim(json!({"events": 1}))}).to_string();
    let target = "/plugin/other/dispatch/tool/invoke";
    let headers = [
        ("X-Plugin-ID", PLUGIN),
        ("Content-Type", "application/json"),
    ];
    within("every node serves", async {
        while ["n1", "n2", "n3"]
            .iter()
            .any(|node| served(&rig, node) == 0)
        {
            let answer = dify.raw("POST", target, &headers, body.as_bytes());
            assert_eq!(answer.await.unwrap().status, 200);
        }
    })
    .await;
}

/// Row K of dify.md, section 8.
#[tokio::test(flavor = "multi_thread")]
async fn after_an_install_or_an_upgrade_the_tenants_calls_go_where_it_was_done() {
    let nodes = daemons(3, |_, settings| {
        settings.accept_all_plugins = false;
        settings.install = Install {
            here_ms: 50,
            sweep_ms: 600_000,
            ..Install::default()
        };
    })
    .await;
    // Nothing is asked beside the requests, so that only the install can tell.
    let rig = before(nodes, "health: { enabled: false }\n").await;
    let dify = rig.dify();
    let install = async |action: &str, asked: serde_json::Value| {
        let target = format!("/plugin/tenant/management/install/{action}");
        let answer = within("an answer", dify.post(&target, &asked)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["data"]["task_id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let identifier = format!("{PLUGIN}:0.0.1@abcd");
    let asked = json!({"plugin_unique_identifiers": [identifier], "source": "marketplace"});
    let task = install("identifiers", asked).await;
    within("it is installed", async {
        let target = format!("/plugin/tenant/management/install/tasks/{task}");
        while dify.get(&target).await.json()["data"]["status"] != "success" {}
    })
    .await;
    let all_calls = || rig.nodes.iter().map(calls).sum::<usize>();
    for _ in 0..50 {
        call(&dify).await;
    }
    assert_eq!((all_calls(), rig.ledger().len()), (50, 50), "nobody missed");
    let at = rig.ledger().executions()[0].node.clone();
    // The others have had it since, and after the upgrade they have not: nobody has told us.
    let plugin = rig.gateway.embedded.live().plugins.find(Some(PLUGIN));
    for node in ["n1", "n2", "n3"] {
        rig.node(node).note_present(plugin.place());
    }
    let upgrade = json!({
        "original_plugin_unique_identifier": identifier,
        "new_plugin_unique_identifier": format!("{PLUGIN}:0.0.2@ef01"),
        "source": "marketplace",
    });
    install("upgrade", upgrade).await;
    for _ in 0..50 {
        call(&dify).await;
    }
    assert_eq!(all_calls(), 100, "nobody missed after the upgrade");
    assert_eq!(served(&rig, &at), 100, "{at} took both");
}

/// Row E of dify.md, section 8.
#[tokio::test(flavor = "multi_thread")]
async fn a_serverless_daemon_is_used_at_once_and_never_asked_for_plugins() {
    let nodes = daemons(2, |_, settings| {
        settings.health.platform = "serverless".to_owned();
    })
    .await;
    let rig = before(nodes, "health: { interval: 100ms, slow_start: 0s }\n").await;
    let dify = rig.dify();
    call_until_served(&rig, "n2", 5).await;
    restart(&rig, 0).await;
    let back = rig.gateway.until(|_| rig.node("n1").is_healthy());
    within("it is back", back).await;
    let before = served(&rig, "n1");
    // A local daemon would get none while the other is known to have the plugin.
    for _ in 0..20 {
        call(&dify).await;
    }
    assert!(served(&rig, "n1") > before + 3, "it is used at once");
    assert_eq!(questions(&rig.nodes[0]) + questions(&rig.nodes[1]), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_installed_later_is_found_there_and_probes_stop() {
    for metrics in [true, false] {
        let nodes = daemons(2, |_, settings| settings.metrics = metrics).await;
        nodes[1].put_plugin(Plugin::absent(PLUGIN));
        let rig = before(nodes, QUICK).await;
        let second = &rig.nodes[1];
        let dify = rig.dify();
        within("a request finds out that it is not there", async {
            while calls(second) == 0 {
                call(&dify).await;
            }
        })
        .await;
        let asked = rig.gateway.until(|_| questions(second) >= 3);
        let ((), ()) = tokio::join!(within("probes", asked), async {
            while questions(second) < 3 {
                call(&dify).await;
            }
        });
        assert_eq!(calls(second), 1, "probes spare the requests the rest");
        second.set_running(PLUGIN, true);
        call_until_served(&rig, "n2", 20).await;
        assert_eq!(calls(second), served(&rig, "n2") + 1, "nobody else missed");
        let quiet = questions(second);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(questions(second), quiet, "what is there is not asked for");
        assert_eq!(questions(&rig.nodes[0]), 0);
        assert_eq!(rig.ledger().duplicates().len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_asks_for_what_nobody_uses() {
    let nodes = daemons(2, |_, settings| {
        settings.plugins = vec![Plugin::absent(PLUGIN)];
    })
    .await;
    let rig = before(nodes, QUICK).await;
    restart(&rig, 0).await;
    let back = rig.gateway.until(|_| rig.node("n1").is_healthy());
    within("it is back", back).await;
    let hook = rig.dify().get("/e/hook/path").await;
    assert_eq!(hook.status, 200);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(questions(&rig.nodes[0]) + questions(&rig.nodes[1]), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_asks_as_requests_do() {
    let settings = |_, settings: &mut Settings| {
        settings.metrics = false;
        settings.api_key = Some("s3cret".to_owned());
    };
    let rig = before(daemons(2, settings).await, QUICK).await;
    rig.nodes[1].put_plugin(Plugin::absent(PLUGIN));
    let dify = Dify::new(rig.gateway.embedded.data(), Some("s3cret"));
    let identifier = format!("{PLUGIN}:0.0.1@abcd");
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Plugin-Unique-Identifier", identifier.as_str()),
    ];
    let body = json!({"tenant_id": "t", "user_id": "u", "data": {}}).to_string();
    within("the second node is asked in vain", async {
        while probes(&rig.nodes[1]) == 0 {
            let target = "/v2/invoke/dispatch/tool/invoke";
            let answer = dify.raw("POST", target, &headers, body.as_bytes()).await;
            assert_eq!(answer.unwrap().status, 200);
        }
    })
    .await;
    let all = rig.nodes[1].requests();
    let probe = all
        .iter()
        .find(|seen| is_by(seen, "twolane-probe") && seen.method == "POST");
    let probe = probe.unwrap();
    assert_eq!(probe.target, "/v2/invoke/dispatch/tool/invoke");
    assert_eq!(
        probe.values("X-Plugin-Unique-Identifier"),
        [identifier.as_str()]
    );
    assert_eq!(probe.values("X-Api-Key"), ["s3cret"]);
    assert_eq!(rig.ledger().executions().len(), served(&rig, "n1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_another_key_is_asked_once() {
    let nodes = daemons(2, |n, settings| {
        settings.metrics = false;
        settings.api_key = Some(if n == 1 { "right" } else { "wrong" }.to_owned());
    })
    .await;
    nodes[1].stop(Stop::Cut).await;
    let rig = before(nodes, QUICK).await;
    let dify = Dify::new(rig.gateway.embedded.data(), Some("right"));
    call(&dify).await;
    rig.nodes[1].restart().await.unwrap();
    let asked = rig.gateway.until(|_| probes(&rig.nodes[1]) > 0);
    within("it is asked", asked).await;
    for _ in 0..50 {
        call(&dify).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(probes(&rig.nodes[1]), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_off_a_node_that_came_back_is_used_at_once() {
    let yaml =
        "health: { interval: 100ms, warmup: 0s, slow_start: 0s }\ncooldown: { absent: 10s }\n";
    let rig = before(daemons(2, |_, _| {}).await, yaml).await;
    call_until_served(&rig, "n1", 1).await;
    call_until_served(&rig, "n2", 1).await;
    restart(&rig, 1).await;
    let back = rig.gateway.until(|_| rig.node("n2").is_healthy());
    within("it is back", back).await;
    let (dify, before) = (rig.dify(), served(&rig, "n2"));
    for _ in 0..10 {
        call(&dify).await;
    }
    assert!(served(&rig, "n2") > before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_in_no_line_of_the_log() {
    let nodes = daemons(2, |_, settings| {
        settings.metrics = false;
        settings.api_key = Some("s3cret-key".to_owned());
    })
    .await;
    nodes[1].put_plugin(Plugin::absent(PLUGIN));
    let addresses: Vec<_> = nodes
        .iter()
        .map(|node| (node.id().to_owned(), node.addr()))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    std::fs::write(&file, yaml(&addresses, QUICK)).unwrap();
    let file = file.to_string_lossy().into_owned();
    let mut command = crate::support::program::command(folder.path(), &["--config", &file]);
    // Pingora writes whole headers at debug; what is ours to answer for are our own lines.
    command.env("RUST_LOG", "info,twolane=trace");
    let serving = Serving::start(command).await;
    let dify = Dify::new(serving.data, Some("s3cret-key"));
    within("the second node is asked", async {
        while probes(&nodes[1]) < 2 {
            call(&dify).await;
        }
    })
    .await;
    nodes[1].set_running(PLUGIN, true);
    serving
        .program
        .line("plugin found by a probe node=n2")
        .await;
    let log = serving.program.log();
    assert!(log.contains("probe finding=Absent"), "probes are logged");
    let line = log.lines().find(|line| line.contains("s3cret-key"));
    assert_eq!(line, None);
}
