//! Does the mix of requests pass for the speed of nodes? Traefik's issue 12306: three kinds of
//! jobs, five equal servers, 1500 requests; least time gave one of them five.

use crate::lab::farm::Model;
use crate::lab::policy::Policy;
use crate::lab::replay::{COUNT, NODES, shares};

/// How far the node that is furthest off is from its share, as a part of it.
fn furthest_off(counts: [u32; NODES]) -> f64 {
    let fair = f64::from(COUNT) / NODES as f64;
    let off = counts.map(|count| (f64::from(count) / fair - 1.0).abs());
    off.into_iter().fold(0.0, f64::max)
}

/// On daemons every node of every replay is within 10 % of its share. Elsewhere at 0.9 there are so many
/// requests on each node that equals are rare: of all replays 62 in 64 are within, and none is off by 15 %.
#[test]
fn equal_nodes_get_equal_shares_whatever_the_mix() {
    const SEEDS: u64 = 8;
    let mut beyond = Vec::new();
    for model in Model::ALL {
        for load in [0.5, 0.9] {
            let of = |seed| furthest_off(shares(model, &Policy::of("adaptive"), (seed, load)));
            let own: Vec<f64> = (1..=SEEDS).map(of).collect();
            let time = furthest_off(shares(model, &Policy::of("peer_mean_time"), (1, load)));
            println!("{} {load}: {own:.3?}, mean time {time:.3}", model.word());
            let over = own.iter().filter(|off| **off > 0.10);
            beyond.extend(over.map(|off| (model, load, *off)));
        }
    }
    let on_daemons = beyond.iter().any(|(model, ..)| *model == Model::D);
    let far = beyond.iter().any(|(.., off)| *off > 0.15);
    assert!(!on_daemons && !far && beyond.len() <= 2, "{beyond:?}");
}

/// The issue's own: daemons, more seeds.
#[test]
fn on_daemons_every_single_replay_is_within_a_tenth() {
    for load in [0.5, 0.9] {
        for seed in 9..=40 {
            let counts = shares(Model::D, &Policy::of("adaptive"), (seed, load));
            assert!(furthest_off(counts) <= 0.10, "{load}, {seed}: {counts:?}");
        }
    }
}
