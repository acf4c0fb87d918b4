//! Which signals mean what? HUP reload, USR1 reopen the access log, TERM drain, INT fast, QUIT upgrade;
//! a second one exits now.

use super::listeners::Listeners;
use super::reload::Reloader;
use super::upgrade::Succession;
use super::{state, systemd};
use crate::admin::Hands;
use crate::admin::Validate;
use crate::model::clock;
use crate::proxy::LAST;
use crate::upstream::Live;
use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::server::{ExecutionPhase, ShutdownSignal, ShutdownSignalWatch};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{broadcast, watch};

/// How long nobody must have been inside before we believe it: a connection that was accepted in
/// the last moment has its seat a little later.
const QUIET: Duration = Duration::from_millis(100);

/// Reloads on SIGHUP for as long as the process lives. Unhandled, it would end the process, and
/// `kill -HUP` is an operator's reflex.
pub(super) async fn reload_on_hangup(mut hangup: Signal, reloader: Arc<Reloader>) {
    while hangup.recv().await.is_some() {
        // The log has said how it went.
        let _ = reloader.reload(Validate::No).await;
    }
}

/// Opens the access log again on SIGUSR1, after logrotate or somebody moved it away.
pub(super) async fn reopen_on_usr1(mut reopen: Signal, live: Arc<Live>) {
    while reopen.recv().await.is_some() {
        match &live.snapshot().access {
            Some(sink) => sink.reopen(),
            None => log::info!("asked to open the access log again, and there is none"),
        }
    }
}

/// The signals we act on. Listened for before anything is served: until then each of them would
/// end the process, or be lost.
pub(super) struct Signals {
    pub(super) hangup: Signal,
    pub(super) reopen: Signal,
    pub(super) stops: Stops,
}

/// The signals that end us.
pub(super) struct Stops {
    terminate: Signal,
    interrupt: Signal,
    upgrade: Signal,
}

impl Signals {
    /// Begins to listen; on a runtime.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            reopen: signal(SignalKind::user_defined1())?,
            stops: Stops {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
                upgrade: signal(SignalKind::quit())?,
            },
        })
    }
}

impl Stops {
    /// Either of those that end us.
    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Pingora's question: when, and how, do we stop?
pub(super) struct Shutdown {
    pub(super) live: Arc<Live>,
    /// Taken when Pingora asks.
    pub(super) stops: Mutex<Option<Stops>>,
    /// Told when the listeners are about to close.
    pub(super) closing: watch::Sender<bool>,
    pub(super) listeners: Arc<Listeners>,
    pub(super) succession: Succession,
    /// How far Pingora is.
    pub(super) phases: broadcast::Receiver<ExecutionPhase>,
}

#[async_trait]
impl ShutdownSignalWatch for Shutdown {
    async fn recv(&self) -> ShutdownSignal {
        let stops = self.stops.lock().take();
        match stops {
            Some(stops) => self.wait(stops).await,
            None => std::future::pending().await,
        }
    }
}

impl Shutdown {
    async fn wait(&self, mut stops: Stops) -> ShutdownSignal {
        loop {
            tokio::select! {
                _ = stops.terminate.recv() => return self.drain(stops).await,
                _ = stops.interrupt.recv() => {
                    log::info!("interrupted, exiting");
                    return ShutdownSignal::FastShutdown;
                }
                _ = stops.upgrade.recv() => {
                    if self.prepare().await {
                        self.leave_later(stops);
                        return ShutdownSignal::GracefulUpgrade;
                    }
                }
            }
        }
    }

    /// Whether a successor is there to take the listeners. If not, nothing has changed.
    async fn prepare(&self) -> bool {
        // It begins with what we learned.
        state::save_all(&self.live);
        let socket = self.live.snapshot().config.shutdown.upgrade_socket.clone();
        match self.succession.prepare(&socket).await {
            Ok(()) => true,
            Err(why) => {
                log::error!("upgrade given up, this program serves on why={why:?}");
                false
            }
        }
    }

    /// While both accept, connections move over to the successor; then we end as after SIGTERM.
    fn leave_later(&self, stops: Stops) {
        self.live.lifecycle.note_succeeded();
        let (live, closing) = (Arc::clone(&self.live), self.closing.clone());
        let (mut phases, listeners) = (self.phases.resubscribe(), Arc::clone(&self.listeners));
        tokio::spawn(async move {
            // Pingora gives the listeners away, accepts for five seconds more, and closes them. By a
            // clock of our own we might end before it did, with connections that nobody had read.
            loop {
                match phases.recv().await {
                    Ok(ExecutionPhase::ShutdownStarted) => break,
                    Err(broadcast::error::RecvError::Closed) => break,
                    _ => {}
                }
            }
            // Nobody shall wait for us in a queue, should the successor end before we do.
            listeners.close();
            live.lifecycle.begin_drain();
            log::info!("succeeded, draining open={}", live.lifecycle.open());
            exit_at_once_on(stops, &live);
            closing.send_replace(true);
        });
    }

    async fn drain(&self, mut stops: Stops) -> ShutdownSignal {
        systemd::stopping();
        self.live.lifecycle.begin_drain();
        let delay = self.live.snapshot().config.shutdown.pre_stop_delay;
        log::info!(
            "draining open={} pre_stop_delay={delay:?}",
            self.live.lifecycle.open()
        );
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = stops.any() => return ShutdownSignal::FastShutdown,
        }
        exit_at_once_on(stops, &self.live);
        self.listeners.settle().await;
        self.closing.send_replace(true);
        ShutdownSignal::GracefulTerminate
    }
}

/// A second signal does not wait.
fn exit_at_once_on(mut stops: Stops, live: &Arc<Live>) {
    let live = Arc::clone(live);
    tokio::spawn(async move {
        stops.any().await;
        log::warn!("signalled again, exiting now");
        state::save_all(&live);
        std::process::exit(1);
    });
}

/// Waits until the listeners closed and then nobody is inside, or for the deadline. Pingora itself
/// would sleep for its whole grace period. A connection that nobody has read from yet is somebody
/// inside for as long as its client has to begin.
pub(super) async fn drained(live: &Live, mut closing: watch::Receiver<bool>) {
    if closing.wait_for(|closing| *closing).await.is_err() {
        std::future::pending::<()>().await;
    }
    let deadline = live.snapshot().config.shutdown.deadline;
    let begun_by = clock::now() + LAST + QUIET;
    let quiet = async {
        loop {
            live.lifecycle.emptied().await;
            tokio::time::sleep(QUIET).await;
            let is_read = live.crowd.inside() == 0 || clock::now() >= begun_by;
            if is_read && live.lifecycle.open() == 0 {
                return;
            }
        }
    };
    match tokio::time::timeout(deadline, quiet).await {
        Ok(()) => log::info!("drained, exiting"),
        Err(_late) => log::warn!("deadline reached open={}", live.lifecycle.open()),
    }
}
