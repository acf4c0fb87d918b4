//! What is a gateway made of?

use super::state;
use crate::config::{self, Config};
use crate::learn::{Learner, Rules};
use crate::nodes::Roster;
use crate::observe::Metrics;
use crate::select::Strategy;
use crate::share::Alone;
use crate::upstream::{Checks, Live, Parts, Snapshot};
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
        metrics: Metrics::new().map_err(|error| error.to_string())?,
        strategies: options.strategies,
    };
    let learner = Learner::new(rules(&config.learn));
    if let Some(file) = &config.state.file {
        state::recall(file, &learner);
    }
    let snapshot = Snapshot::compile(config, 1, &parts).await?;
    let share = Box::new(Alone);
    Ok(Arc::new(Live::new(snapshot, parts, learner, share)))
}

/// The learner's rules; it knows nothing of YAML.
pub(super) fn rules(learn: &config::Learn) -> Rules {
    Rules {
        long_threshold: match learn.long_threshold {
            config::Threshold::Fixed(at) => crate::learn::Threshold::Fixed(at),
            config::Threshold::Auto => crate::learn::Threshold::Auto,
        },
        exit_ratio: learn.exit_ratio,
        score: match learn.score {
            config::Score::Decayed => crate::learn::Score::Decayed,
            config::Score::Median => crate::learn::Score::Median,
            config::Score::Mean => crate::learn::Score::Mean,
        },
        window: learn.window,
        min_samples: learn.min_samples,
        unknown: match learn.unknown {
            config::Unknown::Prior => crate::learn::Unknown::Prior,
            config::Unknown::Always(class) => crate::learn::Unknown::Always(class),
        },
        max_keys: learn.max_keys,
        pins: learn
            .pins
            .iter()
            .map(|pin| crate::learn::Pin {
                operation: pin.operation.clone(),
                class: pin.class,
            })
            .collect(),
    }
}
