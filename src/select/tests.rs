//! The strategies, driven without a network.

use super::rig::{COOLDOWN, OneSecond, Rig, chi_square, guarded, rules, strategy};
use super::*;
use crate::config::TwoNodes;
use crate::learn::Learner;
use crate::model::{Class, LearnRules, Operation, Outcome, Role, clock};
use crate::nodes::{Lease, Node};
use proptest::prelude::{any, prop_assert, proptest};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn the_table_and_the_words_agree_and_no_word_stands_twice() {
    let words: Vec<_> = TABLE.iter().map(|row| row.word).collect();
    assert_eq!(words, WORDS);
    for (at, word) in WORDS.iter().enumerate() {
        assert!(!WORDS[..at].contains(word), "{word} stands twice");
    }
}

#[test]
fn f026_one_node_takes_everything() {
    let mut rig = Rig::new(1);
    for row in TABLE {
        for class in Class::ALL {
            let (node, _) = rig.ask(&*strategy(row.word), "a/b", class);
            assert_eq!(node, "n1", "{} sends {class} elsewhere", row.word);
        }
    }
}

/// One row of the seed's table for two nodes: what runs on the other node, whether the main node
/// is idle, and where a long request goes by the diagram and by the prose.
const TWO_NODES: [(Option<Class>, bool, &str, &str); 6] = [
    (None, true, "n2", "n2"),
    (None, false, "n2", "n2"),
    (Some(Class::Short), true, "n1", "n1"),
    (Some(Class::Short), false, "n2", "n2"),
    (Some(Class::Long), true, "n2", "n1"),
    (Some(Class::Long), false, "n2", "n2"),
];

#[test]
fn f027_f028_f029_f030_f031_f034_two_nodes_in_both_readings() {
    for (other, main_idle, diagram, prose) in TWO_NODES {
        for (reading, expected) in [(TwoNodes::Diagram, diagram), (TwoNodes::Prose, prose)] {
            let mut rig = Rig::new(2);
            let _held = (
                other.map(|class| rig.lease(2, "a/b", class)),
                (!main_idle).then(|| rig.lease(1, "c/d", Class::Short)),
            );
            let seed = build("seed", &rules(reading)).expect("a word of the table");
            let (node, _) = rig.ask(&*seed, "a/b", Class::Long);
            assert_eq!(
                node, expected,
                "{reading:?}: other busy with {other:?}, main idle: {main_idle}"
            );
            let (node, _) = rig.ask(&*seed, "a/b", Class::Short);
            assert_eq!(node, "n1", "short requests go to the main node");
        }
    }
}

#[test]
fn f030_either_node_down_leaves_the_other_for_everything() {
    for (down, up) in [(1, "n2"), (2, "n1")] {
        let mut rig = Rig::new(2);
        rig.pool[down - 1].set_healthy(false);
        for class in Class::ALL {
            assert_eq!(rig.ask(&*strategy("seed"), "a/b", class).0, up);
        }
    }
}

#[test]
fn f032_f033_three_or_more_short_to_the_main_node_and_long_in_turn_over_the_others() {
    let mut rig = Rig::new(4);
    let seed = strategy("seed");
    let _forty: Vec<_> = (0..40)
        .map(|_| {
            assert_eq!(rig.ask(&*seed, "a/b", Class::Short).0, "n1");
            rig.lease(1, "a/b", Class::Short)
        })
        .collect();
    let mut counts = [0; 4];
    for _ in 0..9 {
        let (node, _) = rig.ask(&*seed, "a/b", Class::Long);
        counts[node[1..].parse::<usize>().expect("a number") - 1] += 1;
    }
    assert_eq!(counts, [0, 3, 3, 3]);
}

#[test]
fn f036_the_next_node_acts_as_main_and_steps_back() {
    let mut rig = Rig::new(3);
    let seed = strategy("seed");
    rig.pool[0].set_healthy(false);
    assert_eq!(rig.ask(&*seed, "a/b", Class::Short).0, "n2");
    rig.pool[0].set_healthy(true);
    assert_eq!(rig.ask(&*seed, "a/b", Class::Short).0, "n1");
}

#[test]
fn adaptive_avoids_the_runtime_that_is_busy_with_the_same_plugin() {
    let mut rig = Rig::new(2);
    // n1: one request of the same plugin (1 + 1 + 2 = 4); n2: two of others (1 + 2 = 3).
    let _held = (
        rig.lease(1, "a/b", Class::Short),
        rig.lease(2, "c/d", Class::Short),
        rig.lease(2, "e/f", Class::Short),
    );
    let adaptive = strategy("adaptive");
    assert_eq!(
        rig.ask(&*adaptive, "a/b", Class::Short),
        ("n2".into(), Why::LeastLoaded)
    );
    assert_eq!(
        rig.ask(&*adaptive, "x/y", Class::Short).0,
        "n1",
        "others do not contend"
    );
}

#[test]
fn adaptive_counts_calls_alone_where_plugins_run_elsewhere() {
    let mut rig = Rig::new(2);
    rig.pool.iter().for_each(|node| node.note_serverless(true));
    let _held = (
        rig.lease(1, "a/b", Class::Long),
        rig.lease(2, "c/d", Class::Short),
        rig.lease(2, "e/f", Class::Short),
    );
    let adaptive = strategy("adaptive");
    assert_eq!(
        rig.ask(&*adaptive, "a/b", Class::Short),
        ("n1".into(), Why::LeastLoaded)
    );
}

#[test]
fn adaptive_counts_a_long_request_twice() {
    let mut rig = Rig::new(2);
    let _held = (
        rig.lease(1, "a/b", Class::Long),
        rig.lease(2, "c/d", Class::Short),
    );
    assert_eq!(rig.ask(&*strategy("adaptive"), "x/y", Class::Short).0, "n2");
}

#[test]
fn f145_least_in_flight_weighs_by_weight() {
    let mut rig = Rig::new(2);
    let address = rig.pool[1].address();
    rig.pool[1] = Arc::new(Node::new(
        "n2".into(),
        address,
        (Role::Secondary, 3),
        clock::now(),
    ));
    let _three = [(); 3].map(|()| rig.lease(2, "a/b", Class::Short));
    let lif = strategy("least_in_flight");
    assert_eq!(
        rig.ask(&*lif, "a/b", Class::Short).0,
        "n1",
        "1/1 is below 4/3"
    );
    let _more = rig.lease(1, "a/b", Class::Short);
    assert_eq!(
        rig.ask(&*lif, "a/b", Class::Short).0,
        "n2",
        "4/3 is below 2/1"
    );
}

#[test]
fn round_robin_turns_evenly_per_class_and_survives_its_counters_end() {
    let mut rig = Rig::new(3);
    let turning = round_robin::RoundRobin::starting_at(u64::MAX - 1);
    let mut counts = [0; 3];
    for n in 0..3000 {
        let class = Class::ALL[n % 2];
        let (node, _) = rig.ask(&turning, "a/b", class);
        counts[node[1..].parse::<usize>().expect("a number") - 1] += 1;
    }
    assert!(
        counts.iter().all(|&count| (998..=1002).contains(&count)),
        "{counts:?}"
    );
}

#[test]
fn f059_a_strategy_that_fails_is_replaced_for_that_request() {
    #[derive(Debug)]
    struct Unknown;
    impl Strategy for Unknown {
        fn choose(&self, _: &Request, among: &Candidates<'_>, _: &mut Dice) -> Choice {
            Choice {
                at: among.len() + 3,
                why: Why::Custom,
            }
        }
    }
    #[derive(Debug)]
    struct Panics;
    impl Strategy for Panics {
        fn choose(&self, _: &Request, _: &Candidates<'_>, _: &mut Dice) -> Choice {
            panic!("a custom strategy went wrong")
        }
    }
    let mut rig = Rig::new(3);
    for broken in [Arc::new(Unknown) as Arc<dyn Strategy>, Arc::new(Panics)] {
        let (guarded, failures) = guarded(broken);
        let nodes = [(); 3].map(|()| rig.ask(&guarded, "a/b", Class::Short));
        assert_eq!(nodes.clone().map(|(_, why)| why), [Why::Fallback; 3]);
        assert_eq!(nodes.map(|(node, _)| node), ["n1", "n2", "n3"]);
        assert_eq!(failures.get(), 3);
    }
}

type Told = (Option<f64>, bool, Outcome, Duration);

#[derive(Debug, Default)]
struct Listening(parking_lot::Mutex<Vec<Told>>);

impl Strategy for Listening {
    fn choose(&self, _: &Request, _: &Candidates<'_>, _: &mut Dice) -> Choice {
        Choice {
            at: 0,
            why: Why::Custom,
        }
    }

    fn ended(&self, end: &Ended<'_>) {
        assert_eq!(end.node.total_in_flight(), 0, "the node is free already");
        let told = (end.expected, end.beside_long, end.outcome, end.duration);
        self.0.lock().push(told);
        assert!(end.outcome != Outcome::Failed, "told of a failure");
    }
}

#[test]
fn a_strategy_is_told_how_attempts_end_and_what_was_usual_before() {
    let rig = Rig::new(1);
    let listening = Arc::new(Listening::default());
    let (guarded, failures) = guarded(Arc::clone(&listening) as Arc<dyn Strategy>);
    let learner = Learner::new(LearnRules::default());
    let operation = Operation::new("tool/invoke");
    let second = Duration::from_secs(1);
    let end = |lease: Lease, outcome| {
        let now = rig.now + second;
        settle(lease, &guarded, &learner, Some(&operation), outcome, now);
    };
    let lease = || Lease::take(&rig.pool[0], &rig.plugins.find(None), Class::Short, rig.now);
    (0..5).for_each(|_| end(lease(), Outcome::Answered));
    // A strategy that panics at the news is nobody else's trouble.
    end(lease(), Outcome::Failed);
    let beside = Lease::take(&rig.pool[0], &rig.plugins.find(None), Class::Long, rig.now);
    let short = lease();
    drop(beside);
    end(short, Outcome::Answered);
    assert_eq!(failures.get(), 1, "the panic is counted");
    let told = listening.0.lock();
    assert!(told[..5].iter().all(|told| told.0.is_none()), "{told:?}");
    assert_eq!(told[5], (Some(0.0), false, Outcome::Failed, second));
    assert_eq!(told[6], (Some(0.0), true, Outcome::Answered, second));
    assert_eq!(rig.pool[0].total_in_flight(), 0);
}

/// Leases as (node, plugin, long), a request's plugin, a seed.
fn loads() -> impl proptest::strategy::Strategy<Value = (u16, Vec<(usize, u8, bool)>, u8, u64)> {
    (
        2u16..8,
        proptest::collection::vec((0usize..8, 0u8..3, any::<bool>()), 0..40),
        0u8..3,
        any::<u64>(),
    )
}
proptest! {
    /// A node that carries no more of anything than another, and less of something, is never
    /// passed over for it.
    #[test]
    fn adaptive_never_prefers_a_dominated_node((nodes, leases, plugin, seed) in loads()) {
        let mut rig = Rig::new(nodes);
        rig.dice = Dice::with_seed(seed);
        let held: Vec<_> = leases.into_iter().map(|(node, plugin, long)| {
            let class = Class::ALL[usize::from(long)];
            rig.lease(node % usize::from(nodes) + 1, &format!("p/{plugin}"), class)
        }).collect();
        let name = format!("p/{plugin}");
        let place = rig.plugins.find(Some(&name)).place();
        let (chosen, _) = rig.ask(&*strategy("adaptive"), &name, Class::Short);
        let burden = |node: &Node| {
            (node.load(), node.runtime_in_flight(place), node.in_flight(Class::Long))
        };
        let of = |name: &str| rig.pool.iter().find(|node| node.id().as_str() == name).expect("in the pool");
        let taken = burden(of(&chosen));
        for node in &rig.pool {
            let other = burden(node);
            let no_more = other.0 <= taken.0 && other.1 <= taken.1 && other.2 <= taken.2;
            prop_assert!(!(no_more && other != taken), "{chosen} {taken:?} chosen over {other:?}");
        }
        drop(held);
        prop_assert!(rig.pool.iter().all(|node| node.load() == 0));
    }

    /// Any strategy, any load: the choice is one of the candidates.
    #[test]
    fn every_choice_is_a_candidate((nodes, leases, plugin, seed) in loads(), row in 0usize..TABLE.len()) {
        let mut rig = Rig::new(nodes);
        rig.dice = Dice::with_seed(seed);
        let _held: Vec<_> = leases.into_iter().map(|(node, plugin, long)| {
            rig.lease(node % usize::from(nodes) + 1, &format!("p/{plugin}"), Class::ALL[usize::from(long)])
        }).collect();
        let (node, _) = rig.ask(&*strategy(TABLE[row].word), &format!("p/{plugin}"), Class::Long);
        prop_assert!(!node.is_empty());
    }
}

/// Requests that arrive every 5 ms and take a second each: 200 in flight over three nodes, of which
/// the third comes up after 5 s. Its greatest number in flight, and by second since it came up.
fn comeback(word: &str, slow_start: Duration) -> (u32, Vec<u32>) {
    const EVERY: Duration = Duration::from_millis(5);
    let (arrivals, takes, up) = (6000, 200, 1000);
    let mut rig = Rig::new(3);
    rig.comeback.slow_start = slow_start;
    rig.pool[2].set_healthy(false);
    let strategy = strategy(word);
    let mut held = std::collections::VecDeque::new();
    let (mut peak, mut seconds) = (0, Vec::new());
    for n in 0..arrivals {
        if n == up {
            rig.pool[2].note_came_up(rig.now);
            rig.pool[2].set_healthy(true);
        }
        if held.len() == takes {
            held.pop_front();
        }
        let plugin = format!("p/{}", n % 3);
        let (node, _) = rig.ask(&*strategy, &plugin, Class::Short);
        let node = node[1..].parse().expect("a number");
        held.push_back(rig.lease(node, &plugin, Class::Short));
        peak = peak.max(rig.pool[2].load());
        if n >= up && n % 200 == 0 {
            seconds.push(rig.pool[2].load());
        }
        rig.now += EVERY;
    }
    (peak, seconds)
}

#[test]
fn a_node_that_came_up_grows_into_its_share_and_never_beyond_twice_of_it() {
    for word in ["adaptive", "least_in_flight"] {
        let (peak, seconds) = comeback(word, Duration::from_secs(10));
        assert!(peak <= 2 * 200 / 3, "{word}: {peak} in flight at most");
        // At one second it may carry 19 % of what each other does, at five 55 %.
        assert!(seconds[1] <= 25, "{word}: {seconds:?}");
        assert!((35..=55).contains(&seconds[5]), "{word}: {seconds:?}");
        assert!((60..=70).contains(&seconds[12]), "{word}: {seconds:?}");
        let (_, at_once) = comeback(word, Duration::ZERO);
        assert!(at_once[1] >= 55, "{word} without slow start: {at_once:?}");
    }
}

#[test]
fn f144_weighted_turns_are_spread_evenly_as_nginx_does() {
    let mut rig = Rig::weighing(&[5, 1, 1]);
    let turning = strategy("weighted_round_robin");
    let order: Vec<_> = (0..14)
        .map(|_| rig.ask(&*turning, "a/b", Class::Short).0)
        .collect();
    let seven = ["n1", "n1", "n2", "n1", "n3", "n1", "n1"];
    assert_eq!(order, [seven, seven].concat());
    let long = rig.ask(&*turning, "a/b", Class::Long).0;
    assert_eq!(long, "n1", "long requests have turns of their own");
}

#[test]
fn a_node_that_was_missing_has_no_backlog_of_turns() {
    let mut rig = Rig::weighing(&[2, 1, 1]);
    let turning = strategy("weighted_round_robin");
    let request = ("a/b", Class::Short);
    rig.spread(&*turning, request, 3);
    rig.pool[2].set_healthy(false);
    let without = rig.spread(&*turning, request, 300);
    assert!((199..=201).contains(&without[0]), "{without:?}");
    rig.pool[2].set_healthy(true);
    let after = rig.spread(&*turning, request, 8);
    assert!(after[2] <= 3, "{after:?}");
    // A reload builds the strategy anew; the order goes on.
    let anew = strategy("weighted_round_robin");
    let evenly = rig.spread(&*anew, request, 400);
    assert!((198..=202).contains(&evenly[0]), "{evenly:?}");
}

#[test]
fn chance_follows_the_weights() {
    let mut rig = Rig::weighing(&[1, 2, 7]);
    let counts = rig.spread(&*strategy("random"), ("a/b", Class::Short), 10_000);
    // Two degrees of freedom: 13.8 is passed once in a thousand seeds.
    assert!(chi_square(&counts, &[1.0, 2.0, 7.0]) < 13.8, "{counts:?}");
}

#[test]
fn of_two_distinct_ones_the_busiest_of_all_is_never_chosen() {
    let mut rig = Rig::new(4);
    let _busy = [(); 2].map(|()| rig.lease(3, "a/b", Class::Short));
    let _less = rig.lease(1, "a/b", Class::Short);
    let two = strategy("two_choices");
    let counts = rig.spread(&*two, ("a/b", Class::Short), 6000);
    // Of six pairs, n1 wins the one with n3, and n2 and n4 share the other five.
    assert_eq!(counts[2], 0);
    assert!(
        chi_square(&[counts[0], counts[1], counts[3]], &[1.0, 2.5, 2.5]) < 13.8,
        "{counts:?}"
    );
}

#[test]
fn peak_ewma_asks_an_unknown_node_once_and_leaves_a_slow_one_alone() {
    let mut rig = Rig::new(3);
    let peak = strategy("peak_ewma");
    for (node, ms) in [(1, 100), (2, 900)] {
        let lease = rig.lease(node, "a/b", Class::Short);
        rig.end(&*peak, lease, Duration::from_millis(ms));
    }
    assert_eq!(
        rig.ask(&*peak, "a/b", Class::Short).0,
        "n3",
        "unknown and idle"
    );
    let _asked = rig.lease(3, "a/b", Class::Short);
    let mut held = Vec::new();
    for _ in 0..8 {
        assert_eq!(rig.ask(&*peak, "a/b", Class::Short).0, "n1");
        held.push(rig.lease(1, "a/b", Class::Short));
    }
    held.push(rig.lease(1, "a/b", Class::Short));
    let at_last = rig.ask(&*peak, "a/b", Class::Short).0;
    assert_eq!(at_last, "n2", "10 x 0.1 s is more than 0.9 s");
}

#[test]
fn failures_are_no_durations_for_peak_ewma() {
    let rig = Rig::new(1);
    let peak = strategy("peak_ewma");
    let lease = rig.lease(1, "a/b", Class::Short);
    rig.end(&*peak, lease, Duration::from_secs(1));
    let before = rig.pool[0].marks().peak(rig.now);
    for outcome in [
        Outcome::Refused,
        Outcome::Failed,
        Outcome::Unreached,
        Outcome::Abandoned,
    ] {
        let lease = rig.lease(1, "a/b", Class::Short);
        settle(lease, &*peak, &OneSecond, None, outcome, rig.now);
    }
    assert!(rig.pool[0].marks().peak(rig.now) >= before);
}

#[test]
fn adaptive_avoids_a_node_that_is_proven_slow_and_says_so() {
    let mut rig = Rig::new(2);
    let adaptive = strategy("adaptive");
    for _ in 0..100 {
        for (node, seconds) in [(1, 5), (2, 1)] {
            let lease = rig.lease(node, "a/b", Class::Short);
            rig.end(&*adaptive, lease, Duration::from_secs(seconds));
        }
    }
    let _busy = rig.lease(2, "c/d", Class::Short);
    let choice = rig.ask(&*adaptive, "a/b", Class::Short);
    assert_eq!(choice, ("n2".into(), Why::SlowNodeAvoided));
    let _full = [(); 9].map(|()| rig.lease(2, "c/d", Class::Short));
    let choice = rig.ask(&*adaptive, "a/b", Class::Short);
    assert_eq!(
        choice,
        ("n1".into(), Why::LeastLoaded),
        "better slow than full"
    );
}

#[test]
fn f039_long_requests_leave_a_node_to_the_short_ones_where_these_would_wait() {
    let mut rig = Rig::new(3);
    let adaptive = strategy("adaptive");
    rig.show_neighbours(&*adaptive, 8.0);
    let ratio = adaptive.insight().lanes_ratio.expect("measured");
    assert!((7.0..9.0).contains(&ratio), "{ratio}");
    // n1 is idle, the others have one long request each: n1 stays free until they have three.
    let mut held = vec![
        rig.lease(2, "a/b", Class::Long),
        rig.lease(3, "a/b", Class::Long),
    ];
    for _ in 0..4 {
        let (node, why) = rig.ask(&*adaptive, "a/b", Class::Long);
        assert_eq!(why, Why::ShortLane);
        held.push(rig.lease(node[1..].parse().expect("a number"), "a/b", Class::Long));
        assert_eq!(rig.ask(&*adaptive, "a/b", Class::Short).0, "n1");
    }
    let choice = rig.ask(&*adaptive, "a/b", Class::Long);
    assert_eq!(
        choice,
        ("n1".into(), Why::LeastLoaded),
        "three more on each"
    );
    // The neighbours hurt no longer.
    (0..5).for_each(|_| rig.show_neighbours(&*adaptive, 1.0));
    drop(held.pop());
    let (_, why) = rig.ask(&*adaptive, "a/b", Class::Long);
    assert_eq!(why, Why::LeastLoaded);
}

#[test]
fn of_very_many_nodes_eight_are_looked_at_and_each_has_its_chance() {
    let mut rig = Rig::new(200);
    let _half: Vec<_> = (1..=100)
        .map(|node| rig.lease(node, "a/b", Class::Short))
        .collect();
    for word in ["adaptive", "least_in_flight", "peak_ewma"] {
        let counts = rig.spread(&*strategy(word), ("a/b", Class::Short), 10_000);
        let busy: u32 = counts[..100].iter().sum();
        // All eight are busy once in 256 times.
        assert!(busy < 80, "{word}: {busy}");
        assert!(
            counts[100..].iter().all(|&count| count > 40),
            "{word}: {counts:?}"
        );
    }
}

/// The share of all requests that fail when one of three nodes answers at once with an error
/// during the middle 30 % of the run. 50 requests a second, 0.3 s each, 400 s.
fn sinkhole(word: &str, failing: f64) -> f64 {
    let mut rig = Rig::new(3);
    let strategy = strategy(word);
    let (start, mut failed, all) = (rig.now, 0u32, 20_000u32);
    let mut ends: std::collections::BTreeMap<(Instant, u32), (Lease, bool)> = Default::default();
    for n in 0..all {
        rig.now = start + Duration::from_millis(20) * n;
        while let Some(entry) = ends.first_entry().filter(|entry| entry.key().0 <= rig.now) {
            let ((at, _), (lease, fails)) = entry.remove_entry();
            let outcome = if fails {
                lease.node().strike(at, &COOLDOWN);
                Outcome::Refused
            } else {
                Outcome::Answered
            };
            settle(lease, &*strategy, &OneSecond, None, outcome, at);
        }
        let plugin = format!("p/{}", n % 3);
        let (node, _) = rig.ask(&*strategy, &plugin, Class::Short);
        let node = node[1..].parse().expect("a number");
        let bad = (all * 35 / 100..all * 65 / 100).contains(&n);
        let fails = node == 3 && bad && rig.dice.f64() < failing;
        failed += u32::from(fails);
        let takes = if fails { 5 } else { 300 };
        let end = rig.now + Duration::from_millis(takes);
        ends.insert((end, n), (rig.lease(node, &plugin, Class::Short), fails));
    }
    f64::from(failed) / f64::from(all)
}

#[test]
fn a_node_that_fails_fast_draws_no_more_than_half_a_percent_of_all_requests() {
    for word in [
        "adaptive",
        "least_in_flight",
        "peak_ewma",
        "two_choices",
        "round_robin",
    ] {
        for failing in [1.0, 0.6] {
            let share = sinkhole(word, failing);
            assert!(share > 0.0, "{word}: the node was used");
            assert!(
                share <= 0.005,
                "{word} at {failing}: {:.2} %",
                share * 100.0
            );
        }
    }
}
