//! What may the operator do?

use super::routes::{Answer, Asked, Soon};
use super::{overview, reply};
use crate::nodes::{Hand, Node};
use crate::share::{Matter, Wish};
use crate::upstream::Live;
use http::Response;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// Reads the configuration again: 200 with what changed, 400 with every problem. `validate=true`
/// asks every node first, and refuses when one is not well unless `allow_unhealthy=true`.
pub(super) fn reload<'a>(asked: &'a Asked<'a>) -> Soon<'a> {
    Box::pin(async {
        let validate = match asked.validate() {
            Ok(validate) => validate,
            Err(what) => return reply::text(400, what),
        };
        match asked.hands.reload(validate).await {
            Ok(taken) => {
                // The last two are seed 002's.
                let body = json!({
                    "reloaded": true,
                    "changes": taken.changes,
                    "unhealthy": taken.unwell,
                    "status": "success",
                    "message": "Configuration reloaded",
                });
                reply::json(200, &body)
            }
            Err(problems) => reply::text(400, format!("{problems}\n")),
        }
    })
}

/// `{"state": "drain"}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    state: String,
}

/// `{"weight": 2}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Weight {
    weight: u16,
}

/// Puts a node into a state, and shows it as it is then: how much still runs there is in
/// `in_flight`.
pub(super) fn set_state(asked: &Asked<'_>) -> Answer {
    let wish: State = match asked.wish("{\"state\": \"drain\"}") {
        Ok(wish) => wish,
        Err(what) => return reply::text(400, what),
    };
    let Some(hand) = Hand::from_word(&wish.state) else {
        let what = format!(
            "no state {:?}; there is ready, drain and maint\n",
            wish.state
        );
        return reply::text(400, what);
    };
    let Some(node) = node(asked) else {
        return no_node(asked.live, asked.item);
    };
    if node.hand() != hand {
        log::info!(
            "node state node={} from={} to={}",
            node.id(),
            node.hand().word(),
            hand.word()
        );
        node.set_hand(hand);
    }
    // Told even where nothing changes here: another gateway may have it otherwise.
    let name = node.id().as_str();
    asked
        .live
        .fleet
        .wish(Wish::new(Matter::State, name, hand.word()));
    overview::node(asked)
}

/// Gives a node another share of the work, in the whole fleet, until the configuration says another.
pub(super) fn set_weight(asked: &Asked<'_>) -> Answer {
    let wish: Weight = match asked.wish("{\"weight\": 2}") {
        Ok(wish) => wish,
        Err(what) => return reply::text(400, what),
    };
    if !Node::WEIGHTS.contains(&wish.weight) {
        let what = "a weight is from 1 to 1000; to send nothing there, drain the node\n";
        return reply::text(400, what);
    }
    let Some(node) = node(asked) else {
        return no_node(asked.live, asked.item);
    };
    if node.weight() != wish.weight {
        log::info!(
            "node weight node={} from={} to={}",
            node.id(),
            node.weight(),
            wish.weight
        );
        node.set_weight(wish.weight);
    }
    let configured = asked.live.parts.roster.configured_weight(node.id());
    let configured = configured.unwrap_or(wish.weight);
    asked
        .live
        .fleet
        .wish(Wish::weight(node.id(), wish.weight, configured));
    overview::node(asked)
}

fn node(asked: &Asked<'_>) -> Option<Arc<Node>> {
    let mut nodes = asked.live.snapshot().nodes().into_iter();
    nodes.find(|node| node.id().as_str() == asked.item)
}

pub(super) fn no_node(live: &Live, id: &str) -> Response<Vec<u8>> {
    let nodes = live.snapshot().nodes();
    let names: Vec<_> = nodes.iter().map(|node| node.id().as_str()).collect();
    reply::text(
        404,
        format!("no node {id:?}; there is {}\n", names.join(", ")),
    )
}
