//! A gateway with a strategy of its own: plugins stay where they are as long as that is fair.
//!
//! ```text
//! cargo run --example own_strategy -- run --config gateway.yaml
//! ```
//!
//! where the file says `strategy: sticky`, or `strategy: adaptive` and `shadow: sticky` to see
//! first how often it would differ (`twolane_shadow_total`). Every other command is there too:
//! `check`, `drain`, `explain`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use twolane::cli;
use twolane::model::{Dice, Request};
use twolane::nodes::Candidates;
use twolane::observe::OwnMetrics;
use twolane::observe::prometheus::{self, IntCounter};
use twolane::select::{Choice, Preview, Strategy, Why};
use twolane::server::{Builder, Gateway};

/// Sends a plugin where it went last, unless another node has fewer requests by `patience`.
///
/// A strategy sees only nodes that may serve the request, and never none. It must be quick: it is
/// asked for each attempt, on the thread that proxies.
#[derive(Debug)]
struct Sticky {
    patience: u32,
    /// The node that a plugin's place went to last, by its position: a guess, nothing more.
    last: Vec<AtomicU64>,
    stays: IntCounter,
}

impl Sticky {
    fn new(patience: u32, stays: IntCounter) -> Self {
        Self {
            patience,
            last: (0..1024).map(|_| AtomicU64::new(0)).collect(),
            stays,
        }
    }

    fn decide(&self, request: &Request, among: &Candidates<'_>) -> usize {
        let last = &self.last[usize::from(request.plugin.index) % self.last.len()];
        let last = last.load(Ordering::Relaxed) as usize % among.len();
        let load = |at: usize| among.get(at).map_or(u32::MAX, |node| node.load());
        let least = (0..among.len()).min_by_key(|&at| load(at)).unwrap_or(0);
        if load(last) <= load(least) + self.patience {
            last
        } else {
            least
        }
    }
}

impl Strategy for Sticky {
    fn choose(&self, request: &Request, among: &Candidates<'_>, _dice: &mut Dice) -> Choice {
        let at = self.decide(request, among);
        let place = usize::from(request.plugin.index) % self.last.len();
        if self.last[place].swap(at as u64, Ordering::Relaxed) == at as u64 {
            self.stays.inc();
        }
        Choice {
            at,
            why: Why::Custom,
        }
    }

    // Optional: without it, `explain` says that this strategy cannot be asked.
    fn preview(
        &self,
        request: &Request,
        among: &Candidates<'_>,
        _dice: &mut Dice,
    ) -> Option<Preview> {
        Some(Preview {
            choice: Choice {
                at: self.decide(request, among),
                why: Why::Custom,
            },
            scores: Vec::new(),
        })
    }
}

/// The gateway with what this program brings.
pub fn gateway() -> prometheus::Result<Builder> {
    // On the gateway's page as `acme_sticky_stays_total`.
    let metrics = OwnMetrics::new("acme")?;
    let stays = IntCounter::new("sticky_stays_total", "Plugins that stayed where they were.")?;
    metrics.register(stays.clone())?;
    Ok(Gateway::builder()
        .strategy("sticky", move |_rules| Sticky::new(4, stays.clone()))
        .metrics(metrics))
}

fn main() -> ExitCode {
    match gateway() {
        Ok(gateway) => cli::main_with(gateway),
        Err(error) => {
            eprintln!("own_strategy: {error}");
            ExitCode::FAILURE
        }
    }
}
