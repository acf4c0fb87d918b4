//! Where do nodes come from?
//!
//! A pool asks its [`PoolSource`]: the nodes that its file lists (`fixed`), and what its sources
//! bring: a name (`dns`), a file (`file`), the registry in Dify's Redis (`registry`), nodes that
//! registered (`register`), a source of the embedding program (`upstream::Own`). Every source but the first is fenced (`fence`: what may be a node at
//! all), keeps its last good answer (`kept`), and its members are damped (`damper`). A request never
//! waits for any of it.

mod damper;
mod dns;
mod fence;
mod file;
mod fixed;
mod kept;
mod names;
mod register;
mod registry;
mod sources;

pub use fixed::Fixed;
pub use names::{Lookup, Names};
pub use register::{Held, Refused, Registrations, Wish};
pub use sources::{PoolSource, Sources};

use crate::nodes::Entry;
use async_trait::async_trait;
use std::fmt;

/// A source of nodes.
#[async_trait]
pub trait Discovery: fmt::Debug + Send + Sync {
    /// The nodes that exist now. On an error the last known ones stay. An empty list is certain:
    /// nobody is there. A source that cannot be certain of that says an error.
    async fn discover(&self) -> Result<Vec<Entry>, DiscoveryError>;
}

/// The nodes could not be found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveryError(pub String);

impl fmt::Display for DiscoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DiscoveryError {}
