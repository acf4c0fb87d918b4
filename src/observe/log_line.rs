//! What does a log line look like? `2026-11-21T07:00:00.123Z info upstream: node is unhealthy node=n1`

use super::log_format::{is_json, line};
use crate::model::{EventFormat, clock};
use std::io::Write;

/// Starts logging to standard error. `filter` is the default; `RUST_LOG` wins over it.
pub fn init_log(filter: &str, format: EventFormat) {
    let env = env_logger::Env::default().default_filter_or(filter);
    let mut builder = env_logger::Builder::from_env(env);
    if std::env::var_os(env_logger::DEFAULT_FILTER_ENV).is_some() {
        // Below this, Pingora writes whole headers, and with them the daemons' keys.
        for module in ["pingora", "pingora_core", "pingora_proxy", "pingora_pool"] {
            builder.filter_module(module, log::LevelFilter::Info);
        }
    }
    let hint = std::env::var("LOG_OUTPUT_FORMAT").ok();
    let json = is_json(format, hint.as_deref());
    // A second logger in one process (tests) is no reason to fail.
    let _ = builder
        .format(move |out, record| writeln!(out, "{}", line(json, clock::wall(), record)))
        .try_init();
}
