//! What would a strategy choose, if it were asked now? Without changing anything.

use super::{Choice, Strategy};
use crate::model::{Dice, Request};
use crate::nodes::Candidates;

/// What a strategy would choose, and what it compares.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// Its choice. Where scores are equal, the dice made it, or turns did.
    pub choice: Choice,
    /// The score of each candidate, in their order; the lowest wins. None for one that was not
    /// looked at; empty for a strategy that compares none.
    pub scores: Vec<Option<f64>>,
}

impl Preview {
    /// Of a strategy that keeps nothing from one choice to the next: asking it changes nothing.
    #[must_use]
    pub fn of_stateless(
        strategy: &(impl Strategy + ?Sized),
        request: &Request,
        among: &Candidates<'_>,
        dice: &mut Dice,
    ) -> Self {
        Self {
            choice: strategy.choose(request, among, dice),
            scores: Vec::new(),
        }
    }

    /// The candidates that have the lowest score, if there are several: the dice decide among them, or whose turn it is.
    #[must_use]
    pub fn equals(&self) -> Vec<usize> {
        let known = self.scores.iter().flatten();
        let least = known.copied().fold(f64::INFINITY, f64::min);
        let equals: Vec<_> = (0..self.scores.len())
            .filter(|&at| self.scores[at].is_some_and(|score| score <= least))
            .collect();
        if equals.len() > 1 { equals } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Shadowed, TABLE, Why, build};
    use super::*;
    use crate::config::Strategies;
    use crate::model::{Class, clock};
    use crate::nodes::{ComebackRules, Lease, Node, Plugins, Roster, Screening, Tried, screen};
    use crate::nodes::{Entry, Hand};
    use crate::observe::Metrics;
    use std::sync::Arc;
    use std::time::Instant;

    fn pool(count: u16, now: Instant) -> Vec<Arc<Node>> {
        let entry = |n: u16| Entry {
            id: format!("n{n}").into(),
            address: std::net::SocketAddr::from(([10, 0, 0, 1], n)),
            role: crate::model::Role::Secondary,
            weight: 1 + n % 3,
            hand: Hand::Ready,
            boot: None,
            max_in_flight: None,
            server_name: None,
        };
        let entries: Vec<_> = (1..=count).map(entry).collect();
        Roster::default().muster(&entries, now)
    }

    fn with_candidates<T>(
        nodes: &[Arc<Node>],
        request: &Request,
        now: Instant,
        ask: impl FnOnce(&Candidates<'_>) -> T,
    ) -> T {
        let screening = Screening {
            tried: &Tried::new(),
            plugin: request.plugin,
            now,
            fail_open: true,
            all_backups: false,
            once: false,
            comeback: ComebackRules::default(),
            limits: None,
        };
        ask(&screen(nodes, &screening).expect("all may serve"))
    }

    #[test]
    fn f110_a_preview_is_what_is_chosen_next_and_takes_no_turn() {
        let now = clock::now();
        for row in TABLE {
            let (nodes, plugins) = (pool(5, now), Plugins::new());
            let strategy = build(row.word, &Strategies::default()).expect("a word of the table");
            strategy.members(&nodes);
            let plugin = plugins.find(Some("a/b"));
            let mut held = Vec::new();
            for step in 0..60u64 {
                let class = Class::ALL[usize::from(step % 3 == 0)];
                let key = (step % 4 != 0).then_some((step as u32) << 26);
                let request = Request::new(class, plugin.place()).keyed(key);
                let dice = || Dice::with_seed(step);
                let chosen = with_candidates(&nodes, &request, now, |among| {
                    let previews = [(); 3].map(|()| strategy.preview(&request, among, &mut dice()));
                    let chosen = strategy.choose(&request, among, &mut dice());
                    for preview in previews {
                        let preview = preview.expect("every strategy of ours can be previewed");
                        assert_eq!(preview.choice, chosen, "{} at {step}", row.word);
                        let equals = preview.equals();
                        assert!(
                            equals.is_empty() || equals.contains(&chosen.at),
                            "{}: {preview:?}",
                            row.word
                        );
                    }
                    among.pool_position(chosen.at)
                });
                held.push(Lease::take(&nodes[chosen], &plugin, class, now));
            }
        }
    }

    /// A shadow that always fails.
    #[derive(Debug)]
    struct Panics;

    impl Strategy for Panics {
        fn choose(&self, _: &Request, _: &Candidates<'_>, _: &mut Dice) -> Choice {
            panic!("a fault of its own")
        }
    }

    #[test]
    fn a_shadow_disturbs_nothing_and_one_that_fails_says_nothing() {
        let now = clock::now();
        let (nodes, plugin) = (pool(4, now), Plugins::new().find(Some("a/b")));
        let request = Request::new(Class::Short, plugin.place());
        let failures = Metrics::new()
            .expect("every family has a name of its own")
            .pool("main", std::iter::empty())
            .strategy_failures;
        let make = |word| build(word, &Strategies::default()).expect("a word of the table");
        let alone = Shadowed::new(make("round_robin"), None, &failures);
        let watched = Shadowed::new(make("round_robin"), Some(make("random")), &failures);
        let doomed = Shadowed::new(make("round_robin"), Some(Arc::new(Panics)), &failures);
        for luck in 0..40 {
            with_candidates(&nodes, &request, now, |among| {
                let mut dice = Dice::with_seed(luck);
                let expected = alone.choose(&request, among, &mut dice);
                assert_eq!(alone.beside(&request, among, luck), None);
                assert!(watched.beside(&request, among, luck).is_some());
                assert_eq!(watched.choose(&request, among, &mut dice), expected);
                assert_eq!(doomed.beside(&request, among, luck), None);
                assert_eq!(doomed.choose(&request, among, &mut dice), expected);
                assert_ne!(expected.why, Why::Fallback);
            });
        }
        assert_eq!(failures.get(), 40, "what a shadow fails at is counted");
    }
}
