//! What happens to a connection, from its first byte to its last?

use super::refuse::refuse;
use super::stream::{Guarded, returned};
use crate::admit::wire::{Fault, Head, HeadRules, PaceRules};
use crate::config::Config;
use crate::model::clock;
use crate::proxy::Proxy;
use crate::upstream::Live;
use async_trait::async_trait;
use pingora::apps::{HttpPersistentSettings, HttpServerApp, ServerApp};
use pingora::protocols::http::ServerSession;
use pingora::protocols::{ALPN, Stream};
use pingora::server::ShutdownWatch;
use pingora_proxy::HttpProxy;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout, timeout_at};

/// What a head usually fits into.
const ROOM: usize = 4 * 1024;
/// A buffer that a large head has blown up is not kept for the next one.
const KEPT: usize = 16 * 1024;

/// The data listener: what Pingora drives for each connection.
pub struct Door {
    live: Arc<Live>,
    proxy: Arc<HttpProxy<Proxy>>,
}

/// A client that connected in the last moment has so long to begin its request.
const LAST: Duration = Duration::from_secs(1);

/// What a client did.
enum Next {
    /// It sent a head.
    Head,
    /// It left, or said nothing for too long.
    Gone,
    /// It sent something else.
    Refused(Fault),
}

/// What holds for one head, whatever is reloaded while it is awaited.
struct Terms {
    head: HeadRules,
    pace: PaceRules,
    within: Duration,
    idle: Duration,
}

impl Terms {
    fn of(config: &Config) -> Self {
        let (limits, timeouts) = (&config.limits, &config.timeouts);
        Self {
            head: HeadRules {
                bytes: limits.header,
                fields: limits.header_fields,
                target: limits.target,
            },
            pace: PaceRules {
                rate: limits.client_rate,
                grace: limits.client_grace,
            },
            within: timeouts.client_header,
            idle: timeouts.client_idle,
        }
    }
}

impl Door {
    /// A door to this proxy.
    #[must_use]
    pub fn new(live: Arc<Live>, proxy: HttpProxy<Proxy>) -> Self {
        let proxy = Arc::new(proxy);
        Self { live, proxy }
    }

    /// One HTTP/1 connection, message by message.
    async fn serve(&self, stream: Stream, closing: &ShutdownWatch) -> Option<()> {
        let mut closing = closing.clone();
        let mut guarded = Box::new(Guarded::new(stream));
        let mut kept: Option<HttpPersistentSettings> = None;
        loop {
            match self.next(&mut guarded, kept.is_none(), &mut closing).await {
                Next::Head => {}
                Next::Gone => return None,
                Next::Refused(fault) => {
                    self.live.parts.metrics.rejected(fault.reason);
                    log::debug!("turned away reason={fault}");
                    refuse(guarded, fault).await;
                    return None;
                }
            }
            let mut session = ServerSession::new_http1(guarded);
            match kept.take() {
                Some(settings) => settings.apply_to_session(&mut session),
                // The head is here already; how long the connection is kept, a hook decides.
                None => session.set_keepalive(Some(1)),
            }
            if *closing.borrow() {
                session.set_keepalive(None);
            }
            let reused = self.proxy.process_new_http(session, &closing).await?;
            let (stream, settings) = reused.consume();
            guarded = returned(stream)?;
            if !guarded.is_between_messages() {
                return None;
            }
            kept = settings;
        }
    }

    /// Awaits the next head.
    async fn next(&self, guarded: &mut Guarded, first: bool, closing: &mut ShutdownWatch) -> Next {
        let terms = Terms::of(&self.live.snapshot().config);
        if guarded.came.is_empty() {
            if guarded.came.capacity() > KEPT {
                guarded.came = bytes::BytesMut::new();
            }
            // A client that connects has something to say; one that has said it may think.
            let patience = if first { terms.within } else { terms.idle };
            let came = tokio::select! {
                biased;
                came = timeout(patience, more(guarded)) => came,
                () = closed(closing, first) => return Next::Gone,
            };
            if !matches!(came, Ok(Ok(1..))) {
                return Next::Gone;
            }
        }
        let deadline = Instant::from_std(clock::now() + terms.within);
        let mut head = Head::default();
        let mut blank = true;
        loop {
            // RFC 9112, section 2.2: an empty line before a request is overlooked, once.
            if blank && guarded.came.starts_with(b"\r\n") {
                bytes::Buf::advance(&mut guarded.came, 2);
                blank = false;
            }
            let blank_began = blank && guarded.came[..] == *b"\r";
            if !guarded.came.is_empty() && !blank_began {
                match head.read(&guarded.came, &terms.head) {
                    Err(fault) => return Next::Refused(fault),
                    Ok(Some(end)) => {
                        guarded.begin(end, head.framing(), terms.pace);
                        if head.asks_for_upgrade() {
                            guarded.may_switch();
                        }
                        return Next::Head;
                    }
                    Ok(None) => {}
                }
            }
            match timeout_at(deadline, more(guarded)).await {
                Ok(Ok(1..)) => {}
                Ok(_) => return Next::Gone,
                Err(_) => {
                    let fault = Fault::slow("the request's header took too long");
                    return Next::Refused(fault);
                }
            }
        }
    }
}

/// The listener has closed. Who has just connected has a request on its way and is read yet: its
/// connection was taken by us, and no successor will ever see it.
async fn closed(closing: &mut ShutdownWatch, first: bool) {
    let _ = closing.wait_for(|closing| *closing).await;
    if first {
        tokio::time::sleep(LAST).await;
    }
}

async fn more(guarded: &mut Guarded) -> io::Result<usize> {
    let Guarded { inner, came, .. } = guarded;
    if came.capacity() == came.len() {
        came.reserve(ROOM);
    }
    inner.read_buf(came).await
}

#[async_trait]
impl ServerApp for Door {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        closing: &ShutdownWatch,
    ) -> Option<Stream> {
        if matches!(stream.selected_alpn_proto(), Some(ALPN::H2)) {
            // Its frames have one reading, and Pingora's limits for them.
            return self.proxy.process_new(stream, closing).await;
        }
        self.serve(stream, closing).await;
        None
    }

    async fn cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}
