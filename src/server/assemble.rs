//! What is a gateway made of?

use super::state;
use crate::config::Config;
use crate::learn::Learner;
use crate::model::clock;
use crate::nodes::Roster;
use crate::observe::Metrics;
use crate::select::Strategy;
use crate::share::{Alone, Redis, SharedState, Terms};
use crate::upstream::{Checks, Fleet, Identity, Live, Parts, Rooms, Snapshot, Standing};
use std::num::NonZeroUsize;
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
    let identity = Identity::default();
    let fleet = fleet(&snapshot.config, &identity)?;
    if fleet.standing() != Standing::Alone {
        learner.share();
    }
    Ok(Arc::new(Live::new(
        snapshot, parts, learner, identity, fleet,
    )))
}

fn fleet(config: &Config, identity: &Identity) -> Result<Fleet, String> {
    let share = &config.share;
    let (state, standing): (Box<dyn SharedState>, _) = if share.is_on() {
        let rules = &config.learn.rules;
        let terms = Terms {
            ttl: share.ttl,
            most: NonZeroUsize::new(rules.max_keys).unwrap_or(NonZeroUsize::MIN),
            window: rules.window,
        };
        let fleet = Redis::new(share, &identity.name, terms);
        let fleet = fleet.map_err(|why| format!("share.redis: {why}"))?;
        (Box::new(fleet), Standing::Unknown)
    } else {
        (Box::new(Alone), Standing::Alone)
    };
    Ok(Fleet::new(state, standing, share.ttl, clock::now()))
}
