//! What would happen without a network? The same nodes in a discrete event loop, under a rule for
//! choosing; and one big node with a hand-written order, which no gateway can know: the oracle.

use super::node::{Mark, Node, Sign};
use super::trace::{Call, Race};
use std::collections::VecDeque;
use twolane::model::Class;

/// What a rule may look at.
pub(crate) struct Counts {
    /// In flight per node.
    pub(crate) all: Vec<f64>,
    pub(crate) long: Vec<f64>,
    /// Per plugin, in flight on each node.
    pub(crate) plugins: Vec<Vec<f64>>,
    /// Of these, the long ones.
    pub(crate) long_of: Vec<Vec<f64>>,
}

/// How a call went, in seconds of the wall.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) class: Class,
    /// From its intended time to its last byte.
    pub(crate) took: f64,
    /// What it takes where nothing else runs.
    pub(crate) alone: f64,
    /// How much too late it was sent.
    pub(crate) late: f64,
    /// Why it failed.
    pub(crate) failed: Option<String>,
    /// The class that the gateway gave it, if it says so.
    pub(crate) told: Option<Class>,
}

impl Outcome {
    pub(crate) fn of(call: &Call, took: f64) -> Self {
        Self {
            class: call.class,
            took,
            alone: call.task.alone(),
            late: 0.0,
            failed: None,
            told: None,
        }
    }
}

/// The race with a rule that costs no time.
pub(crate) fn simulate(
    race: &Race,
    mut choose: impl FnMut(&Call, &Counts) -> usize,
) -> Vec<Outcome> {
    let calls = &race.calls;
    let mut nodes: Vec<Node> = (0..race.nodes).map(|_| Node::new(race.kind)).collect();
    let zero = vec![0.0; race.nodes];
    let plugins = calls.iter().map(|call| call.task.plugin + 1).max();
    let mut counts = Counts {
        all: zero.clone(),
        long: zero.clone(),
        plugins: vec![zero.clone(); plugins.unwrap_or(0)],
        long_of: vec![zero; plugins.unwrap_or(0)],
    };
    let mut on = vec![0; calls.len()];
    let mut ended = vec![0.0; calls.len()];
    let mut marks = Vec::new();
    let horizon = Some((f64::INFINITY, None));
    let arrivals = calls
        .iter()
        .enumerate()
        .map(|(id, call)| (call.at, Some((id, call))));
    for (now, arrival) in arrivals.chain(horizon) {
        for node in &mut nodes {
            // An endless wait is over when nothing happens any more.
            while let Some(at) = node.next().filter(|at| *at <= now) {
                node.advance(at, &mut marks);
            }
            if now.is_finite() {
                node.advance(now, &mut marks);
            }
        }
        settle(&mut marks, calls, &on, &mut counts, &mut ended);
        if let Some((id, call)) = arrival {
            on[id] = choose(call, &counts);
            tally(call, on[id], 1.0, &mut counts);
            nodes[on[id]].arrive(now, id, call.task, &mut marks);
        }
    }
    let pairs = calls.iter().zip(&ended);
    pairs
        .map(|(call, ended)| Outcome::of(call, ended - call.at))
        .collect()
}

fn settle(
    marks: &mut Vec<Mark>,
    calls: &[Call],
    on: &[usize],
    counts: &mut Counts,
    ended: &mut [f64],
) {
    for mark in marks.drain(..).filter(|mark| mark.sign == Sign::Ended) {
        ended[mark.id] = mark.at;
        tally(&calls[mark.id], on[mark.id], -1.0, counts);
    }
}

fn tally(call: &Call, node: usize, by: f64, counts: &mut Counts) {
    counts.all[node] += by;
    counts.plugins[call.task.plugin][node] += by;
    if call.class == Class::Long {
        counts.long[node] += by;
        counts.long_of[call.task.plugin][node] += by;
    }
}

/// One after the other.
pub(crate) fn in_turn(nodes: usize) -> impl FnMut(&Call, &Counts) -> usize {
    let mut turn = 0;
    move |_, _| {
        turn += 1;
        turn % nodes
    }
}

/// Lowest cost first: how many times a request counts beyond once.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    plugin: f64,
    long: f64,
    /// Of the same plugin, and long.
    both: f64,
}

const fn rule(name: &'static str, plugin: f64, long: f64, both: f64) -> Rule {
    Rule {
        name,
        plugin,
        long,
        both,
    }
}

/// `adaptive` without what it measures, its mode for lanes apart, and what else was tried.
pub(crate) const RULES: [Rule; 4] = [
    rule("least in flight", 0.0, 0.0, 0.0),
    rule("plugin-local", 2.0, 1.0, 0.0),
    rule("lanes apart", 0.0, 4.0, 0.0),
    rule("tried: 0.5 plugin, 1 long, 4 both", 0.5, 1.0, 4.0),
];

/// Ties by dice.
pub(crate) fn cheapest(rule: &Rule, seed: u32) -> impl FnMut(&Call, &Counts) -> usize {
    let mut dice = super::dice::Dice::with_seed(seed);
    move |call, counts| {
        let plugin = call.task.plugin;
        let (own, long_own) = (&counts.plugins[plugin], &counts.long_of[plugin]);
        let cost = |at: usize| {
            let beyond = rule.plugin * own[at] + rule.long * counts.long[at];
            counts.all[at] + beyond + rule.both * long_own[at]
        };
        let costs: Vec<f64> = (0..counts.all.len()).map(cost).collect();
        let best = costs.iter().copied().fold(f64::INFINITY, f64::min);
        let tied: Vec<usize> = (0..costs.len()).filter(|at| costs[*at] <= best).collect();
        tied[(dice.share() * tied.len() as f64) as usize]
    }
}

/// In which order does the oracle serve?
#[derive(Clone, Copy)]
pub(crate) enum Order {
    Arrival,
    /// Short ones first, and so many places that no long one may take.
    ShortFirst {
        reserved: usize,
    },
}

/// All slots in one place, and one queue before them. A call that runs is not interrupted.
pub(crate) fn oracle(race: &Race, slots: usize, order: Order) -> Vec<Outcome> {
    let calls = &race.calls;
    let mut running: Vec<(f64, usize)> = Vec::new();
    let mut queues = [VecDeque::new(), VecDeque::new()];
    let mut outcomes = Vec::new();
    let mut arrivals = calls.iter().enumerate().peekable();
    loop {
        let due = arrivals.peek().map(|it| it.1.at);
        let ends = running.iter().map(|it| it.0).min_by(f64::total_cmp);
        let now = match (due, ends) {
            (Some(due), Some(ends)) if due < ends => due,
            (_, Some(ends)) => ends,
            (Some(due), None) => due,
            (None, None) => break,
        };
        if ends == Some(now) {
            let which = running.iter().position(|it| it.0 <= now);
            let (at, id) = running.swap_remove(which.expect("one of them ends"));
            outcomes.push(Outcome::of(&calls[id], at - calls[id].at));
        } else if let Some((id, call)) = arrivals.next() {
            let second = matches!(order, Order::ShortFirst { .. }) && call.class == Class::Long;
            queues[usize::from(second)].push_back(id);
        }
        let is_long = |id: usize| calls[id].class == Class::Long;
        while running.len() < slots {
            let longs = running.iter().filter(|it| is_long(it.1)).count();
            let closed =
                matches!(order, Order::ShortFirst { reserved } if longs + reserved >= slots);
            let next = queues[0].pop_front();
            let next = if closed {
                next
            } else {
                next.or_else(|| queues[1].pop_front())
            };
            let Some(id) = next else { break };
            running.push((now + calls[id].task.alone(), id));
        }
    }
    outcomes
}
