//! What runs beside the requests?

use super::reload::Reloader;
use super::{fleet, state};
use crate::model::clock;
use crate::upstream::{Live, Prober, RollCall};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Starts every background task on the current runtime. They end when `stop` says true.
pub(super) fn spawn(live: &Arc<Live>, reloader: &Arc<Reloader>, stop: &watch::Receiver<bool>) {
    tokio::spawn(check(Arc::clone(live), stop.clone()));
    tokio::spawn(Prober::new(Arc::clone(live)).run(stop.clone()));
    tokio::spawn(RollCall::new(Arc::clone(live)).run(stop.clone()));
    tokio::spawn(fleet::exchange(Arc::clone(live), stop.clone()));
    tokio::spawn(observe(Arc::clone(live), stop.clone()));
    tokio::spawn(save(Arc::clone(live), stop.clone()));
    let reloader = Arc::clone(reloader);
    let mut stopped = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = reloader.poll() => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
    });
}

/// Checks nodes; starts over when a reload changes how often.
async fn check(live: Arc<Live>, mut stop: watch::Receiver<bool>) {
    loop {
        let settings = live.snapshot().config.health.clone();
        let (end, ended) = watch::channel(false);
        let changed = async {
            let mut look = tokio::time::interval(Duration::from_millis(250));
            loop {
                look.tick().await;
                let now = &live.snapshot().config.health;
                if (now.interval, now.enabled) != (settings.interval, settings.enabled) {
                    return;
                }
            }
        };
        tokio::select! {
            () = run_checks(&live, ended) => return,
            () = changed => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        drop(end);
    }
}

async fn run_checks(live: &Live, stop: watch::Receiver<bool>) {
    live.parts.checks.run(stop).await;
    // Checks that are switched off return at once; a reload may switch them on.
    std::future::pending::<()>().await;
}

/// Looks once a second, for the pages, and closes connections that were idle for too long.
async fn observe(live: Arc<Live>, mut stop: watch::Receiver<bool>) {
    let mut look = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = look.tick() => {
                let now = clock::now();
                live.history.look(&live, now);
                live.parts.connections.sweep(now);
            }
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Saves what was learned, every interval and at the end.
async fn save(live: Arc<Live>, mut stop: watch::Receiver<bool>) {
    loop {
        let settings = live.snapshot().config.state.clone();
        let stopped = tokio::select! {
            () = tokio::time::sleep(settings.interval) => false,
            _ = stop.wait_for(|stop| *stop) => true,
        };
        if let Some(file) = settings.file {
            let live = Arc::clone(&live);
            // Files block; the other tasks of this runtime must not wait for a slow disk.
            let saved = tokio::task::spawn_blocking(move || state::save(&file, &live.learner));
            if let Err(error) = saved.await {
                log::error!("saving the state failed error={error}");
            }
        }
        if stopped {
            return;
        }
    }
}
