//! How does it start, reload and stop?
//!
//! The composition root: the only module that knows all others. [`run`] is the program;
//! [`Embedded`] is the same gateway on the caller's runtime, for tests and the demo. [`Gateway`] makes
//! either with what a program brings of its own.

mod assemble;
mod builder;
mod chores;
mod descriptors;
mod embedded;
mod fleet;
mod handshakes;
mod listeners;
mod panics;
mod reload;
mod run;
mod services;
mod sights;
mod signals;
mod state;
mod systemd;
mod tls;
mod turns;
mod upgrade;
mod wishes;

pub use assemble::Options;
pub use builder::{Builder, Gateway};
pub use embedded::Embedded;
pub use run::{StartError, run};

use crate::config::{Known, OwnWords};
use crate::select;

/// The words that the configuration may use and that higher layers define.
#[must_use]
pub const fn known() -> Known {
    Known {
        strategies: select::WORDS,
        own: OwnWords::NONE,
    }
}
