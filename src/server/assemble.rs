//! What is a gateway made of?

use super::{known, state};
use crate::config::{Config, Known, OwnWords};
use crate::learn::{self, Classifier, Learner};
use crate::model::clock;
use crate::nodes::Roster;
use crate::observe::access::Sinks;
use crate::observe::{Metrics, OwnMetrics};
use crate::share::{Alone, Redis, SharedState, Terms};
use crate::upstream::discovery::{Lookup, Names, Sources};
use crate::upstream::{
    Checks, Fleet, Identity, Limiters, Live, MakeDiscovery, MakeStrategy, Own, Parts, Rooms,
    Snapshot, Standing,
};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// What a program that embeds the gateway may add.
#[derive(Default)]
pub struct Options {
    /// Strategies of its own, by the word that `strategy:` and `shadow:` may use.
    pub strategies: Vec<(String, MakeStrategy)>,
    /// Classifiers, by the word that `learn.classifier:` may use.
    pub classifiers: Vec<(String, Arc<dyn Classifier>)>,
    /// Sources of nodes, by the word that `discover.own:` may use.
    pub discoveries: Vec<(String, MakeDiscovery)>,
    /// Looks host names up; none = the system does.
    pub lookup: Option<Lookup>,
    /// Metrics to show beside ours.
    pub metrics: Option<OwnMetrics>,
    /// True: the listeners are taken over from the program that started this one for it.
    pub upgrade: bool,
}

impl Options {
    /// The words that the configuration may use.
    #[must_use]
    pub fn known(&self) -> Known {
        fn words<T>(rows: &[(String, T)]) -> Vec<String> {
            rows.iter().map(|(word, _)| word.clone()).collect()
        }
        Known {
            own: OwnWords {
                strategies: words(&self.strategies),
                classifiers: words(&self.classifiers),
                discoveries: words(&self.discoveries),
            },
            ..known()
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.known().own.fmt(f)
    }
}

/// Puts a gateway together, with what an earlier one learned.
pub(super) async fn assemble(config: Config, options: Options) -> Result<Arc<Live>, String> {
    let learner = Arc::new(Learner::new(config.learn.rules.clone()));
    let guard = |(word, own)| {
        let guarded = learn::Guarded::new(own, Arc::clone(&learner));
        (word, Arc::new(guarded))
    };
    let own = Own {
        strategies: options.strategies,
        classifiers: options.classifiers.into_iter().map(guard).collect(),
        discoveries: options.discoveries,
    };
    let roster = Arc::new(Roster::default());
    let metrics = Metrics::with(options.metrics).map_err(|error| error.to_string())?;
    let parts = Parts {
        checks: Checks::new(&roster, &config.health, metrics.checks.clone()),
        roster,
        connections: Arc::default(),
        sources: Sources::with(Names::with(options.lookup.unwrap_or_default())),
        rooms: Rooms::default(),
        limiters: Limiters::default(),
        sinks: Sinks::new(metrics.access().clone()),
        metrics,
        own,
    };
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
