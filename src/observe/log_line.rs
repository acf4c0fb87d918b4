//! What does a log line look like? `2026-11-21T07:00:00.123Z info upstream: node is unhealthy node=n1`

use super::log_level::Gate;
use log::LevelFilter;
use std::io::Write;
use std::time::SystemTime;

/// Starts logging to standard error. `filter` is the default; `RUST_LOG` wins over it, and what the
/// operator says while it runs (`set_log_level`) over both.
pub fn init_log(filter: &str) {
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
    let gate = Gate {
        started: dressed(&mut builder),
        open: dressed(&mut open),
    };
    gate.install();
}

fn dressed(builder: &mut env_logger::Builder) -> env_logger::Logger {
    let builder = builder.format(|out, record| {
        let level = record.level().as_str().to_ascii_lowercase();
        let target = record.target();
        let target = target.strip_prefix("twolane::").unwrap_or(target);
        let time = humantime::format_rfc3339_millis(now());
        writeln!(out, "{time} {level} {target}: {}", record.args())
    });
    builder.build()
}

fn now() -> SystemTime {
    crate::model::clock::wall()
}
