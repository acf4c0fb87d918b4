//! How does a program of your own become a gateway? By naming what it brings.

use super::{Embedded, Options, StartError, run};
use crate::config::{self, Config, Known, Loaded, Problems, Strategies};
use crate::learn::Classifier;
use crate::observe::OwnMetrics;
use crate::select::Strategy;
use crate::upstream::discovery::Discovery;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A gateway with strategies, classifiers, discoveries or metrics of the program around it.
///
/// `examples/own_strategy.rs`, `examples/own_classifier.rs` and `examples/own_discovery.rs` are
/// whole programs.
#[derive(Debug)]
pub struct Gateway;

impl Gateway {
    /// Begins with what every gateway has.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }
}

/// What a program brings, by the words that its configuration may use. A word that is ours already
/// means the program's from then on.
#[derive(Debug, Default)]
pub struct Builder {
    options: Options,
}

impl Builder {
    /// A rule for choosing nodes, for `strategy: word` and `shadow: word`. Called once for each
    /// pool that names it, at the start and at each reload. One that panics, or names a candidate
    /// that does not exist, is replaced by round robin for that request.
    #[must_use]
    pub fn strategy<S: Strategy + 'static>(
        mut self,
        word: &str,
        make: impl Fn(&Strategies) -> S + Send + Sync + 'static,
    ) -> Self {
        let make = move |rules: &Strategies| -> Arc<dyn Strategy> { Arc::new(make(rules)) };
        self.options
            .strategies
            .push((word.to_owned(), Box::new(make)));
        self
    }

    /// Says beforehand which requests are long, for `learn: { classifier: word }`. The operator's
    /// rules and pins win over it. One that panics leaves that request to what was learned.
    #[must_use]
    pub fn classifier(mut self, word: &str, classifier: impl Classifier + 'static) -> Self {
        let row = (word.to_owned(), Arc::new(classifier) as Arc<dyn Classifier>);
        self.options.classifiers.push(row);
        self
    }

    /// A source of nodes, for `discover: { own: word }`; `make` is given the pool's name. It is
    /// asked at the start and every `discover.refresh`; when it fails, panics or hangs, the last
    /// known nodes stay. `allow` and `damping` hold for what it brings.
    #[must_use]
    pub fn discovery<D: Discovery + 'static>(
        mut self,
        word: &str,
        make: impl Fn(&str) -> D + Send + Sync + 'static,
    ) -> Self {
        let make = move |pool: &str| -> Box<dyn Discovery> { Box::new(make(pool)) };
        self.options
            .discoveries
            .push((word.to_owned(), Box::new(make)));
        self
    }

    /// Metrics to show on the gateway's page beside its own.
    #[must_use]
    pub fn metrics(mut self, own: OwnMetrics) -> Self {
        self.options.metrics = Some(own);
        self
    }

    /// The listeners are taken over from the program that started this one for it (`run --upgrade`).
    #[must_use]
    pub fn upgrading(mut self, upgrade: bool) -> Self {
        self.options.upgrade = upgrade;
        self
    }

    /// The words that its configuration may use.
    #[must_use]
    pub fn known(&self) -> Known {
        self.options.known()
    }

    /// Reads a configuration from a text. The environment is not asked.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn read(&self, text: &str) -> Result<Config, Problems> {
        config::load(text, "the configuration", &self.known(), &|_| None)
    }

    /// Starts it on the caller's runtime.
    ///
    /// # Errors
    /// When a port cannot be opened or the configuration cannot be compiled.
    pub async fn start(self, config: Config) -> io::Result<Embedded> {
        Embedded::start(config, self.options).await
    }

    /// Starts it from a file on the caller's runtime; it follows the file's changes.
    ///
    /// # Errors
    /// When the file is refused, a port cannot be opened, or the configuration cannot be compiled.
    pub async fn start_file(self, file: &Path) -> io::Result<Embedded> {
        let loaded = config::load_file(file, &self.known()).map_err(io::Error::other)?;
        Embedded::start_file(file.to_owned(), loaded, self.options).await
    }

    /// Runs it as the program `twolane` does, until a signal ends it.
    ///
    /// # Errors
    /// When it cannot start.
    pub fn run(self, loaded: Loaded, file: Option<PathBuf>) -> Result<(), StartError> {
        run(loaded, file, self.options)
    }
}
