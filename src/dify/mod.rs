//! What does Dify say, and how do we answer in its words?
//!
//! | file | question |
//! |---|---|
//! | `words` | Which operations does the daemon have, and what are they usually like? |
//! | `operation` | What is asked, of which plugin? |
//! | `peek` | Which tool or model is it, in the head of the body? |
//! | `installed` | Which plugins does a request install? |
//! | `literal` | How is a JSON text read that comes in pieces? |
//! | `dialect` | In which words does the caller understand a no? |
//! | `user` | Who asks? |
//! | `envelope` | How does the daemon say no? |
//! | `refusal` | What does a node's error answer mean, and did anything run? |
//! | `readiness` | Does a plugin run on a node? |
//! | `health` | How does the daemon say that it is well? |
//!
//! Read from the daemon's source (0.6.10) and from Dify's client; nothing here opens a socket.

mod dialect;
pub mod envelope;
pub mod health;
mod installed;
mod literal;
mod operation;
mod peek;
pub mod readiness;
mod refusal;
pub mod user;
mod words;

pub use dialect::Dialect;
pub use installed::{LONGEST, installed, names_plugins};
pub use operation::{Asked, Kind, Names, describe, installs, labels, plugin_of, runtime};
pub use peek::Peek;
pub use refusal::Refusal;
