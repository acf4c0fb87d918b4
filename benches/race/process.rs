//! How is a part started, watched and ended?

use super::node::Kind;
use super::serve;
use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A part in a process of its own. It ends when this is dropped, and when this process ends.
pub(crate) struct Child(std::process::Child);

impl Child {
    /// Starts this program again, as a part.
    pub(crate) fn part(arguments: &[&str]) -> Self {
        let own = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new(own);
        Self::start(command.arg("--as").args(arguments))
    }

    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::piped()).spawn();
        Self(child.expect("a part can be started"))
    }

    /// The most memory that it ever held, in MiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or(0) / 1024
    }

    /// The processor time of all its threads, user and system.
    pub(crate) fn cpu(&self) -> Duration {
        // `schedstat` counts nanoseconds, where `stat` counts hundredths of a second.
        let Ok(tasks) = fs::read_dir(format!("/proc/{}/task", self.0.id())) else {
            return Duration::ZERO;
        };
        let spent = tasks
            .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
            .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
            .sum();
        Duration::from_nanos(spent)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
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

/// Returns as soon as something listens everywhere.
pub(crate) fn wait_for(addresses: &[SocketAddr]) {
    for address in addresses {
        while TcpStream::connect(address).is_err() {
            std::thread::yield_now();
        }
    }
}

/// All nodes of a race, in one process.
pub(crate) fn nodes(kind: Kind, header: &str, listen: &[SocketAddr]) -> Child {
    let (word, number) = match kind {
        Kind::Slots { slots } => ("slots", slots.to_string()),
        Kind::Runtimes { cores } => ("runtimes", cores.to_string()),
    };
    let listen: Vec<_> = listen.iter().map(ToString::to_string).collect();
    Child::part(&["nodes", word, &number, header, &listen.join(",")])
}

/// Is a part, for as long as the parent lives.
pub(crate) fn play(arguments: &[String]) {
    std::thread::spawn(|| {
        // Nothing is ever written there: it ends with the parent.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["twolane", text] => gateway(text),
        ["nodes", word, number, header, listen] => {
            let number: u32 = number.parse().expect("a number");
            let kind = if word == "slots" {
                let slots = usize::try_from(number).expect("a small number");
                Kind::Slots { slots }
            } else {
                Kind::Runtimes { cores: number }
            };
            let listen: Vec<_> = listen
                .split(',')
                .map(|it| it.parse().expect("an address"))
                .collect();
            serve::run(kind, header, &listen);
        }
        _ => panic!("not started by the parent"),
    }
}

/// The gateway as it is shipped.
fn gateway(text: &str) {
    let known = twolane::server::known();
    let loaded = match twolane::config::examine(text, "race.yaml", &known, &|_| None) {
        Ok(loaded) => loaded,
        Err(problems) => panic!("{}", problems.render()),
    };
    twolane::observe::init_log("error", twolane::model::EventFormat::Text);
    let ran = twolane::server::run(loaded, None, twolane::server::Options::default());
    ran.expect("the gateway starts");
}
