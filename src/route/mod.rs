//! Which pool is this for?

mod application;
mod hashing;
mod owner;
mod rendezvous;
mod rules;
mod table;
mod treatment;
mod users;

pub use application::{Applications, Known};
pub use hashing::{Cut, Facts, Hashing, cut, point};
pub use owner::{OwnerTable, Owners};
pub use rendezvous::{stable_hash, winner};
pub use rules::{Look, Rule, Rules};
pub use table::Table;
pub use treatment::{Treatment, Treatments};
pub use users::{Found, Head, Quest, Users};
