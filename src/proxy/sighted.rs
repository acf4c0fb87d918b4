//! A node answered for a plugin: what does the request tell to whoever asks for it later?

use super::ctx::Routed;
use super::request_filter::UNIQUE_IDENTIFIER;
use crate::dify::{Kind, Names, describe, installed};
use crate::nodes::Node;
use crate::upstream::{Live, Told, Way};
use http::HeaderName;
use pingora::http::RequestHeader;
use std::time::Instant;

static API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Only calls of plugins tell anything; called after answers that prove that the key was taken.
pub(super) fn note(live: &Live, request: &RequestHeader, routed: &Routed, now: Instant) {
    if matches!(routed.kind, Kind::Dispatch | Kind::Polling) {
        // An application's key is for us, and is kept nowhere.
        let ours = routed.application.is_some();
        live.sightings.note(&routed.plugin, now, || {
            let told = told(request)?;
            Some(Told {
                key: told.key.filter(|_| !ours),
                ..told
            })
        });
    }
}

/// A node took the installation of plugins: their calls go there first.
pub(super) fn note_install(
    live: &Live,
    request: &RequestHeader,
    routed: &Routed,
    node: &Node,
    now: Instant,
) {
    let (method, path) = (request.method.as_str(), request.uri.path());
    if let Some(names) = &routed.names
        && let Some(tenant) = describe(method, path, Names::default()).tenant
    {
        live.installs
            .note(tenant, &installed(names), node.id(), now);
    }
}

fn told(request: &RequestHeader) -> Option<Told<'_>> {
    let text = |name: &HeaderName| request.headers.get(name)?.to_str().ok();
    let (method, path) = (request.method.as_str(), request.uri.path());
    let way = match describe(method, path, Names::default()).tenant {
        Some(tenant) => Way::Tenant(tenant),
        None => Way::Identifier(text(&UNIQUE_IDENTIFIER)?),
    };
    Some(Told {
        way,
        key: text(&API_KEY),
    })
}
