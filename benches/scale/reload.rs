//! How long does a reload of a thousand nodes take, and does a request feel it?
//!
//! All nodes are one daemon, by a thousand addresses of this machine. Requests are sent at fixed times
//! over one connection, and their time counts from then; the slowest around reloads is compared to the
//! slowest of as many that were far from any.

use super::rig::figures::{median, setting};
use super::rig::owed;
use super::rig::process::{self, Child, free, until};
use super::rig::wire::whole;
use http::Method;
use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until};
use twolane::admin::ask;

const ROUNDS: usize = 9;
const EVERY: Duration = Duration::from_millis(5);
/// Looked at before and after a reload began.
const AROUND: Duration = Duration::from_millis(500);
const REQUEST: &[u8] = b"GET /plugin/t/management/list HTTP/1.1\r\nHost: daemon:5002\r\n\r\n";

pub(crate) async fn measure() {
    let nodes = setting("SCALE_NODES", 1000);
    let ports = free(3);
    let [at, admin, port] = ports[..] else {
        return;
    };
    let everywhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port.port());
    let _daemons = Child::start("daemons", &[everywhere], &[]);
    process::answers(port).await;
    let folder = tempfile::tempdir().expect("a folder for its configuration");
    let file = folder.path().join("twolane.yaml");
    write(&file, &ports, nodes, 0);
    let mut command = Command::new(env!("CARGO_BIN_EXE_twolane"));
    command.arg("run").arg("--config").arg(&file);
    command.stderr(Stdio::null());
    let child = Child::spawn(command, None);
    process::answers(at).await;

    let done = Cell::new(false);
    let reloads = async {
        let mut took = Vec::new();
        for round in 1..=ROUNDS {
            sleep(3 * AROUND).await;
            write(&file, &ports, nodes, round);
            let began = Instant::now();
            let answer = ask(admin, None, Method::POST, "/-/reload", "").await;
            let (status, text) = answer.expect("the admin listener answers");
            assert_eq!(status, 200, "{text}");
            took.push((began, began.elapsed()));
        }
        sleep(AROUND).await;
        done.set(true);
        took
    };
    let (took, asked) = tokio::join!(reloads, asking(at, &done));
    print(nodes, &took, &asked);
    let settled = until(|| child.descriptors() < 4 * nodes).await;
    assert!(settled, "checks of nodes leave connections behind");
}

/// Another weight for some and another timeout for all: both make new peers.
fn write(file: &Path, ports: &[SocketAddr], nodes: usize, round: usize) {
    let list: String = (0..nodes)
        .map(|n| {
            let (high, low) = (n / 250 + 1, n % 250 + 1);
            let weight = 1 + (n + round) % 3;
            let port = ports[2].port();
            format!("  - {{ address: 127.0.{high}.{low}:{port}, weight: {weight} }}\n")
        })
        .collect();
    let text = format!(
        "listen: {}\nadmin: {{ listen: {} }}\nthreads: 1\nreload: {{ poll: off }}\n\
         limits: {{ connection_requests: 10000000 }}\n\
         timeouts: {{ read: {}s }}\nnodes:\n{list}",
        ports[0],
        ports[1],
        600 + round
    );
    std::fs::write(file, text).expect("the folder is ours");
}

/// When each was due, and how long it took from then.
async fn asking(at: SocketAddr, done: &Cell<bool>) -> Vec<(Instant, Duration)> {
    let mut stream = TcpStream::connect(at).await.expect("it listens");
    stream.set_nodelay(true).expect("a connected socket");
    let (mut took, mut due) = (Vec::new(), Instant::now());
    let mut buffer = vec![0; 4096];
    while !done.get() {
        due += EVERY;
        sleep_until(due).await;
        stream.write_all(REQUEST).await.expect("it is sent");
        let mut held = 0;
        while whole(&buffer[..held]).is_none() {
            let read = stream.read(&mut buffer[held..]).await;
            held += read.ok().filter(|read| *read > 0).expect("it is answered");
        }
        assert!(
            buffer.starts_with(b"HTTP/1.1 200"),
            "a reload refuses nobody"
        );
        took.push((due, due.elapsed()));
    }
    took
}

fn print(nodes: usize, took: &[(Instant, Duration)], asked: &[(Instant, Duration)]) {
    let slowest = |from: Instant| {
        let near = asked
            .iter()
            .filter(|(due, _)| (from..from + AROUND).contains(due));
        let most = near.map(|(_, took)| *took).max().unwrap_or_default();
        most.as_secs_f64() * 1e3
    };
    let of = |back: Duration| {
        let slowest = took.iter().map(|(began, _)| slowest(*began - back));
        median(slowest.collect())
    };
    let (calm, beside) = (of(2 * AROUND), of(Duration::ZERO));
    let reload = median(took.iter().map(|(_, it)| it.as_secs_f64() * 1e3).collect());
    println!(
        "\nreload of {nodes} nodes: {reload:.1} ms; the slowest request within {AROUND:?}: \
         {beside:.1} ms beside a reload, {calm:.1} ms otherwise (medians of {ROUNDS})"
    );
    let what = format!("reload of {nodes} nodes");
    owed::at_most("scale", &what, reload, 100.0, " ms");
    let owed = calm + 10.0;
    owed::at_most(
        "scale",
        "the slowest request beside it",
        beside,
        owed,
        " ms",
    );
}
