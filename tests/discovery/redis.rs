//! A real redis-server, and what daemons write into it.

use crate::support::program::free;
use crate::support::{eventually, within};
use ::redis::AsyncCommands;
use ::redis::aio::MultiplexedConnection;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use twolane::model::clock;

/// A redis-server of its own, on a free port; killed when it is dropped.
pub(crate) struct Redis {
    pub(crate) port: u16,
    password: Option<&'static str>,
    child: Child,
    folder: TempDir,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        Self::with(None).await
    }

    pub(crate) async fn with(password: Option<&'static str>) -> Self {
        for _ in 0..20 {
            let port = free().port();
            let folder = tempfile::tempdir().unwrap();
            let child = Self::spawn(port, password, &folder);
            let mut redis = Self {
                port,
                password,
                child,
                folder,
            };
            if redis.is_up().await {
                return redis;
            }
        }
        panic!("redis-server (which `make test` installs) does not start");
    }

    fn spawn(port: u16, password: Option<&str>, folder: &TempDir) -> Child {
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1 -::1"])
            .args(["--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(folder.path());
        if let Some(password) = password {
            command.args(["--requirepass", password]);
        }
        quietly(command)
    }

    /// True once it answers; false when it ended, its port being taken.
    async fn is_up(&mut self) -> bool {
        within("redis-server answers", async {
            loop {
                if self.child.try_wait().unwrap().is_some() {
                    return false;
                }
                if let Ok(mut connection) = self.connection().await {
                    let pong: ::redis::RedisResult<String> = connection.ping().await;
                    if pong.is_ok() {
                        return true;
                    }
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
    }

    pub(crate) async fn connection(&self) -> ::redis::RedisResult<MultiplexedConnection> {
        connect(self.port, self.password).await
    }

    /// Ends it without a word, as a crash does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on its port, empty.
    pub(crate) async fn revive(&mut self) {
        self.child = Self::spawn(self.port, self.password, &self.folder);
        assert!(self.is_up().await, "its port is still free");
    }

    /// A sentinel that knows it by this name.
    pub(crate) async fn sentinel(&self, service: &str) -> Self {
        for _ in 0..20 {
            let port = free().port();
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("sentinel.conf");
            let text = format!(
                "port {port}\nbind 127.0.0.1\nsentinel monitor {service} 127.0.0.1 {} 1\n",
                self.port
            );
            std::fs::write(&file, text).unwrap();
            let mut command = Command::new("redis-server");
            command.arg(&file).arg("--sentinel");
            let mut sentinel = Self {
                port,
                password: None,
                child: quietly(command),
                folder,
            };
            if sentinel.is_up().await {
                return sentinel;
            }
        }
        panic!("no sentinel starts");
    }

    /// Stops it where it stands, or lets it go on.
    pub(crate) fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.child.id());
        let sent = Command::new("sh").arg("-c").arg(line).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn quietly(mut command: Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed")
}

async fn connect(port: u16, password: Option<&str>) -> ::redis::RedisResult<MultiplexedConnection> {
    let user = password.map_or(String::new(), |password| format!(":{password}@"));
    let client = ::redis::Client::open(format!("redis://{user}127.0.0.1:{port}"))?;
    client.get_multiplexed_async_connection().await
}

/// The daemons as they write themselves in: a heartbeat of each, until it is told to stop. Their
/// clock runs fast, so that a beat is seen to move many times a second.
pub(crate) struct Daemons {
    runs: Arc<Mutex<HashMap<String, Vec<Value>>>>,
    port: u16,
    password: Option<&'static str>,
    prefix: String,
    beating: JoinHandle<()>,
}

/// An address as a daemon writes it, without votes.
pub(crate) fn at(address: SocketAddr) -> Value {
    json!({"ip": address.ip().to_string(), "port": address.port(), "vote": null})
}

/// An address with what another daemon found there.
pub(crate) fn voted(address: SocketAddr, failed: bool) -> Value {
    let vote = json!({"node_id": "7d0c", "voted_at": 1_787_300_000, "failed": failed});
    json!({"ip": address.ip().to_string(), "port": address.port(), "vote": [vote]})
}

impl Daemons {
    pub(crate) fn of(redis: &Redis) -> Self {
        Self::under(redis, "plugin_daemon")
    }

    pub(crate) fn under(redis: &Redis, prefix: &str) -> Self {
        let runs: Arc<Mutex<HashMap<String, Vec<Value>>>> = Arc::default();
        let now = clock::wall().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let clock = AtomicI64::new(i64::try_from(now).unwrap());
        let key = format!("{prefix}:cluster-nodes-status-hash-map");
        let (port, password) = (redis.port, redis.password);
        let beating = tokio::spawn({
            let runs = Arc::clone(&runs);
            async move {
                let mut connection = None;
                loop {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    if connection.is_none() {
                        connection = connect(port, password).await.ok();
                    }
                    let Some(open) = &mut connection else {
                        continue;
                    };
                    let all = runs.lock().unwrap().clone();
                    for (run, ips) in all {
                        let beat = clock.fetch_add(1, Ordering::Relaxed);
                        let node = json!({"ips": ips, "last_ping_at": beat}).to_string();
                        let wrote: ::redis::RedisResult<()> = open.hset(&key, run, node).await;
                        if wrote.is_err() {
                            connection = None;
                            break;
                        }
                    }
                }
            }
        });
        Self {
            runs,
            port,
            password,
            prefix: prefix.to_owned(),
            beating,
        }
    }

    /// A run of a daemon begins to beat.
    pub(crate) fn beat(&self, run: &str, ips: Vec<Value>) {
        self.runs.lock().unwrap().insert(run.to_owned(), ips);
    }

    /// It stops, and its entry stays: as a kill does, or a stalled heartbeat.
    pub(crate) fn stall(&self, run: &str) {
        assert!(self.runs.lock().unwrap().remove(run).is_some());
    }

    /// The daemons' own chore: takes a dead entry out.
    pub(crate) async fn forget(&self, run: &str) {
        let key = format!("{}:cluster-nodes-status-hash-map", self.prefix);
        let mut connection = connect(self.port, self.password).await.unwrap();
        let gone: u32 = connection.hdel(key, run).await.unwrap();
        assert_eq!(gone, 1);
    }

    /// What a daemon writes of a plugin in development that is connected to it, and how long ago.
    pub(crate) async fn own(&self, run: &str, plugin: &str, seconds_ago: u64) {
        let written = clock::wall() - Duration::from_secs(seconds_ago);
        let text = humantime::format_rfc3339_millis(written).to_string();
        let state = json!({
            "restarts": 0, "status": "active", "working_path": "", "active_at": text,
            "stopped_at": null, "verified": false, "scheduled_at": text, "logs": [],
            "identity": format!("{plugin}:0.0.1@{}", "a".repeat(64)),
        });
        let key = format!("{}:plugin_state", self.prefix);
        let field = format!("{run}:{}", "d".repeat(64));
        let mut connection = connect(self.port, self.password).await.unwrap();
        let _: () = connection
            .hset(key, field, state.to_string())
            .await
            .unwrap();
    }
}

impl Drop for Daemons {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

/// Waits until nothing but reads arrives: the commands Redis has counted.
pub(crate) async fn commands(redis: &Redis) -> Vec<String> {
    let mut connection = redis.connection().await.unwrap();
    let stats: String = ::redis::cmd("INFO")
        .arg("commandstats")
        .query_async(&mut connection)
        .await
        .unwrap();
    let names = stats
        .lines()
        .filter_map(|line| line.strip_prefix("cmdstat_"));
    names
        .filter_map(|line| Some(line.split_once(':')?.0.to_owned()))
        .collect()
}

/// Waits until the gateway has read this Redis.
pub(crate) async fn was_read(redis: &Redis) {
    eventually("the registry is read", async || {
        commands(redis).await.iter().any(|name| name == "hscan")
    })
    .await;
}
