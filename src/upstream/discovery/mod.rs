//! Where do nodes come from?

mod fixed;

pub use fixed::{Fixed, Names};

use crate::nodes::Entry;
use async_trait::async_trait;
use std::fmt;

/// A source of nodes.
#[async_trait]
pub trait Discovery: fmt::Debug + Send + Sync {
    /// The nodes that exist now. On an error the last known ones stay.
    async fn discover(&self) -> Result<Vec<Entry>, DiscoveryError>;
}

/// The nodes could not be found out.
#[derive(Debug)]
pub struct DiscoveryError(pub String);

impl fmt::Display for DiscoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DiscoveryError {}
