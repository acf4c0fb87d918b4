//! How does it come to stand in front of a Dify that is already there?
//!
//! Reads Dify's own Compose files and environment, writes what puts the gateway between Dify and its
//! daemons, and finds the mistakes that are made with it again and again. Nothing of Dify's is ever
//! changed.

mod compose;
mod dify;
mod doctor;
mod interpolate;
mod manifests;
mod overlay;
mod plan;

pub use compose::{Compose, Service};
pub use dify::{Dify, Trouble};
pub use doctor::{Complaint, Weight, examine};
pub use manifests::Manifests;
pub use overlay::{MARK, gateway_yaml, override_yaml};
pub use plan::{Plan, Wish};
