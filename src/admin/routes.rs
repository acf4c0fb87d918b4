//! Which page answers which request?

use super::{
    Hands, Validate, actions, config, decisions, explain, health, history, log_level, metrics,
    node_metrics, openapi, operations, overview, plugins, pools, register, reply, seed_pages,
    status, ui,
};
use crate::upstream::{Errands, Live};
use http::{Method, Response};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::pin::Pin;

/// A whole answer.
pub(super) type Answer = Response<Vec<u8>>;

/// An answer that is awaited.
pub(super) type Soon<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// What is asked of a page.
pub(super) struct Asked<'a> {
    pub(super) live: &'a Live,
    pub(super) hands: &'a dyn Hands,
    /// The way to a node.
    pub(super) errands: &'a Errands,
    /// What stands in the place of the braces in the path.
    pub(super) item: &'a str,
    pub(super) query: Option<&'a str>,
    pub(super) body: &'a [u8],
}

impl Asked<'_> {
    /// A parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut pairs = form_urlencoded::parse(self.query.unwrap_or_default().as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// A parameter that is a number, or a sentence for whoever wrote something else.
    pub(super) fn number(&self, name: &str, default: usize) -> Result<usize, String> {
        match self.parameter(name).map(|text| text.parse()) {
            None => Ok(default),
            Some(Ok(number)) => Ok(number),
            Some(Err(_not_a_number)) => Err(format!("{name} is not a number: write {name}=20\n")),
        }
    }

    /// Whether nodes are to be asked first: `validate=true`, and `allow_unhealthy=true`.
    pub(super) fn validate(&self) -> Result<Validate, String> {
        let flag = |name| match self.parameter(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(format!("{name} is true or false\n")),
        };
        Ok(match (flag("validate")?, flag("allow_unhealthy")?) {
            (false, _) => Validate::No,
            (true, true) => Validate::Tell,
            (true, false) => Validate::Refuse,
        })
    }

    /// What the operator sent, or a sentence with an example.
    pub(super) fn wish<T: DeserializeOwned>(&self, example: &str) -> Result<T, String> {
        serde_json::from_slice(self.body)
            .map_err(|error| format!("not a wish: {error}; send {example}\n"))
    }
}

/// How a page is made.
#[derive(Clone, Copy)]
pub(super) enum Page {
    /// At once.
    Now(fn(&Asked<'_>) -> Answer),
    /// After something was awaited.
    Later(for<'a> fn(&'a Asked<'a>) -> Soon<'a>),
    /// Piece by piece, for as long as the client reads.
    Events,
}

/// One row of the table.
pub(super) struct Route {
    pub(super) method: Method,
    /// Its segments; `{word}` is any one.
    pub(super) path: &'static str,
    pub(super) page: Page,
}

const fn get(path: &'static str, page: fn(&Asked<'_>) -> Answer) -> Route {
    row(Method::GET, path, Page::Now(page))
}

const fn put(path: &'static str, page: fn(&Asked<'_>) -> Answer) -> Route {
    row(Method::PUT, path, Page::Now(page))
}

const fn delete(path: &'static str, page: fn(&Asked<'_>) -> Answer) -> Route {
    row(Method::DELETE, path, Page::Now(page))
}

const fn row(method: Method, path: &'static str, page: Page) -> Route {
    Route { method, path, page }
}

const POOL_NODES: &str = "/api/v1/pools/{pool}/nodes";

/// Every page there is. `openapi.json` describes each of them; a test compares the two.
pub(super) static ROUTES: &[Route] = &[
    // Probes carry no token, and learn nothing but yes or no.
    get("/livez", |_| reply::text(200, "ok\n")),
    get("/readyz", health::readyz),
    // The seeds' pages, and Prometheus'.
    get("/health", health::health),
    get("/status", status::status),
    get("/cluster/nodes", seed_pages::nodes),
    get("/cluster/stats", seed_pages::stats),
    get("/cluster/master", seed_pages::leader),
    get("/cluster/gateways", seed_pages::gateways),
    get("/metrics", metrics::page),
    row(Method::POST, "/-/reload", Page::Later(actions::reload)),
    row(Method::POST, "/config/reload", Page::Later(actions::reload)),
    row(Method::POST, "/reload-config", Page::Later(actions::reload)),
    row(
        Method::GET,
        "/nodes/{node}/metrics",
        Page::Later(node_metrics::page),
    ),
    row(
        Method::GET,
        "/api/v1/nodes/{node}/metrics",
        Page::Later(node_metrics::page),
    ),
    // Version 1.
    get("/api/v1/overview", overview::page),
    get("/api/v1/history", history::page),
    row(Method::GET, "/api/v1/events", Page::Events),
    get("/api/v1/nodes", overview::nodes),
    get("/api/v1/nodes/{node}", overview::node),
    put("/api/v1/nodes/{node}", register::put),
    delete("/api/v1/nodes/{node}", register::remove),
    put("/api/v1/nodes/{node}/state", actions::set_state),
    put("/api/v1/nodes/{node}/weight", actions::set_weight),
    get(POOL_NODES, pools::nodes),
    row(Method::PUT, POOL_NODES, Page::Later(pools::replace)),
    row(Method::DELETE, POOL_NODES, Page::Later(pools::restore)),
    row(
        Method::PUT,
        "/api/v1/pools/{pool}/balancing",
        Page::Later(pools::balance),
    ),
    get("/api/v1/operations", operations::page),
    delete("/api/v1/operations/{key}", operations::forget),
    put("/api/v1/operations/{key}/pin", operations::pin),
    delete("/api/v1/operations/{key}/pin", operations::unpin),
    get("/api/v1/plugins", plugins::page),
    get("/api/v1/decisions", decisions::last),
    get("/api/v1/decisions/{request}", decisions::of),
    row(Method::POST, "/api/v1/explain", Page::Now(explain::answer)),
    get("/api/v1/config", config::page),
    get("/api/v1/config/diff", config::diff),
    get("/api/v1/log-level", log_level::page),
    put("/api/v1/log-level", log_level::set),
    get("/api/v1/openapi.json", openapi::page),
    // For people.
    get("/", ui::home),
    get("/ui", ui::home),
    get("/ui/", ui::page),
    get("/ui/style.css", ui::style),
    get("/ui/app.js", ui::script),
    get("/ui/words.js", ui::words),
];

/// What is found under a path.
pub(super) enum Found<'a> {
    /// The page, and what stands in the place of the braces.
    Page(&'static Route, Cow<'a, str>),
    /// There is a page, and it is asked otherwise.
    Otherwise(Vec<&'static str>),
    /// Nothing.
    Nothing,
}

/// Looks a request up.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Found<'a> {
    let mut methods = Vec::new();
    for route in ROUTES {
        let Some(item) = matches(route.path, path) else {
            continue;
        };
        if route.method == *method {
            return Found::Page(route, percent_decode_str(item).decode_utf8_lossy());
        }
        methods.push(route.method.as_str());
    }
    if methods.is_empty() {
        Found::Nothing
    } else {
        Found::Otherwise(methods)
    }
}

/// Whether anybody may ask, whatever the token.
pub(super) fn is_open(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz")
}

/// The part of the path that stands in the place of the braces; empty where there are none.
fn matches<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    let mut item = "";
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return Some(item),
            (Some(wanted), Some(found)) if wanted.starts_with('{') && !found.is_empty() => {
                item = found;
            }
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_finds_its_page_and_a_wrong_method_finds_the_right_ones() {
        let page = |method, path| match find(&method, path) {
            Found::Page(route, item) => format!("{} {item}", route.path),
            Found::Otherwise(methods) => methods.join(", "),
            Found::Nothing => "nothing".to_owned(),
        };
        for (method, path, expected) in [
            (Method::GET, "/livez", "/livez "),
            (Method::GET, "/livez/", "nothing"),
            (
                Method::PUT,
                "/api/v1/nodes/n1/state",
                "/api/v1/nodes/{node}/state n1",
            ),
            (Method::GET, "/api/v1/nodes/n1", "/api/v1/nodes/{node} n1"),
            (Method::GET, "/api/v1/nodes/", "nothing"),
            (Method::POST, "/api/v1/nodes/n1", "GET, PUT, DELETE"),
            (
                Method::DELETE,
                "/api/v1/operations/tool%2Finvoke%7Ca",
                "/api/v1/operations/{key} tool/invoke|a",
            ),
            (Method::GET, "/-/reload", "POST"),
        ] {
            assert_eq!(page(method, path), expected, "{path}");
        }
    }

    #[test]
    fn what_changes_anything_is_not_asked_by_get() {
        for route in ROUTES.iter().filter(|route| route.method == Method::GET) {
            let acts = ["reload", "drain", "state", "weight", "pin", "balancing"];
            assert!(
                !acts.iter().any(|word| route.path.ends_with(word)),
                "GET {}",
                route.path
            );
        }
    }
}
