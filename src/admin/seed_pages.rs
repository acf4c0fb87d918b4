//! Seed 000's three pages: who works, what was learned, who leads?

use super::routes::{Answer, Asked};
use super::{reply, status::ms};
use crate::model::{Class, clock};
use crate::nodes::{Node, Plugin, Presence};
use crate::share::Neighbour;
use crate::upstream::{Live, Pool, Standing};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// `/cluster/nodes`: every node, with the seed's `is_working` and `is_long_request` derived from
/// live leases.
pub(super) fn nodes(asked: &Asked<'_>) -> Answer {
    let live = asked.live;
    let snapshot = live.snapshot();
    let now = clock::now();
    let others = live.fleet.others(now);
    let plugins = live.plugins.all();
    let mut rows = Vec::new();
    for pool in snapshot.pools() {
        for node in pool.nodes().iter() {
            let mut row = row(pool, node, &others);
            let has =
                |plugin: &&Arc<Plugin>| node.presence(plugin.place(), now) == Presence::Present;
            let resting = node.resting(now);
            let check = node.last_check();
            let ping = check.map(|check| ms(now.saturating_duration_since(check.at)));
            row["inflight"] = json!({
                "short": node.in_flight(Class::Short),
                "long": node.in_flight(Class::Long),
            });
            row["last_ping_ms"] = json!(ping);
            // Those that requests named, and that answered here.
            row["plugins"] = json!(plugins.iter().filter(has).count());
            row["cooldown_ttl"] = json!(resting.as_secs_f64().ceil());
            row["ejected"] = json!(!resting.is_zero());
            rows.push(row);
        }
    }
    reply::json(200, &json!({ "nodes": rows }))
}

/// The row of one node.
pub(super) fn row(pool: &Pool, node: &Node, others: &[Neighbour]) -> Value {
    let elsewhere = others.iter().flat_map(|other| &other.leases);
    let elsewhere = elsewhere.filter(|held| held.node == *node.id());
    let [told_short, told_long] = elsewhere.fold([0_u64; 2], |[short, long], held| {
        [short + u64::from(held.short), long + u64::from(held.long)]
    });
    let [short, long] = Class::ALL.map(|class| node.in_flight(class));
    json!({
        "id": node.id().as_str(),
        "address": node.address().to_string(),
        "pool": pool.name(),
        "role": node.role().word(),
        "weight": node.weight(),
        "state": node.hand().word(),
        "status": if node.is_healthy() { "up" } else { "down" },
        "checked": node.is_checked(),
        "in_flight": { "short": short, "long": long, "total": short + long },
        "other_gateways": {
            "short": told_short,
            "long": told_long,
            "total": told_short + told_long,
        },
        "expected_idle_in_s": node.idle_in(clock::now()).map(|left| ms(left) / 1000.0),
        "beyond": node.beyond(),
        "resting_ms": ms(node.resting(clock::now())),
        "is_working": short + long > 0,
        "is_long_request": long > 0,
        "served": node.taken(),
        "failed": node.failed(),
    })
}

/// `/cluster/stats?top=N&prefix=P`: what was learned, most work first.
pub(super) fn stats(asked: &Asked<'_>) -> Answer {
    let live = asked.live;
    let top = match asked.number("top", usize::MAX) {
        Ok(top) => top,
        Err(what) => return reply::text(400, what),
    };
    let prefix = asked.parameter("prefix").unwrap_or_default();
    let now = clock::now();
    let mut rows = live.learner.view(usize::MAX, now);
    rows.retain(|row| row.key.starts_with(prefix.as_ref()));
    rows.truncate(top);
    let body = json!({
        "threshold_ms": ms(live.learner.threshold()),
        "window": live.learner.rules().window,
        "endpoints": rows,
    });
    reply::json(200, &body)
}

/// `/cluster/master`: which gateway does the fleet's chores. Routing never depends on it.
pub(super) fn leader(asked: &Asked<'_>) -> Answer {
    let live = asked.live;
    let name = live.identity.name.as_str();
    let leader = live.fleet.leader(clock::now());
    let alone = live.fleet.standing() == Standing::Alone;
    let known = leader.as_ref().map(|leader| leader.gateway.as_str());
    let known = known.or(alone.then_some(name));
    let timed = leader.as_ref().filter(|_| !alone);
    let primary = live.snapshot().nodes().iter().find_map(|node| {
        (node.role() == crate::model::Role::Primary).then(|| node.id().to_string())
    });
    let body = json!({
        "leader": known,
        "since": since(live, known, alone),
        "self": live.fleet.state.leads(),
        "ttl_ms": timed.map(|leader| ms(leader.lasting)),
        "fence": timed.map(|leader| leader.fence),
        "primary_node": primary,
    });
    reply::json(200, &body)
}

/// Since when it leads, as far as we have seen.
fn since(live: &Live, leader: Option<&str>, alone: bool) -> Option<String> {
    if alone {
        let started = humantime::format_rfc3339_seconds(live.identity.started_wall);
        return Some(started.to_string());
    }
    let notices = live.history.notices(0);
    let became = notices
        .iter()
        .rfind(|notice| notice.what == "leader" && Some(notice.about.as_str()) == leader)?;
    let at = UNIX_EPOCH + Duration::from_millis(became.at_ms);
    Some(humantime::format_rfc3339_seconds(at).to_string())
}

/// `/cluster/gateways`: who belongs to the fleet, and whether all have the same configuration.
pub(super) fn gateways(asked: &Asked<'_>) -> Answer {
    reply::json(200, &fleet(asked.live))
}

/// The same, for the overview.
pub(super) fn fleet(live: &Live) -> Value {
    let snapshot = live.snapshot();
    let others = live.fleet.others(clock::now());
    let own = json!({
        "id": live.identity.name,
        "self": true,
        "version": env!("CARGO_PKG_VERSION"),
        "config": snapshot.fingerprint(),
        "config_version": snapshot.version,
        "config_drift": false,
        "started": humantime::format_rfc3339_seconds(live.identity.started_wall).to_string(),
        "age_ms": 0,
        "in_flight": snapshot.nodes().iter().map(|node| node.total_in_flight()).sum::<u32>(),
    });
    let drifts = |other: &Neighbour| other.profile.config != snapshot.fingerprint();
    let row = |other: &Neighbour| {
        let started = UNIX_EPOCH.checked_add(Duration::from_secs(other.profile.started));
        let started = started.filter(|_| other.profile.started <= LAST_SECOND);
        let held = other.leases.iter();
        json!({
            "id": other.gateway,
            "self": false,
            "version": other.profile.version,
            "config": other.profile.config,
            "config_drift": drifts(other),
            "address": other.profile.address,
            "started": started.map(|at| humantime::format_rfc3339_seconds(at).to_string()),
            "age_ms": ms(other.age),
            "in_flight": held.map(|held| u64::from(held.short) + u64::from(held.long)).sum::<u64>(),
        })
    };
    let rows: Vec<_> = [own].into_iter().chain(others.iter().map(row)).collect();
    json!({
        "redis": live.fleet.standing().word(),
        "config_drift": others.iter().any(drifts),
        "gateways": rows,
    })
}

/// The last second that can be written with four digits for the year; what a gateway tells is not
/// always sound.
const LAST_SECOND: u64 = 253_402_300_799;
