//! What would happen to a request?

use super::reply;
use super::routes::{Answer, Asked};
use crate::upstream::{Inquiry, explain};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use std::collections::BTreeMap;

/// `{"method": "POST", "path": "/plugin/...", "headers": {"X-Plugin-ID": "a/b"}}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    method: String,
    path: String,
    #[serde(default)]
    headers: Headers,
    /// The head of the body, as far as it matters.
    #[serde(default)]
    body: String,
    /// The length of the whole body, where `body` is only its head.
    body_length: Option<u64>,
}

/// A table, or pairs where a name stands twice.
#[derive(Deserialize)]
#[serde(untagged)]
enum Headers {
    Table(BTreeMap<String, String>),
    Pairs(Vec<(String, String)>),
}

impl Default for Headers {
    fn default() -> Self {
        Self::Pairs(Vec::new())
    }
}

impl Headers {
    fn pairs(self) -> Vec<(String, String)> {
        match self {
            Self::Table(table) => table.into_iter().collect(),
            Self::Pairs(pairs) => pairs,
        }
    }
}

/// `POST /api/v1/explain`.
pub(super) fn answer(asked: &Asked<'_>) -> Answer {
    match inquiry(asked.body) {
        Ok(inquiry) => reply::json(200, &explain(asked.live, &inquiry)),
        Err(what) => reply::text(400, format!("{what}\n")),
    }
}

fn inquiry(body: &[u8]) -> Result<Inquiry, String> {
    let question: Question = serde_json::from_slice(body).map_err(|error| {
        format!("not a question: {error}; send {{\"method\": \"POST\", \"path\": \"/plugin/...\"}}")
    })?;
    if !question.path.starts_with('/') {
        return Err("the path of a request begins with `/`".to_owned());
    }
    let mut headers = HeaderMap::new();
    for (name, value) in question.headers.pairs() {
        let bad = || format!("not a header: {name:?}");
        let name = HeaderName::try_from(name.as_str()).map_err(|_no_name| bad())?;
        let value = HeaderValue::try_from(value).map_err(|_no_text| bad())?;
        headers.append(name, value);
    }
    Ok(Inquiry {
        method: question.method,
        path: question.path,
        headers,
        body: question.body,
        body_length: question.body_length,
    })
}
