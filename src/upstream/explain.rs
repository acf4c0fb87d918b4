//! What would happen to this request, if it came now? Nothing is sent, leased, counted or learned.

use super::incoming::{Incoming, PluginFields};
use super::limits::over_limit;
use super::plan::{Named, Plan};
use super::pool::Pool;
use super::selector::at_home;
use super::told::{
    Care, Chosen, Classed, Explanation, Flight, Inquiry, LevelTold, Limit, NodeTold, Told,
};
use super::{Live, Snapshot};
use crate::admit::{Traits, client};
use crate::config::PoolKind;
use crate::dify::{Kind, Peek};
use crate::learn::Look;
use crate::model::{Basis, Class, Dice, Request, Verdict, clock};
use crate::nodes::{
    Candidates, Limits, NoCandidate, Node, Presence, Screening, Tried, account, owner_in, screen,
};
use crate::route::{Found, Treatment};
use crate::select::{self, Preview, Strategy, Why};
use http::{HeaderMap, header};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn incoming<'i>(
    snapshot: &Snapshot,
    inquiry: &'i Inquiry,
    names: &'i PluginFields,
) -> Incoming<'i> {
    let (path, query) = match inquiry.path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (inquiry.path.as_str(), None),
    };
    Incoming {
        asked: names.asked(&inquiry.method, path),
        names,
        method: &inquiry.method,
        path,
        query,
        authority: None,
        headers: &inquiry.headers,
        client: said_client(snapshot, &inquiry.headers),
    }
}

/// The client that `X-Forwarded-For` names.
fn said_client(snapshot: &Snapshot, headers: &HeaderMap) -> Option<IpAddr> {
    let proxy = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let said = headers.get_all("x-forwarded-for").iter().rev();
    let lines = said.filter_map(|line| line.to_str().ok());
    let trusts = |address| address == proxy || snapshot.config.trusts(address);
    Some(client(proxy, lines, trusts)).filter(|address| *address != proxy)
}

/// Explains a request by what is live.
#[must_use]
pub fn explain(live: &Live, inquiry: &Inquiry) -> Explanation {
    let snapshot = live.snapshot();
    let names = PluginFields::of(&inquiry.headers);
    let incoming = incoming(&snapshot, inquiry, &names);
    let treatment = snapshot.treatments.of(&incoming.asked);
    let place = incoming.place(&snapshot);
    let shut = place.refusal();
    let (named, once) = body(&snapshot, &incoming, &place.pool, inquiry);
    let user = named.user.as_deref();
    let found = (place, &named);
    let plan = Plan::new(&snapshot, &live.installs, &incoming, &treatment, found);
    let now = clock::now();
    let (verdict, look) = judge(live, &snapshot, &plan, now);
    let request =
        Request::new(verdict.class, live.plugins.would_find(plan.runtime)).keyed(plan.key);
    let mut told = Explanation {
        request: Told {
            method: inquiry.method.clone(),
            path: incoming.path.to_owned(),
            kind: plan.kind.word(),
            operation: plan.operation.as_ref().map(ToString::to_string),
            plugin: plan.plugin.map(str::to_owned),
            tenant: plan.asked.tenant.map(str::to_owned),
        },
        refused: refusal(live, &snapshot, &incoming, &treatment).or_else(|| {
            let no = shut.or_else(|| plan.lacks_key());
            no.map(|rejection| rejection.to_string())
                .or_else(|| over_a_limit(&snapshot, &incoming, &plan, (user, now)))
        }),
        treatment: Care {
            read_ms: u64::try_from(treatment.read.as_millis()).unwrap_or(u64::MAX),
            body_limit: treatment.body,
            one_writer: treatment.one_writer,
            once,
        },
        class: classed(live, verdict, look),
        rule: plan.rule.map(|rule| rule.number),
        application: plan.application.as_deref().map(str::to_owned),
        limit: limit(&plan),
        pool: plan.pool.name().to_owned(),
        advice: plan.pool.advice.counsel().to_string(),
        strategy: plan.pool.strategy().to_owned(),
        nodes: Vec::new(),
        choice: None,
        least_in_flight: None,
        shadow: None,
        nobody: None,
        notes: Vec::new(),
    };
    if let Some(word) = &snapshot.config.learn.classifier {
        let note = format!("classifier {word} was asked as a request would ask it");
        told.notes.push(note);
    }
    told.notes.extend(full(told.limit));
    tell_choice(&plan, (request, once), now, &mut told);
    told
}

/// What the head of the body names, and whether it can be sent once only. As `proxy/keep.rs` finds
/// out.
fn body(
    snapshot: &Snapshot,
    incoming: &Incoming<'_>,
    pool: &Pool,
    inquiry: &Inquiry,
) -> (Named, bool) {
    /// Pingora keeps so much whatever the limit.
    const REPLAY_BUFFER: u64 = 64 * 1024;
    let user = match incoming.user(snapshot, pool, || !inquiry.body.is_empty()) {
        Found::Settled(user) => user,
        Found::InBody(quest) => quest.last(inquiry.body.as_bytes(), inquiry.body_length.is_none()),
    };
    let kept = snapshot.treatments.is_on()
        && pool.kind == PoolKind::PluginDaemon
        && inquiry.method == "POST"
        && incoming.asked.kind == Kind::Dispatch;
    let said = incoming.text(&header::CONTENT_LENGTH);
    let known = match inquiry.body.len() as u64 {
        0 => said.and_then(|length| length.parse().ok()),
        length => Some(length),
    };
    let length = inquiry.body_length.or(known).unwrap_or(0);
    if !kept || length == 0 || inquiry.headers.contains_key(header::EXPECT) {
        return (Named { item: None, user }, false);
    }
    let mut peek = Peek::new();
    peek.feed(inquiry.body.as_bytes());
    let most = snapshot.config.retry.body_limit.max(REPLAY_BUFFER);
    let item = peek.item();
    (Named { item, user }, length > most)
}

fn refusal(
    live: &Live,
    snapshot: &Snapshot,
    incoming: &Incoming<'_>,
    treatment: &Treatment,
) -> Option<String> {
    if snapshot.treatments.is_on() && incoming.asked.kind == Kind::Health {
        return Some("the gateway answers this itself".to_owned());
    }
    let rejection = incoming
        .check(&live.identity.name, snapshot, treatment)
        .err()?;
    Some(rejection.to_string())
}

/// What limits would say.
fn over_a_limit(
    snapshot: &Snapshot,
    incoming: &Incoming<'_>,
    plan: &Plan<'_>,
    (user, now): (Option<&str>, Instant),
) -> Option<String> {
    let of = Traits {
        address: incoming.client,
        tenant: plan.asked.tenant,
        application: plan.application.as_deref(),
        user,
        headers: incoming.headers,
        pool: plan.pool.name(),
    };
    snapshot.limits.iter().find_map(|limit| {
        let refused = limit.look(limit.key(&of)?, now).err()?;
        Some(over_limit(limit.entry(), refused).to_string())
    })
}

fn judge(
    live: &Live,
    snapshot: &Snapshot,
    plan: &Plan<'_>,
    now: Instant,
) -> (Verdict, Option<Look>) {
    let mut look = None;
    let verdict = plan.verdict(|operation, prior| {
        let looked = live.learner.look(operation, prior, now);
        let learned = looked.verdict;
        look = Some(looked);
        match &snapshot.classifier {
            Some(own) => own.classify(operation, prior, now),
            None => learned,
        }
    });
    (verdict, look)
}

fn classed(live: &Live, verdict: Verdict, look: Option<Look>) -> Classed {
    let (score, samples) = match verdict.basis {
        Basis::Learned { score, samples } => (Some(ms(score)), Some(samples)),
        _ => (None, None),
    };
    let levels = look.map(|look| look.levels).unwrap_or_default();
    Classed {
        class: verdict.class.word(),
        basis: verdict.basis.word(),
        score_ms: score,
        samples,
        threshold_ms: ms(live.learner.threshold()),
        keys: levels
            .into_iter()
            .map(|level| LevelTold {
                key: level.key,
                samples: level.samples,
                score_ms: ms(level.score),
                running: level.running,
                says: level.says.map(|verdict| verdict.class.word()),
            })
            .collect(),
    }
}

/// Screens, and asks each strategy without changing it.
fn tell_choice(
    plan: &Plan<'_>,
    (request, once): (Request, bool),
    now: Instant,
    told: &mut Explanation,
) {
    let pool: &Pool = &plan.pool;
    let (nodes, tried) = (pool.nodes(), Tried::new());
    let limits = limits(plan);
    let screening = pool.rules().screening(&request, &tried, once, limits, now);
    let screened = screen(&nodes, &screening);
    let among = screened.as_ref().ok();
    told.nodes = nodes
        .iter()
        .zip(account(&nodes, among, &screening))
        .map(|(node, against)| node_told(node, against, &screening))
        .collect();
    let owner = plan.owner.as_ref();
    let owned = owner.and_then(|owner| owner_in(&nodes, owner, &screening));
    told.choice = owned.map(|at| Chosen {
        node: nodes[at].id().to_string(),
        why: Why::Owner.word(),
        equals: Vec::new(),
    });
    let among = match screened {
        Ok(among) => among,
        Err(refused) => {
            told.nobody = owned.is_none().then(|| refused.to_string());
            told.notes.extend(of_nobody(plan, &refused));
            return;
        }
    };
    let ask = |strategy: &dyn Strategy| {
        strategy.preview(&request, &among, &mut Dice::with_seed(fastrand::u64(..)))
    };
    let least = ask(select::least_loaded().as_ref());
    told.least_in_flight = least.map(|said| chosen(&said, &among));
    if owned.is_some() {
        return;
    }
    if let Some(key) = plan.affinity {
        let choice = at_home(key, &among);
        told.choice = Some(chosen(&of_choice(choice), &among));
        return;
    }
    match ask(pool.chooser()) {
        Some(said) => {
            for (at, score) in said.scores.iter().enumerate() {
                let score = score.map(|score| (score * 1e3).round() / 1e3);
                told.nodes[among.pool_position(at)].score = score;
            }
            told.choice = Some(chosen(&said, &among));
        }
        None => told.notes.push(format!(
            "strategy {} cannot be asked without being changed",
            pool.strategy()
        )),
    }
    let shadow = pool.rules().strategy.shadow();
    told.shadow = shadow.and_then(ask).map(|said| chosen(&said, &among));
}

/// What else is to be said where nobody may serve.
fn of_nobody(plan: &Plan<'_>, refused: &NoCandidate) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(other) = &plan.fallback {
        notes.push(format!("pool {} would take over", other.name()));
    }
    if refused.full > 0 {
        notes.push("it would wait here for a place".to_owned());
    }
    notes
}

/// What it must fit into, in a pool with caps; what occupies a node for a moment only, fits.
fn limits(plan: &Plan<'_>) -> Option<Limits> {
    let room = plan.pool.waiting.as_ref();
    let room = room.filter(|_| plan.held && plan.pool.capped)?;
    room.limits_for(plan.plugin.unwrap_or("-"), plan.io_bound)
}

/// It would wait for a place of its rule, if so.
fn full(limit: Option<Limit>) -> Option<String> {
    let Limit { here, most, .. } = limit.filter(|limit| limit.in_flight >= limit.here)?;
    Some(format!(
        "all {here} places here of its rule's {most} are taken: it would wait"
    ))
}

/// What its rule lets be in flight.
fn limit(plan: &Plan<'_>) -> Option<Limit> {
    let (quota, room) = (plan.quota.as_ref()?, plan.pool.waiting.as_ref()?);
    Some(Limit {
        most: quota.most(),
        here: room.share_of(quota),
        in_flight: quota.taken(),
    })
}

fn of_choice(choice: select::Choice) -> Preview {
    Preview {
        choice,
        scores: Vec::new(),
    }
}

fn node_told(node: &Arc<Node>, against: Option<&'static str>, of: &Screening<'_>) -> NodeTold {
    NodeTold {
        node: node.id().to_string(),
        against,
        score: None,
        presence: match node.presence(of.plugin, of.now) {
            Presence::Present => "present",
            Presence::Unknown => "unknown",
            Presence::Absent => "absent",
        },
        state: node.hand().word(),
        role: node.role().word(),
        healthy: node.is_healthy(),
        resting_ms: ms(node.resting(of.now)),
        weight: node.weight(),
        in_flight: Flight {
            short: node.in_flight(Class::Short),
            long: node.in_flight(Class::Long),
            same_plugin: node.runtime_in_flight(of.plugin),
            beyond: node.beyond(),
        },
    }
}

fn chosen(said: &Preview, among: &Candidates<'_>) -> Chosen {
    let name = |at: usize| among.get(at).map(|node| node.id().to_string());
    let why = if among.is_fail_open() {
        Why::FailOpen
    } else {
        said.choice.why
    };
    Chosen {
        node: name(said.choice.at).unwrap_or_default(),
        why: why.word(),
        equals: said.equals().into_iter().filter_map(name).collect(),
    }
}
