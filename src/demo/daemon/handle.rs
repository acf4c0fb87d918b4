//! What can be done to a daemon from outside?
use super::ledger::Ledger;
use super::node::Node;
use super::plugin::Plugin;
use super::power::State;
use super::script::Script;
use super::seen::Seen;
use super::serve;
use super::settings::{Health, Settings};
use super::world::World;
use parking_lot::Mutex;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;

/// A running stand-in daemon. Dropped, it dies like [`Stop::Cut`].
#[derive(Debug)]
pub struct Daemon {
    node: Arc<Node>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

/// The ways to take a daemon away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// SIGTERM and SIGKILL alike: the listener closes and every socket is reset, at once.
    Cut,
    /// It goes on accepting and never answers again; what was being answered freezes.
    Blackhole,
}

impl Daemon {
    /// Starts a daemon on the current tokio runtime.
    ///
    /// # Errors
    /// Its address cannot be listened on.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let reserved = socket(settings.listen)?;
        let addr = reserved.local_addr()?;
        let node = Arc::new(Node::new(settings, addr, reserved));
        node.world().join(&node);
        let daemon = Self {
            node,
            accepting: Mutex::default(),
        };
        daemon.boot()?;
        Ok(daemon)
    }

    fn boot(&self) -> io::Result<()> {
        let listener = socket(self.node.addr)?.listen(4096)?;
        let power = self.node.new_power();
        for (plugin, delay_ms) in self.node.plugins.boot() {
            let (node, power) = (Arc::clone(&self.node), power.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = power.cut() => {}
                    () = node.sleep(delay_ms) => node.plugins.launched(&plugin),
                }
            });
        }
        let accepting = tokio::spawn(serve::accept(Arc::clone(&self.node), power, listener));
        *self.accepting.lock() = Some(accepting);
        Ok(())
    }

    /// Takes it away. After [`Stop::Cut`] returns, its port refuses connections and no socket of
    /// it is open.
    pub async fn stop(&self, how: Stop) {
        if how == Stop::Blackhole {
            self.node.power().set(State::Blackhole);
            return;
        }
        self.node.power().set(State::Cut);
        let accepting = self.accepting.lock().take();
        if let Some(accepting) = accepting {
            // It returns when the power is cut, and a panic in it was reported already.
            let _ = accepting.await;
        }
        self.until(|daemon| daemon.open_connections() == 0).await;
    }

    /// Cuts it and starts it again on the same port, with new plugin processes.
    ///
    /// # Errors
    /// The port cannot be listened on; nobody else can have taken it.
    pub async fn restart(&self) -> io::Result<()> {
        self.stop(Stop::Cut).await;
        self.boot()
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.node.addr
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &str {
        self.node.id()
    }

    /// What it shares with the other daemons.
    #[must_use]
    pub fn world(&self) -> &World {
        self.node.world()
    }

    /// The execution ledger of its world.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        self.node.world().ledger()
    }

    /// Accepted connections that are not closed yet.
    #[must_use]
    pub fn open_connections(&self) -> u64 {
        self.node.open_connections.get()
    }

    /// Requests being answered, health checks included.
    #[must_use]
    pub fn active_requests(&self) -> u64 {
        self.node.active_requests.get()
    }

    /// Dispatch calls being answered, refusals included.
    #[must_use]
    pub fn active_dispatch(&self) -> u64 {
        self.node.active_dispatch.get()
    }

    /// Requests whose head arrived, of all kinds, since the first start.
    #[must_use]
    pub fn requests_seen(&self) -> u64 {
        self.node.log.total()
    }

    /// Health checks that arrived since the first start.
    #[must_use]
    pub fn health_checks(&self) -> u64 {
        self.node.health_checks.load(Ordering::Acquire)
    }

    /// Requests that were no health checks; one more while a check arrives.
    #[must_use]
    pub fn calls_seen(&self) -> u64 {
        // In this order: a check is among all before it is among the checks.
        let checks = self.health_checks();
        self.requests_seen() - checks
    }

    /// The last requests, oldest first (`Settings::log_capacity` of them).
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.node.log.kept()
    }

    /// Scripts an operation (`tool/invoke`), a plugin (`author/name`) or a hook (`e/<hook>`).
    pub fn script(&self, key: &str, script: Script) {
        self.node.set_script(key, Some(script));
    }

    /// Forgets the script of an operation, a plugin or a hook.
    pub fn unscript(&self, key: &str) {
        self.node.set_script(key, None);
    }

    /// Adds or replaces a plugin.
    pub fn put_plugin(&self, plugin: Plugin) {
        self.node.plugins.put(plugin);
    }

    /// Starts or stops a plugin's process here; calls that run are not disturbed.
    pub fn set_running(&self, plugin: &str, running: bool) {
        self.node.plugins.set_running(plugin, running);
    }

    /// Calls inside a plugin's process, waiting ones and ones without a client included.
    #[must_use]
    pub fn plugin_calls(&self, plugin: &str) -> usize {
        self.node.plugins.active(plugin)
    }

    /// How its health check answers now.
    #[must_use]
    pub fn health(&self) -> Health {
        self.node.health()
    }

    /// Changes how its health check answers.
    pub fn set_health(&self, health: Health) {
        self.node.set_health(health);
    }

    /// Pauses before each accept from now on.
    pub fn slow_accept(&self, pause: Duration) {
        let ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.node.accept_delay_ms.store(ms, Ordering::Relaxed);
    }

    /// Returns once `condition` holds; looks again whenever its world changes.
    pub async fn until(&self, condition: impl Fn(&Self) -> bool) {
        self.world().until(|| condition(self)).await;
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.node.power().set(State::Cut);
    }
}

/// A socket bound to `addr`; several may be, of which one may listen.
fn socket(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if addr.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    Ok(socket)
}

/// Runs one daemon until Ctrl-C, for someone who wants a node to play with.
///
/// # Errors
/// Its address cannot be listened on, or Ctrl-C cannot be listened for.
pub async fn run_by_hand(settings: Settings) -> io::Result<()> {
    let daemon = Daemon::start(settings).await?;
    log::info!(
        "stand-in daemon listening id={} addr={}",
        daemon.id(),
        daemon.addr()
    );
    tokio::signal::ctrl_c().await?;
    daemon.stop(Stop::Cut).await;
    let (requests, executions) = (daemon.requests_seen(), daemon.ledger().len());
    log::info!("stand-in daemon stopped requests={requests} executions={executions}");
    Ok(())
}
