//! May it go now, or must it wait?
//!
//! Today: whether a request may pass at all. Caps and the room where requests wait for a node
//! move in here.

mod entry;

pub use entry::{Arrival, PSEUDONYM, admit, too_large};
