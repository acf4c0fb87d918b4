//! How do we reach the nodes?
//!
//! The only speaker of Pingora's load balancing: membership and active health are Pingora's,
//! preference and load are ours. State lives in the nodes, because Pingora rebuilds selectors
//! whenever membership changes.

mod account;
mod alarm;
mod dial;
pub mod discovery;
mod errand;
mod explain;
mod fleet;
mod health;
mod history;
mod idle;
mod installs;
mod keys;
mod lend;
mod lifecycle;
mod limits;
mod live;
mod membership;
mod outbox;
mod own;
mod peer;
mod pieces;
mod place;
mod plan;
mod pool;
mod probe;
mod proven;
mod question;
mod relay;
mod roll;
mod rollcall;
mod secure;
mod selector;
mod sightings;
mod snapshot;
mod tcp;
mod told;
mod turn;
mod waiting;
mod watchlist;
mod wire;

pub use account::Account;
pub use alarm::{Alarm, is_late};
pub use dial::dial;
pub use errand::{Bounds, Errands};
pub use explain::explain;
pub use fleet::{Fleet, Standing};
pub use health::{Checks, NodeCheck};
pub use history::{EVERY, History, Lane, Notice, Point, round_ms};
pub use idle::Connections;
pub use installs::Installs;
pub use lend::Lending;
pub use lifecycle::{Lifecycle, Passage};
pub use limits::{Limiters, over_limit};
pub use live::{Identity, Live};
pub use outbox::{Outbox, PACKET};
pub use own::{MakeDiscovery, MakeStrategy, Own};
pub use place::Place;
pub use plan::{Incoming, Named, Plan};
pub use pool::{Pick, Pool};
pub use probe::Prober;
pub use roll::{Attendance, Entry, Roll};
pub use rollcall::RollCall;
pub use secure::Trust;
pub use selector::Ask;
pub use sightings::{Sighting, Sightings, Told, Way};
pub use snapshot::{Parts, Snapshot};
pub use tcp::Tcp;
pub use told::{Explanation, Inquiry};
pub use turn::Turn;
pub use waiting::{Received, Rooms, Seat, Waiter, WaitingRoom, Wish};
