//! Who is taken for well, from when on, and who serves meanwhile.

use crate::support::client::{Dify, DifyError, expect_events};
use crate::support::filed::Filed;
use crate::support::gate::{Gate, HOLD};
use crate::support::gateway::{Gateway, yaml};
use crate::support::{eventually, within};
use crate::{PLUGIN, daemons, sim};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use twolane::demo::daemon::{Daemon, Health, Stop};

/// No check comes by itself after the first two: the test makes the rounds.
const BY_HAND: &str = "health: { interval: 1h, timeout: 1s }\n";

fn status(status: u16) -> Health {
    Health {
        status,
        ..Health::default()
    }
}

fn says(body: &str) -> Health {
    Health {
        body: Some(body.to_owned()),
        ..Health::default()
    }
}

fn silent() -> Health {
    Health {
        hang: true,
        ..Health::default()
    }
}

async fn round(gateway: &Gateway) {
    within(
        "a round of checks",
        gateway.embedded.live().parts.checks.round(),
    )
    .await;
}

fn healthy(gateway: &Gateway) -> Vec<bool> {
    let nodes = gateway.embedded.live().snapshot().nodes();
    nodes.iter().map(|node| node.is_healthy()).collect()
}

/// A gateway whose checks are made by hand; both checks of its start are over.
async fn by_hand(nodes: &[&Daemon], more: &str) -> Gateway {
    let given = more.contains("health:");
    let gateway = Gateway::before(nodes, &[if given { "" } else { BY_HAND }, more].concat()).await;
    for node in nodes {
        let asked = node.until(|node| node.health_checks() >= 2 && node.active_requests() == 0);
        within("the checks of the start", asked).await;
    }
    gateway
}

async fn call(dify: &Dify, id: &str) -> Result<(), DifyError> {
    let script = sim(json!({"id": id}));
    let answer = within("an answer", dify.all("tool/invoke", PLUGIN, script)).await;
    answer.map(|_events| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn f057_f187_wrong_words_wrong_status_and_silence_are_all_unhealthy() {
    let nodes = daemons(7).await;
    let gateway = by_hand(&nodes.iter().collect::<Vec<_>>(), "").await;
    round(&gateway).await;
    assert_eq!(healthy(&gateway), [true; 7], "all are well at first");
    let ill = [
        says(r#"{"status":"bad"}"#),
        says("ok"),
        says("{}"),
        status(500),
        status(404),
        silent(),
    ];
    for (node, health) in nodes.iter().zip(ill) {
        node.set_health(health);
    }
    round(&gateway).await;
    round(&gateway).await;
    assert_eq!(
        healthy(&gateway),
        [false, false, false, false, false, false, true],
        "only a 200 that says ok, in time, is health"
    );
    nodes
        .iter()
        .for_each(|node| node.set_health(Health::default()));
    round(&gateway).await;
    assert_eq!(healthy(&gateway), [true; 7], "one good answer proves life");
}

#[tokio::test(flavor = "multi_thread")]
async fn f239_two_failures_take_a_node_out_and_one_success_brings_it_back() {
    let nodes = daemons(1).await;
    let gateway = by_hand(&[&nodes[0]], "").await;
    round(&gateway).await;
    let asked = nodes[0].health_checks();
    nodes[0].set_health(status(500));
    round(&gateway).await;
    assert_eq!(healthy(&gateway), [true], "one lost probe proves nothing");
    round(&gateway).await;
    assert_eq!(healthy(&gateway), [false], "the second one does");
    nodes[0].set_health(Health::default());
    round(&gateway).await;
    assert_eq!(healthy(&gateway), [true], "one success is enough");
    nodes[0].set_health(status(500));
    round(&gateway).await;
    assert_eq!(healthy(&gateway), [true], "failures are counted anew");
    nodes[0].set_health(Health::default());
    round(&gateway).await;
    nodes[0].set_health(status(500));
    round(&gateway).await;
    assert_eq!(healthy(&gateway), [true], "a success in between forgives");
    assert_eq!(
        nodes[0].health_checks() - asked,
        6,
        "a round asks each node exactly once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f186_f239_fall_and_rise_are_what_the_file_says() {
    let nodes = daemons(1).await;
    let rules = "health: { interval: 1h, timeout: 1s, fall: 3, rise: 2 }\n";
    let gateway = by_hand(&[&nodes[0]], rules).await;
    round(&gateway).await;
    let mut seen = Vec::new();
    for health in [
        status(500),
        status(500),
        status(500),
        Health::default(),
        Health::default(),
    ] {
        nodes[0].set_health(health);
        round(&gateway).await;
        seen.push(healthy(&gateway)[0]);
    }
    assert_eq!(
        seen,
        [true, true, false, false, true],
        "the third failure takes it out and the second success brings it back"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f056_a_node_that_is_dead_at_the_start_is_out_before_the_first_request() {
    let nodes = daemons(2).await;
    nodes[0].stop(Stop::Cut).await;
    let rules = "health: { interval: 1h, timeout: 1s, fall: 100 }\nretry: { attempts: 1 }\n";
    let gateway = Gateway::before(&[&nodes[0], &nodes[1]], rules).await;
    assert_eq!(
        healthy(&gateway),
        [false, true],
        "the first check decides, whatever `fall` says"
    );
    let dify = gateway.dify();
    for n in 0..20 {
        let answer = call(&dify, &n.to_string()).await;
        assert_eq!(answer, Ok(()), "nothing is sent to the dead node");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f056_a_single_early_failure_is_withdrawn_by_the_next_success() {
    let nodes = daemons(1).await;
    nodes[0].set_health(status(500));
    let rules = "health: { interval: 1h, timeout: 1s, fall: 100, rise: 100 }\n";
    let gateway = by_hand(&[&nodes[0]], rules).await;
    assert_eq!(healthy(&gateway), [false], "the first check decided");
    nodes[0].set_health(Health::default());
    round(&gateway).await;
    assert_eq!(
        healthy(&gateway),
        [true],
        "a verdict on one failure falls with one success, whatever `rise` says"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f056_f189_a_killed_node_goes_and_comes_back_by_itself() {
    let nodes = daemons(2).await;
    let gateway = Gateway::before(&[&nodes[0], &nodes[1]], "").await;
    nodes[0].stop(Stop::Cut).await;
    within(
        "it is out",
        gateway.until(|gateway| healthy(gateway) == [false, true]),
    )
    .await;
    nodes[0].restart().await.unwrap();
    within(
        "it is back",
        gateway.until(|gateway| healthy(gateway) == [true, true]),
    )
    .await;
    nodes[1].stop(Stop::Blackhole).await;
    within(
        "silence counts",
        gateway.until(|gateway| healthy(gateway) == [true, false]),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f056_a_node_that_drips_its_answer_is_out_by_the_timeout_of_the_whole_check() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let drips = listener.local_addr().unwrap();
    let dripping = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{";
                let mut next: &[u8] = head;
                // Each byte comes long before a timeout of one read would strike.
                while stream.write_all(next).await.is_ok() {
                    next = b" ";
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            });
        }
    });
    let text = yaml(&[("drips".to_owned(), drips)], BY_HAND);
    let start = Gateway::start(crate::support::gateway::parse(&text));
    let gateway = within("a dripping node does not hold the start", start).await;
    assert_eq!(healthy(&gateway), [false], "dripping is not answering");
    dripping.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn f247_the_daemons_own_route_is_asked_unless_the_file_names_another() {
    let nodes = daemons(1).await;
    let gateway = by_hand(&[&nodes[0]], "").await;
    assert_eq!(
        healthy(&gateway),
        [true],
        "a node with only this route is well"
    );
    let asked = nodes[0].requests();
    assert!(
        !asked.is_empty() && asked.iter().all(|seen| seen.path() == "/health/check"),
        "nothing but the daemon's health route was asked: {asked:?}"
    );
    let rules = "health: { interval: 1h, path: /health }\n";
    let gateway = Gateway::before(&[&nodes[0]], rules).await;
    assert_eq!(
        healthy(&gateway),
        [false],
        "the route of the file is asked, and the daemon has none there"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f068_the_interval_is_the_files() {
    let (quick, slow) = (daemons(1).await.remove(0), daemons(1).await.remove(0));
    let interval = |text: &str| format!("health: {{ interval: {text} }}\n");
    let _often = Gateway::before(&[&quick], &interval("50ms")).await;
    let _seldom = Gateway::before(&[&slow], &interval("500ms")).await;
    within(
        "five slow checks",
        slow.until(|node| node.health_checks() >= 5),
    )
    .await;
    let quick = quick.health_checks();
    assert!(
        quick >= 10,
        "while five checks came every 500 ms, only {quick} came every 50 ms"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f068_without_checks_every_node_counts_as_healthy_and_none_is_asked() {
    let nodes = daemons(2).await;
    nodes[0].set_health(status(500));
    let gateway = Gateway::before(&[&nodes[0], &nodes[1]], "health: { enabled: false }\n").await;
    let dify = gateway.dify();
    for n in 0..20 {
        expect_events(
            dify.all("tool/invoke", PLUGIN, sim(json!({"id": n.to_string()})))
                .await,
        );
    }
    assert_eq!(healthy(&gateway), [true, true], "nobody doubts anybody");
    assert_eq!(
        nodes[0].ledger().per_node().len(),
        2,
        "both nodes were given work"
    );
    let asked: u64 = nodes.iter().map(Daemon::health_checks).sum();
    assert_eq!(asked, 0, "nobody was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn f068_checks_can_be_switched_off_and_on_while_serving() {
    let nodes = daemons(1).await;
    let named = [("n1".to_owned(), nodes[0].addr())];
    let file = |health: &str| {
        yaml(
            &named,
            &format!("reload: {{ poll: \"off\" }}\nhealth: {{ {health} }}\n"),
        )
    };
    let filed = Filed::start(&file("interval: 100ms")).await;
    let gateway = &filed.gateway;
    nodes[0].set_health(status(500));
    within(
        "it is out",
        gateway.until(|gateway| healthy(gateway) == [false]),
    )
    .await;
    filed.take(&file("interval: 100ms, enabled: false")).await;
    within(
        "without checks every node counts as healthy",
        gateway.until(|gateway| healthy(gateway) == [true]),
    )
    .await;
    filed.take(&file("interval: 100ms")).await;
    within(
        "it is out again",
        gateway.until(|gateway| healthy(gateway) == [false]),
    )
    .await;
    nodes[0].set_health(Health::default());
    within(
        "and back",
        gateway.until(|gateway| healthy(gateway) == [true]),
    )
    .await;
}

/// Clients that call one after the other until they are told to stop.
struct Load {
    clients: JoinSet<()>,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    failed: Arc<AtomicUsize>,
}

const CLIENTS: usize = 6;

impl Load {
    fn start(gateway: &Gateway) -> Self {
        let mut load = Self {
            clients: JoinSet::new(),
            stop: Arc::default(),
            answered: Arc::default(),
            failed: Arc::default(),
        };
        for client in 0..CLIENTS {
            let (dify, stop) = (gateway.dify(), Arc::clone(&load.stop));
            let (answered, failed) = (Arc::clone(&load.answered), Arc::clone(&load.failed));
            load.clients.spawn(async move {
                for n in 0.. {
                    if stop.load(Ordering::Acquire) {
                        return;
                    }
                    let ended = match call(&dify, &format!("{client}.{n}")).await {
                        Ok(()) => &answered,
                        Err(_) => &failed,
                    };
                    ended.fetch_add(1, Ordering::AcqRel);
                }
            });
        }
        load
    }

    /// Waits for so many more answers.
    async fn answered(&self, more: usize) {
        let goal = self.answered.load(Ordering::Acquire) + more;
        eventually("the load goes on", async || {
            self.answered.load(Ordering::Acquire) >= goal
        })
        .await;
    }

    fn failed(&self) -> usize {
        self.failed.load(Ordering::Acquire)
    }

    async fn end(mut self) -> usize {
        self.stop.store(true, Ordering::Release);
        while let Some(client) = self.clients.join_next().await {
            client.unwrap();
        }
        self.failed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f058_a_node_cut_under_load_costs_only_what_ran_on_it() {
    let nodes = daemons(3).await;
    let gateway = Gateway::before(&nodes.iter().collect::<Vec<_>>(), "").await;
    let load = Load::start(&gateway);
    load.answered(200).await;
    nodes[1].stop(Stop::Cut).await;
    // Each client's request of that moment, and no other, may have been lost with the node.
    load.answered(3 * CLIENTS).await;
    let lost = load.failed();
    assert!(
        lost <= CLIENTS,
        "{lost} of {CLIENTS} running calls were lost"
    );
    load.answered(300).await;
    assert_eq!(load.failed(), lost, "nobody else noticed");
    within("it is out", gateway.until(|gateway| !healthy(gateway)[1])).await;
    let before = nodes[0].ledger().per_node()["n2"];
    nodes[1].restart().await.unwrap();
    within(
        "it works again",
        nodes[0].until(|node| ledger_of(node, "n2") > before),
    )
    .await;
    load.answered(100).await;
    assert_eq!(load.end().await, lost, "its return was not noticed either");
    assert!(
        nodes[0].ledger().duplicates().is_empty(),
        "no call was executed twice"
    );
    within(
        "all counted down",
        gateway.until(|gateway| gateway.in_flight() == 0),
    )
    .await;
}

fn ledger_of(daemon: &Daemon, node: &str) -> usize {
    daemon.ledger().per_node().get(node).copied().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn f061_with_every_node_dead_the_answer_is_the_daemons_one_line() {
    let nodes = daemons(2).await;
    for fail_open in [true, false] {
        let rules = format!("{BY_HAND}fail_open: {fail_open}\n");
        let gateway = Gateway::before(&[&nodes[0], &nodes[1]], &rules).await;
        for node in &nodes {
            node.stop(Stop::Cut).await;
        }
        for _ in 0..2 {
            round(&gateway).await;
        }
        let answer = gateway
            .dify()
            .post("/plugin/t/dispatch/tool/invoke", &json!({}))
            .await;
        assert_eq!(answer.status, 503, "nobody is there");
        assert!(
            answer.header("Retry-After").is_some(),
            "a client is told that it may come again"
        );
        let text = answer.text().trim_end();
        assert_eq!(text.lines().count(), 1, "Dify reads line by line: {text}");
        let dify = gateway.dify();
        let raised = dify.all("tool/invoke", PLUGIN, sim(json!({}))).await;
        assert!(
            matches!(&raised, Err(DifyError::Unavailable(why)) if why.contains("no available node")),
            "Dify should take it for retryable and raised {raised:?}"
        );
        for node in &nodes {
            node.restart().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f240_a_backup_works_only_while_the_others_cannot_and_ends_what_it_began() {
    let main = daemons(1).await.remove(0);
    let spare = Gate::start("spare").await;
    let rules = format!(
        "nodes:\n  - {{ id: main, address: \"{}\" }}\n  - {{ id: spare, address: \"{}\", role: backup }}\n",
        main.addr(),
        spare.addr
    );
    let gateway = Gateway::before(&[], &rules).await;
    let dify = gateway.dify();
    for n in 0..20 {
        assert_eq!(call(&dify, &n.to_string()).await, Ok(()), "main serves");
    }
    assert_eq!(spare.taken(), 0, "the backup rests while main works");
    main.stop(Stop::Cut).await;
    let mut held = dify
        .open("tool/invoke", PLUGIN, json!({"x": HOLD}))
        .await
        .unwrap();
    let first = within("an event", held.next()).await.unwrap().unwrap();
    assert_eq!(first["gate"], "spare", "the backup serves in its place");
    main.restart().await.unwrap();
    within("main is back", gateway.until(|gateway| healthy(gateway)[0])).await;
    for n in 20..40 {
        assert_eq!(
            call(&dify, &n.to_string()).await,
            Ok(()),
            "main serves again"
        );
    }
    assert_eq!(spare.taken(), 1, "nothing new went to the backup");
    spare.open();
    let second = within("an event", held.next()).await.unwrap().unwrap();
    assert_eq!(second["n"], 2, "what ran on the backup ends there");
    assert_eq!(held.next().await, Ok(None), "and ends well");
}

#[tokio::test(flavor = "multi_thread")]
async fn f240_the_first_backup_serves_alone_unless_all_are_wanted() {
    let nodes = daemons(3).await;
    let [main, first, second] = &nodes[..] else {
        panic!("three daemons")
    };
    let rows = format!(
        "{BY_HAND}nodes:\n  - {{ id: main, address: \"{}\" }}\n  - {{ id: first, address: \"{}\", role: backup }}\n  - {{ id: second, address: \"{}\", role: backup }}\n",
        main.addr(),
        first.addr(),
        second.addr()
    );
    main.stop(Stop::Cut).await;
    for (more, expected) in [
        ("", [true, false]),
        ("use_all_backups: true\n", [true, true]),
    ] {
        let rules = format!("{rows}{more}strategy: round_robin\n");
        let gateway = Gateway::before(&[], &rules).await;
        round(&gateway).await;
        let before = [first, second].map(|node| ledger_of(node, node.id()));
        for n in 0..20 {
            let id = format!("{more}{n}");
            assert_eq!(call(&gateway.dify(), &id).await, Ok(()), "a backup serves");
        }
        let after = [first, second].map(|node| ledger_of(node, node.id()));
        assert_eq!(
            [after[0] > before[0], after[1] > before[1]],
            expected,
            "who served with {more:?}"
        );
    }
    first.stop(Stop::Cut).await;
    let gateway = Gateway::before(&[], &rows).await;
    round(&gateway).await;
    assert_eq!(call(&gateway.dify(), "x").await, Ok(()), "the next serves");
}

#[tokio::test(flavor = "multi_thread")]
async fn f138_a_drained_and_a_disabled_node_get_nothing() {
    let nodes = daemons(3).await;
    let rules = format!(
        "nodes:\n  - {{ id: n1, address: \"{}\", drain: true }}\n  \
         - {{ id: n2, address: \"{}\" }}\n  - {{ id: n3, address: \"{}\", enabled: false }}\n",
        nodes[0].addr(),
        nodes[1].addr(),
        nodes[2].addr()
    );
    let gateway = Gateway::before(&[], &rules).await;
    let dify = gateway.dify();
    for n in 0..30 {
        assert_eq!(call(&dify, &n.to_string()).await, Ok(()), "n2 serves");
    }
    assert_eq!(
        nodes[0].ledger().per_node().into_iter().collect::<Vec<_>>(),
        [("n2".to_owned(), 30)],
        "all of it went to the node that is in service"
    );
    let page = gateway.admin("/cluster/nodes").await.json();
    let states = ["drain", "ready", "maint"];
    for (row, state) in page["nodes"].as_array().unwrap().iter().zip(states) {
        assert_eq!(row["state"], state, "the page says so of {}", row["id"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f138_with_every_node_drained_nobody_serves_and_the_answer_says_why() {
    let node = daemons(1).await.remove(0);
    let rules = format!(
        "nodes:\n  - {{ id: n1, address: \"{}\", drain: true }}\n",
        node.addr()
    );
    let gateway = Gateway::before(&[], &rules).await;
    let refused = call(&gateway.dify(), "1").await.unwrap_err();
    assert!(
        matches!(&refused, DifyError::Unavailable(why) if why.contains("1 draining")),
        "fail_open must not overrule the operator, and the answer names the reason: {refused:?}"
    );
    assert!(node.ledger().is_empty(), "nothing was executed");
}
