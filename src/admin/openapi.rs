//! Which pages are there, for programs? The document is kept by hand; a test compares it with the
//! table of routes, another one the answers with its schemas.

use super::reply;
use super::routes::{Answer, Asked};

/// OpenAPI 3.1.
const DOCUMENT: &str = include_str!("openapi.json");

/// `/api/v1/openapi.json`.
pub(super) fn page(_: &Asked<'_>) -> Answer {
    let kind = "application/json; charset=utf-8";
    reply::build(200, kind, DOCUMENT.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::routes::ROUTES;
    use serde_json::Value;
    use std::collections::BTreeSet;

    #[test]
    fn every_route_is_in_the_document_and_the_reverse() {
        let document: Value = serde_json::from_str(DOCUMENT).expect("the document is JSON");
        let mut described = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for method in methods.as_object().expect("methods").keys() {
                described.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        let routed: BTreeSet<_> = ROUTES
            .iter()
            .map(|route| format!("{} {}", route.method, route.path))
            .collect();
        assert_eq!(routed.len(), ROUTES.len(), "a route stands once");
        assert_eq!(described, routed);
    }
}
