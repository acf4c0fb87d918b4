//! What does a call cost on its way through the gateway? B5 of seed 000: a KiB there and back, over one
//! connection that is kept, to a node that answers at once.
//!
//! Calls straight to the node and calls through the gateway take turns, so that a noisy moment is in
//! both. Compared are the medians, and the p99, of whole calls; never the best of several runs.

use super::lanes::Lane;
use super::process;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
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
    let front = process::free(1);
    let node = node();
    let _proxy = Lane::Twolane.start(front[0], &[node], 1.0, folder.path());
    process::wait_for(&front);
    let call = call();
    let mut ways = [node, front[0]].map(connect);
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

/// A node that sends back what it gets, at once; a thread for each connection.
fn node() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || echo(stream));
        }
    });
    address
}

fn echo(mut stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    loop {
        let message = message(&mut stream)?;
        let body = if message.starts_with(b"GET /health") {
            br#"{"status":"ok"}"#
        } else {
            &message[head(&message)?..]
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
    }
}

/// Where the head of a message ends.
fn head(message: &[u8]) -> Option<usize> {
    let end = message.windows(4).position(|four| four == b"\r\n\r\n");
    end.map(|end| end + 4)
}

/// A whole request or answer; nobody sends the next one before it is over.
fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut held = Vec::new();
    let mut part = [0; 4096];
    loop {
        if let Some(end) = head(&held) {
            let text = String::from_utf8_lossy(&held[..end]).to_ascii_lowercase();
            let length = text.split("content-length: ").nth(1);
            let length = length.and_then(|rest| rest.split("\r\n").next()?.parse::<usize>().ok());
            if held.len() >= end + length.unwrap_or(0) {
                return Some(held);
            }
        }
        let read = stream.read(&mut part).ok().filter(|read| *read > 0)?;
        held.extend(&part[..read]);
    }
}

/// A tool's call with a body of a KiB.
fn call() -> Vec<u8> {
    let start = r#"{"user_id":"5f1c","data":{"provider":"google","tool":"echo","tool_parameters":{"text":""#;
    let end = r#""}}}"#;
    let body = format!("{start}{}{end}", "x".repeat(1024 - start.len() - end.len()));
    let head = format!(
        "POST /plugin/t/dispatch/tool/invoke HTTP/1.1\r\nHost: daemon:5002\r\n\
         X-Plugin-ID: langgenius/echo\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
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
    let answer = message(stream).expect("it answers");
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert_eq!(
        answer.len() - head(&answer).expect("a head"),
        1024,
        "all of it comes back"
    );
}
