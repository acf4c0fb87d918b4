//! Plugins in development: their calls go to the node that has their connection, and their plain
//! TCP connections pass through.

use crate::rig::{Rig, ask, node_of};
use crate::support::client::{DifyError, expect_events};
use crate::support::gateway::{Gateway, config};
use crate::support::within;
use crate::{daemons, sim};
use serde_json::json;
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use twolane::demo::daemon::{Daemon, Plugin, Settings, Stop, World};
use twolane::server::Options;

const DEBUG: &str = "8d6c1f0e-2b4a-4c1d-9e3f-0a1b2c3d4e5f/my_tool";

/// Three daemons, of which one runs the debug plugin, and a gateway that was told this owner.
async fn owned(runs_on: usize, told: &str) -> Rig {
    let nodes = daemons(3).await;
    for (at, node) in nodes.iter().enumerate() {
        if at != runs_on {
            node.put_plugin(Plugin::absent(DEBUG));
        }
    }
    let all: Vec<_> = nodes.iter().collect();
    let yaml = format!("debug_plugins: [{{ plugin: {DEBUG}, node: {told} }}]\n");
    let gateway = Gateway::start_with(config(&all, &yaml), Options::default()).await;
    Rig { nodes, gateway }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_a_debug_plugin_goes_to_its_owner_and_to_nobody_else() {
    let rig = owned(1, "n2").await;
    for _ in 0..100 {
        let answer = ask(&rig.dify(), DEBUG, sim(json!({}))).await;
        assert_eq!(node_of(&answer), "n2");
        assert_eq!(answer.header("X-Twolane-Why"), Some("owner"));
        assert_eq!(answer.header("X-Twolane-Attempts"), Some("1"));
    }
    assert_eq!(rig.nodes[0].calls_seen(), 0, "nobody else is asked");
    assert_eq!(rig.nodes[2].calls_seen(), 0, "nobody else is asked");
    let why = rig.metric("twolane_choices_total", &["why=\"owner\""]);
    assert_eq!(why.await, 100.0);

    let other = ask(&rig.dify(), "langgenius/openai", sim(json!({}))).await;
    assert_ne!(other.header("X-Twolane-Why"), Some("owner"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_says_not_here_is_passed_over_and_the_right_node_found() {
    let rig = owned(2, "n1").await;
    for _ in 0..50 {
        expect_events(rig.dify().all("tool/invoke", DEBUG, sim(json!({}))).await);
    }
    let ledger = rig.ledger();
    assert_eq!((ledger.len(), ledger.duplicates().len()), (50, 0));
    assert!(
        ledger.executions().iter().all(|entry| entry.node == "n3"),
        "only n3 runs it"
    );
    let asked = rig.nodes[0].calls_seen();
    assert!(
        asked < 10,
        "what n1 said is remembered, but it was asked {asked} times"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_owner_dify_hears_that_it_may_try_again_and_then_it_works() {
    let rig = owned(1, "n2").await;
    rig.nodes[1].stop(Stop::Cut).await;
    for _ in 0..5 {
        let answer = rig.dify().all("tool/invoke", DEBUG, sim(json!({}))).await;
        let Err(DifyError::Unavailable(message)) = answer else {
            panic!("Dify would not see that it may try again: {answer:?}");
        };
        assert!(message.contains("no available node"), "{message}");
    }
    // The SDK connects again, to another node.
    rig.nodes[2].put_plugin(Plugin::running(DEBUG));
    let answer = ask(&rig.dify(), DEBUG, sim(json!({}))).await;
    assert_eq!(node_of(&answer), "n3");
}

/// A daemon's debugging port: says its name, then sends back what it gets.
struct Line {
    open: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Line {
    fn serve(id: String, listener: TcpListener) -> Self {
        let open = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&open);
        let task = tokio::spawn(async move {
            // Dropped with the task: then its connections close, as a killed daemon's do.
            let mut calls = tokio::task::JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let (id, open) = (id.clone(), Arc::clone(&counted));
                calls.spawn(async move {
                    open.fetch_add(1, Ordering::Relaxed);
                    let (mut from, mut to) = stream.split();
                    let _ = to.write_all(format!("{id}\n").as_bytes()).await;
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                    open.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        Self { open, task }
    }

    async fn kill(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

/// Three daemons on addresses of their own, each with a debugging port of the same number.
struct Lines {
    rig: Rig,
    lines: Vec<Line>,
    port: u16,
}

fn loopback(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, n)
}

/// One free port on three addresses.
async fn listeners() -> (u16, Vec<TcpListener>) {
    for _ in 0..50 {
        let first = TcpListener::bind((loopback(1), 0)).await.unwrap();
        let port = first.local_addr().unwrap().port();
        let second = TcpListener::bind((loopback(2), port)).await;
        let third = TcpListener::bind((loopback(3), port)).await;
        if let (Ok(second), Ok(third)) = (second, third) {
            return (port, vec![first, second, third]);
        }
    }
    panic!("no port is free on three addresses");
}

impl Lines {
    async fn new(more: &str) -> Self {
        let world = World::default();
        let (mut nodes, mut lines) = (Vec::new(), Vec::new());
        let (port, listeners) = listeners().await;
        for (n, listener) in (1..).zip(listeners) {
            let settings = Settings {
                listen: SocketAddr::from((loopback(n), 0)),
                ..Settings::named(&format!("n{n}"), &world)
            };
            nodes.push(Daemon::start(settings).await.unwrap());
            lines.push(Line::serve(format!("n{n}"), listener));
        }
        let all: Vec<_> = nodes.iter().collect();
        let yaml = format!("tcp: {{ listen: 127.0.0.1:0, port: {port}{more} }}\n");
        let gateway = Gateway::start(config(&all, &yaml)).await;
        let rig = Rig { nodes, gateway };
        Self { rig, lines, port }
    }

    fn address(&self) -> SocketAddr {
        self.rig.gateway.embedded.tcp().unwrap()
    }

    /// A connection, and the name of the node at its other end.
    async fn connect(&self) -> (BufReader<TcpStream>, String) {
        let stream = TcpStream::connect(self.address()).await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut name = String::new();
        within("the name of a node", stream.read_line(&mut name))
            .await
            .unwrap();
        (stream, name.trim().to_owned())
    }

    fn tunnels(&self) -> u32 {
        self.rig.gateway.embedded.live().tunnels.total()
    }

    async fn settled(&self, tunnels: u32) {
        let gateway = &self.rig.gateway;
        let settled = gateway.until(|gateway| gateway.embedded.live().tunnels.total() == tunnels);
        within("the connections are counted off", settled).await;
    }

    /// Waits until no socket is left that somebody would still have to close.
    async fn no_sockets(&self) {
        let ports = [self.port, self.address().port()];
        let gone = async {
            while open_sockets(ports) > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        within("every socket is closed", gone).await;
    }
}

/// Connections on these ports that are established or wait for a `close` of ours.
fn open_sockets(ports: [u16; 2]) -> usize {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let port = |address: &str| {
        let (_, port) = address.split_once(':')?;
        u16::from_str_radix(port, 16).ok()
    };
    let open = |line: &&str| {
        let cells: Vec<_> = line.split_whitespace().collect();
        let ours = [cells[1], cells[2]].map(port);
        matches!(cells[3], "01" | "08") && ours.iter().flatten().any(|port| ports.contains(port))
    };
    table.lines().skip(1).filter(open).count()
}

async fn ended(stream: &mut BufReader<TcpStream>) {
    let mut rest = Vec::new();
    // A reset is an end as well.
    let _ = within("the connection ends", stream.read_to_end(&mut rest)).await;
    assert_eq!(rest, b"", "nothing but the end comes");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_pass_both_ways_unchanged() {
    let lines = Lines::new("").await;
    let (stream, name) = lines.connect().await;
    let (mut from, mut to) = tokio::io::split(stream);
    let sent: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let copy = sent.clone();
    let writing = tokio::spawn(async move {
        to.write_all(&copy).await.unwrap();
        to
    });
    let mut back = vec![0; sent.len()];
    within("everything comes back", from.read_exact(&mut back))
        .await
        .unwrap();
    assert!(back == sent, "the bytes are the same");
    let mut to = within("the writer", writing).await.unwrap();
    // One small line at once, as a heartbeat is.
    to.write_all(b"{}\n").await.unwrap();
    let mut line = [0; 3];
    within("a small line", from.read_exact(&mut line))
        .await
        .unwrap();
    assert_eq!(&line, b"{}\n");
    let labels = [format!("node=\"{name}\"")];
    let labels: Vec<_> = labels.iter().map(String::as_str).collect();
    let rig = &lines.rig;
    assert_eq!(rig.metric("twolane_tcp_connections", &labels).await, 1.0);
    assert_eq!(rig.metric("twolane_tcp_connections", &[]).await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_goes_where_the_fewest_are() {
    let lines = Lines::new("").await;
    let mut held: HashMap<String, Vec<_>> = HashMap::new();
    for _ in 0..9 {
        let (stream, name) = lines.connect().await;
        held.entry(name).or_default().push(stream);
    }
    let counts: Vec<_> = held.values().map(Vec::len).collect();
    assert_eq!(counts, [3, 3, 3]);
    held.remove("n2");
    lines.settled(6).await;
    for _ in 0..3 {
        let (stream, name) = lines.connect().await;
        assert_eq!(name, "n2");
        held.entry(name).or_default().push(stream);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_answer_is_passed_over() {
    let mut lines = Lines::new("").await;
    lines.lines[0].kill().await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let (stream, name) = lines.connect().await;
        assert_ne!(name, "n1");
        held.push(stream);
    }
    assert_eq!(lines.tunnels(), 8, "attempts that failed are not counted");
    lines.lines[1].kill().await;
    lines.lines[2].kill().await;
    for stream in &mut held {
        ended(stream).await;
    }
    let mut stream = BufReader::new(TcpStream::connect(lines.address()).await.unwrap());
    ended(&mut stream).await;
    lines.settled(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_close_is_passed_on_and_both_sides_end() {
    let lines = Lines::new("").await;
    let (mut stream, _) = lines.connect().await;
    stream.write_all(b"last words").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = String::new();
    within("the answer and the end", stream.read_to_string(&mut rest))
        .await
        .unwrap();
    assert_eq!(rest, "last words");
    lines.settled(0).await;
    lines.no_sockets().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_closes_its_connections_and_no_others() {
    let mut lines = Lines::new("").await;
    let mut held = HashMap::new();
    for _ in 0..3 {
        let (stream, name) = lines.connect().await;
        held.insert(name, stream);
    }
    assert_eq!(held.len(), 3);
    lines.lines[0].kill().await;
    ended(held.get_mut("n1").unwrap()).await;
    lines.settled(2).await;
    let other = held.get_mut("n3").unwrap();
    other.write_all(b"still here\n").await.unwrap();
    let mut line = String::new();
    within("an echo", other.read_line(&mut line)).await.unwrap();
    assert_eq!(line, "still here\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_connections_leave_nothing_behind() {
    let lines = Lines::new("").await;
    let mut held = Vec::new();
    for _ in 0..200 {
        held.push(lines.connect().await.0);
    }
    assert_eq!(lines.tunnels(), 200);
    drop(held);
    lines.settled(0).await;
    lines.no_sockets().await;
    let rig = &lines.rig;
    assert_eq!(rig.metric("twolane_tcp_connections", &[]).await, 0.0);
    let open = |line: &Line| line.open.load(Ordering::Relaxed);
    assert_eq!(lines.lines.iter().map(open).sum::<usize>(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_limit_a_connection_is_closed_at_once() {
    let lines = Lines::new(", max_connections: 2").await;
    let first = lines.connect().await;
    let _second = lines.connect().await;
    let mut third = BufReader::new(TcpStream::connect(lines.address()).await.unwrap());
    ended(&mut third).await;
    drop(first);
    lines.settled(1).await;
    assert!(lines.connect().await.1.starts_with('n'), "there is room");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_node_keeps_its_connections_and_gets_no_new_ones() {
    let lines = Lines::new("").await;
    let mut names = HashMap::new();
    for _ in 0..3 {
        let (stream, name) = lines.connect().await;
        names.insert(name, stream);
    }
    lines.rig.node("n1").set_hand(twolane::nodes::Hand::Drain);
    let mut more = Vec::new();
    for _ in 0..4 {
        let (stream, name) = lines.connect().await;
        assert_ne!(name, "n1");
        more.push(stream);
    }
    let kept = names.get_mut("n1").unwrap();
    kept.write_all(b"x\n").await.unwrap();
    let mut line = String::new();
    within("an echo", kept.read_line(&mut line)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_gateway_waits_for_requests_and_then_ends_connections() {
    let lines = Lines::new("").await;
    let (mut stream, _) = lines.connect().await;
    let held = lines.rig.hold(crate::PLUGIN, 1).await;
    let address = lines.address();
    let Lines { rig, lines, .. } = lines;
    let live = Arc::clone(rig.gateway.embedded.live());
    let stopping = tokio::spawn(rig.gateway.embedded.stop());
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("the listener closes", refused).await;
    // The call that still runs may need the plugin behind this connection.
    stream.write_all(b"x\n").await.unwrap();
    let mut line = String::new();
    within("an echo", stream.read_line(&mut line))
        .await
        .unwrap();
    assert_eq!(line, "x\n");
    held.stream.abort();
    within("the gateway stops", stopping).await.unwrap();
    ended(&mut stream).await;
    let closed = async {
        while live.tunnels.total() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    within("the connection is counted off", closed).await;
    drop(lines);
}
