//! What does the operator see, and may do?
//!
//! A listener of its own, on loopback unless a token guards it; no path of it ever shadows a
//! daemon's path on the data port. GET never changes anything.
//!
//! | file | question |
//! |---|---|
//! | `routes` | Which page answers which request? |
//! | `gate` | Who may look, and who may act? |
//! | `serve` | How does a request come in, and an answer go out? |
//! | `reply` | How does an admin answer look? |
//! | `health`, `status`, `seed_pages`, `metrics`, `node_metrics` | What do probes, the seeds' tools and Prometheus read? |
//! | `overview`, `history`, `events` | How is everything now, how was it, and what is new? |
//! | `actions`, `register` | What may be done to nodes? |
//! | `pools` | Which nodes are in a pool, and may others be? |
//! | `operations`, `decisions`, `explain` | What was learned, what was decided, and why? |
//! | `config`, `log_level`, `openapi` | What holds, how much is said, and what is there? |
//! | `ui` | What does a person see? |
//! | `client` | How does the command line ask a running gateway? |

mod actions;
mod client;
mod config;
mod decisions;
mod events;
mod explain;
mod gate;
mod health;
mod history;
mod log_level;
mod metrics;
mod node_metrics;
mod openapi;
mod operations;
mod overview;
mod plugins;
mod pools;
mod register;
mod reply;
mod routes;
mod seed_pages;
mod serve;
mod status;
mod ui;

pub use client::ask;

use crate::config::{Edit, Edits, Origins};
use crate::upstream::{Errands, Live};
use async_trait::async_trait;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// Whether nodes are asked how they are before they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validate {
    /// They are not.
    No,
    /// They are, and those that are not well are told.
    Tell,
    /// They are, and one that is not well refuses it all.
    Refuse,
}

/// What came of a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// What is otherwise now, a line each.
    pub changes: Vec<String>,
    /// The nodes that were asked and are not well, a line each.
    pub unwell: Vec<String>,
}

/// What the operator may ask the server to do; the server implements it.
#[async_trait]
pub trait Hands: fmt::Debug + Send + Sync {
    /// Reads the configuration again.
    ///
    /// # Errors
    /// When it was refused: every problem, rendered for people. The old one stays in service.
    async fn reload(&self, validate: Validate) -> Result<Taken, String>;

    /// Changes a pool until that is taken back or the process ends.
    ///
    /// # Errors
    /// When it was refused: every problem, rendered for people. Nothing is changed then.
    async fn edit(&self, pool: &str, edit: Edit, validate: Validate) -> Result<Taken, String>;

    /// What was changed by hand.
    fn edits(&self) -> Arc<Edits>;

    /// Says what a reload would change, and changes nothing.
    ///
    /// # Errors
    /// When it would be refused: every problem, rendered for people.
    fn diff(&self) -> Result<Vec<String>, String>;

    /// The file that the configuration came from, and where each of its values comes from.
    fn source(&self) -> (Option<PathBuf>, Arc<Origins>);
}

/// The admin listener's application.
#[derive(Debug)]
pub struct Admin {
    live: Arc<Live>,
    hands: Arc<dyn Hands>,
    /// Streams of events that are open.
    watching: AtomicUsize,
    errands: Errands,
}

impl Admin {
    /// Shows what is live; acts through `hands`.
    #[must_use]
    pub fn new(live: Arc<Live>, hands: Arc<dyn Hands>) -> Self {
        Self {
            live,
            hands,
            watching: AtomicUsize::new(0),
            errands: Errands::new(),
        }
    }
}
