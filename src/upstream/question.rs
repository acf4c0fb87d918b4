//! How is a node asked whether plugins run there?
//!
//! By its metrics page, which answers for all of them at once where the daemon has one; else by a call
//! that no daemon lets through ([`readiness`]).

use super::errand::{Bounds, Errands};
use super::sightings::{Sighting, Way};
use super::watchlist::Finding;
use crate::dify::readiness::{self, Reading, Runtime};
use crate::nodes::Node;
use bytes::Bytes;
use http::HeaderValue;
use pingora::Result;
use pingora::http::RequestHeader;
use std::collections::HashMap;
use std::time::Duration;

const LONGEST_REFUSAL: usize = 64 * 1024;
/// With its histograms, a metrics page of a busy daemon has hundreds of kilobytes.
const LONGEST_PAGE: usize = 4 << 20;
/// Rounds are far apart; a connection serves for the questions of one.
const IDLE: Duration = Duration::from_secs(1);

/// How one asks.
#[derive(Clone)]
pub(super) struct Manner {
    /// The node's own key, where it is configured.
    pub(super) own: Option<HeaderValue>,
    pub(super) timeout: Duration,
    /// Tells patched daemons (seed 000) to answer for themselves.
    pub(super) marks: bool,
}

/// What a node's metrics page says.
pub(super) enum Page {
    /// The local runtimes there.
    Read(HashMap<String, Runtime>),
    /// It has none.
    Missing,
    /// The node did not answer; perhaps the next time.
    NoAnswer,
}

/// Reads a node's metrics page.
pub(super) async fn read_page(errands: &Errands, node: &Node, manner: &Manner) -> Page {
    let fetch = async {
        let request = begin("GET", readiness::METRICS)?;
        let bounds = manner.bounds(LONGEST_PAGE);
        errands.visit(node, request, Bytes::new(), bounds).await
    };
    match fetch.await {
        Ok((200, page)) => Page::Read(readiness::read_metrics(&String::from_utf8_lossy(&page))),
        Ok(_no_such_page) => Page::Missing,
        Err(error) => {
            log::debug!("no metrics page node={} error={error}", node.id());
            Page::NoAnswer
        }
    }
}

/// Asks a node for one plugin.
pub(super) async fn ask_for(
    errands: &Errands,
    node: &Node,
    sighting: &Sighting,
    manner: &Manner,
) -> Finding {
    let ask = async {
        let request = question(sighting, manner)?;
        let bounds = manner.bounds(LONGEST_REFUSAL);
        let body = readiness::PROBE_BODY;
        errands
            .visit(node, request, Bytes::from_static(body), bounds)
            .await
    };
    match ask.await {
        Ok((status, body)) => match readiness::read_probe(status, &body) {
            Reading::Present => Finding::Present,
            Reading::Absent => Finding::Absent,
            Reading::WrongKey => Finding::WrongKey,
            Reading::NotNow => Finding::NoAnswer,
            Reading::Unknown => Finding::Unknown,
        },
        Err(error) => {
            log::debug!("no answer to a probe node={} error={error}", node.id());
            Finding::NoAnswer
        }
    }
}

/// The path of the question.
pub(super) fn path(sighting: &Sighting) -> String {
    let probe = readiness::PROBE;
    match &sighting.way {
        Way::Identifier(_) => format!("/v2/invoke/{probe}"),
        Way::Tenant(tenant) => format!("/plugin/{tenant}/{probe}"),
    }
}

fn question(sighting: &Sighting, manner: &Manner) -> Result<RequestHeader> {
    let mut request = begin("POST", &path(sighting))?;
    match &sighting.way {
        Way::Identifier(identifier) => {
            request.insert_header("X-Plugin-Unique-Identifier", &**identifier)?;
        }
        Way::Tenant(_) => request.insert_header("X-Plugin-ID", &*sighting.plugin)?,
    }
    if let Some(key) = &manner.own {
        request.insert_header("X-Api-Key", key.clone())?;
    } else if let Some(key) = &sighting.key {
        request.insert_header("X-Api-Key", key.expose())?;
    }
    request.insert_header("Content-Type", "application/json")?;
    if manner.marks {
        request.insert_header("X-Plugin-Forwarded", "true")?;
    }
    Ok(request)
}

fn begin(method: &str, path: &str) -> Result<RequestHeader> {
    let mut request = RequestHeader::build(method, path.as_bytes(), None)?;
    request.insert_header("User-Agent", "twolane-probe")?;
    Ok(request)
}

impl Manner {
    const fn bounds(&self, longest: usize) -> Bounds {
        Bounds {
            timeout: self.timeout,
            longest,
            idle: IDLE,
        }
    }
}
