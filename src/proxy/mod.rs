//! What happens to one request?
//!
//! One file per Pingora hook, named like it; `hooks` is their table of contents, in the order in
//! which Pingora calls them. A hook file decides nothing that needs a test without a session;
//! decisions are in the core.

mod again;
mod answer;
mod beside;
mod carried;
mod ctx;
mod door;
mod early_request_filter;
mod error_while_proxy;
mod fail_to_connect;
mod fail_to_proxy;
mod forwarded;
mod hold;
mod hooks;
mod hop;
mod keep;
mod limited;
mod lines;
mod logging;
mod noted;
mod plain;
mod request_body_filter;
mod request_filter;
mod response_filter;
mod said;
mod sighted;
mod tracing;
mod upstream_peer;
mod upstream_request_filter;
mod upstream_response_body_filter;
mod upstream_response_filter;
mod wait;
mod written;

pub use ctx::Ctx;
pub use door::{Announced, Coming, Door, Hooked, LAST, Life, Seats, Station};
pub use hooks::Proxy;
