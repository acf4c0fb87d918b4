//! Which pool is this for?

mod owner;
mod table;
mod treatment;

pub use owner::{OwnerTable, Owners};
pub use table::Table;
pub use treatment::{Treatment, Treatments};
