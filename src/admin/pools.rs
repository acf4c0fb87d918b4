//! Which nodes are in a pool, and may others be?
//!
//! What is changed here holds on this gateway until it is taken back or the process ends.

use super::routes::{Answer, Asked, Soon};
use super::{Taken, Validate, reply};
use crate::config::{self, Edit};
use serde::Deserialize;
use serde_json::json;

/// `{"enabled": false}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Balancing {
    enabled: bool,
}

/// The nodes that a pool lists, as they may be sent back. A key of a node is `***`; sent so, it
/// stays.
pub(super) fn nodes(asked: &Asked<'_>) -> Answer {
    let snapshot = asked.live.snapshot();
    let mut pools = snapshot.config.pools.iter();
    let Some(pool) = pools.find(|pool| pool.name == asked.item) else {
        return no_pool(asked);
    };
    let edits = asked.hands.edits();
    let body = json!({
        "pool": pool.name,
        "by_hand": edits.has_nodes(&pool.name),
        "balancing": !edits.is_unbalanced(&pool.name),
        "strategy": pool.strategy,
        "nodes": pool.nodes.iter().map(config::node_json).collect::<Vec<_>>(),
    });
    reply::json(200, &body)
}

/// Puts other nodes in the place of those that a pool lists: all of them or, when one is wrong,
/// none.
pub(super) fn replace<'a>(asked: &'a Asked<'a>) -> Soon<'a> {
    Box::pin(async {
        match String::from_utf8(asked.body.to_vec()) {
            Ok(sent) => edit(asked, Edit::Nodes(sent)).await,
            Err(_not_a_text) => reply::text(400, "not UTF-8: send JSON or YAML\n"),
        }
    })
}

/// The nodes of the file again.
pub(super) fn restore<'a>(asked: &'a Asked<'a>) -> Soon<'a> {
    Box::pin(edit(asked, Edit::FileNodes))
}

/// Switches the balancing of a pool off, so that the first node that may serve takes it all, or on.
pub(super) fn balance<'a>(asked: &'a Asked<'a>) -> Soon<'a> {
    Box::pin(async {
        match asked.wish::<Balancing>("{\"enabled\": false}") {
            Ok(wish) => edit(asked, Edit::Balancing(wish.enabled)).await,
            Err(what) => reply::text(400, what),
        }
    })
}

async fn edit(asked: &Asked<'_>, edit: Edit) -> Answer {
    let snapshot = asked.live.snapshot();
    if !snapshot
        .config
        .pools
        .iter()
        .any(|pool| pool.name == asked.item)
    {
        return no_pool(asked);
    }
    let validate = match asked.validate() {
        Ok(validate) => validate,
        Err(what) => return reply::text(400, what),
    };
    match asked.hands.edit(asked.item, edit, validate).await {
        Ok(Taken { changes, unwell }) => {
            let validated = validate != Validate::No;
            let body = json!({
                "pool": asked.item,
                "changes": changes,
                "validated": validated,
                "unhealthy": unwell,
            });
            reply::json(200, &body)
        }
        Err(problems) => reply::text(400, format!("{problems}\n")),
    }
}

fn no_pool(asked: &Asked<'_>) -> Answer {
    let snapshot = asked.live.snapshot();
    let names: Vec<_> = snapshot.pools().iter().map(|pool| pool.name()).collect();
    reply::text(
        404,
        format!("no pool {:?}; there is {}\n", asked.item, names.join(", ")),
    )
}
