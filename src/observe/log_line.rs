//! What does a log line look like? `2026-11-21T07:00:00.123Z info upstream: node is unhealthy node=n1`

use std::io::Write;
use std::time::SystemTime;

/// Starts logging to standard error. `filter` is the default; `RUST_LOG` wins over it.
pub fn init_log(filter: &str) {
    let env = env_logger::Env::default().default_filter_or(filter);
    // A second logger in one process (tests) is no reason to fail.
    let _ = env_logger::Builder::from_env(env)
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
