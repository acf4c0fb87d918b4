//! How much is written into the log?

use super::reply;
use super::routes::{Answer, Asked};
use crate::observe;
use log::LevelFilter;
use serde::Deserialize;
use serde_json::json;

/// `/api/v1/log-level`.
pub(super) fn page(_: &Asked<'_>) -> Answer {
    reply::json(200, &json!({ "level": word(observe::log_level()) }))
}

/// `{"level": "debug"}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    level: String,
}

/// `PUT /api/v1/log-level`: for our own lines, until the next start.
pub(super) fn set(asked: &Asked<'_>) -> Answer {
    let wish: Wish = match asked.wish("{\"level\": \"debug\"}") {
        Ok(wish) => wish,
        Err(what) => return reply::text(400, what),
    };
    // A build leaves out what is below debug.
    let level = wish
        .level
        .parse()
        .ok()
        .filter(|level| *level < LevelFilter::Trace);
    let Some(level) = level else {
        let what = format!(
            "no level {:?}; there is off, error, warn, info and debug\n",
            wish.level
        );
        return reply::text(400, what);
    };
    let before = observe::log_level();
    observe::set_log_level(level);
    log::info!("log level from={} to={}", word(before), word(level));
    reply::json(200, &json!({ "level": word(level) }))
}

fn word(level: LevelFilter) -> String {
    level.as_str().to_lowercase()
}
