//! Which configuration holds, where does it come from, and what would a reload change?

use super::reply;
use super::routes::{Answer, Asked};
use crate::config;
use serde_json::json;

/// `/api/v1/config`: every key with its value and origin; secrets are `***`.
pub(super) fn page(asked: &Asked<'_>) -> Answer {
    let snapshot = asked.live.snapshot();
    let (file, origins) = asked.hands.source();
    let body = json!({
        "file": file.map(|file| file.display().to_string()),
        "version": snapshot.version,
        "fingerprint": snapshot.fingerprint(),
        "keys": origins.rows(&snapshot.config),
        "yaml": config::masked(&snapshot.config),
    });
    reply::json(200, &body)
}

/// `/api/v1/config/diff`: what a reload would change, or every problem that would refuse it.
pub(super) fn diff(asked: &Asked<'_>) -> Answer {
    let (changes, problems) = match asked.hands.diff() {
        Ok(changes) => (changes, None),
        Err(problems) => (Vec::new(), Some(problems)),
    };
    reply::json(200, &json!({ "changes": changes, "problems": problems }))
}
