//! Which pool is this for?

mod table;

pub use table::Table;
