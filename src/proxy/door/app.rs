//! What happens to a connection, from its first byte to its last?

use super::super::carried::Carried;
use super::counted::Counted;
use super::onward::carry;
use super::refuse::refuse;
use super::stream::{Guarded, returned};
use super::way::{Coming, Hooked, Life, Station};
use crate::admit::wire::{Fault, Head, HeadRules, PaceRules};
use crate::config::Config;
use crate::upstream::{Alarm, Live};
use bytes::BytesMut;
use pingora::apps::{HttpPersistentSettings, HttpServerApp, ServerApp};
use pingora::protocols::http::ServerSession;
use pingora::protocols::{ALPN, Stream};
use pingora::server::ShutdownWatch;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// Where each connection arrives.
pub struct Door {
    live: Arc<Live>,
}

/// A client that connected in the last moment has so long to begin its request: no successor would
/// ever see its connection.
pub const LAST: Duration = Duration::from_secs(1);

/// What a client did.
enum Next {
    /// It sent this head.
    Head(BytesMut),
    /// It left, or said nothing for too long.
    Gone,
    /// It sent something else.
    Refused(Fault),
}

/// What holds for one head, whatever is reloaded while it is awaited.
struct Terms {
    head: HeadRules,
    pace: PaceRules,
    taking: Duration,
    within: Duration,
    idle: Duration,
    /// So many of a connection.
    requests: usize,
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
                piece: timeouts.client_read,
            },
            taking: timeouts.client_write,
            within: timeouts.client_header,
            idle: timeouts.client_idle,
            requests: limits.connection_requests,
        }
    }
}

impl Door {
    /// The last station.
    #[must_use]
    pub const fn new(live: Arc<Live>) -> Self {
        Self { live }
    }

    /// One HTTP/1 connection, message by message.
    async fn serve(
        &self,
        stream: Stream,
        (closing, proxy): (&ShutdownWatch, &Arc<Hooked>),
    ) -> Option<()> {
        let mut announced = closing.clone();
        // Asked for once, and not with every request.
        let mut over = pin!(announced.wait_for(|closing| *closing));
        let mut is_over = false;
        let mut silence = Alarm::default();
        let mut guarded = Box::new(Guarded::new(stream));
        let mut kept: Option<HttpPersistentSettings> = None;
        let mut came = 0;
        loop {
            let terms = Terms::of(&self.live.snapshot().config);
            // A client that connects has something to say; one that has said it may think.
            let first = kept.is_none();
            silence.begin(Some(if first { terms.within } else { terms.idle }));
            let begun = guarded.has_more()
                || poll_fn(|cx| match guarded.poll_more(cx) {
                    Poll::Ready(came) => Poll::Ready(matches!(came, Ok(1..))),
                    Poll::Pending => {
                        if !is_over && over.as_mut().poll(cx).is_ready() {
                            is_over = true;
                            // Who has just connected has a request on its way and is read yet:
                            // its connection was taken by us, and no successor will ever see it.
                            silence.begin(Some(LAST.min(terms.within)));
                        }
                        ready((is_over && !first) || silence.poll_late(cx))
                    }
                })
                .await;
            let next = if begun {
                next(&mut guarded, &terms, &mut silence).await
            } else {
                Next::Gone
            };
            let head = match next {
                Next::Head(head) => head,
                Next::Gone => return None,
                Next::Refused(fault) => {
                    self.live.parts.metrics.rejected(fault.reason);
                    log::debug!("turned away reason={fault}");
                    // Boxed: it has a buffer, which connections that are served need not hold.
                    Box::pin(refuse(guarded, fault)).await;
                    return None;
                }
            };
            came += 1;
            let last = came >= terms.requests;
            let session = session((guarded, head), kept.take(), (closing, last));
            let reused = proxy.process_new_http(session, closing).await?;
            let (stream, mut settings) = reused.consume();
            guarded = returned(stream)?;
            match carried(&mut settings) {
                // Boxed: it is for few, and the connection's future is there for all.
                Some(carried) => Box::pin(carry(&mut guarded, carried)).await.then_some(())?,
                None => guarded.end().await.ok()?,
            }
            if !guarded.is_between_messages() {
                return None;
            }
            kept = settings;
        }
    }
}

/// One message as Pingora drives it. The head is handed over as it is: read from the connection it
/// would be copied into 4 KiB, which stay with the request. Apart from `serve`, whose future would
/// keep room for the session while the request runs.
fn session(
    (guarded, head): (Box<Guarded>, BytesMut),
    kept: Option<HttpPersistentSettings>,
    (closing, last): (&ShutdownWatch, bool),
) -> ServerSession {
    let mut session = ServerSession::new_http1(guarded);
    match kept {
        Some(settings) => settings.apply_to_session(&mut session),
        // The head is here already; how long the connection is kept, a hook decides.
        None => session.set_keepalive(Some(1)),
    }
    session.set_pipelined_prefix(head);
    if *closing.borrow() {
        session.set_keepalive(None);
    }
    if last {
        session.set_keepalive_reuses_remaining(Some(0));
    }
    session
}

/// The answer that goes on, if one does.
fn carried(settings: &mut Option<HttpPersistentSettings>) -> Option<Box<Carried>> {
    settings.as_mut()?.take_user_context()?.downcast().ok()
}

/// Awaits the rest of a head that has begun.
async fn next(guarded: &mut Guarded, terms: &Terms, silence: &mut Alarm) -> Next {
    let mut waits = false;
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
                    let bytes = guarded.begin(end, head.framing(), (terms.pace, terms.taking));
                    if head.asks_for_upgrade() {
                        guarded.may_switch();
                    }
                    return Next::Head(bytes);
                }
                Ok(None) => {}
            }
        }
        // Most heads come whole. The others have one alarm each, in however many pieces they drip.
        if !waits {
            silence.begin(Some(terms.within));
            waits = true;
        }
        let more = poll_fn(|cx| match guarded.poll_more(cx) {
            Poll::Ready(came) => Poll::Ready(Some(came)),
            Poll::Pending if silence.poll_late(cx) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        match more.await {
            Some(Ok(1..)) => {}
            Some(_) => return Next::Gone,
            None => {
                let fault = Fault::slow("the request's header took too long");
                return Next::Refused(fault);
            }
        }
    }
}

/// At the end of it, ready to say that nothing began.
fn ready(over: bool) -> Poll<bool> {
    if over {
        Poll::Ready(false)
    } else {
        Poll::Pending
    }
}

impl Station for Door {
    fn enter(&self, coming: Coming) -> Life<'_> {
        Box::pin(async move {
            let (closing, proxy) = (&coming.closing, &coming.proxy);
            if matches!(coming.stream.selected_alpn_proto(), Some(ALPN::H2)) {
                // Its frames have one reading, and h2's limits for most of them. Any other connection
                // Pingora would hand to us again.
                let counted = Box::new(Counted::new(coming.stream));
                proxy.process_new(counted, closing).await;
            } else {
                self.serve(coming.stream, (closing, proxy)).await;
            }
        })
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}
