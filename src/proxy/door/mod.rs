//! Who comes in, and with what?
//!
//! What stands between a connection and Pingora. Pingora's hooks see a request only when its head
//! has been read and understood, and by then it is too late for some questions: a head that drips
//! in for ever, bytes that two servers read differently, a body that never ends. So this door
//! reads each head itself, and hands Pingora nothing but what can be read in one way only.
//!
//! | file | question |
//! |---|---|
//! | `way` | What does a connection pass on its way in? |
//! | `announced` | Who is behind a balancer that passes connections on unread? |
//! | `app` | What happens to a connection, from its first byte to its last? |
//! | `stream` | Which bytes is Pingora given? |
//! | `onward` | How does what follows an answer's head get to its client, without Pingora? |
//! | `counted` | How is a flood of HTTP/2 frames that bring nothing ended? |
//! | `ear` | Did anything come that was asked for in vain before? |
//! | `passed` | What of a connection is the same behind a wrapper of ours? |
//! | `waits` | For how long is a client's body waited for? |
//! | `refuse` | How is somebody turned away before Pingora knows of them? |
//! | `seats` | How many may be inside, and from one address? |

mod announced;
mod app;
mod counted;
mod ear;
mod onward;
mod passed;
mod refuse;
mod seats;
mod stream;
mod waits;
mod way;

pub use announced::Announced;
pub use app::{Door, LAST};
pub(super) use refuse::ALLOWED;
pub use seats::Seats;
pub(super) use stream::fault_of;
pub use way::{Coming, Hooked, Life, Station};
