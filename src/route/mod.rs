//! Which pool is this for?

mod table;
mod treatment;

pub use table::Table;
pub use treatment::{Treatment, Treatments};
