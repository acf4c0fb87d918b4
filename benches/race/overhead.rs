//! What does a call cost on its way through the gateway? B5 of seed 000: a KiB there and back, over one
//! connection that is kept, to a node that answers at once.
//!
//! Calls straight to the node and calls through the gateway take turns, so that a noisy moment is in
//! both. Compared are the medians, and the p99, of whole calls; never the best of several runs.

use super::lanes::Lane;
use super::{header_name, process, serve, wire};
use crate::node::{Kind, Task};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use twolane::model::clock;

/// Pairs of calls; the first tenth is not counted.
const CALLS: usize = 20_000;
/// What seed 000 allows to be added: half of the calls, and all but one in a hundred.
const OWED: [(&str, f64, Duration); 2] = [
    ("p50", 0.5, Duration::from_micros(200)),
    ("p99", 0.99, Duration::from_millis(1)),
];

pub(crate) fn run() {
    let folder = tempfile::tempdir().expect("there is room for a file");
    let ports = process::free(2);
    let (front, nodes) = ports.split_at(1);
    let header = header_name();
    let _nodes = process::nodes(Kind::Slots { slots: 8 }, &header, nodes);
    process::wait_for(nodes);
    let _proxy = Lane::Twolane.start(front[0], nodes, 1.0, folder.path());
    process::wait_for(front);
    let call = call(&header);
    let mut ways = [nodes[0], front[0]].map(connect);
    let mut took = [Vec::new(), Vec::new()];
    for n in 0..CALLS {
        // Who begins alternates.
        for at in [n % 2, 1 - n % 2] {
            let began = clock::now();
            ask(&mut ways[at], &call);
            if n >= CALLS / 10 {
                took[at].push(began.elapsed());
            }
        }
    }
    took.iter_mut().for_each(|took| took.sort());
    println!("| B5: {CALLS} calls of a KiB | straight, us | through, us | added, us | owed, us |");
    println!("|---|---|---|---|---|");
    for (name, share, owed) in OWED {
        let of = |took: &[Duration]| took[(took.len() as f64 * share) as usize];
        let (straight, through) = (of(&took[0]), of(&took[1]));
        let added = through.saturating_sub(straight);
        println!(
            "| {name} | {:.0} | {:.0} | {:.0} | {:.0} |",
            micros(straight),
            micros(through),
            micros(added),
            micros(owed)
        );
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// A tool's call with a body of a KiB that takes the node no time.
fn call(header: &str) -> Vec<u8> {
    let start = r#"{"user_id":"5f1c","data":{"provider":"google","tool":"echo","tool_parameters":{"text":""#;
    let end = r#""}}}"#;
    let body = format!("{start}{}{end}", "x".repeat(1024 - start.len() - end.len()));
    let task = Task {
        plugin: 0,
        head: 0.0,
        wait: 0.0,
        tail: 0.0,
    };
    let head = format!(
        "POST /plugin/t/dispatch/tool/invoke HTTP/1.1\r\nHost: daemon:5002\r\n\
         X-Plugin-ID: langgenius/echo\r\nContent-Type: application/json\r\n{header}: {}\r\n\
         Content-Length: {}\r\n\r\n",
        serve::written(&task),
        body.len()
    );
    [head, body].concat().into_bytes()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_nodelay(true).expect("a socket can be told so");
    stream
}

fn ask(stream: &mut TcpStream, call: &[u8]) {
    stream.write_all(call).expect("it is sent");
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while !answer.ends_with(wire::END.as_bytes()) {
        let read = stream.read(&mut part).expect("it answers");
        assert!(read > 0, "the connection is kept");
        answer.extend(&part[..read]);
    }
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}
