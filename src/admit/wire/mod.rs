//! Can these bytes be read in one way only?
//!
//! Servers that read one request differently are how requests are smuggled past whoever stands
//! between them. So what RFC 9112 leaves to a recipient's kindness is refused here, before anybody
//! parses it: whatever passes means the same to every node.
//!
//! | file | question |
//! |---|---|
//! | `fault` | What is wrong with it, and how is that answered? |
//! | `head` | Is this a request's head, and what follows it? |
//! | `fields` | Is this line of a head a field? |
//! | `host` | Whom is it for? |
//! | `body` | Where does its body end? |
//! | `pace` | Is its client too slow? |
//! | `frames` | Does a client of HTTP/2 send what brings nothing? |

mod body;
mod fault;
mod fields;
mod frames;
mod head;
mod host;
mod pace;
#[cfg(test)]
mod tests;

pub use body::{Body, Chunks, LAST_CHUNK};
pub use fault::Fault;
pub use frames::Frames;
pub use head::{Framing, Head, HeadRules};
pub use pace::{Pace, PaceRules};
