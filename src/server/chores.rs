//! What runs beside the requests?

use super::reload::Reloader;
use super::state;
use crate::model::Class;
use crate::share::{Held, Report};
use crate::upstream::{Live, Prober};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// How often the fleet is asked.
const EXCHANGE: Duration = Duration::from_millis(500);

/// Starts every background task on the current runtime. They end when `stop` says true.
pub(super) fn spawn(live: &Arc<Live>, reloader: &Arc<Reloader>, stop: &watch::Receiver<bool>) {
    tokio::spawn(check(Arc::clone(live), stop.clone()));
    tokio::spawn(Prober::new(Arc::clone(live)).run(stop.clone()));
    tokio::spawn(exchange(Arc::clone(live), stop.clone()));
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

/// Tells the fleet what we hold and hears what the others hold.
async fn exchange(live: Arc<Live>, mut stop: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(EXCHANGE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        match live.share.exchange(report(&live)).await {
            Ok(news) => live.news.store(Arc::new(Some(news))),
            Err(error) => log::warn!("{error}"),
        }
    }
}

fn report(live: &Live) -> Report {
    let nodes = live.snapshot().nodes();
    let leases = nodes.iter().filter(|node| node.total_in_flight() > 0);
    Report {
        gateway: live.identity.name.clone(),
        leases: leases
            .map(|node| Held {
                node: node.id().clone(),
                short: node.in_flight(Class::Short),
                long: node.in_flight(Class::Long),
            })
            .collect(),
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
