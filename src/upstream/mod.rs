//! How do we reach the nodes?
//!
//! The only speaker of Pingora's load balancing: membership and active health are Pingora's,
//! preference and load are ours. State lives in the nodes, because Pingora rebuilds selectors
//! whenever membership changes.

mod account;
pub mod discovery;
mod errand;
mod explain;
mod fleet;
mod health;
mod keys;
mod lifecycle;
mod live;
mod membership;
mod own;
mod peer;
mod place;
mod plan;
mod pool;
mod probe;
mod proven;
mod relay;
mod selector;
mod sightings;
mod snapshot;
mod tcp;
mod told;
mod waiting;
mod watchlist;

pub use account::Account;
pub use errand::{Bounds, Errands};
pub use explain::explain;
pub use fleet::{Fleet, Standing};
pub use health::{Checks, NodeCheck};
pub use lifecycle::{Lifecycle, Passage};
pub use live::{Identity, Live};
pub use own::{MakeDiscovery, MakeStrategy, Own};
pub use place::Place;
pub use plan::{Incoming, Named, Plan};
pub use pool::{Pick, Pool};
pub use probe::Prober;
pub use selector::Ask;
pub use sightings::{Sighting, Sightings, Told, Way};
pub use snapshot::{Parts, Snapshot};
pub use tcp::Tcp;
pub use told::{Explanation, Inquiry};
pub use waiting::{Received, Rooms, Seat, Waiter, WaitingRoom, Wish};
