//! Which pool is this for?

mod rendezvous;
mod table;
mod treatment;

pub use rendezvous::{stable_hash, winner};
pub use table::Table;
pub use treatment::{Treatment, Treatments};
