//! What does a connection pass on its way in?

use super::super::Proxy;
use crate::upstream::Lending;
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;
use pingora_proxy::HttpProxy;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// Pingora's proxy, with our hooks, and our connections to nodes.
pub type Hooked = HttpProxy<Proxy, Lending>;

/// A connection that came, and what it needs to be served.
pub struct Coming {
    /// The connection.
    pub stream: Stream,
    /// Says when no more requests are wanted.
    pub closing: ShutdownWatch,
    /// Who serves its requests.
    pub proxy: Arc<Hooked>,
}

impl fmt::Debug for Coming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Coming").field(&self.stream).finish()
    }
}

/// The rest of a connection's life.
pub type Life<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// One station of the way; it knows the next one.
pub trait Station: Send + Sync + 'static {
    /// Until the connection is over. A station with nothing to do returns what the next one does, so
    /// that nothing of it is left for each of a thousand events to pass through.
    fn enter(&self, coming: Coming) -> Life<'_>;
}
