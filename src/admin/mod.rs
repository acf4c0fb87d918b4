//! What does the operator see, and may do?
//!
//! A listener of its own, on loopback unless a token guards it; no path of it ever shadows a
//! daemon's path on the data port. GET never changes anything.

mod actions;
mod client;
mod decisions;
mod explain;
mod gate;
mod health;
mod metrics;
mod node_metrics;
mod register;
mod reply;
mod seed_pages;
mod status;

pub use client::ask;

use crate::upstream::{Errands, Live};
use async_trait::async_trait;
use http::{Method, Response};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use std::fmt;
use std::sync::Arc;

/// What the operator may ask the server to do; the server implements it.
#[async_trait]
pub trait Hands: fmt::Debug + Send + Sync {
    /// Reads the configuration again. Returns what changed, a line each.
    ///
    /// # Errors
    /// When it was refused: every problem, rendered for people. The old one stays in service.
    async fn reload(&self) -> Result<Vec<String>, String>;
}

/// The admin listener's application.
#[derive(Debug)]
pub struct Admin {
    live: Arc<Live>,
    hands: Arc<dyn Hands>,
    errands: Errands,
}

impl Admin {
    /// Shows what is live; acts through `hands`.
    #[must_use]
    pub fn new(live: Arc<Live>, hands: Arc<dyn Hands>) -> Self {
        let errands = Errands::new();
        Self {
            live,
            hands,
            errands,
        }
    }

    async fn answer(&self, session: &ServerSession, body: &[u8]) -> Response<Vec<u8>> {
        let request = session.req_header();
        let path = request.uri.path();
        let token = self.live.snapshot().config.admin.token.clone();
        if !gate::is_open(path) && !gate::may(&request.headers, token.as_ref()) {
            return reply::unauthorized();
        }
        if let Some(node) = node_metrics::node_of(path) {
            return match request.method {
                Method::GET => node_metrics::page(&self.live, &self.errands, node).await,
                _ => reply::not_found(path),
            };
        }
        if let Some(node) = path.strip_prefix("/api/v1/nodes/") {
            return match (&request.method, node.strip_suffix("/state")) {
                (&Method::PUT, Some(node)) => actions::set_state(&self.live, node, body),
                (&Method::PUT, None) => register::put(&self.live, node, body),
                (&Method::DELETE, None) => register::remove(&self.live, node),
                (&Method::GET, None) => actions::one_node(&self.live, node),
                _ => reply::not_found(path),
            };
        }
        if let Some(id) = path.strip_prefix("/api/v1/decisions/") {
            return match request.method {
                Method::GET => decisions::of(&self.live, id),
                _ => reply::not_found(path),
            };
        }
        match (&request.method, path) {
            (&Method::GET, "/livez") => reply::text(200, "ok\n"),
            (&Method::GET, "/readyz") => health::readyz(&self.live),
            (&Method::GET, "/health") => health::health(&self.live),
            (&Method::GET, "/status") => status::status(&self.live),
            (&Method::GET, "/cluster/nodes") => seed_pages::nodes(&self.live),
            (&Method::GET, "/cluster/stats") => seed_pages::stats(&self.live, request.uri.query()),
            (&Method::GET, "/cluster/gateways") => seed_pages::gateways(&self.live),
            (&Method::GET, "/cluster/master") => seed_pages::leader(&self.live),
            (&Method::GET, "/metrics") => metrics::page(&self.live),
            (&Method::GET, "/api/v1/decisions") => decisions::last(&self.live, request.uri.query()),
            (&Method::POST, "/api/v1/explain") => explain::answer(&self.live, body),
            (&Method::POST, "/-/reload" | "/config/reload") => {
                actions::reload(self.hands.as_ref()).await
            }
            _ => reply::not_found(path),
        }
    }
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        match body(session).await {
            Ok(body) => self.answer(session, &body).await,
            Err(answer) => {
                session.set_keepalive(None);
                answer
            }
        }
    }
}

/// No wish of an operator is longer.
const LONGEST_BODY: usize = 64 * 1024;

/// The request's body, which must be read even where it is not needed: it would be in the way of
/// the next request.
async fn body(session: &mut ServerSession) -> Result<Vec<u8>, Response<Vec<u8>>> {
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
