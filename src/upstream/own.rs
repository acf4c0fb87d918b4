//! What may a program that embeds the gateway bring of its own?
//!
//! Each thing has a word, which the configuration may use where it uses our own.

use super::discovery::{Discovery, DiscoveryError};
use crate::config::{OwnWords, Strategies};
use crate::learn::{self, Classifier};
use crate::nodes::Entry;
use crate::select::Strategy;
use async_trait::async_trait;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// Makes a strategy: one for each pool that names it, and one more where it is a shadow.
pub type MakeStrategy = Box<dyn Fn(&Strategies) -> Arc<dyn Strategy> + Send + Sync>;
/// Makes a source of nodes for the pool of this name.
pub type MakeDiscovery = Box<dyn Fn(&str) -> Box<dyn Discovery> + Send + Sync>;

/// What the embedding program brings, by the words of the configuration. Its words win over ours.
#[derive(Default)]
pub struct Own {
    /// After `strategy:` and `shadow:`.
    pub strategies: Vec<(String, MakeStrategy)>,
    /// After `learn.classifier:`.
    pub classifiers: Vec<(String, Arc<learn::Guarded>)>,
    /// After `discovery:`.
    pub discoveries: Vec<(String, MakeDiscovery)>,
}

fn find<'a, T>(rows: &'a [(String, T)], word: &str) -> Option<&'a T> {
    rows.iter().find(|(name, _)| name == word).map(|(_, it)| it)
}

fn words<T>(rows: &[(String, T)]) -> Vec<String> {
    rows.iter().map(|(word, _)| word.clone()).collect()
}

impl Own {
    /// The words, for the configuration's check.
    #[must_use]
    pub fn words(&self) -> OwnWords {
        OwnWords {
            strategies: words(&self.strategies),
            classifiers: words(&self.classifiers),
            discoveries: words(&self.discoveries),
        }
    }

    pub(super) fn strategy(&self, word: &str, rules: &Strategies) -> Option<Arc<dyn Strategy>> {
        find(&self.strategies, word).map(|make| make(rules))
    }

    pub(super) fn classifier(&self, word: &str) -> Option<Arc<dyn Classifier>> {
        let found = find(&self.classifiers, word)?;
        Some(Arc::<learn::Guarded>::clone(found) as Arc<dyn Classifier>)
    }

    pub(super) fn discovery(&self, word: &str, pool: &str) -> Option<Box<dyn Discovery>> {
        let make = find(&self.discoveries, word)?;
        Some(Box::new(Guarded(make(pool))))
    }

    /// How often classifiers from outside have failed.
    #[must_use]
    pub fn classifier_failures(&self) -> u64 {
        let failures = |(_, classifier): &(String, Arc<learn::Guarded>)| classifier.failures();
        self.classifiers.iter().map(failures).sum()
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.words().fmt(f)
    }
}

/// How long one look may take. Longer, and the last known nodes stay.
const LOOK: Duration = Duration::from_secs(10);

/// A source that may panic or hang; either is an error.
#[derive(Debug)]
struct Guarded(Box<dyn Discovery>);

#[async_trait]
impl Discovery for Guarded {
    async fn discover(&self) -> Result<Vec<Entry>, DiscoveryError> {
        let mut look = pin!(self.0.discover());
        let guarded = std::future::poll_fn(|context| {
            let step = catch_unwind(AssertUnwindSafe(|| look.as_mut().poll(context)));
            step.unwrap_or_else(|_panic| {
                let what = "the discovery panicked".to_owned();
                Poll::Ready(Err(DiscoveryError(what)))
            })
        });
        match tokio::time::timeout(LOOK, guarded).await {
            Ok(found) => found,
            Err(_late) => {
                let what = format!("the discovery has not answered within {LOOK:?}");
                Err(DiscoveryError(what))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    enum Wrong {
        Panics,
        Hangs,
    }

    #[async_trait]
    impl Discovery for Wrong {
        async fn discover(&self) -> Result<Vec<Entry>, DiscoveryError> {
            match self {
                Self::Panics => panic!("a fault of its own"),
                Self::Hangs => std::future::pending().await,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_discovery_that_panics_or_hangs_is_an_error() {
        for (wrong, what) in [(Wrong::Panics, "panicked"), (Wrong::Hangs, "not answered")] {
            let error = Guarded(Box::new(wrong)).discover().await.unwrap_err();
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}
