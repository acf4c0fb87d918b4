//! Is the node what it says? Against closed forms, and on the wire against the event loop.

use super::dice::Dice;
use super::event::{self, Outcome};
use super::figures::Figures;
use super::node::{Kind, Task};
use super::process;
use super::trace::{self, Call, Race};
use super::{caller, header_name};
use twolane::model::Class;

const CALLS: usize = 200_000;

/// A stream of single tasks for one node; sizes come from `size`.
fn stream(kind: Kind, rate: f64, mut size: impl FnMut(&mut Dice, usize) -> Task) -> Race {
    let race = trace::slots(7);
    let operation = race.calls[0].operation;
    let mut dice = Dice::with_seed(7);
    let mut at = 0.0;
    let calls = (0..CALLS)
        .map(|id| {
            at += dice.gap(rate);
            let task = size(&mut dice, id);
            Call {
                at,
                operation,
                class: Class::Short,
                task,
            }
        })
        .collect();
    Race {
        nodes: 1,
        kind,
        calls,
        ..race
    }
}

fn computing(plugin: usize, head: f64) -> Task {
    Task {
        plugin,
        head,
        wait: 0.0,
        tail: 0.0,
    }
}

fn mean(outcomes: &[Outcome]) -> f64 {
    Figures::of(outcomes, 1.0).mean
}

/// The mean time in M/M/c at so much work per server; a call needs 1 s on average.
fn erlang(servers: i32, load: f64) -> f64 {
    let work = load * f64::from(servers);
    let term = |n: i32| (1..=n).fold(1.0, |product, at| product * work / f64::from(at));
    let all = term(servers) / (1.0 - load);
    let waits = all / ((0..servers).map(term).sum::<f64>() + all);
    1.0 + waits / (f64::from(servers) * (1.0 - load))
}

/// Prints what is, and what the closed form says.
pub(crate) fn closed_forms() {
    println!("\nthe node in the event loop, mean seconds beside closed forms");
    let say = |name: &str, is: f64, should: f64| {
        let apart = (is / should - 1.0) * 100.0;
        println!("  {name:<52} {is:>7.3} {should:>7.3} {apart:>+6.1} %");
    };
    let slots = Kind::Slots { slots: 8 };
    let race = stream(slots, 6.4, |dice, _| computing(0, dice.gap(1.0)));
    let is = mean(&event::simulate(&race, |_, _| 0));
    say("slots: M/M/8 at 0.8, Erlang C", is, erlang(8, 0.8));

    // One process: service in order, 90 % of 0.5 s and 10 % of 5.5 s.
    let two = |dice: &mut Dice| if dice.share() < 0.9 { 0.5 } else { 5.5 };
    let runtimes = Kind::Runtimes { cores: 4 };
    let race = stream(runtimes, 0.6, |dice, _| computing(0, two(dice)));
    let is = mean(&event::simulate(&race, |_, _| 0));
    let square = 0.9 * 0.25 + 0.1 * 30.25;
    let should = 1.0 + 0.6 * square / (2.0 * 0.4);
    say("runtimes: one process, M/G/1 at 0.6, Pollaczek", is, should);

    // A process for each call, one core: the core is shared.
    let runtimes = Kind::Runtimes { cores: 1 };
    let race = stream(runtimes, 0.6, |dice, id| computing(id, two(dice)));
    let is = mean(&event::simulate(&race, |_, _| 0));
    say("runtimes: one core, M/G/1 shared at 0.6", is, 1.0 / 0.4);
}

/// A slice of each race straight to the nodes, one after the other; no proxy.
pub(crate) fn on_the_wire(seed: u32) {
    println!("\nthe node on the wire, no proxy, nodes in turn, beside the event loop (seconds)");
    for mut race in [trace::slots(seed), trace::runtimes(seed)] {
        race.calls.retain(|call| call.at < 15.0);
        let ports = process::free(race.nodes);
        let header = header_name();
        let _nodes = process::nodes(race.kind, &header, &ports);
        process::wait_for(&ports);
        let outcomes = caller::run(&race, &header, &ports);
        let is = Figures::of(&outcomes, race.clock);
        let mut turn = 0;
        let in_turn = event::simulate(&race, |_, _| {
            turn += 1;
            (turn - 1) % ports.len()
        });
        let should = Figures::of(&in_turn, race.clock);
        let name = race.name;
        for (what, is, should) in [
            ("mean", is.mean, should.mean),
            ("short p99", is.short.p99, should.short.p99),
            ("long p99", is.long.p99, should.long.p99),
        ] {
            let apart = (is / should - 1.0) * 100.0;
            println!("  {name} {what:<10} {is:>7.3} {should:>7.3} {apart:>+6.1} %");
        }
        let failures = is.failures;
        let late = is.late.p99 * 1e3;
        println!("  {name} failures {failures}, caller late at most (p99) {late:.1} ms");
    }
}
