//! What every integration test stands on: the client double, and patience with an end.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary is its own crate and uses another part of it"
)]

pub mod api;
pub mod browser;
pub mod client;
pub mod filed;
pub mod gate;
pub mod gateway;
pub mod page;
pub mod pki;
pub mod program;
pub mod stream;

use std::time::Duration;

/// Awaits `what` for at most 20 s, which is far longer than it should take and only there so that
/// a broken condition fails with a name in place of hanging.
pub async fn within<T>(name: &str, what: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(20), what).await {
        Ok(value) => value,
        Err(_) => panic!("did not happen within 20 s: {name}"),
    }
}

/// Looks again and again until `condition` holds; gives up as [`within`] does.
pub async fn eventually(name: &str, condition: impl AsyncFn() -> bool) {
    within(name, async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
