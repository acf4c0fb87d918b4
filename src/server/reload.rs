//! How does a changed file come into service? Checked whole, swapped whole, or refused whole.

use super::tls::{self, Credentials};
use crate::admin::{Hands, Taken, Validate};
use crate::config::{self, Change, Config, Edit, Edits, Loaded, Origins, Text};
use crate::upstream::{Errands, Live, Snapshot, dial};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

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
    /// What was changed by hand, and is laid over the file.
    edits: ArcSwap<Edits>,
    seen: Mutex<Seen>,
}

/// What was read last, taken or refused: a broken file is reported once.
#[derive(Debug)]
struct Seen {
    /// The text in force; none = it was made by a program.
    in_force: Option<Text>,
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
    /// Its text; none = it was made by a program.
    pub(super) text: Option<Text>,
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
            edits: ArcSwap::default(),
            seen: Mutex::new(Seen {
                text: written.text.as_ref().map_or(0, Text::hash),
                in_force: written.text,
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
                let _ = self.reload(Validate::No).await;
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
        let loaded = config::load_edited(file, &self.known, &self.edits.load());
        loaded.map_err(|problems| problems.to_string())
    }

    async fn take(&self, loaded: Loaded, validate: Validate) -> Result<Taken, String> {
        let Loaded {
            config, origins, ..
        } = loaded;
        let unwell = match validate {
            Validate::No => Vec::new(),
            Validate::Tell | Validate::Refuse => unwell(&config).await,
        };
        if validate == Validate::Refuse && !unwell.is_empty() {
            let cure = "start them, set `enabled: false`, or say allow_unhealthy=true";
            return Err(format!("{}\n{cure}", unwell.join("\n")));
        }
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
        Ok(Taken {
            changes: changes.chain(renewed).collect(),
            unwell,
        })
    }
}

/// The nodes that do not answer as they should, a line each. All are asked at once.
async fn unwell(config: &Config) -> Vec<String> {
    let errands = Errands::new();
    let config = Arc::new(config.clone());
    let mut asked = JoinSet::new();
    for (pool, settings) in config.pools.iter().enumerate() {
        for (node, _) in (settings.nodes.iter().enumerate()).filter(|(_, node)| node.enabled) {
            let (config, errands) = (Arc::clone(&config), errands.clone());
            asked.spawn(async move {
                let pool = &config.pools[pool];
                let node = &pool.nodes[node];
                let answer = dial(&config, pool, node, &errands).await;
                answer.err().map(|why| format!("node {}: {why}", node.id))
            });
        }
    }
    let mut unwell: Vec<_> = asked.join_all().await.into_iter().flatten().collect();
    unwell.sort();
    unwell
}

#[async_trait]
impl Hands for Reloader {
    async fn reload(&self, validate: Validate) -> Result<Taken, String> {
        let mut seen = self.seen.lock().await;
        let result = match self.load() {
            Ok(loaded) => {
                seen.text = loaded.text.hash();
                seen.files = config::files_hash(&loaded.config);
                seen.refused = None;
                if !loaded.warnings.list.is_empty() {
                    log::warn!("{}", loaded.warnings);
                }
                let text = loaded.text.clone();
                let taken = self.take(loaded, validate).await;
                if taken.is_ok() {
                    seen.in_force = Some(text);
                }
                taken
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
            Ok(taken) => log::info!("configuration reloaded changes={:?}", taken.changes),
            Err(problems) => {
                log::error!("reload refused, the old configuration serves on\n{problems}");
            }
        }
        result
    }

    async fn edit(&self, pool: &str, edit: Edit, validate: Validate) -> Result<Taken, String> {
        let seen = self.seen.lock().await;
        let Some(text) = &seen.in_force else {
            return Err("this configuration was made by a program: change it there".to_owned());
        };
        let now = self.live.snapshot();
        let edited = text.edit((pool, &edit), &self.edits.load(), &now.config, &self.known);
        let (edits, loaded) = edited.map_err(|problems| problems.to_string())?;
        let taken = self.take(loaded, validate).await?;
        self.edits.store(Arc::new(edits));
        log::info!(
            "pool changed pool={pool} by={edit:?} changes={:?}",
            taken.changes
        );
        Ok(taken)
    }

    fn edits(&self) -> Arc<Edits> {
        self.edits.load_full()
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
