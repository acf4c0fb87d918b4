//! A gateway that is told by its operator's program what is long: at night everything is short.
//!
//! ```text
//! cargo run --example own_classifier -- run --config gateway.yaml
//! ```
//!
//! where the file says `learn: { classifier: by_hour }`. The operator's `rules` and `learn.pins` win
//! over it; if it panics, what was learned decides (`twolane_classifier_failures_total`).

use std::process::ExitCode;
use std::time::{Instant, UNIX_EPOCH};
use twolane::cli;
use twolane::learn::{Classifier, Running};
use twolane::model::{Basis, Class, Operation, Sample, Verdict, clock};
use twolane::server::{Builder, Gateway};

/// What a kind of operation usually is, in office hours (UTC); at night, batches run, and calling
/// them long would only keep them off the nodes.
#[derive(Debug)]
struct ByHour {
    hour: fn() -> u64,
}

fn hour_of_the_day() -> u64 {
    let since = clock::wall().duration_since(UNIX_EPOCH);
    since.map_or(12, |since| since.as_secs() / 3600 % 24)
}

impl Classifier for ByHour {
    fn classify(&self, _operation: &Operation, prior: Class, _now: Instant) -> Verdict {
        let office = (7..19).contains(&(self.hour)());
        Verdict {
            class: if office { prior } else { Class::Short },
            basis: Basis::Custom,
        }
    }

    // It does not watch what runs, and learns nothing.
    fn begin(&self, _operation: &Operation, _now: Instant) -> Running {
        Running::unwatched()
    }

    fn learn(&self, _operation: &Operation, _sample: Sample, _now: Instant) {}
}

/// The gateway with what this program brings.
pub fn gateway(hour: fn() -> u64) -> Builder {
    Gateway::builder().classifier("by_hour", ByHour { hour })
}

fn main() -> ExitCode {
    cli::main_with(gateway(hour_of_the_day))
}
