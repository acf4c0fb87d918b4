//! What holds for every strategy and every load? Each law is one property.

use super::rig::{COOLDOWN, Rig, chi_square, guarded, strategy};
use super::*;
use crate::learn::Learner;
use crate::model::{Class, LearnRules, Operation, Outcome};
use crate::nodes::{Lease, Node, Pace, Remote, Tried};
use proptest::collection::vec;
use proptest::prelude::{
    Just, ProptestConfig, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use proptest::strategy::Strategy as Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

const PLUGINS: [&str; 3] = ["p/0", "p/1", "p/2"];

fn class() -> impl Any<Value = Class> {
    prop_oneof![Just(Class::Short), Just(Class::Long)]
}

/// Leases as node, plugin and class.
fn leases() -> impl Any<Value = Vec<(usize, usize, Class)>> {
    vec((0usize..8, 0usize..3, class()), 0..40)
}

fn hold(rig: &Rig, leases: &[(usize, usize, Class)]) -> Vec<Lease> {
    let one = |&(node, plugin, class): &(usize, usize, Class)| {
        rig.lease(node % rig.pool.len() + 1, PLUGINS[plugin], class)
    };
    leases.iter().map(one).collect()
}

/// The numbers of the nodes that are cheapest by the documented sum.
fn cheapest(rig: &Rig, plugin: &str, (w, l): (u32, u32), but: Option<usize>) -> BTreeSet<usize> {
    let place = rig.plugins.find(Some(plugin)).place();
    let cost = |node: &Node| {
        node.total_in_flight() + w * node.runtime_in_flight(place) + l * node.in_flight(Class::Long)
    };
    let costs = (1..).zip(rig.pool.iter().map(|node| cost(node)));
    let costs: Vec<_> = costs.filter(|(n, _)| Some(*n) != but).collect();
    let least = costs.iter().map(|(_, cost)| *cost).min();
    let least = costs.into_iter().filter(|(_, cost)| Some(*cost) == least);
    least.map(|(n, _)| n).collect()
}

/// What one request, or the world around it, does next.
#[derive(Clone, Debug)]
enum Step {
    Begin(usize, Class),
    /// Ends the request of this number, modulo those that run.
    End(usize, Outcome),
    /// The client leaves: nobody settles anything.
    Drop(usize),
    Panic(usize),
    /// The node of this number, modulo all, is found unhealthy, or well again.
    Health(usize, bool),
    /// Milliseconds pass.
    Wait(u64),
}

fn steps() -> impl Any<Value = Vec<Step>> {
    let outcome = prop_oneof![
        Just(Outcome::Answered),
        Just(Outcome::Refused),
        Just(Outcome::Failed),
        Just(Outcome::Unreached),
        Just(Outcome::Abandoned),
    ];
    let step = prop_oneof![
        8 => (0usize..3, class()).prop_map(|(plugin, class)| Step::Begin(plugin, class)),
        5 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Step::End(which, outcome)),
        1 => any::<usize>().prop_map(Step::Drop),
        1 => any::<usize>().prop_map(Step::Panic),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(which, well)| Step::Health(which, well)),
        2 => (0u64..20_000).prop_map(Step::Wait),
    ];
    vec(step, 0..120)
}

/// Requests that run: the number of the node, the plugin, the class.
type Model = Vec<((usize, usize, Class), Lease)>;

/// Carries one step out, as the gateway would.
fn carry_out(
    rig: &mut Rig,
    chooser: &dyn Strategy,
    learner: &Learner,
    run: &mut Model,
    step: &Step,
) {
    let mut take = |which: usize| {
        let one = (!run.is_empty()).then(|| run.swap_remove(which % run.len().max(1)));
        one.map(|(_, lease)| lease)
    };
    match *step {
        Step::Begin(plugin, class) => {
            let request = (PLUGINS[plugin], class);
            if let Some((node, _)) = rig.pick(chooser, request, &Tried::new()) {
                let lease = rig.lease(node, PLUGINS[plugin], class);
                run.push(((node, plugin, class), lease));
            }
        }
        Step::End(which, outcome) => {
            let Some(lease) = take(which) else { return };
            if matches!(outcome, Outcome::Failed | Outcome::Unreached) {
                lease.node().strike(rig.now, &COOLDOWN);
            }
            let operation = Operation::new("tool/invoke");
            settle(lease, chooser, learner, Some(&operation), outcome, rig.now);
        }
        Step::Drop(which) => drop(take(which)),
        Step::Panic(which) => {
            let held = take(which);
            let unwound = catch_unwind(AssertUnwindSafe(move || {
                let _held = held;
                // As a panic unwinds, without its report.
                std::panic::resume_unwind(Box::new(()));
            }));
            assert!(unwound.is_err());
        }
        Step::Health(which, well) => {
            let node = &rig.pool[which % rig.pool.len()];
            node.set_healthy(well);
        }
        Step::Wait(ms) => rig.now += Duration::from_millis(ms),
    }
}

proptest! {
    /// Invariant 1. A node's counts are its dispatched requests less those that ended, whatever
    /// way they ended, and zero when nothing runs.
    #[test]
    fn counts_are_what_was_dispatched_less_what_ended(
        steps in steps(), nodes in 1u16..6, row in 0..TABLE.len(),
    ) {
        let mut rig = Rig::new(nodes);
        let (chooser, failures) = guarded(strategy(TABLE[row].word));
        let learner = Learner::new(LearnRules::default());
        let mut run = Model::new();
        for step in &steps {
            carry_out(&mut rig, &chooser, &learner, &mut run, step);
            let mut counted = BTreeMap::new();
            for ((node, plugin, class), _) in &run {
                *counted.entry((*node, *plugin)).or_insert(0u32) += 1;
                *counted.entry((*node, 10 + class.index())).or_insert(0) += 1;
            }
            for (n, node) in (1..).zip(&rig.pool) {
                for class in Class::ALL {
                    let count = counted.get(&(n, 10 + class.index())).copied();
                    prop_assert_eq!(node.in_flight(class), count.unwrap_or(0));
                }
                for (at, plugin) in PLUGINS.iter().enumerate() {
                    let place = rig.plugins.find(Some(plugin)).place();
                    let count = counted.get(&(n, at)).copied();
                    prop_assert_eq!(node.runtime_in_flight(place), count.unwrap_or(0));
                }
            }
        }
        drop(run);
        prop_assert!(rig.pool.iter().all(|node| node.total_in_flight() == 0));
        prop_assert_eq!(failures.get(), 0);
    }

    /// Invariant 2. As long as there is a candidate one is chosen, never one that was tried, and
    /// retrying ends.
    #[test]
    fn a_request_is_tried_on_each_node_once_at_most(
        leases in leases(), nodes in 1u16..9, down in any::<u8>(), row in 0..TABLE.len(), class in class(),
        plugin in 0usize..3,
    ) {
        let mut rig = Rig::new(nodes);
        let _held = hold(&rig, &leases);
        for (n, node) in rig.pool.iter().enumerate() {
            node.set_healthy(down >> n & 1 == 0);
        }
        let chooser = strategy(TABLE[row].word);
        let healthy = rig.pool.iter().filter(|node| node.is_healthy()).count();
        let mut tried = Tried::new();
        while let Some((node, _)) = rig.pick(&*chooser, (PLUGINS[plugin], class), &tried) {
            let node = &rig.pool[node - 1];
            prop_assert!(!tried.contains(node.id()), "{} again", node.id());
            prop_assert!(node.is_healthy() || tried.len() >= healthy);
            tried.push(node.id().clone());
        }
        prop_assert_eq!(tried.len(), usize::from(nodes));
    }

    /// Invariants 3 and 5. With the lanes together the choice is the least of the documented sum,
    /// which no dominated node can be; short requests are never kept off a node.
    #[test]
    fn adaptive_takes_the_least_of_the_documented_sum(
        leases in leases(), nodes in 2u16..9, plugin in 0usize..3, class in class(), seed in any::<u64>(),
        apart in any::<bool>(),
    ) {
        let mut rig = Rig::new(nodes);
        rig.dice = Dice::with_seed(seed);
        let adaptive = strategy("adaptive");
        if apart {
            rig.show_neighbours(&*adaptive, 8.0);
        }
        prop_assert_eq!(adaptive.insight().lanes_apart, apart);
        let _held = hold(&rig, &leases);
        let (node, why) = rig.pick(&*adaptive, (PLUGINS[plugin], class), &Tried::new()).expect("all may");
        let weights = if apart { (0, 4) } else { (2, 1) };
        if apart && class == Class::Long {
            let mut crowds: Vec<_> = (1..).zip(&rig.pool)
                .map(|(n, node)| (node.in_flight(Class::Long), node.total_in_flight(), n))
                .collect();
            crowds.sort_unstable();
            let least = (crowds[0].0, crowds[0].1);
            if crowds[1].0 - crowds[0].0 >= 3 {
                prop_assert!(cheapest(&rig, PLUGINS[plugin], weights, None).contains(&node));
            } else {
                // Of nodes that are equally empty, chance reserves one.
                let allowed = crowds.iter().filter(|(long, all, _)| (*long, *all) == least)
                    .any(|(_, _, n)| cheapest(&rig, PLUGINS[plugin], weights, Some(*n)).contains(&node));
                prop_assert!(allowed, "{node} of {crowds:?}");
            }
        } else {
            prop_assert!(cheapest(&rig, PLUGINS[plugin], weights, None).contains(&node));
            prop_assert_eq!(why, Why::LeastLoaded);
        }
    }

    /// Invariant 8. What is known of others enters between nothing and whole: the more of it may be
    /// untrue the less, and not at all once it is old.
    #[test]
    fn old_news_counts_less_and_then_nothing(
        leases in leases(), theirs in vec(0u32..30, 4), rate in 0f64..500.0, ms in 0u64..8000, more in 0u64..3000,
    ) {
        let mut rig = Rig::new(4);
        let _held = hold(&rig, &leases);
        let adaptive = strategy("adaptive");
        let start = rig.now;
        for (node, &total) in rig.pool.iter().zip(&theirs) {
            node.note_remote(&Remote { total, long: 0, plugins: Vec::new(), as_of: start, rate });
        }
        let mut damping = |ms| {
            rig.now = start + Duration::from_millis(ms);
            let picked = rig.pick(&*adaptive, ("p/0", Class::Short), &Tried::new()).expect("all may");
            (adaptive.insight().damping.expect("adaptive tells"), picked.0)
        };
        let (whole, _) = damping(0);
        prop_assert!(whole == 1.0, "just counted: {whole}");
        let ((early, _), (late, node)) = (damping(ms), damping(ms + more));
        prop_assert!((0.0..=1.0).contains(&early) && (0.0..=1.0).contains(&late));
        prop_assert!(late <= early || ms + more > 5000, "{early} then {late}");
        if ms + more > 5000 {
            prop_assert!(cheapest(&rig, "p/0", (2, 1), None).contains(&node), "by ours alone");
        }
    }

    /// Invariant 11. The same seed, the same time: the same choices.
    #[test]
    fn a_seed_repeats_a_run(steps in steps(), row in 0..TABLE.len(), seed in any::<u64>()) {
        let run = || {
            let mut rig = Rig::new(4);
            rig.dice = Dice::with_seed(seed);
            let chooser = strategy(TABLE[row].word);
            let learner = Learner::new(LearnRules::default());
            let mut run = Model::new();
            let mut log = Vec::new();
            for step in &steps {
                carry_out(&mut rig, &*chooser, &learner, &mut run, step);
                log.push(run.last().map(|(what, _)| *what));
            }
            log
        };
        prop_assert_eq!(run(), run());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Invariant 6. Whoever gets the long requests is not the slower node, and neither is one whose
    /// operation took another time from some day on.
    #[test]
    fn the_mix_of_requests_makes_no_node_slow(mix in 0.05f64..0.95, times in 0.1f64..10.0, seed in any::<u64>()) {
        let rig = Rig::new(2);
        let mut dice = Dice::with_seed(seed);
        let learner = Learner::new(LearnRules::default());
        let chooser = strategy("adaptive");
        let operations = [("a", 0.05), ("b", 5.0)].map(|(name, takes)| (Operation::new(name), takes));
        let mut end = |n: usize, factor: f64| {
            let node = n % 2 + 1;
            // Node 1 gets mostly the one, node 2 mostly the other.
            let which = usize::from((dice.f64() < mix) == (node == 1));
            let (operation, takes) = &operations[which];
            let noise = (dice.f64() * 1.4 - 0.7).exp();
            let factor = if which == 1 { factor } else { 1.0 };
            let now = rig.now + Duration::from_secs_f64(takes * factor * noise);
            let lease = rig.lease(node, "p/0", Class::Short);
            settle(lease, &*chooser, &learner, Some(operation), Outcome::Answered, now);
        };
        (0..1500).for_each(|n| end(n, 1.0));
        (0..3000).for_each(|n| end(n, times));
        let fastest = Pace::fastest(rig.pool.iter().map(|node| node.speed()));
        for node in &rig.pool {
            let slowness = node.speed().slowness(fastest, rig.now);
            prop_assert!(slowness < 1.25, "{slowness}");
        }
    }

    /// Invariant 7. Failures that hit all nodes alike send nobody to rest; at most half rest; every
    /// rest ends.
    #[test]
    fn rests_are_for_nodes_that_fail_more_than_others(
        fails in vec((0usize..8, 1u32..12), 0..40), nodes in 2u16..9, share in 0.5f64..1.0, seed in any::<u64>(),
    ) {
        let able = |rig: &mut Rig| {
            let rows = rig.spread(&*strategy("random"), ("p/0", Class::Short), 600);
            rows.iter().filter(|&&count| count > 0).count()
        };
        let mut rig = Rig::new(nodes);
        for (node, times) in fails {
            let node = &rig.pool[node % rig.pool.len()];
            for _ in 0..times {
                node.strike(rig.now, &COOLDOWN);
            }
            rig.now += Duration::from_millis(300);
        }
        let all = usize::from(nodes);
        prop_assert!(able(&mut rig) >= all - all / 2);
        rig.now += COOLDOWN.longest;
        prop_assert_eq!(able(&mut rig), all, "every rest ends");

        let mut rig = Rig::new(nodes);
        let mut dice = Dice::with_seed(seed);
        for _ in 0..60 {
            for node in &rig.pool {
                if dice.f64() < share { node.strike(rig.now, &COOLDOWN); } else { node.note_success(); }
            }
            rig.now += Duration::from_millis(100);
        }
        if rig.pool.iter().all(|node| node.failing() >= 0.2) {
            prop_assert_eq!(able(&mut rig), all, "all fail alike");
        }
    }
}

/// Invariant 4. Equal nodes are equally likely, wherever they stand. Chi-square with 4 degrees of
/// freedom: 18.5 is passed once in a thousand seeds.
#[test]
fn ties_are_broken_evenly_wherever_nodes_stand() {
    for word in [
        "adaptive",
        "least_in_flight",
        "peak_ewma",
        "random",
        "two_choices",
    ] {
        let counts = Rig::new(5).spread(&*strategy(word), ("p/0", Class::Short), 10_000);
        let chi = chi_square(&counts, &[1.0; 5]);
        assert!(chi < 18.5, "{word}: {counts:?}");
    }
    let adaptive = strategy("adaptive");
    let mut rig = Rig::new(5);
    rig.show_neighbours(&*adaptive, 8.0);
    let counts = rig.spread(&*adaptive, ("p/0", Class::Long), 10_000);
    let chi = chi_square(&counts, &[1.0; 5]);
    assert!(chi < 18.5, "adaptive, lanes apart: {counts:?}");
    // Three of five are equally good; the file lists them in another order.
    for reversed in [false, true] {
        let mut rig = Rig::new(5);
        let _held = [1, 4].map(|node| rig.lease(node, "p/0", Class::Short));
        if reversed {
            rig.pool.reverse();
        }
        let counts = rig.spread(&*adaptive, ("p/0", Class::Short), 6000);
        assert_eq!(counts[0] + counts[3], 0, "{counts:?}");
        let three = [counts[1], counts[2], counts[4]];
        assert!(chi_square(&three, &[1.0; 3]) < 13.8, "{counts:?}");
    }
}
