//! How do we reach Redis, and what if we do not?
//!
//! Nobody waits for Redis but the one task that exchanges letters with it. Whatever goes wrong there
//! is one line in the log when it begins and one when it ends; requests go on with what this gateway
//! knows by itself.

mod answer;
mod link;
mod trouble;

pub use link::{Link, SCRIPT};

use super::{Desk, News, Report, ShareError, SharedState, Terms};
use crate::config::Share;
use crate::model::clock;
use async_trait::async_trait;
use parking_lot::Mutex;
use std::fmt;

/// A fleet that meets in Redis.
pub struct Redis {
    desk: Mutex<Desk>,
    /// One exchange at a time.
    link: tokio::sync::Mutex<Link>,
}

impl Redis {
    /// A gateway of the fleet. Nothing is connected before the first exchange.
    ///
    /// # Errors
    /// When the settings do not describe a Redis.
    pub fn new(settings: &Share, gateway: &str, terms: Terms) -> Result<Self, String> {
        Ok(Self {
            desk: Mutex::new(Desk::new(gateway, terms, fastrand::u64(..))),
            link: tokio::sync::Mutex::new(Link::new(settings)?),
        })
    }
}

#[async_trait]
impl SharedState for Redis {
    async fn exchange(&self, report: Report) -> Result<News, ShareError> {
        let mut link = self.link.lock().await;
        let letter = self.desk.lock().write(report, clock::now());
        let answer = link.carry(&letter).await?;
        let news = self.desk.lock().read(&letter, answer, clock::now());
        Ok(news.expect("the link checks that an answer is to this letter"))
    }

    async fn leave(&self) {
        let mut link = self.link.lock().await;
        let letter = self.desk.lock().write_leave(clock::now());
        // If it does not arrive, our time runs out.
        let _ = link.carry(&letter).await;
    }

    fn leads(&self) -> bool {
        self.desk.lock().leading(clock::now()).is_some()
    }

    async fn adjust(&self, settings: &Share) {
        self.link.lock().await.adjust(settings);
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}
