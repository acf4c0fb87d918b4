//! What is a gateway made of?

use super::state;
use crate::config::Config;
use crate::learn::Learner;
use crate::nodes::Roster;
use crate::observe::Metrics;
use crate::select::Strategy;
use crate::share::Alone;
use crate::upstream::{Checks, Live, Parts, Rooms, Snapshot};
use std::sync::Arc;

/// What a program that embeds the gateway may add.
#[derive(Debug, Default)]
pub struct Options {
    /// Strategies of its own, by the name that `strategy:` may use.
    pub strategies: Vec<(String, Arc<dyn Strategy>)>,
}

/// Puts a gateway together, with what an earlier one learned.
pub(super) async fn assemble(config: Config, options: Options) -> Result<Arc<Live>, String> {
    let roster = Arc::new(Roster::default());
    let parts = Parts {
        checks: Checks::new(&roster, &config.health),
        roster,
        names: Arc::default(),
        rooms: Rooms::default(),
        metrics: Metrics::new().map_err(|error| error.to_string())?,
        strategies: options.strategies,
    };
    let learner = Learner::new(config.learn.rules.clone());
    if let Some(file) = &config.state.file {
        state::recall(file, &learner);
    }
    let snapshot = Snapshot::compile(config, 1, &parts).await?;
    let share = Box::new(Alone);
    Ok(Arc::new(Live::new(snapshot, parts, learner, share)))
}
