//! Which signals mean what? HUP reload, TERM drain, INT fast; a second one exits now.

use super::reload::Reloader;
use crate::admin::Hands;
use crate::upstream::Live;
use async_trait::async_trait;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How long nobody must have been inside before we believe that nobody comes: connections that
/// were accepted in the last moment have not sent their header yet.
const QUIET: Duration = Duration::from_millis(100);

/// Reloads on SIGHUP for as long as the process lives. Unhandled, it would end the process, and
/// `kill -HUP` is an operator's reflex.
pub(super) async fn reload_on_hangup(reloader: Arc<Reloader>) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    while hangup.recv().await.is_some() {
        // The log has said how it went.
        let _ = reloader.reload().await;
    }
    Ok(())
}

/// Pingora's question: when, and how, do we stop?
pub(super) struct Shutdown {
    pub(super) live: Arc<Live>,
    /// Told when the listeners are about to close.
    pub(super) closing: watch::Sender<bool>,
}

#[async_trait]
impl ShutdownSignalWatch for Shutdown {
    async fn recv(&self) -> ShutdownSignal {
        match self.wait().await {
            Ok(stop) => stop,
            Err(error) => {
                log::error!("signals cannot be received error={error}");
                ShutdownSignal::FastShutdown
            }
        }
    }
}

impl Shutdown {
    async fn wait(&self) -> io::Result<ShutdownSignal> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {
                log::info!("interrupted, exiting");
                return Ok(ShutdownSignal::FastShutdown);
            }
        }
        self.live.lifecycle.begin_drain();
        let delay = self.live.snapshot().config.shutdown.pre_stop_delay;
        log::info!(
            "draining open={} pre_stop_delay={delay:?}",
            self.live.lifecycle.open()
        );
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            _ = terminate.recv() => return Ok(ShutdownSignal::FastShutdown),
            _ = interrupt.recv() => return Ok(ShutdownSignal::FastShutdown),
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            log::warn!("signalled again, exiting now");
            std::process::exit(1);
        });
        self.closing.send_replace(true);
        Ok(ShutdownSignal::GracefulTerminate)
    }
}

/// Waits until the listeners closed and then nobody is inside, or for the deadline. Pingora itself
/// would sleep for its whole grace period.
pub(super) async fn drained(live: &Live, mut closing: watch::Receiver<bool>) {
    if closing.wait_for(|closing| *closing).await.is_err() {
        std::future::pending::<()>().await;
    }
    let deadline = live.snapshot().config.shutdown.deadline;
    let quiet = async {
        loop {
            live.lifecycle.emptied().await;
            tokio::time::sleep(QUIET).await;
            if live.lifecycle.open() == 0 {
                return;
            }
        }
    };
    match tokio::time::timeout(deadline, quiet).await {
        Ok(()) => log::info!("drained, exiting"),
        Err(_late) => log::warn!("deadline reached open={}", live.lifecycle.open()),
    }
}
