//! What does the simulation say? Prints its tables; `tests/sim` holds the policy to them.
//!
//! `make sim` for all of them, `make sim ARGS="ablation threshold"` for some. The same seeds give
//! the same figures on every machine.
#![allow(clippy::print_stdout, reason = "tables are what it is for")]

#[path = "../../tests/sim/lab/mod.rs"]
mod lab;

use lab::cells::{Cell, named, sweep};
use lab::farm::{Discipline, Model};
use lab::limits::{EVERYWHERE, MEASURES, Ratios};
use lab::policy::Policy;
use lab::race::{Bound, bound, isolation, isolation_bound, race, scenario};
use lab::replay::{COUNT as REPLAYED, NODES, shares};
use lab::seed::{SCENARIOS, no_gain};
use lab::slots::{Beside, Fared, fared};
use twolane::model::Threshold;

/// Requests of one run.
const COUNT: u32 = 60_000;
const SWEPT: u32 = 30_000;

/// The tables by name.
const TABLES: [(&str, fn()); 9] = [
    ("gate", gate),
    ("rivals", rivals),
    ("sweep", worst),
    ("ablation", ablation),
    ("threshold", threshold),
    ("seed", seed),
    ("isolation", isolated),
    ("slots", race_a),
    ("replay", replayed),
];

fn main() {
    let wanted: Vec<_> = std::env::args()
        .skip(1)
        .filter(|it| !it.starts_with('-'))
        .collect();
    for (name, print) in TABLES {
        if wanted.is_empty() || wanted.iter().any(|it| it == name) {
            println!("\n## {name}\n");
            print();
        }
    }
}

fn row(first: &str, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<_> = cells.into_iter().collect();
    println!("| {first} | {} |", cells.join(" | "));
}

fn head(first: &str, names: &[&str]) {
    row(first, names.iter().map(ToString::to_string));
    println!("|---|{}", "---|".repeat(names.len()));
}

/// `adaptive` as a share of the others.
fn gate() {
    head("cell", &MEASURES.map(|(name, _)| name));
    for cell in named().iter().chain(&no_gain()) {
        let ratios = Ratios::of(cell, COUNT, &Policy::of("adaptive"), true);
        row(
            &cell.name(),
            MEASURES.map(|(_, read)| format!("{:.3}", read(&ratios))),
        );
    }
}

/// Everybody's mean in seconds.
fn rivals() {
    let words = [
        "adaptive",
        "least_in_flight",
        "round_robin",
        "seed",
        "peer_round_robin",
        "peer_random",
        "peer_two_choices",
        "peer_peak_ewma",
        "peer_least_time",
        "peer_mean_time",
        "peer_hot_cold",
    ];
    let mut names = words.to_vec();
    names.extend(["pool bound", "shortest first", "shortest remaining"]);
    head("cell", &names);
    for cell in &named() {
        let means = race(cell, SWEPT, &words.map(Policy::of));
        let bounds = [
            Discipline::Own,
            Discipline::ShortestFirst,
            Discipline::ShortestRemaining,
        ];
        // What shortest first does is known for workers and shared cores alone.
        let bounds = bounds.into_iter().map(|it| {
            let known = it == Discipline::Own || matches!(cell.farm.model, Model::F | Model::P);
            let mean = || bound(cell, SWEPT, Bound(it)).mean;
            if known {
                format!("{:.3}", mean())
            } else {
                "-".to_owned()
            }
        });
        let means = means.iter().map(|it| format!("{:.3}", it.mean));
        row(&cell.name(), means.chain(bounds));
    }
}

/// The worst of the sweep's cells, by measure.
fn worst() {
    let mut worst = vec![(0.0, String::new()); MEASURES.len()];
    let mut above = Vec::new();
    for model in Model::ALL {
        let cells = sweep(model);
        let counted = |cell: &&Cell| model != Model::D || !cell.overflows();
        for cell in cells.iter().filter(counted) {
            let ratios = Ratios::of(cell, SWEPT, &Policy::of("adaptive"), false);
            for ((_, read), worst) in MEASURES.iter().zip(&mut worst) {
                if read(&ratios) > worst.0 {
                    *worst = (read(&ratios), cell.name());
                }
            }
            above.extend(
                ratios
                    .above(&EVERYWHERE)
                    .iter()
                    .map(|it| format!("{}: {it}", cell.name())),
            );
        }
    }
    head("measure", &["worst", "where"]);
    for ((name, _), (value, place)) in MEASURES.iter().zip(worst) {
        if value > 0.0 {
            row(name, [format!("{value:.3}"), place]);
        }
    }
    println!("\nAbove what was hoped for everywhere: {above:?}");
}

/// What each part of `adaptive` is for: mean in seconds.
fn ablation() {
    let steps: [(&str, Policy); 7] = [
        ("least_in_flight", Policy::of("least_in_flight")),
        (
            "lanes and slowness alone",
            Policy::of("adaptive").weights(0.0, 0.0),
        ),
        (
            "+ plugin weight 2",
            Policy::of("adaptive").weights(2.0, 0.0),
        ),
        ("+ long weight 1 = adaptive", Policy::of("adaptive")),
        (
            "+ plugin long weight 1",
            Policy::of("adaptive").plugin_long(1.0),
        ),
        ("... 2", Policy::of("adaptive").plugin_long(2.0)),
        ("... 4", Policy::of("adaptive").plugin_long(4.0)),
    ];
    let names: Vec<_> = steps.iter().map(|(name, _)| *name).collect();
    let policies: Vec<_> = steps.iter().map(|(_, policy)| policy.clone()).collect();
    head("cell", &names);
    for cell in &named() {
        let means = race(cell, SWEPT, &policies);
        row(
            &cell.name(),
            means.iter().map(|it| format!("{:.3}", it.mean)),
        );
    }
}

/// From where on is a request long: mean in seconds, short p99 in brackets.
fn threshold() {
    let auto = Policy::of("adaptive").threshold(Threshold::Auto);
    head("cell", &["5 s", "auto", "auto / 5 s"]);
    let mut cells = sweep(Model::D);
    cells.retain(|cell| !cell.overflows());
    cells.extend(
        named()
            .into_iter()
            .filter(|cell| cell.farm.model != Model::D),
    );
    let mut logs = Vec::new();
    for cell in &cells {
        let both = race(cell, SWEPT, &[Policy::of("adaptive"), auto.clone()]);
        let ratio = both[1].mean / both[0].mean;
        if cell.farm.model == Model::D {
            logs.push(ratio.ln());
        }
        let told = both
            .iter()
            .map(|it| format!("{:.3} [{:.2}]", it.mean, it.short_p99));
        row(&cell.name(), told.chain([format!("{ratio:.3}")]));
    }
    let mean = (logs.iter().sum::<f64>() / logs.len() as f64).exp();
    println!(
        "\nOver the {} cells of D: auto is {mean:.3} of 5 s.",
        logs.len()
    );
}

/// Seed 000's scenarios: means as shares of round robin.
fn seed() {
    head(
        "scenario",
        &[
            "round robin, s",
            "adaptive",
            "least_in_flight",
            "seed",
            "bound",
            "claimed",
        ],
    );
    let words = ["peer_round_robin", "adaptive", "least_in_flight", "seed"];
    for it in &SCENARIOS {
        let (figures, bound) = scenario(it, COUNT, &words.map(Policy::of));
        let turns = figures[0].mean;
        let shares = figures[1..]
            .iter()
            .chain([&bound])
            .map(|it| it.mean / turns);
        let shares = shares.chain([it.claimed]).map(|it| format!("{it:.3}"));
        row(
            it.name,
            std::iter::once(format!("{turns:.2}")).chain(shares),
        );
    }
    println!("\nB4 is shown by `make race ARGS=scale`, B5 by `make race ARGS=overhead`, B6 below.");
}

/// B6: the p99 of short calls beside a long load, as a share of the same calls alone.
fn isolated() {
    let words = ["adaptive", "least_in_flight", "peer_round_robin", "seed"];
    let mut names = vec!["owed"];
    names.extend(words);
    names.extend(["one queue, in order", "one queue, short first"]);
    head("B6: short p99 beside long load / alone, s", &names);
    for model in [Model::F, Model::D] {
        let told =
            |[both, alone]: [f64; 2]| format!("{both:.2} / {alone:.2} = {:.2}", both / alone);
        let shares = words.map(|word| told(isolation(model, &Policy::of(word), COUNT)));
        // What shortest first does is known for workers alone.
        let bounds = [Discipline::Own, Discipline::ShortestFirst].map(|order| match model {
            Model::F => told(isolation_bound(model, Bound(order), COUNT)),
            _ => "-".to_owned(),
        });
        row(
            model.word(),
            std::iter::once("1.50".to_owned())
                .chain(shares)
                .chain(bounds),
        );
    }
}

/// Race A without a cap, cold, as a share of HAProxy's rule: 400 of its seeds.
fn race_a() {
    let of = |word| (1..=400).map(move |seed| fared(&Policy::of(word), seed));
    let words = ["peer_leastconn", "least_in_flight", "adaptive"];
    let runs = words.map(|word| of(word).collect::<Vec<Fared>>());
    head("race A", &["leastconn, s", "least_in_flight", "adaptive"]);
    for (name, read) in lab::slots::MEASURES {
        let base = runs[0].iter().map(read).sum::<f64>() / runs[0].len() as f64;
        let told = runs[1..].iter().map(|own| {
            let it = Beside::of(own, &runs[0], read);
            format!(
                "{:.3} +- {:.3}, median {:.3}",
                it.ratio, it.error, it.median
            )
        });
        row(name, std::iter::once(format!("{base:.3}")).chain(told));
    }
}

/// Traefik's issue 12306, each replay alone: how many leave every node within 10 % of its share.
fn replayed() {
    const SEEDS: u64 = 64;
    head("replay", &["within 10 %", "of", "worst, %"]);
    let fair = f64::from(REPLAYED) / NODES as f64;
    for model in Model::ALL {
        for load in [0.5, 0.9] {
            let off = |seed| {
                let counts = shares(model, &Policy::of("adaptive"), (seed, load));
                let off = counts.map(|it| (f64::from(it) / fair - 1.0).abs());
                off.into_iter().fold(0.0, f64::max)
            };
            let all: Vec<f64> = (1..=SEEDS).map(off).collect();
            let within = all.iter().filter(|it| **it <= 0.1).count();
            let worst = all.into_iter().fold(0.0, f64::max);
            row(
                &format!("{} {load}", model.word()),
                [
                    within.to_string(),
                    SEEDS.to_string(),
                    format!("{:.1}", worst * 100.0),
                ],
            );
        }
    }
}
