//! What may the operator do?

use super::{Hands, reply, seed_pages};
use crate::nodes::Hand;
use crate::share;
use crate::upstream::Live;
use http::Response;
use serde::Deserialize;
use serde_json::json;

/// Reads the configuration again: 200 with what changed, 400 with every problem.
pub(super) async fn reload(hands: &dyn Hands) -> Response<Vec<u8>> {
    match hands.reload().await {
        Ok(changes) => reply::json(200, &json!({ "reloaded": true, "changes": changes })),
        Err(problems) => reply::text(400, format!("{problems}\n")),
    }
}

/// `{"state": "drain"}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    state: String,
}

/// Puts a node into a state, and shows it as it is then: how much still runs there is in
/// `in_flight`.
pub(super) fn set_state(live: &Live, id: &str, body: &[u8]) -> Response<Vec<u8>> {
    let wish = match serde_json::from_slice::<Wish>(body) {
        Ok(wish) => wish,
        Err(error) => {
            let what = format!("not a wish: {error}; send {{\"state\": \"drain\"}}\n");
            return reply::text(400, what);
        }
    };
    let Some(hand) = Hand::from_word(&wish.state) else {
        let what = format!(
            "no state {:?}; there is ready, drain and maint\n",
            wish.state
        );
        return reply::text(400, what);
    };
    let nodes = live.snapshot().nodes();
    let Some(node) = nodes.iter().find(|node| node.id().as_str() == id) else {
        return no_node(live, id);
    };
    if node.hand() != hand {
        log::info!(
            "node state node={id} from={} to={}",
            node.hand().word(),
            hand.word()
        );
        node.set_hand(hand);
    }
    // Told even where nothing changes here: another gateway may have it otherwise.
    live.fleet.wish(share::Wish {
        node: node.id().clone(),
        hand: hand.word().to_owned(),
    });
    one_node(live, id)
}

/// One node's row.
pub(super) fn one_node(live: &Live, id: &str) -> Response<Vec<u8>> {
    match seed_pages::row_of(live, id) {
        Some(row) => reply::json(200, &row),
        None => no_node(live, id),
    }
}

pub(super) fn no_node(live: &Live, id: &str) -> Response<Vec<u8>> {
    let nodes = live.snapshot().nodes();
    let names: Vec<_> = nodes.iter().map(|node| node.id().as_str()).collect();
    reply::text(
        404,
        format!("no node {id:?}; there is {}\n", names.join(", ")),
    )
}
