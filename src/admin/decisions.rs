//! What was decided lately?

use super::routes::{Answer, Asked};
use super::{reply, status::ms};
use crate::model::{Basis, clock};
use crate::observe::Decision;
use serde_json::{Value, json};

/// So many are shown unless somebody asks for more.
const LIMIT: usize = 100;

/// `/api/v1/decisions?limit=N`: the newest first.
pub(super) fn last(asked: &Asked<'_>) -> Answer {
    let limit = match asked.number("limit", LIMIT) {
        Ok(limit) => limit,
        Err(what) => return reply::text(400, what),
    };
    let rows: Vec<_> = asked.live.decisions.last(limit).iter().map(row).collect();
    reply::json(200, &json!({ "decisions": rows }))
}

/// `/api/v1/decisions/REQUEST`: every attempt of one request.
pub(super) fn of(asked: &Asked<'_>) -> Answer {
    let (decisions, request) = (&asked.live.decisions, asked.item);
    let rows: Vec<_> = decisions.of(request).iter().map(row).collect();
    if rows.is_empty() {
        let kept = if decisions.is_on() {
            "only the last ones are kept: see debug.decisions"
        } else {
            "none are kept: see debug.decisions"
        };
        return reply::text(404, format!("no decision of request {request:?}; {kept}\n"));
    }
    reply::json(200, &json!({ "request": request, "decisions": rows }))
}

/// One attempt's choice.
pub(super) fn row(decision: &Decision) -> Value {
    let age = clock::now().saturating_duration_since(decision.at);
    let (score, samples) = match decision.verdict.basis {
        Basis::Learned { score, samples } => (Some(ms(score)), Some(samples)),
        _ => (None, None),
    };
    let shadow = decision.shadow.as_ref().map(|node| node.as_str());
    let node = decision.node.as_ref().map(|node| node.as_str());
    json!({
        "request": decision.request.to_string(),
        "at": humantime::format_rfc3339_millis(clock::wall() - age).to_string(),
        "attempt": decision.attempt,
        "pool": &*decision.pool,
        "operation": decision.operation.as_str(),
        "class": decision.verdict.class.word(),
        "basis": decision.verdict.basis.word(),
        "score_ms": score,
        "samples": samples,
        "node": node,
        "why": decision.why,
        "shadow": shadow,
        "shadow_agrees": shadow.map(|shadow| Some(shadow) == node),
    })
}
