//! A real Redis of our own, and its worst days.

use crate::support::program::free;
use crate::support::{eventually, within};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A server that ends with the test.
pub(crate) struct Server {
    host: String,
    child: Child,
    folder: TempDir,
    pub(crate) port: u16,
    arguments: Vec<String>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(arguments: &[&str]) -> Self {
        Self::at("127.0.0.1", free_port, arguments).await
    }

    /// One at another of this machine's own addresses, at a port that `port` names.
    pub(crate) async fn at(host: &str, port: impl Fn() -> u16, arguments: &[&str]) -> Self {
        let arguments: Vec<_> = arguments.iter().map(|it| (*it).to_owned()).collect();
        let folder = tempfile::tempdir().unwrap();
        // A free port may be taken by the time it is opened; then another one is tried.
        for _ in 0..10 {
            let port = port();
            let mut child = spawn(&folder, (host, port), &arguments);
            if is_up((host, port), &mut child).await {
                return Self {
                    host: host.to_owned(),
                    child,
                    folder,
                    port,
                    arguments,
                };
            }
        }
        panic!("no Redis could be started");
    }

    /// One that speaks TLS as well: its port for that, and its certificate, both in this folder.
    pub(crate) async fn with_tls(folder: &Path) -> (Self, String, String) {
        let file = |name: &str| folder.join(name).display().to_string();
        let (key, certificate) = (file("key.pem"), file("certificate.pem"));
        let made = Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            ])
            .args([
                "-subj",
                "/CN=redis",
                "-addext",
                "subjectAltName=IP:127.0.0.1",
            ])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-keyout", &key, "-out", &certificate])
            .stderr(Stdio::null())
            .status();
        assert!(made.expect("openssl is installed: make setup").success());
        let port = free_port().to_string();
        let tls = ["--tls-port", &port, "--tls-auth-clients", "no"];
        let pair = ["--tls-cert-file", &certificate, "--tls-key-file", &key];
        let trust = ["--tls-ca-cert-file", &certificate];
        let server = Self::with(&[&tls[..], &pair, &trust].concat()).await;
        (server, port, certificate)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}/0", self.address())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        address((&self.host, self.port))
    }

    /// What `redis-cli` says to a command, without the last line's end.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        self.cli_as(&[], arguments)
    }

    pub(crate) fn cli_as(&self, who: &[&str], arguments: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-h", &self.host, "-p", &self.port.to_string(), "--raw"])
            .args(who)
            .args(arguments)
            .stderr(Stdio::null())
            .output()
            .expect("redis-cli is installed: make setup");
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }

    /// The number of the last letter that each gateway is known to have sent; the least of them.
    pub(crate) fn letters(&self) -> u64 {
        let rows = self.cli(&["HVALS", "twolane:fleet:gateways"]);
        let letters = rows.lines().map(|row| row.split(' ').nth(1)?.parse().ok());
        letters.map(Option::unwrap_or_default).min().unwrap_or(0)
    }

    /// So often was a command given, by clients and by scripts.
    pub(crate) fn given(&self, command: &str) -> u64 {
        let stats = self.cli(&["INFO", "commandstats"]);
        let name = format!("cmdstat_{command}:calls=");
        let line = stats.lines().find_map(|line| line.strip_prefix(&name));
        line.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// kill -9, and nothing is written down.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts again on the same port, with what is on its disk.
    pub(crate) async fn restart(&mut self) {
        let bind = || TcpListener::bind(self.address());
        eventually("the port is free again", async || bind().is_ok()).await;
        let place = (self.host.as_str(), self.port);
        self.child = spawn(&self.folder, place, &self.arguments);
        assert!(is_up(place, &mut self.child).await, "it starts again");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal("CONT");
        self.kill();
    }
}

pub(crate) fn signal(process: u32, name: &str) {
    // The shell's own `kill` is everywhere.
    let _ = Command::new("sh")
        .arg("-c")
        .arg(format!("kill -{name} {process} 2>/dev/null"))
        .status();
}

pub(crate) fn free_port() -> u16 {
    free().port()
}

fn address((host, port): (&str, u16)) -> SocketAddr {
    SocketAddr::new(host.parse().unwrap(), port)
}

fn spawn(folder: &TempDir, (host, port): (&str, u16), arguments: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", host])
        .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
        .arg("--dir")
        .arg(folder.path())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed: make setup")
}

/// Whether it answers; false when the process has ended.
async fn is_up(place: (&str, u16), child: &mut Child) -> bool {
    within("redis-server answers or ends", async {
        loop {
            // Asked first: another may answer at a port that this one did not get.
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            if answers(address(place)) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}

fn answers(address: SocketAddr) -> bool {
    let Ok(mut wire) = TcpStream::connect(address) else {
        return false;
    };
    let _ = wire.set_read_timeout(Some(Duration::from_secs(1)));
    let mut said = [0; 64];
    // A password is asked for, or it is still loading: it is there all the same.
    wire.write_all(b"PING\r\n").is_ok() && wire.read(&mut said).is_ok_and(|many| many > 0)
}
