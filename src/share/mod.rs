//! What do the other gateways know?
//!
//! One exchange at a time, never while a request waits: a background task tells the fleet what we
//! hold and hears what the others hold. [`Alone`] is the fleet of one, [`Redis`] one of many.
//!
//! | file | question |
//! |---|---|
//! | `report` | What do we tell the fleet, and what does it tell us? |
//! | `desk` | What is written in the next letter, and what does the answer mean? |
//! | `diary` | What did we learn ourselves, in numbers that may be told twice? |
//! | `dial` | What time is it in Redis? |
//! | `seen` | What of that which the others saw of plugins is the newest? |
//! | `lessons` | What of that which the others learned is new to us? |
//! | `wishes` | What did operators wish, and who knows it already? |
//! | `remote` | What do all others together do on each node? |
//! | `letter` | How does an exchange look on its way? |
//! | `record` | What does the fleet know of one operation, as one line of text? |
//! | `keys` | What are the keys called? |
//! | `exchange.lua` | What happens to a letter in Redis? |
//! | `redis` | How do we reach it, and what if we do not? |

mod alone;
mod desk;
mod dial;
mod diary;
mod keys;
mod lessons;
mod letter;
mod record;
mod redis;
mod remote;
mod report;
mod seen;
mod wishes;

pub use alone::Alone;
pub use desk::{Desk, Terms};
pub use keys::Keys;
pub use letter::{Answer, Chores, Entry, Lead, Letter, Row};
pub use record::Record;
pub use redis::{Link, Redis, SCRIPT};
pub use remote::{Paces, Sum};
pub use report::{
    About, Granted, Held, Leader, Learned, Lesson, Matter, Neighbour, News, Profile, Report, Rest,
    Seen, Turns, Views, Wish,
};
pub use seen::{Newest, newest};

use crate::config::Share;
use async_trait::async_trait;
use std::fmt;

/// The state that gateways share.
#[async_trait]
pub trait SharedState: fmt::Debug + Send + Sync {
    /// Tells the others what this gateway holds, and returns what they told.
    ///
    /// A report carries absolute counts, not changes, so that a lost or repeated exchange is
    /// harmless. What is in it only once (samples, wishes) is kept until the fleet has it.
    ///
    /// # Errors
    /// When the fleet was not reached. The last news stay until they are stale.
    async fn exchange(&self, report: Report) -> Result<News, ShareError>;

    /// Says that this gateway ends. What it held is forgotten at once; otherwise it would be when
    /// its time has run out.
    async fn leave(&self);

    /// Whether this gateway does the fleet's chores now.
    fn leads(&self) -> bool;

    /// Follows settings that may change while it runs: where Redis is, and who we are there.
    async fn adjust(&self, settings: &Share);
}

/// An exchange failed; the last news stays until it is stale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareError {
    /// One word of a closed set, for the metric.
    pub cause: &'static str,
    /// For people.
    pub what: String,
}

impl fmt::Display for ShareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cause={} what={:?}", self.cause, self.what)
    }
}

impl std::error::Error for ShareError {}
