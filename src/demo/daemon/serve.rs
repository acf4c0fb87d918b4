//! How does a connection live? Accept, one request after the other, and the ways to die.
use super::exchange::{End, Exchange};
use super::node::Node;
use super::power::{Power, State};
use super::routes;
use pingora::apps::{HttpPersistentSettings, ReusedHttpStream};
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::protocols::l4::stream::Stream as L4Stream;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Go closes a connection with an unread body this long after its FIN, so that the answer is
/// read before the reset arrives (`net/http.rstAvoidanceDelay`).
const RESET_DELAY: Duration = Duration::from_millis(500);

/// Accepts until the process dies; the listener dies with this future.
pub(super) async fn accept(node: Arc<Node>, power: Power, listener: TcpListener) {
    loop {
        let delay = Duration::from_millis(node.accept_delay_ms.load(Ordering::Relaxed));
        if !delay.is_zero() {
            tokio::select! {
                () = power.cut() => return,
                () = tokio::time::sleep(delay) => {}
            }
        }
        let accepted = tokio::select! {
            biased;
            () = power.cut() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, _)) => {
                let open = node.open_connections.raise();
                let connection = connection(Arc::clone(&node), power.clone(), socket);
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        log::debug!("connection not served error={error}");
                    }
                    drop(open);
                });
            }
            Err(error) => {
                // Out of descriptors, most likely; closing connections will bring some back.
                log::warn!("cannot accept node={} error={error}", node.id());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

/// One connection from accept to close.
async fn connection(node: Arc<Node>, power: Power, socket: TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    // Pingora's session owns the socket and has no way to reset it, so we keep a second handle:
    // the connection closes when both are gone, and this one says how.
    let socket = socket.into_std()?;
    let twin = socket.try_clone()?;
    let stream: Stream = Box::new(L4Stream::from(TcpStream::from_std(socket)?));
    let end = until_disturbed(&power, converse(node, power.clone(), stream)).await;
    if end == End::Reset {
        TcpStream::from_std(twin)?.set_zero_linger()?;
    }
    Ok(())
}

/// Drives a conversation while the process is up. It is dropped before this returns.
async fn until_disturbed(power: &Power, conversation: impl Future<Output = End>) -> End {
    let conversation = std::pin::pin!(conversation);
    tokio::select! {
        biased;
        () = power.disturbed() => {}
        end = conversation => return end,
    }
    if power.state() == State::Blackhole {
        // Neither answered nor closed: the conversation is held and not driven.
        power.cut().await;
    }
    End::Reset
}

/// Request after request on one connection.
async fn converse(node: Arc<Node>, power: Power, stream: Stream) -> End {
    let mut session = ServerSession::new_http1(stream);
    // Zero is for ever: the daemon's Go server has no idle timeout.
    session.set_keepalive(Some(0));
    session.set_pipelining_enabled(true);
    loop {
        session.set_read_timeout(None);
        match session.read_request().await {
            Ok(true) => {}
            Ok(false) => return End::Close,
            Err(_) => {
                // Nothing to be told if even this cannot be written.
                let _ = session.respond_error(400).await;
                return End::Close;
            }
        }
        let mut exchange = Exchange::new(Arc::clone(&node), power.clone(), session);
        let active = node.active_requests.raise();
        let end = routes::answer(&mut exchange).await;
        drop(active);
        session = exchange.into_session();
        match end {
            End::Answered => {}
            End::Unread => return close_gently(session).await,
            End::Close | End::Reset => return end,
        }
        match next(session).await {
            Some(reused) => session = reused,
            None => return End::Close,
        }
    }
}

/// Ends an answer, and gives the connection back if it may be used again.
async fn next(session: ServerSession) -> Option<ServerSession> {
    let settings = HttpPersistentSettings::for_session(&session);
    let reusable = session.finish().await.ok()??;
    let (stream, settings) = ReusedHttpStream::from_reusable_stream(reusable, settings).consume();
    let mut session = ServerSession::new_http1(stream);
    if let Some(settings) = settings {
        settings.apply_to_session(&mut session);
    }
    Some(session)
}

async fn close_gently(mut session: ServerSession) -> End {
    if session.finish_body().await.is_ok() {
        session.shutdown().await;
        tokio::time::sleep(RESET_DELAY).await;
    }
    End::Close
}
