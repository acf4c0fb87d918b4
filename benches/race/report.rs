//! What is printed, and was it as good as promised?

use super::Run;
use super::event::{self, Order, Outcome};
use super::figures::Figures;
use super::lanes::Lane;
use super::node::Kind;
use super::trace::Race;
use twolane::model::Class;

/// In the unit of the race: milliseconds in A, seconds of the compressed clock in B.
fn unit(kind: Kind) -> (f64, &'static str) {
    match kind {
        Kind::Slots { .. } => (1e3, "ms"),
        Kind::Runtimes { .. } => (1.0, "s"),
    }
}

pub(crate) fn opening(race: &Race, seed: u32) {
    let short = race.calls.iter().filter(|call| call.class == Class::Short);
    let short = short.count();
    let long = race.calls.len() - short;
    let (name, nodes, clock, seconds) = (race.name, race.nodes, race.clock, race.seconds());
    let unit = unit(race.kind).1;
    println!(
        "\nrace {name}, seed {seed}: {nodes} nodes, {short} short and {long} long calls in \
         {seconds:.0} s, clock x{clock:.0}; {unit} but where another unit is said\n"
    );
    println!(
        "| lane | short p50 | p90 | p99 | mean | long wait p50 | p99 | long mean | p99 | most | \
         mean of all | failed | short told long + long told short | cpu us/call | caller late p99, ms | load |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
}

fn cells(figures: &Figures, unit: f64) -> String {
    let (short, wait, long) = (&figures.short, &figures.wait, &figures.long);
    let values = [
        short.p50,
        short.p90,
        short.p99,
        short.mean,
        wait.p50,
        wait.p99,
        long.mean,
        long.p99,
        long.most,
        figures.mean,
    ];
    let digits = if unit > 1.0 { 0 } else { 2 };
    let texts = values.map(|value| format!("{:.digits$}", value * unit));
    texts.join(" | ")
}

pub(crate) fn line(run: &Run, kind: Kind) {
    let figures = &run.figures;
    let told = match figures.told {
        0 => "-".to_owned(),
        _ => format!("{} + {}", figures.mistold[0], figures.mistold[1]),
    };
    let (name, failures, cpu, busy) = (run.lane.name(), figures.failures, run.cpu, &run.busy);
    let (late, mark) = (
        figures.late.p99 * 1e3,
        if run.disturbed { " disturbed" } else { "" },
    );
    println!(
        "| {name}{mark} | {} | {failures} | {told} | {cpu:.0} | {late:.1} | {busy} |",
        cells(figures, unit(kind).0)
    );
}

/// How often a rule is tried with other dice.
const DRAWS: u32 = 21;

/// What the event loop says: in A the oracle, in B the rules without a network.
pub(crate) fn theory(race: &Race) {
    let say = |name: &str, outcomes: &[Outcome]| {
        let figures = Figures::of(outcomes, race.clock);
        let cells = cells(&figures, unit(race.kind).0);
        println!("| {name} | {cells} | | | | | |");
    };
    let mut ranges = Vec::new();
    if let Kind::Slots { slots } = race.kind {
        let slots = slots * race.nodes;
        say(
            "oracle, in order",
            &event::oracle(race, slots, Order::Arrival),
        );
        for reserved in 0..=4 {
            let name = format!("oracle, short first, {reserved} reserved");
            say(
                &name,
                &event::oracle(race, slots, Order::ShortFirst { reserved }),
            );
        }
    }
    say(
        "event loop, in turn",
        &event::simulate(race, event::in_turn(race.nodes)),
    );
    for rule in &event::RULES[..2] {
        let name = rule.name;
        // The same rule and the same arrivals: only ties fall otherwise.
        let mut drawn: Vec<_> = (0..DRAWS)
            .map(|seed| event::simulate(race, event::cheapest(rule, seed)))
            .collect();
        let p99 = |outcomes: &Vec<Outcome>| Figures::of(outcomes, race.clock).short.p99;
        drawn.sort_by(|one, other| p99(one).total_cmp(&p99(other)));
        say(
            &format!("event loop, {name}, median of {DRAWS} dice"),
            &drawn[drawn.len() / 2],
        );
        let (unit, word) = unit(race.kind);
        let most = p99(&drawn[drawn.len() - 1]) * unit;
        let least = p99(&drawn[0]) * unit;
        ranges.push(format!(
            "  event loop, {name}: short p99 {least:.1} to {most:.1} {word}, by dice"
        ));
    }
    println!("\n{}", ranges.join("\n"));
}

/// The rules over so many seeds, without a network: what one race cannot tell.
pub(crate) fn many(seeds: u32, race: impl Fn(u32) -> Race) {
    let races: Vec<Race> = (1..=seeds).map(race).collect();
    let name = races.first().map_or("", |race| race.name);
    println!("\nrace {name}, event loop, mean over {seeds} seeds, in seconds");
    println!("| rule | short p99 | mean of all | long wait p99 |\n|---|---|---|---|");
    for rule in &event::RULES {
        let figures: Vec<Figures> = races
            .iter()
            .zip(1..)
            .map(|(race, seed)| {
                Figures::of(
                    &event::simulate(race, event::cheapest(rule, seed)),
                    race.clock,
                )
            })
            .collect();
        let mean =
            |pick: fn(&Figures) -> f64| figures.iter().map(pick).sum::<f64>() / f64::from(seeds);
        let [short, all, wait] = [
            mean(|it| it.short.p99),
            mean(|it| it.mean),
            mean(|it| it.wait.p99),
        ];
        println!("| {} | {short:.3} | {all:.3} | {wait:.3} |", rule.name);
    }
}

/// One promise: what is, and what it may be at most.
fn promise(what: &str, is: f64, most: f64, unit: &str) {
    let verdict = if is <= most { "met" } else { "MISSED" };
    println!("  {verdict:<6} {what:<66} {is:>8.3} {unit} (at most {most:.3})");
}

pub(crate) fn targets(race: &Race, seed: u32, runs: &[Run]) {
    println!();
    match race.kind {
        Kind::Slots { .. } => slots(seed, runs),
        Kind::Runtimes { .. } => runtimes(runs),
    }
}

fn of(runs: &[Run], lane: Lane) -> Option<&Figures> {
    let run = runs.iter().find(|run| run.lane == lane);
    run.map(|run| &run.figures)
}

fn slots(seed: u32, runs: &[Run]) {
    if let (Some(ours), Some(least)) = (of(runs, Lane::Twolane), of(runs, Lane::HaproxyLeast)) {
        let share = |what: &str, pick: fn(&Figures) -> f64| {
            let what = format!("twolane / leastconn, {what}");
            promise(&what, pick(ours) / pick(least), 1.05, "");
        };
        share("short p99", |it| it.short.p99);
        share("short mean", |it| it.short.mean);
        share("mean of all", |it| it.mean);
        share("long p99", |it| it.long.p99);
    }
    let wait = match seed {
        7 => 1.35,
        12 => 2.5,
        _ => return,
    };
    if let Some(capped) = of(runs, Lane::TwolaneCapped) {
        promise("twolane-capped, short p99", capped.short.p99, 0.105, "s");
        promise("twolane-capped, long wait p99", capped.wait.p99, wait, "s");
    }
}

fn runtimes(runs: &[Run]) {
    let Some(ours) = of(runs, Lane::Twolane) else {
        return;
    };
    if let Some(turn) = of(runs, Lane::HaproxyRoundRobin) {
        promise(
            "twolane / round robin, mean",
            ours.mean / turn.mean,
            0.65,
            "",
        );
    }
    if let Some(least) = of(runs, Lane::HaproxyLeast) {
        let short = ours.short.p99 / least.short.p99;
        promise(
            "twolane / leastconn, mean",
            ours.mean / least.mean,
            0.85,
            "",
        );
        promise("twolane / leastconn, short p99", short, 0.75, "");
    }
}
