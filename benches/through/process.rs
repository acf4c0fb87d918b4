//! How is a part started, watched and ended?

use super::{bare, daemon};
use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::net::TcpStream;

/// A part in a process of its own. It ends when this is dropped, and when this process ends.
pub(crate) struct Child(std::process::Child);

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
        let child = Command::new(own)
            .args(["--as", part, &text(listen), &text(daemons), more])
            .stdin(Stdio::piped())
            .spawn();
        Self(child.expect("this program can be started again"))
    }

    /// The processor time of all its threads, user and system.
    pub(crate) fn cpu(&self) -> Duration {
        // `schedstat` counts nanoseconds, where `stat` counts hundredths of a second.
        let tasks = format!("/proc/{}/task", self.0.id());
        let spent = fs::read_dir(tasks)
            .expect("the part runs")
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

/// Returns as soon as something listens there.
pub(crate) async fn answers(at: SocketAddr) {
    while TcpStream::connect(at).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
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
        other => bare::run(listen[0], &daemons, other == "timed"),
    }
    std::process::exit(0)
}

/// The gateway as it is shipped, but for its ports and its one thread.
fn gateway(listen: SocketAddr, daemons: &[SocketAddr], more: &str) {
    let nodes: Vec<_> = daemons.iter().map(ToString::to_string).collect();
    let text = format!(
        "listen: {listen}\nadmin: {{ listen: 127.0.0.1:0 }}\nthreads: 1\nnodes: [{}]\n\
         limits: {{ connection_requests: 1000000000 }}\n{more}",
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
