//! How does a changed file come into service? Checked whole, swapped whole, or refused whole.

use super::tls::{self, Credentials};
use crate::admin::Hands;
use crate::config::{self, Change, Loaded, Origins};
use crate::upstream::{Live, Snapshot};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Reads the file again: on SIGHUP, over the admin API, or because its content changed, or that of
/// a certificate it names. One at a time.
#[derive(Debug)]
pub(super) struct Reloader {
    live: Arc<Live>,
    credentials: Arc<Credentials>,
    /// None: the configuration did not come from a file.
    file: Option<PathBuf>,
    known: config::Known,
    /// Where the values of the configuration in force come from.
    origins: ArcSwap<Origins>,
    seen: Mutex<Seen>,
}

/// What was read last, taken or refused: a broken file is reported once.
#[derive(Debug)]
struct Seen {
    /// The hash of the text.
    text: u64,
    /// The hash of the files it names.
    files: u64,
    /// What was wrong, if it was refused. It may be mended without a change of the text.
    refused: Option<String>,
}

/// The configuration in force, as it is written.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// None: it did not come from a file.
    pub(super) file: Option<PathBuf>,
    /// The hash of its text.
    pub(super) hash: u64,
    /// Where each of its values comes from.
    pub(super) origins: Origins,
}

impl Reloader {
    /// # Errors
    /// When a certificate cannot be used.
    pub(super) fn new(
        live: Arc<Live>,
        credentials: &Arc<Credentials>,
        written: Written,
        known: config::Known,
    ) -> Result<Self, String> {
        let config = &live.snapshot().config;
        // Before the files are read: what changes later is seen by the poll.
        let files = config::files_hash(config);
        credentials.take(tls::prepare(&config.tls)?);
        Ok(Self {
            live: Arc::clone(&live),
            credentials: Arc::clone(credentials),
            file: written.file,
            known,
            origins: ArcSwap::from_pointee(written.origins),
            seen: Mutex::new(Seen {
                text: written.hash,
                files,
                refused: None,
            }),
        })
    }

    /// Watches the content of the files. Polling by content survives what notifications miss:
    /// a ConfigMap's symlink swap, network mounts, an editor's rename.
    pub(super) async fn poll(&self) {
        loop {
            let Some(every) = self.live.snapshot().config.reload.poll else {
                return;
            };
            tokio::time::sleep(every.max(Duration::from_millis(100))).await;
            let Some(file) = &self.file else {
                return;
            };
            let text = tokio::fs::read_to_string(file).await;
            let changed = match text {
                Ok(text) => self.is_news(config::content_hash(&text)).await,
                Err(_in_the_middle_of_a_swap) => false,
            };
            if changed {
                // Either way it has been said in the log.
                let _ = self.reload().await;
            }
        }
    }

    async fn is_news(&self, text: u64) -> bool {
        let seen = self.seen.lock().await;
        if text != seen.text {
            return true;
        }
        match &seen.refused {
            None => config::files_hash(&self.live.snapshot().config) != seen.files,
            // Half of a renewal: a certificate whose key comes a moment later.
            Some(refused) => self.load().err().as_ref() != Some(refused),
        }
    }

    fn load(&self) -> Result<Loaded, String> {
        let Some(file) = &self.file else {
            return Err("the configuration did not come from a file".to_owned());
        };
        config::load_file(file, &self.known).map_err(|problems| problems.to_string())
    }

    async fn take(
        &self,
        Loaded {
            config, origins, ..
        }: Loaded,
    ) -> Result<Vec<String>, String> {
        let old = self.live.snapshot();
        let changes = config::diff(&old.config, &config);
        let learn = config.learn.rules.clone();
        // Everything that can be refused comes before anything that is applied.
        let prepared = tls::prepare(&config.tls)?;
        let next = Snapshot::compile(config, old.version + 1, &self.live.parts).await?;
        self.live.learner.set_rules(learn);
        self.live.swap(next);
        self.origins.store(Arc::new(origins));
        let renewed = self.credentials.take(prepared);
        let changes = changes.iter().map(Change::to_string);
        Ok(changes.chain(renewed).collect())
    }
}

#[async_trait]
impl Hands for Reloader {
    async fn reload(&self) -> Result<Vec<String>, String> {
        let mut seen = self.seen.lock().await;
        let result = match self.load() {
            Ok(loaded) => {
                *seen = Seen {
                    text: loaded.text_hash,
                    files: config::files_hash(&loaded.config),
                    refused: None,
                };
                if !loaded.warnings.list.is_empty() {
                    log::warn!("{}", loaded.warnings);
                }
                self.take(loaded).await
            }
            Err(problems) => {
                let text = self.file.as_ref().map(std::fs::read_to_string);
                if let Some(Ok(text)) = text {
                    seen.text = config::content_hash(&text);
                }
                seen.refused = Some(problems.clone());
                Err(problems)
            }
        };
        self.live.parts.metrics.reloaded(result.is_ok());
        match &result {
            Ok(changes) => log::info!("configuration reloaded changes={changes:?}"),
            Err(problems) => {
                log::error!("reload refused, the old configuration serves on\n{problems}");
            }
        }
        result
    }

    fn diff(&self) -> Result<Vec<String>, String> {
        let loaded = self.load()?;
        let changes = config::diff(&self.live.snapshot().config, &loaded.config);
        Ok(changes.iter().map(Change::to_string).collect())
    }

    fn source(&self) -> (Option<PathBuf>, Arc<Origins>) {
        (self.file.clone(), self.origins.load_full())
    }
}
