//! How does a changed file come into service? Checked whole, swapped whole, or refused whole.

use crate::admin::Hands;
use crate::config::{self, Change, Loaded, Origins};
use crate::upstream::{Live, Snapshot};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Reads the file again: on SIGHUP, over the admin API, or because its content changed. One at a
/// time.
#[derive(Debug)]
pub(super) struct Reloader {
    live: Arc<Live>,
    /// None: the configuration did not come from a file.
    file: Option<PathBuf>,
    known: config::Known,
    /// Where the values of the configuration in force come from.
    origins: ArcSwap<Origins>,
    /// The hash of the text that was last read, taken or refused: a broken file is reported once.
    seen: Mutex<u64>,
}

impl Reloader {
    pub(super) fn new(
        live: Arc<Live>,
        (file, origins): (Option<PathBuf>, Origins),
        seen: u64,
        known: config::Known,
    ) -> Self {
        Self {
            live,
            file,
            known,
            origins: ArcSwap::from_pointee(origins),
            seen: Mutex::new(seen),
        }
    }

    /// Watches the content of the file. Polling by content survives what notifications miss:
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
            let hash = text.map(|text| config::content_hash(&text));
            let changed = match hash {
                Ok(hash) => hash != *self.seen.lock().await,
                Err(_in_the_middle_of_a_swap) => false,
            };
            if changed {
                // Either way it has been said in the log.
                let _ = self.reload().await;
            }
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
        let next = Snapshot::compile(config, old.version + 1, &self.live.parts).await?;
        self.live.learner.set_rules(learn);
        self.live.swap(next);
        self.origins.store(Arc::new(origins));
        Ok(changes.iter().map(Change::to_string).collect())
    }
}

#[async_trait]
impl Hands for Reloader {
    async fn reload(&self) -> Result<Vec<String>, String> {
        let mut seen = self.seen.lock().await;
        let result = match self.load() {
            Ok(loaded) => {
                *seen = loaded.text_hash;
                if !loaded.warnings.list.is_empty() {
                    log::warn!("{}", loaded.warnings);
                }
                self.take(loaded).await
            }
            Err(problems) => {
                let text = self.file.as_ref().map(std::fs::read_to_string);
                if let Some(Ok(text)) = text {
                    *seen = config::content_hash(&text);
                }
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
