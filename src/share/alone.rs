//! What if there is no fleet? Then we hear nothing, and lead ourselves.

use super::{Leader, News, Report, ShareError, SharedState};
use crate::config::Share;
use async_trait::async_trait;
use std::time::Duration;

/// The fleet of one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

#[async_trait]
impl SharedState for Alone {
    async fn exchange(&self, report: Report) -> Result<News, ShareError> {
        Ok(News {
            leader: Some(Leader {
                gateway: report.gateway,
                lasting: Duration::MAX,
                fence: 0,
            }),
            ..News::default()
        })
    }

    async fn leave(&self) {}

    fn leads(&self) -> bool {
        true
    }

    async fn adjust(&self, _settings: &Share) {}
}
