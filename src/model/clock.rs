//! What time is it? The only place that asks; the core is told. (`upstream::Alarm` asks tokio, whose
//! time a test may stop.)

use std::time::{Instant, SystemTime};

/// The monotonic clock. Called at the edge (layers 4 to 6); the core takes `now` as an argument.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// The wall clock, for time stamps that people read. Never used to measure a duration.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock"
)]
pub fn wall() -> SystemTime {
    SystemTime::now()
}
