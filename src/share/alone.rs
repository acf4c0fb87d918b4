//! What if there is no fleet? Then we hear nothing, and lead ourselves.

use super::{News, Report, ShareError, SharedState};
use async_trait::async_trait;
use std::time::Duration;

/// The fleet of one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

#[async_trait]
impl SharedState for Alone {
    async fn exchange(&self, report: Report) -> Result<News, ShareError> {
        Ok(News {
            others: Vec::new(),
            leader: report.gateway,
            leader_for: Duration::MAX,
        })
    }
}
