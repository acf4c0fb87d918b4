//! What do we tell the other gateways, and what do we do with their news?

use super::wishes::{Wishes, remembered};
use super::{sights, turns};
use crate::model::{Class, clock};
use crate::nodes::{Node, Remote};
use crate::share::{
    Held, Learned, Neighbour, News, Paces, Profile, Report, Rest, ShareError, Sum, Views,
};
use crate::upstream::{Live, Standing};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// While trouble lasts it is told once in so long.
const REMIND: Duration = Duration::from_secs(60);

/// One exchange after the other, until `stop` says true.
pub(super) async fn exchange(live: Arc<Live>, mut stop: watch::Receiver<bool>) {
    let mut interval = Duration::ZERO;
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    let mut paces = Paces::default();
    let mut told = None;
    let mut wishes = Wishes::default();
    let mut before = remembered(&live);
    loop {
        let settings = live.snapshot().config.share.clone();
        if settings.interval != interval {
            interval = settings.interval;
            tick = tokio::time::interval(interval);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        tokio::select! {
            _ = tick.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        live.fleet.state.adjust(&settings).await;
        let began = clock::now();
        let report = Report {
            remembered: std::mem::take(&mut before),
            ..report(&live, began)
        };
        let result = live.fleet.state.exchange(report).await;
        let now = clock::now();
        live.parts.metrics.exchanged(
            now.saturating_duration_since(began),
            result.as_ref().map(|_| ()).map_err(|error| error.cause),
        );
        say(&live, result.as_ref().err(), &mut told, now);
        if let Ok(news) = &result {
            take(&live, news, now);
            wishes.hear(&live, &news.wishes);
        }
        // Also when nothing was heard: what was heard before grows old.
        note_others(&live, &mut paces, now);
    }
}

/// One line when trouble begins, one when it ends, and one a minute in between.
fn say(live: &Live, error: Option<&ShareError>, told: &mut Option<Instant>, now: Instant) {
    let changed = live.fleet.note(error.map_or(Ok(()), Err));
    if live.fleet.standing() == Standing::Alone {
        return;
    }
    let due = told.is_none_or(|last| now.saturating_duration_since(last) >= REMIND);
    match error {
        Some(error) if changed || due => {
            *told = Some(now);
            log::warn!("fleet not reached, going on alone {error}");
        }
        None if changed => {
            *told = None;
            log::info!("fleet reached others={}", live.fleet.others(now).len());
        }
        _ => {}
    }
}

fn report(live: &Live, now: Instant) -> Report {
    let snapshot = live.snapshot();
    let nodes = snapshot.nodes();
    let plugins = live.plugins.all();
    let held = |node: &Arc<Node>| Held {
        node: node.id().clone(),
        short: node.in_flight(Class::Short),
        long: node.in_flight(Class::Long),
        taken: node.taken(),
        plugins: plugins
            .iter()
            .map(|plugin| {
                (
                    plugin.name().to_owned(),
                    node.runtime_in_flight(plugin.place()),
                )
            })
            .filter(|(_, count)| *count > 0)
            .collect(),
    };
    let rest = |node: &Arc<Node>| {
        let ms = node.resting_here(now).as_millis();
        (ms > 0).then(|| Rest {
            node: node.id().clone(),
            ms: u64::try_from(ms).unwrap_or(u64::MAX),
        })
    };
    let learned = live.learner.take_untold().into_iter();
    Report {
        gateway: live.identity.name.clone(),
        profile: profile(live),
        leases: nodes
            .iter()
            .filter(|node| node.taken() > 0)
            .map(held)
            .collect(),
        rests: nodes.iter().filter_map(rest).collect(),
        seen: sights::ours(&nodes, &plugins, now),
        custom: custom(live),
        learned: learned
            .map(|(operation, samples, long)| Learned {
                operation,
                samples,
                long,
            })
            .collect(),
        wishes: live.fleet.take_wishes(),
        remembered: Vec::new(),
        turns: turns::wanted(&snapshot),
        views: if live.fleet.state.leads() {
            views(live, &nodes, now)
        } else {
            Views::default()
        },
    }
}

/// What the program that embeds us measures.
fn custom(live: &Live) -> Vec<(String, f64)> {
    let own = live.parts.metrics.own();
    own.map_or_else(Vec::new, crate::observe::OwnMetrics::values)
}

/// What describes us to the others.
pub(super) fn profile(live: &Live) -> Profile {
    let snapshot = live.snapshot();
    let started = live.identity.started_wall.duration_since(UNIX_EPOCH);
    Profile {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config: snapshot.fingerprint().to_owned(),
        address: snapshot
            .config
            .listen
            .first()
            .or(snapshot.config.tls.listen.first())
            .map(ToString::to_string)
            .unwrap_or_default(),
        started: started.unwrap_or_default().as_secs(),
    }
}

/// Takes what is told once: what others learned, and turns.
fn take(live: &Live, news: &News, now: Instant) {
    live.fleet.hear(news, now);
    for lesson in &news.lessons {
        let told = (lesson.count, lesson.samples.as_slice());
        live.learner
            .hear(&lesson.operation, told, lesson.whole, now);
    }
    turns::grant(&live.snapshot(), &news.turns);
}

/// Gives each node what the others do there, as far as it is not too old.
fn note_others(live: &Live, paces: &mut Paces, now: Instant) {
    if live.fleet.standing() == Standing::Alone {
        return;
    }
    let others = live.fleet.others(now);
    sights::hear(live, &others, now);
    live.parts.rooms.share_among(1 + others.len());
    let sums = paces.sum(&others, now);
    for node in live.snapshot().nodes() {
        let sum = sums.get(node.id());
        node.note_resting_elsewhere(now, sum.map_or(Duration::ZERO, |sum| sum.rest));
        match sum {
            Some(sum) => node.note_remote(&remote(live, sum, now)),
            // Nobody is there, or nobody told: what the node itself reports counts again, once the
            // last word is old.
            None => node.forget_remote(),
        }
    }
}

fn remote(live: &Live, sum: &Sum, now: Instant) -> Remote {
    let plugins = sum.plugins.iter();
    Remote {
        total: sum.short.saturating_add(sum.long),
        long: sum.long,
        plugins: plugins
            .map(|(name, count)| (live.plugins.find(Some(name)).place(), *count))
            .collect(),
        as_of: now.checked_sub(sum.age).unwrap_or(now),
        rate: sum.rate,
    }
}

/// What operators read with `redis-cli`: the whole fleet's leases, and who belongs to it.
fn views(live: &Live, nodes: &[Arc<Node>], now: Instant) -> Views {
    let others = live.fleet.others(now);
    let wall = clock::wall()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let node_row = |node: &Arc<Node>| {
        let leases = others.iter().flat_map(|other| &other.leases);
        let leases = leases.filter(|held| held.node == *node.id());
        let (mut short, mut long) = (node.in_flight(Class::Short), node.in_flight(Class::Long));
        for held in leases {
            short = short.saturating_add(held.short);
            long = long.saturating_add(held.long);
        }
        let row = json!({
            "is_working": short + long > 0,
            "is_long_request": long > 0,
            "last_update": wall,
            "in_flight": { "short": short, "long": long },
        });
        (node.id().to_string(), row.to_string())
    };
    let member_row = |node: &Arc<Node>| {
        let row = json!({
            "last_ping": wall,
            "status": if node.is_healthy() { "up" } else { "down" },
            "role": node.role().word(),
            "version": null,
            "address": node.address().to_string(),
        });
        (node.id().to_string(), row.to_string())
    };
    let gateway_row = |name: &str, profile: &Profile, role: &str, age: Duration| {
        let row = json!({
            "last_ping": wall.saturating_sub(age.as_secs()),
            "status": "up",
            "role": role,
            "version": profile.version,
            "address": profile.address,
        });
        (name.to_owned(), row.to_string())
    };
    let own = gateway_row(
        &live.identity.name,
        &profile(live),
        "leader",
        Duration::ZERO,
    );
    let rows = others
        .iter()
        .map(|other| gateway_row(&other.gateway, &other.profile, "gateway", other.age));
    Views {
        custom: sums_of_custom(live, &others),
        nodes: nodes.iter().map(node_row).collect(),
        members: nodes
            .iter()
            .map(member_row)
            .chain([own])
            .chain(rows)
            .collect(),
    }
}

/// The embedding programs' metrics, each added up over the fleet.
fn sums_of_custom(live: &Live, others: &[Neighbour]) -> Vec<(String, String)> {
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    let told = others.iter().flat_map(|other| other.custom.clone());
    for (name, value) in told.chain(custom(live)) {
        *sums.entry(name).or_default() += value;
    }
    let sums = sums.into_iter();
    sums.map(|(name, sum)| (name, sum.to_string())).collect()
}
