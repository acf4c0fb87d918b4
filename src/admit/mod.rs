//! May it go now, or must it wait?
//!
//! | file | question |
//! |---|---|
//! | `entry` | May this request pass at all? |
//! | `again` | May it go again, to another node? |
//! | `blame` | Whose fault was it? |
//! | `budget` | How much may be repeated? |
//! | `patience` | Nobody may serve now: ask again soon? |

mod again;
mod blame;
mod budget;
mod entry;
mod patience;

pub use again::{Again, End, Facts, MOST_MISSES, may_go_again};
pub use blame::Blame;
pub use budget::Budget;
pub use entry::{Arrival, PSEUDONYM, admit, too_large};
pub use patience::Patience;
