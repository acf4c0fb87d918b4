//! What may the operator do?

use super::{Hands, reply};
use http::Response;
use serde_json::json;

/// Reads the configuration again: 200 with what changed, 400 with every problem.
pub(super) async fn reload(hands: &dyn Hands) -> Response<Vec<u8>> {
    match hands.reload().await {
        Ok(changes) => reply::json(200, &json!({ "reloaded": true, "changes": changes })),
        Err(problems) => reply::text(400, problems),
    }
}
