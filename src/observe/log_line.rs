//! What does a log line look like? `2026-11-21T07:00:00.123Z info upstream: node is unhealthy node=n1`

use std::io::Write;
use std::time::SystemTime;

/// Starts logging to standard error. `filter` is the default; `RUST_LOG` wins over it.
pub fn init_log(filter: &str) {
    let env = env_logger::Env::default().default_filter_or(filter);
    let mut builder = env_logger::Builder::from_env(env);
    if std::env::var_os(env_logger::DEFAULT_FILTER_ENV).is_some() {
        // Below this, Pingora writes whole headers, and with them the daemons' keys.
        for module in ["pingora", "pingora_core", "pingora_proxy", "pingora_pool"] {
            builder.filter_module(module, log::LevelFilter::Info);
        }
    }
    // A second logger in one process (tests) is no reason to fail.
    let _ = builder
        .format(|out, record| {
            let level = record.level().as_str().to_ascii_lowercase();
            let target = record.target();
            let target = target.strip_prefix("twolane::").unwrap_or(target);
            let time = humantime::format_rfc3339_millis(now());
            writeln!(out, "{time} {level} {target}: {}", record.args())
        })
        .try_init();
}

fn now() -> SystemTime {
    crate::model::clock::wall()
}
