//! How does a node say that it is there?

use super::reply;
use super::routes::{Answer, Asked};
use crate::model::{NodeId, Role, clock};
use crate::upstream::discovery::{Refused, Wish};
use crate::upstream::{Live, Pool};
use serde::Deserialize;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What holds when nothing is said.
const TTL: Duration = Duration::from_secs(30);
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(3600);
const WEIGHTS: std::ops::RangeInclusive<u16> = 1..=1000;

/// `{"address": "10.0.0.11:5002", "ttl": "30s"}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    /// Names are not looked up: who registers knows where it is.
    address: SocketAddr,
    pool: Option<String>,
    role: Option<String>,
    weight: Option<u16>,
    ttl: Option<String>,
}

/// Why not: a status and a sentence.
type No = (u16, String);

/// Registers a node, or renews it: 201 when it is new, 200 when it was there.
pub(super) fn put(asked: &Asked<'_>) -> Answer {
    match try_put(asked.live, asked.item, asked.body) {
        Ok((new, wish)) => {
            let row = json!({
                "id": wish.id.as_str(),
                "pool": wish.pool,
                "address": wish.address.to_string(),
                "role": wish.role.word(),
                "weight": wish.weight,
                "ttl_ms": wish.ttl.as_millis(),
            });
            reply::json(if new { 201 } else { 200 }, &row)
        }
        Err((status, what)) => reply::text(status, format!("{what}\n")),
    }
}

/// Ends a registration before its time.
pub(super) fn remove(asked: &Asked<'_>) -> Answer {
    let id = asked.item;
    if asked.live.parts.sources.registrations.remove(id) {
        log::info!("registration withdrawn node={id}");
        return reply::json(200, &json!({ "id": id, "removed": true }));
    }
    reply::text(404, format!("no node {id:?} is registered\n"))
}

fn try_put(live: &Live, id: &str, body: &[u8]) -> Result<(bool, Wish), No> {
    if !NodeId::is_plain(id) {
        let what = "not a name; use letters, digits, `.`, `_`, `:` and `-`, at most 128";
        return Err((400, what.to_owned()));
    }
    let said: Said = serde_json::from_slice(body).map_err(|error| {
        let what = format!("not a registration: {error}; send {{\"address\": \"10.0.0.11:5002\"}}");
        (400, what)
    })?;
    let snapshot = live.snapshot();
    let pool = pool(snapshot.pools(), said.pool.as_deref())?;
    let wish = wish(id, pool, said)?;
    if let Some(why) = pool.source().refusal(wish.address) {
        log::warn!(
            "registration refused node={id} address={} why={why:?}",
            wish.address
        );
        return Err((403, format!("{} is refused: {why}", wish.address)));
    }
    let registrations = &live.parts.sources.registrations;
    let nodes = snapshot.nodes();
    let known = nodes.iter().any(|node| node.id().as_str() == id);
    if known && !registrations.has(id) {
        return Err((409, format!("the name {id} is another node's")));
    }
    match registrations.put(wish.clone(), clock::now()) {
        Ok(new) => {
            if new {
                log::info!(
                    "registered node={id} pool={} address={}",
                    wish.pool,
                    wish.address
                );
            }
            Ok((new, wish))
        }
        Err(Refused::Address) => Err((409, "another name is registered there".to_owned())),
        Err(Refused::Pool) => Err((409, format!("{id} is registered in another pool"))),
        Err(Refused::Full) => Err((429, "too many nodes are registered".to_owned())),
    }
}

/// The pool that was named, or the only one that takes registrations.
fn pool<'p>(pools: &'p [Arc<Pool>], named: Option<&str>) -> Result<&'p Arc<Pool>, No> {
    let mut open: Vec<_> = pools
        .iter()
        .filter(|pool| pool.source().takes_registrations())
        .collect();
    if let Some(name) = named {
        open.retain(|pool| pool.name() == name);
    }
    match (open.as_slice(), named) {
        ([pool], _) => Ok(pool),
        ([], Some(name)) => Err((403, format!("no pool {name:?} takes registrations"))),
        ([], None) => {
            let what = "no pool takes registrations: see discover.register";
            Err((403, what.to_owned()))
        }
        (several, _) => {
            let names: Vec<_> = several.iter().map(|pool| pool.name()).collect();
            Err((400, format!("say which pool: {}", names.join(", "))))
        }
    }
}

fn wish(id: &str, pool: &Pool, said: Said) -> Result<Wish, No> {
    let role = match said.role.as_deref() {
        None => Role::default(),
        Some(word) => Role::ALL
            .into_iter()
            .find(|role| role.word() == word)
            .ok_or_else(|| {
                let what = format!("no role {word:?}; there is primary, secondary and backup");
                (400, what)
            })?,
    };
    let ttl = match said.ttl.as_deref() {
        None => TTL,
        Some(text) => humantime::parse_duration(text)
            .ok()
            .filter(|ttl| (SHORTEST..=LONGEST).contains(ttl))
            .ok_or_else(|| (400, "not a ttl; write 1s to 1h".to_owned()))?,
    };
    let weight = said.weight.unwrap_or(1);
    if !WEIGHTS.contains(&weight) {
        return Err((400, "a weight is from 1 to 1000".to_owned()));
    }
    Ok(Wish {
        id: NodeId::from(id),
        pool: pool.name().to_owned(),
        address: said.address,
        role,
        weight,
        ttl,
    })
}
