//! How does a request come in, and an answer go out?
//!
//! Pingora's `ServeHttp` wants the whole answer at once, and a stream of events has none; so this
//! is `HttpServerApp`, one layer below.

use super::routes::{Answer, Asked, Found, Page, find, is_open};
use super::{Admin, events, gate, reply};
use async_trait::async_trait;
use http::Response;
use pingora::apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use std::sync::Arc;

/// Seconds for which a connection without a request is kept.
const IDLE: u64 = 60;
/// No wish of an operator is longer.
const LONGEST_BODY: usize = 64 * 1024;

/// What goes out.
enum Out {
    Whole(Answer),
    Events,
}

impl Admin {
    async fn answer(&self, session: &mut ServerSession) -> Out {
        let body = match body(session).await {
            Ok(body) => body,
            Err(answer) => {
                session.set_keepalive(None);
                return Out::Whole(answer);
            }
        };
        let request = session.req_header();
        let (method, path) = (&request.method, request.uri.path());
        let token = self.live.snapshot().config.admin.token.clone();
        if !is_open(path) {
            if !gate::may(&request.headers, token.as_ref()) {
                return Out::Whole(reply::unauthorized());
            }
            if let Some(why) = gate::foreign(&request.headers, method, token.as_ref()) {
                return Out::Whole(reply::text(403, format!("refused: {why}\n")));
            }
        }
        let (route, item) = match find(method, path) {
            Found::Page(route, item) => (route, item),
            Found::Otherwise(methods) => return Out::Whole(reply::not_so(path, &methods)),
            Found::Nothing => return Out::Whole(reply::not_found(path)),
        };
        let asked = Asked {
            live: &self.live,
            hands: self.hands.as_ref(),
            errands: &self.errands,
            item: &item,
            query: request.uri.query(),
            body: &body,
        };
        Out::Whole(match route.page {
            Page::Now(page) => page(&asked),
            Page::Later(page) => page(&asked).await,
            Page::Events => return Out::Events,
        })
    }
}

#[async_trait]
impl HttpServerApp for Admin {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        match session.read_request().await {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => {
                log::debug!("not a request error={error}");
                return None;
            }
        }
        let closing = *shutdown.borrow();
        session.set_keepalive((!closing).then_some(IDLE));
        let sent = match self.answer(&mut session).await {
            Out::Whole(answer) => send(&mut session, answer).await,
            Out::Events => {
                session.set_keepalive(None);
                events::stream(self, &mut session, shutdown.clone()).await
            }
        };
        if let Err(error) = sent {
            log::debug!("the operator left error={error}");
            return None;
        }
        let settings = HttpPersistentSettings::for_session(&session);
        let kept = session.finish().await.ok()?;
        kept.map(|stream| ReusedHttpStream::from_reusable_stream(stream, settings))
    }
}

async fn send(session: &mut ServerSession, answer: Response<Vec<u8>>) -> pingora::Result<()> {
    let (head, body) = answer.into_parts();
    session.write_response_header(Box::new(head.into())).await?;
    if !body.is_empty() {
        session.write_response_body(body.into(), true).await?;
    }
    Ok(())
}

/// The request's body, which must be read even where it is not needed: it would be in the way of
/// the next request.
async fn body(session: &mut ServerSession) -> Result<Vec<u8>, Answer> {
    let mut body = Vec::new();
    loop {
        match session.read_request_body().await {
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Ok(None) => return Ok(body),
            Err(error) => return Err(reply::text(400, format!("{error}\n"))),
        }
        if body.len() > LONGEST_BODY {
            return Err(reply::text(413, "the body is over 64 KiB\n"));
        }
    }
}
