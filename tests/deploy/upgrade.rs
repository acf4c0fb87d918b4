//! Another program takes over, or the same one reads its file a hundred times, under load: nobody
//! notices.

use super::support::client::Dify;
use super::support::gate::{Gate, HOLD};
use super::support::program::{Serving, command, free};
use super::support::stream::Stream;
use super::support::{eventually, within};
use serde_json::json;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

const PLUGIN: &str = "langgenius/openai";

async fn serving(folder: &Path, gate: &Gate) -> Serving {
    let (data, admin, node) = (free(), free(), gate.addr);
    let socket = folder.join("upgrade.sock");
    let text = format!(
        "listen: {data}\nadmin: {{ listen: \"{admin}\" }}\nnodes: [\"{node}\"]\n\
         shutdown: {{ upgrade_socket: {} }}\nreload: {{ poll: \"off\" }}\n",
        socket.display()
    );
    std::fs::write(folder.join("gateway.yaml"), text).unwrap();
    Serving::start(command(folder, &["--config", "gateway.yaml"])).await
}

/// Streams that stand still after their first event.
async fn held(serving: &Serving, gate: &Gate, count: usize) -> Vec<Stream> {
    let (mut streams, before) = (Vec::new(), gate.held());
    for _ in 0..count {
        let opened = serving
            .dify()
            .open("tool/invoke", PLUGIN, json!({ "x": HOLD }))
            .await;
        let mut stream = opened.unwrap();
        within("its first event", stream.next()).await.unwrap();
        streams.push(stream);
    }
    eventually("all are held", async || gate.held() == before + count).await;
    streams
}

/// Each stream has its last event and its proper end; a cut one would be an error here.
async fn expect_ends(streams: Vec<Stream>) {
    for stream in streams {
        let rest = within("the rest of a stream", stream.whole()).await;
        let rest = rest.expect("it was not cut");
        assert!(rest.text().contains("\"n\":2"), "{}", rest.text());
    }
}

/// Callers that call without a pause but their pace.
struct Load {
    going: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    callers: JoinSet<Result<(), String>>,
    began: tokio::time::Instant,
}

impl Load {
    /// `callers` times a call every `pace`.
    fn start(data: SocketAddr, callers: usize, pace: Duration) -> Self {
        let mut load = Self {
            going: Arc::new(AtomicBool::new(true)),
            answered: Arc::default(),
            callers: JoinSet::new(),
            began: tokio::time::Instant::now(),
        };
        for _ in 0..callers {
            let (going, answered) = (Arc::clone(&load.going), Arc::clone(&load.answered));
            load.callers.spawn(async move {
                let dify = Dify::new(data, None);
                let mut pace = tokio::time::interval(pace);
                while going.load(Ordering::Acquire) {
                    pace.tick().await;
                    let answer = dify.all("tool/invoke", PLUGIN, json!({ "x": 1 })).await;
                    let events = answer.map_err(|error| format!("{error:?}"))?;
                    if events.len() != 2 {
                        return Err(format!("{} events in place of 2", events.len()));
                    }
                    answered.fetch_add(1, Ordering::AcqRel);
                }
                Ok(())
            });
        }
        load
    }

    fn answered(&self) -> usize {
        self.answered.load(Ordering::Acquire)
    }

    /// Waits until so many more were answered.
    async fn more(&self, count: usize) {
        let before = self.answered();
        eventually("calls are answered", async || {
            self.answered() >= before + count
        })
        .await;
    }

    async fn stop(mut self) -> Vec<String> {
        self.going.store(false, Ordering::Release);
        let mut errors = Vec::new();
        while let Some(caller) = self.callers.join_next().await {
            errors.extend(caller.unwrap().err());
        }
        // What a busy machine let through of what was offered; for the reader, and not asserted.
        let (answered, took) = (self.answered(), self.began.elapsed().as_secs_f64());
        eprintln!(
            "{answered} calls in {took:.1} s, {:.0}/s",
            answered as f64 / took
        );
        errors
    }
}

/// Ends a successor, which is not our child, with the test.
pub(super) struct Successor(pub(super) String);

impl Drop for Successor {
    fn drop(&mut self) {
        let _ = std::process::Command::new("sh")
            .arg("-c")
            .arg(format!("kill -TERM {}", self.0))
            .status();
    }
}

pub(super) fn pids(log: &str) -> Vec<String> {
    let serving = log.lines().filter(|line| line.contains(" serving "));
    let pids = serving.filter_map(|line| line.split(" pid=").nth(1));
    pids.filter_map(|rest| rest.split(' ').next().map(str::to_owned))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn f220_a_successor_takes_over_under_load_and_nobody_notices() {
    let (folder, gate) = (tempfile::tempdir().unwrap(), Gate::start("g1").await);
    let mut serving = serving(folder.path(), &gate).await;
    let streams = held(&serving, &gate, 20).await;
    let load = Load::start(serving.data, 10, Duration::from_millis(20));
    load.more(200).await;

    serving.program.signal("QUIT");
    eventually("a successor serves", async || {
        pids(&serving.program.log()).len() == 2
    })
    .await;
    let _successor = Successor(pids(&serving.program.log()).remove(1));
    load.more(200).await;
    serving.program.line("succeeded, draining").await;
    load.more(500).await;
    assert!(serving.program.runs(), "streams are inside");

    gate.open();
    expect_ends(streams).await;
    assert!(serving.program.exit().await.success(), "the old one ends");
    load.more(500).await;
    assert_eq!(load.stop().await, Vec::<String>::new(), "no call failed");
    let alive = serving.ask("/livez").await.expect("the new one answers");
    assert_eq!(alive.status, 200);
}

/// Whether a process still does anything: one that ended and was not fetched does not.
fn works(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
    status.is_ok_and(|status| !status.contains("State:\tZ"))
}

/// The sockets that a process holds, once for each descriptor.
fn sockets(pid: &str) -> Vec<String> {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let targets = descriptors.filter_map(|one| std::fs::read_link(one.ok()?.path()).ok());
    let names = targets.map(|target| target.to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("socket:")).collect()
}

/// Whether it handles SIGQUIT by now; unhandled, it would end it.
fn catches_quit(pid: &str) -> bool {
    const QUIT: u64 = 3;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let bits = caught.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    bits.is_some_and(|bits| bits >> (QUIT - 1) & 1 == 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn f220_twenty_successors_in_a_row_cost_no_call_and_no_stream() {
    const TIMES: usize = 20;
    let (folder, gate) = (tempfile::tempdir().unwrap(), Gate::start("g1").await);
    let mut serving = serving(folder.path(), &gate).await;
    let mut streams = held(&serving, &gate, 5).await;
    let load = Load::start(serving.data, 10, Duration::from_millis(20));
    let (mut successors, mut all) = (Vec::new(), pids(&serving.program.log()));
    let mut listeners = sockets(&all[0]);
    for round in 1..=TIMES {
        load.more(50).await;
        let told = std::process::Command::new("sh")
            .arg("-c")
            .arg(format!("kill -QUIT {}", all[round - 1]))
            .status();
        assert!(told.unwrap().success(), "{} is there", all[round - 1]);
        eventually("a successor serves", async || {
            pids(&serving.program.log()).len() == round + 1
        })
        .await;
        all = pids(&serving.program.log());
        successors.push(Successor(all[round].clone()));
        // What both hold they listen on: connections are one program's own.
        let given = sockets(&all[round]);
        listeners.retain(|socket| given.contains(socket));
        // Its predecessor may still accept for some seconds: so much the harder.
        eventually("it may be succeeded itself", async || {
            catches_quit(&all[round])
        })
        .await;
        // One more stream for each generation to end in peace.
        streams.extend(held(&serving, &gate, 1).await);
    }
    eventually("all but the last have handed over", async || {
        let log = serving.program.log();
        log.matches("succeeded, draining").count() == TIMES
    })
    .await;
    load.more(50).await;
    assert!(serving.program.runs(), "the first still has its streams");
    gate.open();
    expect_ends(streams).await;
    assert!(serving.program.exit().await.success(), "the first ends");
    eventually("only the last one is left", async || {
        all.iter().filter(|pid| works(pid)).count() == 1
    })
    .await;
    assert!(works(&all[TIMES]), "and it is the last");
    let held: Vec<_> = sockets(&all[TIMES])
        .into_iter()
        .filter(|socket| listeners.contains(socket))
        .collect();
    assert_eq!(held.len(), listeners.len(), "no generation left one behind");
    load.more(100).await;
    assert_eq!(load.stop().await, Vec::<String>::new(), "no call failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_that_cannot_start_changes_nothing() {
    let (folder, gate) = (tempfile::tempdir().unwrap(), Gate::start("g1").await);
    let mut serving = serving(folder.path(), &gate).await;
    let file = folder.path().join("gateway.yaml");
    let sound = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, "nodes: nonsense?\n").unwrap();
    let load = Load::start(serving.data, 2, Duration::from_millis(20));
    serving.program.signal("QUIT");
    serving.program.line("upgrade given up").await;
    load.more(50).await;
    assert!(serving.program.runs());
    // And the next attempt is a new one.
    std::fs::write(&file, sound).unwrap();
    serving.program.signal("QUIT");
    eventually("a successor serves", async || {
        pids(&serving.program.log()).len() == 2
    })
    .await;
    let _successor = Successor(pids(&serving.program.log()).remove(1));
    assert!(serving.program.exit().await.success());
    load.more(50).await;
    assert_eq!(load.stop().await, Vec::<String>::new());
}

/// Resident memory of a process, in KiB.
fn resident(pid: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let figure = line.and_then(|rest| rest.split_whitespace().next());
    figure.and_then(|text| text.parse().ok()).expect("it runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_reloads_under_load_cost_no_call_no_stream_and_no_memory() {
    let (folder, gate) = (tempfile::tempdir().unwrap(), Gate::start("g1").await);
    let serving = serving(folder.path(), &gate).await;
    let pid = pids(&serving.program.log()).remove(0);
    let streams = held(&serving, &gate, 20).await;
    let load = Load::start(serving.data, 10, Duration::from_millis(20));
    let file = folder.path().join("gateway.yaml");
    let sound = std::fs::read_to_string(&file).unwrap();
    let admin = Dify::new(serving.admin, None);
    let reload = async |round: usize| {
        // Something changes each time, and something is refused now and then.
        let more = format!("learn: {{ window: {} }}\n", 5 + round % 5);
        std::fs::write(&file, format!("{sound}{more}")).unwrap();
        let answer = admin.raw("POST", "/-/reload", &[], b"").await.unwrap();
        assert_eq!(answer.status, 200, "it is taken");
        load.more(5).await;
    };
    for round in 0..20 {
        reload(round).await;
    }
    let before = resident(&pid);
    for round in 0..100 {
        reload(round).await;
    }
    let after = resident(&pid);
    assert!(
        after * 100 <= before * 105,
        "{before} KiB became {after} KiB"
    );
    gate.open();
    expect_ends(streams).await;
    assert_eq!(load.stop().await, Vec::<String>::new(), "no call failed");
}
