//! What does a log line look like? `2026-11-21T07:00:00.123Z info upstream: node is unhealthy node=n1`

use super::log_format::{is_json, line};
use super::log_level::Gate;
use crate::model::{EventFormat, clock};
use log::LevelFilter;
use std::io::Write;

/// Starts logging to standard error. `filter` is the default; `RUST_LOG` wins over it, and what the
/// operator says while it runs (`set_log_level`) over both.
pub fn init_log(filter: &str, format: EventFormat) {
    let env = env_logger::Env::default().default_filter_or(filter);
    let mut builder = env_logger::Builder::from_env(env);
    if std::env::var_os(env_logger::DEFAULT_FILTER_ENV).is_some() {
        // Below this, Pingora writes whole headers, and with them the daemons' keys.
        for module in ["pingora", "pingora_core", "pingora_proxy", "pingora_pool"] {
            builder.filter_module(module, LevelFilter::Info);
        }
    }
    let mut open = env_logger::Builder::new();
    open.filter_level(LevelFilter::Trace);
    let hint = std::env::var("LOG_OUTPUT_FORMAT").ok();
    let json = is_json(format, hint.as_deref());
    let gate = Gate {
        started: dressed(&mut builder, json),
        open: dressed(&mut open, json),
    };
    gate.install();
}

fn dressed(builder: &mut env_logger::Builder, json: bool) -> env_logger::Logger {
    builder
        .format(move |out, record| writeln!(out, "{}", line(json, clock::wall(), record)))
        .build()
}
