//! Which pool is this for?

mod owner;
mod rendezvous;
mod rules;
mod table;
mod treatment;

pub use owner::{OwnerTable, Owners};
pub use rendezvous::{stable_hash, winner};
pub use rules::{Rule, Rules};
pub use table::Table;
pub use treatment::{Treatment, Treatments};
