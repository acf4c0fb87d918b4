//! A node refuses: can the refusal be read before the client sees any of it?
//!
//! Pingora sends a header on before the body behind it is known, and what a daemon's 404 means is
//! in the body. So the header of a small error answer is exchanged for an informational one, which
//! the session is told to swallow; the body is collected; then the attempt ends with an error,
//! and either another node is asked or the answer is written as it came.

use super::Ctx;
use crate::dify::{Kind, Refusal};
use http::{Method, StatusCode, header};
use pingora::http::ResponseHeader;
use pingora::{Error, ErrorType, Result};
use pingora_proxy::Session;
use std::time::Duration;

/// The daemon's error answers are a few hundred bytes; a larger one is not the daemon's own.
const LARGEST: usize = 64 * 1024;

/// A node's error answer that no client has seen.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) header: ResponseHeader,
    pub(super) body: Vec<u8>,
}

impl Held {
    /// What it means. Under `/e/` the plugin itself answers with any status it likes; only the
    /// daemon's own words count there.
    pub(super) fn refusal(&self, kind: Kind) -> Refusal {
        let status = self.header.status.as_u16();
        if kind == Kind::Asset && status == 200 {
            return Refusal::Empty;
        }
        let refusal = Refusal::read(status, &self.body).unwrap_or(Refusal::Other);
        match (kind, refusal) {
            (_, Refusal::NotHere | Refusal::RuntimeVanished) => refusal,
            (Kind::Hook, _) => Refusal::Invalid,
            _ => refusal,
        }
    }

    /// Whether a client can be given it as it came. Dify reads the answer to a call line by line as
    /// JSON, whatever its status: it takes an empty one for an empty success, and the page of a
    /// proxy that stands before the daemon for a `ValueError`.
    pub(super) fn can_be_passed(&self, kind: Kind) -> bool {
        let line = self.body.trim_ascii();
        if self.is_too_large() {
            return false;
        }
        !is_call(kind) || (line.starts_with(b"{") && !line.contains(&b'\n'))
    }

    /// Whether it is more than anybody reads, and never whole.
    pub(super) const fn is_too_large(&self) -> bool {
        self.body.len() > LARGEST
    }

    /// How long the node asks to be left alone (RFC 9110, section 10.2.3; seconds only).
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let value = self.header.headers.get(header::RETRY_AFTER)?;
        value
            .to_str()
            .ok()?
            .trim()
            .parse()
            .ok()
            .map(Duration::from_secs)
    }
}

/// Holds an error answer back, if it is one whose meaning decides anything.
pub(super) fn begin(
    session: &mut Session,
    response: &mut ResponseHeader,
    ctx: &mut Ctx,
) -> Result<()> {
    let (Some(attempt), Some(routed)) = (&mut ctx.attempt, &ctx.routed) else {
        return Ok(());
    };
    if is_empty_asset(session, response, routed.kind) || says_nothing(response, routed.kind) {
        attempt.held = Some(Held {
            header: response.clone(),
            body: Vec::new(),
        });
        // There is no body to wait for.
        return Err(end());
    }
    if session.req_header().method == Method::HEAD || !decides(response, routed.kind) {
        return Ok(());
    }
    attempt.held = Some(Held {
        header: response.clone(),
        body: Vec::new(),
    });
    session.set_ignore_info_resp(true);
    response.set_status(StatusCode::EARLY_HINTS)?;
    response.remove_header(&header::CONTENT_LENGTH);
    Ok(())
}

/// The daemon answers 200 and nothing for an asset whose file is on another node.
fn is_empty_asset(session: &Session, response: &ResponseHeader, kind: Kind) -> bool {
    kind == Kind::Asset
        && session.req_header().method == Method::GET
        && response.status == StatusCode::OK
        && content_length(response) == Some(0)
}

/// An error without a word, to a plugin's call: Dify looks at no status there, reads a body without
/// an event, and shows an empty success.
fn says_nothing(response: &ResponseHeader, kind: Kind) -> bool {
    is_call(kind) && response.status.as_u16() >= 400 && content_length(response) == Some(0)
}

fn is_call(kind: Kind) -> bool {
    matches!(kind, Kind::Dispatch | Kind::Polling)
}

fn content_length(response: &ResponseHeader) -> Option<usize> {
    let value = response.headers.get(header::CONTENT_LENGTH)?;
    value.to_str().ok()?.parse().ok()
}

fn decides(response: &ResponseHeader, kind: Kind) -> bool {
    let status = response.status.as_u16();
    let called = matches!(kind, Kind::Dispatch | Kind::Polling | Kind::Hook);
    if status < 500 && status != 429 && !(status == 404 && called) {
        return false;
    }
    // A daemon that says much tells no length. A hook's error is its plugin's and may be a stream,
    // and of other kinds nobody reads the words alone.
    content_length(response).map_or(is_call(kind), |it| (1..=LARGEST).contains(&it))
}

/// The end of a held answer: ends the attempt.
pub(super) fn end() -> Box<Error> {
    Error::explain(ErrorType::Custom("refused"), "the node refused").into_up()
}
