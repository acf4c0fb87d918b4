//! What did the operator ask for, and does it make sense?
//!
//! The way of a file: `file` parses the YAML into a `tree`, `resolve` puts the environment into
//! it, `check` reads it through `table` into a [`Config`] and notes everything that is wrong as
//! a `finding`; `load` gives each of them its line and column. What is in a `Config` cannot be
//! wrong any more. The way back: `print` writes a `Config` with its secrets masked, `diff` compares
//! two.

mod access_log;
mod address;
mod application;
mod check;
mod credentials;
mod defaults;
mod diff;
mod discover;
mod edits;
mod expects;
mod file;
mod files;
mod finding;
mod fingerprint;
mod hash;
mod limits;
mod load;
mod node_tls;
mod origin;
mod pool;
mod print;
mod print_discover;
mod print_pool;
mod probe;
mod problem;
mod resolve;
mod schema;
mod sections;
mod share;
mod shutdown;
mod signals;
mod snippet;
mod table;
mod tls;
mod tree;
mod unit;

pub use access_log::{AccessLog, LogTarget};
pub use address::{Address, BadAddress};
pub use application::{Application, PoolKind, UserSource, Users};
pub use credentials::{Identity, Unusable, authorities};
pub use diff::{Change, diff};
pub use discover::{DifyRedis, Discover, Encryption, Sentinels};
pub use edits::{Edit, Edits};
pub use expects::{Expected, Expects};
pub use file::read_foreign;
pub use fingerprint::fingerprint;
pub use hash::{HashAlgorithm, HashBy, HashPart, RingRules};
pub use limits::{Limits, Rate, RateBy, RateEntry};
pub use load::{
    Known, Loaded, OwnWords, Text, content_hash, examine, files_hash, find, load, load_edited,
    load_file, read_nodes,
};
pub use node_tls::NodeTls;
pub use origin::{Origin, Origins, Row};
pub use pool::{
    DebugPlugin, MaxInFlight, NodeEntry, PluginCap, Pool, RouteEntry, RuleEntry, Strategies,
    TwoNodes, Waiting, When,
};
pub use print::masked;
pub use print_pool::node_json;
pub use problem::{Problem, Problems, Severity};
pub use schema::schema;
pub use sections::{
    Admin, Config, Cooldown, Health, Kinds, Learn, Loops, Reload, Retry, State, Tcp, Timeouts,
};
pub use share::{Sentinel, Share};
pub use shutdown::Shutdown;
pub use signals::{EventLog, Tracing};
pub use tls::{Certificate, ClientCertificates, Tls, Wanted};
