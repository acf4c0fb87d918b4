//! Who can work, and how busy are they?
//!
//! A [`Node`] is what we know of one plugin daemon; the [`Roster`] keeps it across reloads. A
//! request holds a node by a [`Lease`], which ends by itself. [`screen`] settles who may serve,
//! so that a strategy only has to prefer.

mod account;
mod comeback;
mod cooldown;
mod expected;
mod front;
mod hand;
mod health_route;
mod hearsay;
mod known;
mod lease;
mod marks;
mod node;
mod others;
mod owned;
mod pair;
mod places;
mod plugins;
mod presence;
mod roster;
mod runtimes;
mod screen;
mod shown;
mod speed;
mod telling;
mod tunnels;

pub use account::account;
pub use comeback::ComebackRules;
pub use cooldown::CooldownRules;
pub use front::Glance;
pub use hand::Hand;
pub use health_route::{HealthRoute, HealthRoutes};
pub use hearsay::{Sight, Told};
pub use lease::{Lease, Then};
pub use marks::Marks;
pub use node::Node;
pub use others::{Burden, Others, Remote};
pub use owned::owner_in;
pub use places::Limits;
pub use plugins::{Plugin, Plugins};
pub use presence::Presence;
pub use roster::{Entry, Roster};
pub use screen::{Candidates, NoCandidate, Screening, Tried, screen};
pub use shown::Check;
pub use speed::{Pace, Speed};
pub use tunnels::{NoTunnel, Tunnel, Tunnels};
