//! In which order does Pingora call us? The table of contents: each hook is one line into the file
//! of its name.

use super::{
    Ctx, early_request_filter, error_while_proxy, fail_to_connect, fail_to_proxy, logging,
    request_body_filter, request_filter, response_filter, upstream_peer, upstream_request_filter,
    upstream_response_body_filter, upstream_response_filter,
};
use crate::upstream::Live;
use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, Result};
use pingora_proxy::{FailToProxy, ProxyHttp, Session};
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

/// The data plane: what Pingora drives for each request.
#[derive(Debug)]
pub struct Proxy {
    live: Arc<Live>,
}

impl Proxy {
    /// Serves requests by what is live.
    #[must_use]
    pub const fn new(live: Arc<Live>) -> Self {
        Self { live }
    }
}

#[async_trait]
impl ProxyHttp for Proxy {
    /// Boxed: it is a part of Pingora's future for the request, which is copied as a whole.
    type CTX = Box<Ctx>;

    fn new_ctx(&self) -> Self::CTX {
        Box::new(Ctx::new(&self.live))
    }

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {
        // None: nothing is compressed, nothing may hold an event back.
    }

    async fn early_request_filter(&self, session: &mut Session, ctx: &mut Self::CTX) -> Result<()> {
        early_request_filter::run(&self.live, session, ctx);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Self::CTX) -> Result<bool> {
        request_filter::run(&self.live, session, ctx).await
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        ctx: &mut Self::CTX,
    ) -> Result<Box<HttpPeer>> {
        upstream_peer::run(&self.live, session, ctx).await
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        _peer: &HttpPeer,
        ctx: &mut Self::CTX,
        error: Box<Error>,
    ) -> Box<Error> {
        fail_to_connect::run(&self.live, session, ctx, error)
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        upstream_request_filter::run(&self.live, session, request, ctx)
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        if session.was_upgraded() {
            // No body any more, but another protocol's bytes, without a limit.
            return Ok(());
        }
        request_body_filter::run(body, end_of_stream, ctx)
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        upstream_response_filter::run(&self.live, session, response, ctx)
    }

    fn upstream_response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Self::CTX,
    ) -> Result<Option<Duration>> {
        upstream_response_body_filter::run(&self.live, body, end_of_stream, ctx)?;
        Ok(None)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        response_filter::run(session, response, ctx)
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        ctx: &mut Self::CTX,
        _client_reused: bool,
    ) -> Box<Error> {
        error_while_proxy::run(&self.live, session, error, ctx)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        ctx: &mut Self::CTX,
    ) -> FailToProxy {
        fail_to_proxy::run(&self.live, session, error, ctx).await
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Self::CTX) {
        logging::run(&self.live, session, error, ctx);
    }

    fn persist_connection_context(
        &self,
        _session: &Session,
        ctx: &Self::CTX,
    ) -> Option<Box<dyn Any + Send + Sync>> {
        Some(ctx.carries.lock().take()?)
    }

    fn suppress_error_log(&self, _session: &Session, ctx: &Self::CTX, _error: &Error) -> bool {
        // `logging` writes one line that says more, at the level it deserves.
        ctx.ending.is_some()
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _ctx: &Self::CTX,
        _error: &Error,
        _context: pingora_proxy::ProxyWarnLogContext,
    ) -> bool {
        // `fail_to_connect` and `error_while_proxy` say it with the node's name.
        true
    }

    fn request_summary(&self, session: &Session, _ctx: &Self::CTX) -> String {
        // Never the query: callers put tokens there.
        let header = session.req_header();
        format!("{} {}", header.method, header.uri.path())
    }
}
