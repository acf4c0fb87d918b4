//! How is a part started, watched and ended?

use super::{bare, daemon};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;

/// However slow the machine is, a bench ends.
const LONGEST: Duration = Duration::from_secs(900);
/// Descriptors of a proxy that are not a stream's: listeners, event queues, checks.
const SPARE: u64 = 260;

/// A part in a process of its own. It ends when this is dropped; those of this program also when
/// this process ends.
pub(crate) struct Child {
    process: std::process::Child,
    /// Goes when it has ended.
    _folder: Option<TempDir>,
}

impl Child {
    /// Starts a part: where it listens, and where its daemons are.
    pub(crate) fn start(part: &str, listen: &[SocketAddr], daemons: &[SocketAddr]) -> Self {
        Self::start_with(part, listen, daemons, "")
    }

    /// The same; `more` is added to the gateway's configuration.
    pub(crate) fn start_with(
        part: &str,
        listen: &[SocketAddr],
        daemons: &[SocketAddr],
        more: &str,
    ) -> Self {
        let own = std::env::current_exe().expect("this program has a path");
        let text = |addresses: &[SocketAddr]| {
            let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            addresses.join(",")
        };
        let mut command = Command::new(own);
        command.args(["--as", part, &text(listen), &text(daemons), more]);
        Self::spawn(command, None)
    }

    /// Starts another program, which may write into the folder.
    pub(crate) fn spawn(mut command: Command, folder: Option<TempDir>) -> Self {
        let process = command.stdin(Stdio::piped()).spawn();
        Self {
            process: process.expect("the program can be started"),
            _folder: folder,
        }
    }

    /// The processor time of all its threads, user and system.
    pub(crate) fn cpu(&self) -> Duration {
        // `schedstat` counts nanoseconds, where `stat` counts hundredths of a second.
        let tasks = format!("/proc/{}/task", self.process.id());
        let spent = fs::read_dir(tasks)
            .expect("the part runs")
            .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
            .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
            .sum();
        Duration::from_nanos(spent)
    }

    /// What of its memory is in RAM, in KiB.
    pub(crate) fn resident(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.process.id()));
        let text = text.expect("the part runs");
        let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.expect("the kernel says so")
    }

    /// Files and sockets that it has open.
    pub(crate) fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.process.id());
        fs::read_dir(folder).map_or(0, Iterator::count)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Addresses where nothing listens yet.
pub(crate) fn free(count: usize) -> Vec<SocketAddr> {
    let open: Vec<_> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("a port is free"))
        .collect();
    let addresses = open.iter().map(|it| it.local_addr());
    addresses.map(|it| it.expect("it is bound")).collect()
}

/// Returns as soon as something listens there.
pub(crate) async fn answers(at: SocketAddr) {
    while TcpStream::connect(at).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// As many streams as `wanted`, or as one proxy has descriptors for, which are two each. Raises the
/// limit for what is started from here on.
pub(crate) fn room(wanted: usize) -> usize {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the kernel says so");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("as high as it may be");
    let most = usize::try_from(hard.saturating_sub(SPARE) / 2).unwrap_or(wanted);
    wanted.min(most)
}

/// The same, and says so where there is no room for all.
pub(crate) fn streams(wanted: usize) -> usize {
    let room = room(wanted);
    if room < wanted {
        println!("{room} streams in place of {wanted}: a process may open no more files here");
    }
    room
}

/// Returns as soon as it is so; false when it is not within a minute.
pub(crate) async fn until(condition: impl Fn() -> bool) -> bool {
    let met = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let minute = Duration::from_secs(60);
    tokio::time::timeout(minute, met).await.is_ok()
}

/// Is a part, for as long as the parent lives.
pub(crate) fn play(arguments: &[String]) -> ! {
    std::thread::spawn(|| {
        // Nothing is ever written there: it ends with the parent.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let [part, listen, daemons, more] = arguments else {
        panic!("not started by the parent");
    };
    let addresses = |text: &str| -> Vec<SocketAddr> {
        let texts = text.split(',').filter(|text| !text.is_empty());
        texts.map(|it| it.parse().expect("an address")).collect()
    };
    let (listen, daemons) = (addresses(listen), addresses(daemons));
    match part.as_str() {
        "daemons" => daemon::run(&listen),
        "twolane" => gateway(listen[0], &daemons, more),
        "quiet" => gateway(listen[0], &daemons, QUIET),
        "named" => gateway(listen[0], &daemons, NAMED),
        "watched" => gateway(listen[0], &daemons, WATCHED),
        "told" => gateway(listen[0], &daemons, TOLD),
        other => bare::run(listen[0], &daemons, other),
    }
    std::process::exit(0)
}

/// All callers are one address here.
const MANY: usize = 16_384;

/// Nothing is kept or written of a request but its counts, which metrics cannot do without.
const QUIET: &str = "debug: { decisions: 0 }\ntracing: { request_id: false, traceparent: false }\n";
/// The same, but a request has its names: they are the request's, and go to the node.
const NAMED: &str = "debug: { decisions: 0 }\n";
/// A line for each, in JSON, beside what is on as shipped.
const WATCHED: &str = "access_log: { to: /dev/null }\n";
/// And headers that say where it went and why.
const TOLD: &str = "access_log: { to: /dev/null }\ndebug: { headers: true }\n";

/// The gateway as it is shipped, but for its ports, its one thread, and how many may come.
fn gateway(listen: SocketAddr, daemons: &[SocketAddr], more: &str) {
    let nodes: Vec<_> = daemons.iter().map(ToString::to_string).collect();
    let text = format!(
        "listen: {listen}\nadmin: {{ listen: 127.0.0.1:0 }}\nthreads: 1\nnodes: [{}]\n\
         limits: {{ connection_requests: 10000000, connections: {MANY}, \
         connections_per_address: {MANY} }}\n{more}",
        nodes.join(", ")
    );
    let known = twolane::server::known();
    let loaded = match twolane::config::examine(&text, "bench.yaml", &known, &|_| None) {
        Ok(loaded) => loaded,
        Err(problems) => panic!("{}", problems.render()),
    };
    twolane::observe::init_log("warn", twolane::model::EventFormat::Text);
    let ran = twolane::server::run(loaded, None, twolane::server::Options::default());
    ran.expect("the gateway starts");
}

/// What every such bench is: a part if it was started as one, else the measurement.
pub(crate) fn main<F: Future<Output = ()>>(measure: impl FnOnce() -> F) -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("--as") => play(&arguments.collect::<Vec<_>>()),
        // `cargo bench` says --bench; `cargo test --benches` does not, and only wants to know
        // that this starts.
        Some("--bench") => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime starts");
            let measured =
                runtime.block_on(async { tokio::time::timeout(LONGEST, measure()).await });
            if measured.is_err() {
                println!("not measured: it took longer than {LONGEST:?}");
                return ExitCode::FAILURE;
            }
        }
        _ => {}
    }
    ExitCode::SUCCESS
}
