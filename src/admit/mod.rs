//! May it go now, or must it wait?
//!
//! | file | question |
//! |---|---|
//! | `entry` | May this request pass at all? |
//! | `crowd` | How many connections may there be? |
//! | `honest` | Would a node read its head as we do? |
//! | `origin` | Whose request is it? |
//! | `rate` | Does it come too often? |
//! | `wire` | Can these bytes be read in one way only? |
//! | `room` | Who waits, and who goes next? |
//! | `quota` | How many requests may one rule's match have in flight? |
//! | `turns` | Whose turn is it? |
//! | `pace` | How many places should long requests leave to short ones? |
//! | `advice` | Would a cap per plugin pay? |
//! | `again` | May it go again, to another node? |
//! | `blame` | Whose fault was it? |
//! | `budget` | How much may be repeated? |
//! | `patience` | Nobody may serve now: ask again soon? |

mod advice;
mod again;
#[cfg(test)]
mod arrivals;
mod blame;
mod budget;
mod crowd;
mod entry;
mod honest;
#[cfg(test)]
mod laws;
mod origin;
mod pace;
mod patience;
mod quota;
#[cfg(test)]
mod race;
mod rate;
mod room;
mod turns;
pub mod wire;

pub use advice::{Advice, Counsel};
pub use again::{Again, End, Facts, MOST_MISSES, may_go_again};
pub use blame::Blame;
pub use budget::Budget;
pub use crowd::{Crowd, Full, Seat, one_client};
pub use entry::{Arrival, PSEUDONYM, admit, too_large};
pub use origin::client;
pub use pace::Pace;
pub use patience::Patience;
pub use quota::{Quota, Taken};
pub use rate::{Limit, Refused, Stay, Traits};
pub use room::{Crowded, Guest, Placed, Room, RoomRules, Ticket};
