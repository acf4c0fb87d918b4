//! What does a request take from the heap on its way to a node? Choosing, leasing and ending: nothing, but
//! for the list of candidates.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use allocation_counter::measure;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use twolane::config::Strategies;
use twolane::learn::{Classifier, Learner};
use twolane::model::{Class, Dice, LearnRules, Operation, Outcome, Request, clock};
use twolane::nodes::{
    ComebackRules, Entry, Lease, Node, Plugin, Plugins, Roster, Screening, Tried, screen,
};
use twolane::select::{self, Strategy};

/// Pool sizes; the candidates of the first lie on the stack.
const SIZES: [u16; 2] = [10, 64];
/// So much is done before anything is counted, and again while it is.
const ROUNDS: u32 = 2000;

fn nodes(count: u16) -> Vec<Arc<Node>> {
    let entries: Vec<_> = (0..count)
        .map(|n| {
            Entry::at(
                &format!("n{n}"),
                SocketAddr::from(([10, 0, 0, 1], 5000 + n)),
            )
        })
        .collect();
    Roster::default().muster(&entries, clock::now())
}

struct Rig {
    nodes: Vec<Arc<Node>>,
    strategy: Arc<dyn Strategy>,
    learner: Learner,
    operations: Vec<Operation>,
    plugins: Vec<Arc<Plugin>>,
    dice: Dice,
}

impl Rig {
    /// One request from its candidates to its end: screened, chosen, classified, leased, settled, learned.
    fn request(&mut self, n: u32) {
        let which = n as usize % self.operations.len();
        let (operation, plugin) = (&self.operations[which], &self.plugins[which]);
        let began = clock::now();
        let verdict = self.learner.classify(operation, Class::Short, began);
        let request = Request::new(verdict.class, plugin.place()).keyed(Some(n));
        let none = Tried::new();
        let screening = Screening {
            tried: &none,
            plugin: request.plugin,
            now: began,
            fail_open: true,
            all_backups: false,
            once: false,
            comeback: ComebackRules::default(),
            limits: None,
        };
        let among = screen(&self.nodes, &screening).unwrap();
        let choice = self
            .strategy
            .choose(black_box(&request), &among, &mut self.dice);
        let node = among.get(choice.at).unwrap();
        let lease = Lease::take(node, plugin, verdict.class, began);
        let running = self.learner.begin(operation, began);
        let ended = began + Duration::from_millis(u64::from(n % 97));
        let outcome = if n.is_multiple_of(50) {
            Outcome::Failed
        } else {
            Outcome::Answered
        };
        drop(running);
        select::settle(
            lease,
            &*self.strategy,
            &self.learner,
            Some(operation),
            outcome,
            ended,
        );
    }
}

#[test]
fn pick_begin_and_end_allocate_nothing_but_the_candidates() {
    let plugins = Plugins::new();
    for row in select::TABLE {
        for size in SIZES {
            let nodes = nodes(size);
            let strategy = (row.build)(&Strategies::default());
            strategy.members(&nodes);
            let names = ["a/one", "b/two", "c/three"];
            let operation = |name: &&str| {
                let mut operation = Operation::new("tool/invoke");
                operation.push(name);
                operation
            };
            let mut rig = Rig {
                nodes,
                strategy,
                learner: Learner::new(LearnRules::default()),
                operations: names.iter().map(operation).collect(),
                plugins: names.iter().map(|name| plugins.find(Some(name))).collect(),
                dice: Dice::with_seed(1),
            };
            (0..ROUNDS).for_each(|n| rig.request(n));
            let counted = measure(|| (0..ROUNDS).for_each(|n| rig.request(n)));
            let each = counted.count_total as f64 / f64::from(ROUNDS);
            println!(
                "{:22} {size:3} nodes: {each:.3} allocations a request",
                row.word
            );
            let list = u64::from(size > 16);
            assert!(
                counted.count_total <= list * u64::from(ROUNDS),
                "{} among {size}: {counted:?}",
                row.word
            );
            assert_eq!(
                counted.count_current, 0,
                "{}: all of it was given back",
                row.word
            );
        }
    }
}

/// The counter counts: else nothing above would be shown.
#[test]
fn what_is_allocated_is_counted() {
    let counted = measure(|| drop(black_box(vec![1u8; 100])));
    assert_eq!((counted.count_total, counted.count_current), (1, 0));
}
