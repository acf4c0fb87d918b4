//! How soon does the program serve, and how much does it need to be there?
//!
//! The program itself, as it was built beside this bench, with a configuration of three nodes, started
//! again and again: the time from its start to the end of the first answer that came through it, and
//! its memory two seconds later. nginx and HAProxy are started in turns with it.
//!
//! `START_ROUNDS` changes how much is measured.
#![allow(
    clippy::print_stdout,
    reason = "a measurement is printed for who runs it"
)]

#[path = "../rig/mod.rs"]
mod rig;

use rig::figures::{median, setting};
use rig::process::{self, Child, free};
use rig::wire::whole;
use rig::{lanes, owed};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
use twolane::model::clock;

const DAEMONS: usize = 3;
const LANES: [&str; 3] = ["twolane", "nginx", "haproxy"];
const REQUEST: &[u8] = b"GET /plugin/t/management/list HTTP/1.1\r\nHost: daemon:5002\r\n\r\n";

fn main() -> ExitCode {
    rig::process::main(measure)
}

async fn measure() {
    let ports = free(DAEMONS);
    let _daemons = Child::start("daemons", &ports, &[]);
    for &port in &ports {
        process::answers(port).await;
    }
    let rounds = setting("START_ROUNDS", 9).max(1);
    println!("\n{:<8} {:>16} {:>12}", "lane", "first answer", "at rest");
    for name in LANES {
        let (mut took, mut rest) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let at = free(1)[0];
            let began = clock::now();
            let Some(child) = start(name, at, &ports) else {
                break;
            };
            first_answer(at).await;
            took.push(began.elapsed().as_secs_f64() * 1e3);
            tokio::time::sleep(Duration::from_secs(2)).await;
            rest.push(child.resident() as f64 / 1024.0);
        }
        if took.is_empty() {
            continue;
        }
        let (took, rest) = (median(took), median(rest));
        println!("{name:<8} {took:>13.1} ms {rest:>8.1} MiB");
        if name == "twolane" {
            owed::at_most("start", "first answer after the start", took, 300.0, " ms");
            owed::at_most("start", "memory at rest", rest, 30.0, " MiB");
        }
    }
    println!("the program: {}", size());
}

fn start(name: &str, at: SocketAddr, daemons: &[SocketAddr]) -> Option<Child> {
    if name != "twolane" {
        return lanes::installed(name, at, daemons);
    }
    let folder = tempfile::tempdir().expect("a folder for its configuration");
    let file = folder.path().join("twolane.yaml");
    let nodes: Vec<_> = daemons.iter().map(ToString::to_string).collect();
    let text = format!(
        "listen: {at}\nadmin: {{ listen: 127.0.0.1:0 }}\nthreads: 1\nnodes: [{}]\n",
        nodes.join(", ")
    );
    std::fs::write(&file, text).expect("the folder is ours");
    let mut command = Command::new(env!("CARGO_BIN_EXE_twolane"));
    command
        .arg("run")
        .arg("--config")
        .arg(&file)
        .stderr(Stdio::null());
    Some(Child::spawn(command, Some(folder)))
}

/// Returns when an answer of a daemon came through.
async fn first_answer(at: SocketAddr) {
    loop {
        if ask(at).is_some_and(|answer| answer.starts_with(b"HTTP/1.1 200")) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn ask(at: SocketAddr) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(at).ok()?;
    stream.write_all(REQUEST).ok()?;
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    while whole(&answer).is_none() {
        let read = stream.read(&mut piece).ok().filter(|&read| read > 0)?;
        answer.extend_from_slice(&piece[..read]);
    }
    Some(answer)
}

/// As it was built, and without what only a debugger reads.
fn size() -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_twolane"));
    let mib = |path: &Path| {
        let bytes = std::fs::metadata(path).expect("it was built").len();
        bytes as f64 / f64::from(1 << 20)
    };
    let folder = tempfile::tempdir().expect("a folder for a copy");
    let bare = folder.path().join("stripped");
    let stripped = Command::new("strip")
        .arg("-o")
        .arg(&bare)
        .arg(program)
        .status();
    match stripped {
        Ok(status) if status.success() => {
            format!("{:.1} MiB, stripped {:.1} MiB", mib(program), mib(&bare))
        }
        _ => format!("{:.1} MiB (SKIPPED: there is no strip)", mib(program)),
    }
}
