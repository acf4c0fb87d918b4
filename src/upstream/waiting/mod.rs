//! How does a request wait for a place, and how is it told?
//!
//! One waiting room for each pool that has caps, or whose requests a rule limits, by the pool's
//! name, across reloads. Choosing a
//! node, taking the lease and entering the queue happen under its lock: so no two requests take one
//! place, and nobody misses the place that became free while it entered. When a lease ends, the
//! room chooses and leases for whoever goes next, and hands the lease over: a place that was given
//! is taken, and one that nobody fetches any more is free again by `Drop`.
//!
//! A pool without either has no room, and pays nothing; nor does a request that no limit is for.
//!
//! | file | question |
//! |---|---|
//! | `rooms` | Where does anybody wait, and for what? |
//! | `room` | What happens under the lock? |
//! | `place` | Is there a place? |
//! | `waiter` | Who waits, and who is told that a lease ended? |

mod place;
mod room;
mod rooms;
mod waiter;

pub use place::{Seat, Wish};
pub use room::{Received, WaitingRoom};
pub use rooms::Rooms;
pub use waiter::Waiter;
