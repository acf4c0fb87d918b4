//! Which nodes do the daemons themselves know? Their registry in Dify's Redis, only ever read.
//!
//! A daemon writes its addresses into a hash every five seconds, under a name that is new with
//! every start; nobody takes it out when it ends. `link` reads, `record` understands, `beats` tells
//! who lives, `places` which addresses of whom are meant, and `reader` chooses one that answers.
//!
//! It works where the gateway reaches the addresses that daemons see of themselves: inside their
//! network.

mod beats;
mod link;
mod owners;
mod places;
mod reader;
mod record;

pub(super) use owners::Mirror;
pub(super) use reader::Registry;
