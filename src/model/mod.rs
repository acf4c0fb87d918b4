//! What do we call things?
//!
//! The words of `ARCHITECTURE.md` as types. Nothing here knows a socket, a file or a thread.

mod class;
pub mod clock;
mod dice;
pub(crate) mod digits;
mod event_format;
mod learn_rules;
mod log_rules;
mod node_id;
mod operation;
mod outcome;
mod owner;
pub mod rejection;
mod request;
mod request_id;
mod role;
mod secret;
mod trace_parent;
mod verdict;

pub use class::Class;
pub use dice::Dice;
pub use event_format::EventFormat;
pub use learn_rules::{LearnRules, Pin, Score, Threshold, Unknown};
pub use log_rules::{LogFormat, LogRules, Notable};
pub use node_id::NodeId;
pub use operation::{Operation, Part};
pub use outcome::{Outcome, Sample};
pub use owner::{Owner, is_debug_plugin};
pub use rejection::Rejection;
pub use request::{PluginPlace, Request};
pub use request_id::{GivenId, RequestId};
pub use role::Role;
pub use secret::Secret;
pub use trace_parent::{Trace, begin_trace, is_trace_parent};
pub use verdict::{Basis, Verdict};
