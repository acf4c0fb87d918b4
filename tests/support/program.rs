//! The real program: a process of its own, its exit code, its log, its signals.

use super::client::Dify;
use super::stream::Response;
use super::{eventually, within};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_twolane");

/// The program with arguments, in `folder`, without the variables it would read.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments).current_dir(folder);
    for name in [
        "PLUGIN_DAEMON_URL",
        "REDIS_HOST",
        "REDIS_SENTINELS",
        "REDIS_USE_SENTINEL",
        "RUST_LOG",
        "TWOLANE_ADMIN",
        "TWOLANE_ADMIN_TOKEN",
        "TWOLANE_CONFIG",
        "TWOLANE_DEBUG",
        "TWOLANE_LISTEN",
        "TWOLANE_NODES",
    ] {
        command.env_remove(name);
    }
    // What tests read for themselves; on no terminal the log would be JSON.
    command.env("LOG_OUTPUT_FORMAT", "text");
    command
}

/// An address where nobody listens, for a port that must stay the same in a successor. Below what the
/// system gives to clients: one of those may take any port that was free a moment ago.
pub fn free() -> SocketAddr {
    let mut ports = std::iter::repeat_with(|| fastrand::u16(12_000..32_000));
    let free = ports.find_map(|port| {
        let listener = std::net::TcpListener::bind(("127.0.0.1", port)).ok()?;
        listener.local_addr().ok()
    });
    free.expect("ports do not end")
}

/// Runs the program to its end; one that does not end in time is killed.
pub async fn output(command: Command) -> Output {
    let mut command = tokio::process::Command::from(command);
    let ran = command.kill_on_drop(true).output();
    within("the program ends", ran)
        .await
        .expect("the program can be started")
}

/// What it said on standard error.
pub fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What it said on standard output.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A process that serves. Killed when it is dropped.
pub struct Program {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Program {
    /// Starts it; its standard error is collected.
    pub fn spawn(command: Command) -> Self {
        Self::spawn_into(command, Stdio::null())
    }

    /// Starts it; its standard output goes somewhere.
    pub fn spawn_into(mut command: Command, stdout: Stdio) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let errors = child.stderr.take().expect("it was asked for");
        let log = Arc::default();
        std::thread::spawn({
            let log = Arc::clone(&log);
            move || collect(errors, &log)
        });
        Self { child, log }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("nobody panics with it").clone()
    }

    /// The first line of the log that contains `words`.
    pub async fn line(&self, words: &str) -> String {
        let find = || {
            let log = self.log();
            let line = log.lines().find(|line| line.contains(words));
            line.map(str::to_owned)
        };
        let name = format!("the log says {words:?}");
        eventually(&name, async || find().is_some()).await;
        find().expect("it was there just now")
    }

    /// Sends a signal by its short name.
    pub fn signal(&self, name: &str) {
        // The shell's own `kill` is everywhere.
        let sent = Command::new("sh")
            .arg("-c")
            .arg(format!("kill -{name} {}", self.child.id()))
            .status();
        let sent = sent.expect("there is a shell");
        assert!(sent.success(), "the process is there to be signalled");
    }

    /// Its memory in RAM now, in KiB.
    pub fn resident_kib(&self) -> usize {
        self.status("VmRSS:")
    }

    /// The most it ever had, in KiB.
    pub fn peak_kib(&self) -> usize {
        self.status("VmHWM:")
    }

    fn status(&self, word: &str) -> usize {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix(word));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        kib.expect("Linux tells how much memory a process has")
    }

    /// Whether it handles a signal; unhandled, every one of these would end it.
    fn catches(&self, number: u32) -> bool {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let caught = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))
            .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
        caught.is_some_and(|bits| bits >> (number - 1) & 1 == 1)
    }

    /// Waits for its end.
    pub async fn exit(&mut self) -> ExitStatus {
        within("the process ends by itself", async {
            loop {
                if let Some(status) = self.child.try_wait().expect("it is our child") {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }
}

fn collect(from: impl Read, log: &Mutex<String>) {
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        let mut log = log.lock().expect("nobody panics with it");
        log.push_str(&line);
        log.push('\n');
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Either fails when it has ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A gateway in a process of its own.
pub struct Serving {
    pub program: Program,
    pub data: SocketAddr,
    pub admin: SocketAddr,
}

impl Serving {
    /// Starts it and waits until it answers and handles its signals.
    pub async fn start(command: Command) -> Self {
        Self::of(Program::spawn(command)).await
    }

    /// Waits until a program that was started answers and handles its signals.
    pub async fn of(program: Program) -> Self {
        let line = program.line("serving gateway=").await;
        let serving = Self {
            data: address(&line, "listen=["),
            admin: address(&line, "admin="),
            program,
        };
        eventually("the admin listener answers", async || {
            serving.ask("/livez").await.is_some()
        })
        .await;
        const HUP_INT_TERM: [u32; 3] = [1, 2, 15];
        eventually("signals are handled", async || {
            HUP_INT_TERM
                .iter()
                .all(|&number| serving.program.catches(number))
        })
        .await;
        eventually("the data listener answers", async || {
            tokio::net::TcpStream::connect(serving.data).await.is_ok()
        })
        .await;
        serving
    }

    /// Starts it with a file of this content.
    pub async fn with_file(folder: &Path, yaml: &str) -> Self {
        let file = folder.join("gateway.yaml");
        std::fs::write(&file, yaml).expect("a temporary file can be written");
        let file = file.to_string_lossy().into_owned();
        Self::start(command(folder, &["--config", &file])).await
    }

    /// A Dify that knows it as its plugin daemon.
    pub fn dify(&self) -> Dify {
        Dify::new(self.data, None)
    }

    /// Asks the admin listener; `None` when nobody answers.
    pub async fn ask(&self, target: &str) -> Option<Response> {
        let admin = Dify::new(self.admin, None);
        admin.raw("GET", target, &[], b"").await.ok()
    }
}

/// The address after `word` in a line of the log.
pub fn address(line: &str, word: &str) -> SocketAddr {
    let (_, rest) = line.split_once(word).expect("the line has the word");
    let end = rest.find([']', ' ', ',']).unwrap_or(rest.len());
    rest[..end].parse().expect("and an address after it")
}
