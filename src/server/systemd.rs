//! What does systemd want to know?
//!
//! Nothing is said where nobody listens (`NOTIFY_SOCKET` is not set).

use sd_notify::NotifyState;
use std::time::Duration;

/// We serve; this process is the service now, whoever started it.
pub(super) fn ready() {
    let me = std::process::id();
    tell(&[NotifyState::MainPid(me), NotifyState::Ready]);
}

/// We drain.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says that we live, twice as often as `WatchdogSec` asks; for ever, or not at all.
pub(super) async fn watch() {
    let asked = std::env::var("WATCHDOG_USEC").ok();
    let Some(limit) = asked.and_then(|text| text.parse().ok()) else {
        return;
    };
    let mut beat = tokio::time::interval(Duration::from_micros(limit) / 2);
    loop {
        beat.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        log::warn!("systemd was not told error={error}");
    }
}
