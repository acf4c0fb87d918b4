//! What do two thousand slow attackers cost everybody else?
//!
//! Every part is a process of its own, started from this program: daemons that answer at once, the
//! gateway as it is shipped, and the attackers: half of them drip a header, half a body, a byte each
//! second, and whoever is cut off comes again. Calm and siege alternate in one run, so that whatever
//! else runs on the machine disturbs both alike; what is compared is how long the same paced
//! requests take. Afterwards the attackers must have left nothing behind.
//!
//! Two controls tell the machine's part from the gateway's: the same attack on a process that only
//! reads, beside a gateway that is left alone; and on a bare Pingora, whose clients are compared.
//!
//! `SIEGE_ROUNDS`, `SIEGE_SECONDS` and `SIEGE_ATTACKERS` change how much is measured;
//! `SIEGE_BURST=1`: all bytes of a second come in one instant.
#![allow(
    clippy::print_stdout,
    reason = "a measurement is printed for who runs it"
)]

#[path = "../rig/mod.rs"]
mod rig;

use rig::figures::median;
use rig::process::{answers, free, until};
use rig::wire::whole;
use rig::{bare, daemon};
use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep};

const CALL: &[u8] =
    b"POST /plugin/t/dispatch/tool/invoke HTTP/1.1\r\nHost: d\r\nX-Plugin-ID: a/b\r\n\
                      Content-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"data\":{}}";
const HEAD: &[u8] = b"GET /x HTTP/1.1\r\nHost: d\r\nX: ";
const BODY: &[u8] = b"POST /x HTTP/1.1\r\nHost: d\r\nContent-Length: 100000\r\n\r\n";
/// Clients that ask, each so often.
const CLIENTS: usize = 20;
const PAUSE: Duration = Duration::from_millis(50);
const DAEMONS: usize = 3;
const SECOND: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--as", part, ref addresses @ ..] => {
            let addresses = addresses
                .iter()
                .map(|text| text.parse().expect("an address"));
            play(part, &addresses.collect::<Vec<_>>());
            ExitCode::SUCCESS
        }
        ["--bench", ..] => {
            runtime().block_on(measure());
            ExitCode::SUCCESS
        }
        // `cargo test --benches` only wants to know that this starts.
        _ => ExitCode::SUCCESS,
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime starts")
}

fn number(name: &str, default: usize) -> usize {
    let set = std::env::var(name).ok().and_then(|text| text.parse().ok());
    set.unwrap_or(default)
}

/// A part in a process of its own; ends when this is dropped.
struct Part(Child);

impl Part {
    fn start(part: &str, addresses: &[SocketAddr]) -> Self {
        let own = std::env::current_exe().expect("this program has a path");
        let addresses = addresses.iter().map(ToString::to_string);
        let mut command = Command::new(own);
        command
            .args(["--as", part])
            .args(addresses)
            .stdin(Stdio::piped());
        Self(command.spawn().expect("this program can be started again"))
    }

    fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.0.id());
        fs::read_dir(folder).map_or(0, Iterator::count)
    }

    /// The processor time of all its threads, in microseconds.
    fn cpu(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0.id())).expect("the part runs");
        let spent = tasks
            .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
            .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok());
        spent.sum::<u64>() / 1000
    }

    fn resident_mib(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()));
        let status = status.expect("the part runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<usize>().ok());
        kib.unwrap_or(0) / 1024
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn play(part: &str, addresses: &[SocketAddr]) {
    std::thread::spawn(|| {
        // Nothing is ever written there: it ends with the parent.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    match part {
        "daemons" => daemon::run(addresses),
        "attackers" => runtime().block_on(attack(addresses[0])),
        "reader" => runtime().block_on(only_read(addresses[0])),
        "bare" => bare::run(addresses[0], &addresses[1..], "bare"),
        _ => gateway(addresses[0], &addresses[1..]),
    }
}

fn gateway(listen: SocketAddr, daemons: &[SocketAddr]) {
    let nodes: Vec<_> = daemons.iter().map(ToString::to_string).collect();
    let text = format!(
        "listen: {listen}\nadmin: {{ listen: 127.0.0.1:0 }}\nthreads: 1\nnodes: [{}]\n\
         limits: {{ connection_requests: 1000000 }}\n",
        nodes.join(", ")
    );
    let known = twolane::server::known();
    let loaded = twolane::config::examine(&text, "siege.yaml", &known, &|_| None);
    let loaded = loaded.unwrap_or_else(|problems| panic!("{}", problems.render()));
    twolane::observe::init_log("error", twolane::model::EventFormat::default());
    let ran = twolane::server::run(loaded, None, twolane::server::Options::default());
    ran.expect("the gateway starts");
}

/// Takes whatever comes, and does nothing with it.
async fn only_read(at: SocketAddr) {
    let listener = TcpListener::bind(at).await.expect("the port is free");
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(
            async move { while stream.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {} },
        );
    }
}

async fn attack(at: SocketAddr) {
    let mut attackers = JoinSet::new();
    let burst = number("SIEGE_BURST", 0) > 0;
    let begin = Instant::now();
    for n in 0..number("SIEGE_ATTACKERS", 2000) {
        let beginning = if n % 2 == 0 { HEAD } else { BODY };
        attackers.spawn(async move {
            // Each has its moment of the second.
            let moment = if burst { 0 } else { 500 * n as u64 };
            let mut tick = interval_at(begin + Duration::from_micros(moment), SECOND);
            tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                tick.tick().await;
                let Ok(mut stream) = TcpStream::connect(at).await else {
                    continue;
                };
                let mut sent = stream.write_all(beginning).await;
                while sent.is_ok() {
                    tick.tick().await;
                    let heard = stream.try_read(&mut [0; 1]);
                    let quiet = heard.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock);
                    if !quiet {
                        break;
                    }
                    sent = stream.write_all(b"x").await;
                }
            }
        });
    }
    attackers.join_all().await;
}

/// How long each request took, in microseconds, sorted.
async fn ask(at: SocketAddr, during: Duration) -> Vec<u64> {
    let mut clients = JoinSet::new();
    for n in 0..CLIENTS {
        clients.spawn(async move {
            let mut stream = TcpStream::connect(at).await.expect("it listens");
            stream.set_nodelay(true).expect("a connected socket");
            sleep(PAUSE * u32::try_from(n).unwrap_or(0) / 20).await;
            let (mut took, end) = (Vec::new(), Instant::now() + during);
            let mut tick = interval(PAUSE);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while Instant::now() < end {
                tick.tick().await;
                let start = Instant::now();
                stream.write_all(CALL).await.expect("it is sent");
                let (mut buffer, mut held) = (vec![0; 16 * 1024], 0);
                while whole(&buffer[..held]).is_none() {
                    let read = stream.read(&mut buffer[held..]).await;
                    held += read.ok().filter(|read| *read > 0).expect("it is answered");
                }
                assert!(
                    buffer.starts_with(b"HTTP/1.1 200"),
                    "an attack refuses nobody"
                );
                took.push(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
            }
            took
        });
    }
    let mut all = clients.join_all().await.concat();
    all.sort_unstable();
    all
}

fn quantile(sorted: &[u64], share: f64) -> u64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

/// One part under attack, and what its clients feel.
struct Lane {
    name: &'static str,
    /// Who is attacked.
    part: Part,
    at: SocketAddr,
    /// Where the clients ask.
    asked: SocketAddr,
    descriptors: usize,
    memory: usize,
    /// Round by round: p50 and p99, besieged over calm.
    ratios: [Vec<f64>; 2],
    /// What the attacked part spends on a byte, in microseconds.
    byte: Vec<f64>,
}

impl Lane {
    async fn new(name: &'static str, addresses: &[SocketAddr], asked: SocketAddr) -> Self {
        let part = Part::start(name, addresses);
        answers(addresses[0]).await;
        ask(asked, 2 * SECOND).await;
        Self {
            name,
            at: addresses[0],
            asked,
            descriptors: part.descriptors(),
            memory: part.resident_mib(),
            part,
            ratios: [Vec::new(), Vec::new()],
            byte: Vec::new(),
        }
    }

    async fn round(&mut self, round: usize, attackers: usize, during: Duration) {
        let spent = async || {
            let before = self.part.cpu();
            let took = ask(self.asked, during).await;
            (took, self.part.cpu() - before)
        };
        let (calm, alone) = spent().await;
        let siege = Part::start("attackers", &[self.at]);
        // A proxy has another socket for each body, to a node.
        let proxy = self.at == self.asked;
        let sockets = attackers + if proxy { attackers / 2 } else { 0 };
        let full = self.descriptors + sockets * 98 / 100;
        assert!(until(|| self.part.descriptors() >= full).await);
        sleep(SECOND).await;
        let (besieged, attacked) = spent().await;
        let most = self.part.resident_mib();
        drop(siege);
        let empty = self.descriptors + 2 * CLIENTS;
        assert!(until(|| self.part.descriptors() <= empty).await);
        let figures = [&calm, &besieged].map(|all| [quantile(all, 0.5), quantile(all, 0.99)]);
        for (at, ratios) in self.ratios.iter_mut().enumerate() {
            ratios.push(figures[1][at] as f64 / figures[0][at] as f64);
        }
        let bytes = attackers as f64 * during.as_secs_f64();
        self.byte
            .push(attacked.saturating_sub(alone) as f64 / bytes);
        println!(
            "{round:>5} {:>10} {:>10} {:>5} {:>11} {:>5} {:>14.2}   {} MiB more",
            self.name,
            figures[0][0],
            figures[0][1],
            figures[1][0],
            figures[1][1],
            figures[1][1] as f64 / figures[0][1] as f64,
            most.saturating_sub(self.memory),
        );
    }
}

async fn measure() {
    let ports = free(DAEMONS + 3);
    let (own, daemons) = ports.split_at(3);
    let _daemons = Part::start("daemons", daemons);
    for port in daemons {
        answers(*port).await;
    }
    let to = |at: usize| [&own[at..=at], daemons].concat();
    let mut lanes = [
        Lane::new("twolane", &to(0), own[0]).await,
        // Its clients ask the gateway, which has peace.
        Lane::new("reader", &to(1), own[0]).await,
        Lane::new("bare", &to(2), own[2]).await,
    ];
    let during = SECOND * u32::try_from(number("SIEGE_SECONDS", 8)).unwrap_or(8);
    let attackers = number("SIEGE_ATTACKERS", 2000);
    println!("round   attacked   calm p50   p99   siege p50   p99   ratio of p99");
    for round in 1..=number("SIEGE_ROUNDS", 7) {
        for lane in &mut lanes {
            lane.round(round, attackers, during).await;
        }
    }
    println!("{attackers} attackers, medians: ratios of p50 and p99, microseconds of CPU a byte");
    for lane in lanes {
        let [p50, p99] = lane.ratios.map(median);
        println!(
            "{:>16} {p50:>10.2} {p99:>5.2} {:>8.2}",
            lane.name,
            median(lane.byte)
        );
    }
}
