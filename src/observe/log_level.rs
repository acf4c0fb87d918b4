//! How much is written, and who may change it while the gateway runs?

use log::{LevelFilter, Log, Metadata, Record};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the operator said while it runs; see [`code`]. 0 = nothing, the filter of the start holds.
static SAID: AtomicUsize = AtomicUsize::new(0);
/// What the filter of the start writes of our own lines, in the same numbers.
static STARTED: AtomicUsize = AtomicUsize::new(0);
/// What it writes of anybody's.
static WIDEST: AtomicUsize = AtomicUsize::new(0);

/// How much of our own lines is written now.
#[must_use]
pub fn log_level() -> LevelFilter {
    level(&SAID)
        .or_else(|| level(&STARTED))
        .unwrap_or(LevelFilter::Off)
}

/// From now on so much of our own lines is written; those of Pingora stay as they were.
pub fn set_log_level(said: LevelFilter) {
    SAID.store(code(said), Ordering::Relaxed);
    log::set_max_level(level(&WIDEST).unwrap_or(LevelFilter::Off).max(said));
}

const fn code(level: LevelFilter) -> usize {
    level as usize + 1
}

fn level(of: &AtomicUsize) -> Option<LevelFilter> {
    let code = of.load(Ordering::Relaxed);
    LevelFilter::iter().find(|level| self::code(*level) == code)
}

/// Writes what the filter of the start lets through, unless the operator said otherwise since.
pub(super) struct Gate {
    /// With the filter of the start.
    pub(super) started: env_logger::Logger,
    /// Without any.
    pub(super) open: env_logger::Logger,
}

impl Gate {
    /// Becomes the process's logger. A second one in one process (tests) is no reason to fail.
    pub(super) fn install(self) {
        let own = |level: &LevelFilter| {
            let level = level.to_level();
            let line = level.map(|level| {
                let target = Metadata::builder().target(OWN).level(level).build();
                self.started.enabled(&target)
            });
            line.unwrap_or(true)
        };
        let started = LevelFilter::iter().filter(own).last();
        let (started, widest) = (started.unwrap_or(LevelFilter::Off), self.started.filter());
        if log::set_boxed_logger(Box::new(self)).is_ok() {
            STARTED.store(code(started), Ordering::Relaxed);
            WIDEST.store(code(widest), Ordering::Relaxed);
            log::set_max_level(widest);
        }
    }

    fn logger(&self, line: &Metadata<'_>) -> Option<&env_logger::Logger> {
        let target = line.target();
        let own = target == OWN || target.starts_with("twolane::");
        match level(&SAID).filter(|_| own) {
            None => Some(&self.started),
            Some(said) => (line.level() <= said).then_some(&self.open),
        }
    }
}

const OWN: &str = "twolane";

impl Log for Gate {
    fn enabled(&self, line: &Metadata<'_>) -> bool {
        self.logger(line).is_some_and(|logger| logger.enabled(line))
    }

    fn log(&self, record: &Record<'_>) {
        if let Some(logger) = self.logger(record.metadata()) {
            logger.log(record);
        }
    }

    fn flush(&self) {
        self.started.flush();
    }
}
