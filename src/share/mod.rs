//! What do the other gateways know?
//!
//! One exchange at a time, never while a request waits: a background task tells the fleet what we
//! hold and hears what the others hold. Alone is the fleet of one.

mod alone;

pub use alone::Alone;

use crate::model::NodeId;
use async_trait::async_trait;
use std::fmt;
use std::time::Duration;

/// The state that gateways share.
#[async_trait]
pub trait SharedState: fmt::Debug + Send + Sync {
    /// Tells the others what this gateway holds, and returns what they told.
    ///
    /// A report carries absolute counts, not changes, so that a lost or repeated exchange is
    /// harmless.
    async fn exchange(&self, report: Report) -> Result<News, ShareError>;
}

/// What we tell the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Our name.
    pub gateway: String,
    /// Our leases per node.
    pub leases: Vec<Held>,
}

/// The leases of one gateway on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The node.
    pub node: NodeId,
    /// Short requests in flight.
    pub short: u32,
    /// Long requests in flight.
    pub long: u32,
}

/// What the fleet tells us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// The leases of all other gateways together.
    pub others: Vec<Held>,
    /// Which gateway does the fleet's chores.
    pub leader: String,
    /// How long its word holds.
    pub leader_for: Duration,
}

/// An exchange failed; the last news stays until it is stale.
#[derive(Debug)]
pub struct ShareError(pub String);

impl fmt::Display for ShareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the exchange with the fleet failed: {}", self.0)
    }
}

impl std::error::Error for ShareError {}
