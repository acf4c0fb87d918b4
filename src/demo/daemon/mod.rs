//! How does a plugin daemon behave? A stand-in that can be told to misbehave.
//!
//! N instances run in this process, each on its own loopback port, all of them in one [`World`]
//! that shares the execution [`Ledger`] (the proof of at-most-once), the install tasks and the
//! assets. What they answer is what `langgenius/dify-plugin-daemon` answers, byte for byte where
//! a client reads it; how they misbehave is told by a [`Script`], by [`Health`] or by [`Stop`].
//!
//! Known differences: the HTTP/1.1 side is Pingora's, so answers carry a `Connection` header that
//! Go leaves out, and a body that `/e/` truncates is still read to its end. There is no Redis, no
//! debugging port, no `/admin`, no `/debug` and no `/backwards-invocation`.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use twolane::demo::daemon::{Daemon, Script, Settings, Stop};
//!
//! let node = Daemon::start(Settings::default()).await?;
//! node.script("tool/invoke", Script { ttfb_ms: 200, events: 3, ..Script::default() });
//! println!("http://{}", node.addr());
//! node.stop(Stop::Cut).await;
//! # Ok(())
//! # }
//! ```

mod answer;
mod dispatch;
mod envelope;
mod exchange;
mod execution;
mod handle;
mod health;
mod hook;
mod install;
mod ledger;
mod management;
mod node;
mod plugin;
mod power;
mod pulse;
mod routes;
mod script;
mod seen;
mod serve;
mod settings;
mod sse;
mod world;

pub use handle::{Daemon, Stop, run_by_hand};
pub use ledger::{Entry, Ledger};
pub use plugin::{Mode, Plugin};
pub use routes::{OPERATIONS, answers_once};
pub use script::{Fail, MAX_EVENT_BYTES, Script, StatusAnswer};
pub use seen::{Seen, checksum};
pub use settings::{Health, Install, Settings, Storage};
pub use world::World;
