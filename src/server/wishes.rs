//! What did the fleet's operators wish, and is it done here?

use crate::model::Class;
use crate::nodes::{Hand, Node};
use crate::share::{About, Matter, Wish};
use crate::upstream::Live;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What we pinned before we started, as the state file has it.
pub(super) fn remembered(live: &Live) -> Vec<Wish> {
    let pins = live.learner.pins_by_hand().into_iter();
    pins.map(|pin| Wish::pin(&pin.operation, pin.class))
        .collect()
}

/// What was wished and cannot be done yet: the node is not known, or has another weight in the
/// configuration than the one that the wish takes the place of.
#[derive(Debug, Default)]
pub(super) struct Wishes(BTreeMap<About, String>);

impl Wishes {
    /// Does what is new, and what has become possible.
    pub(super) fn hear(&mut self, live: &Live, news: &[Wish]) {
        let news = news.iter().cloned();
        self.0.extend(news.map(|wish| (wish.about, wish.word)));
        if !self.0.is_empty() {
            let nodes = live.snapshot().nodes();
            self.0
                .retain(|about, word| !done(live, &nodes, about, word));
        }
    }
}

fn done(live: &Live, nodes: &[Arc<Node>], about: &About, word: &str) -> bool {
    let node = || nodes.iter().find(|node| node.id().as_str() == about.name);
    match about.matter {
        Matter::State => node().is_some_and(|node| put_state(node, word)),
        Matter::Weight => node().is_some_and(|node| put_weight(live, node, word)),
        Matter::Pin => {
            pin(live, &about.name, word);
            true
        }
    }
}

fn put_state(node: &Node, word: &str) -> bool {
    let (id, from) = (node.id(), node.hand());
    // A word of a newer program has no effect here.
    let Some(hand) = Hand::from_word(word) else {
        return true;
    };
    if from != hand {
        let (from, to) = (from.word(), hand.word());
        log::info!("node state node={id} from={from} to={to} by=fleet");
        node.set_hand(hand);
    }
    true
}

fn put_weight(live: &Live, node: &Node, word: &str) -> bool {
    let (id, from) = (node.id(), node.weight());
    let numbers = word.split_once('/');
    let numbers = numbers.and_then(|(to, of)| Some((to.parse().ok()?, of.parse().ok()?)));
    let Some((to, instead_of)) = numbers.filter(|(to, _)| Node::WEIGHTS.contains(to)) else {
        return true;
    };
    if live.parts.roster.configured_weight(id) != Some(instead_of) {
        return false;
    }
    if from != to {
        log::info!("node weight node={id} from={from} to={to} by=fleet");
        node.set_weight(to);
    }
    true
}

fn pin(live: &Live, operation: &str, word: &str) {
    let pins = live.learner.pins_by_hand();
    let known = pins.iter().find(|pin| pin.operation == operation);
    if known.map_or(Wish::NONE, |pin| Wish::pin_word(pin.class)) == word {
        return;
    }
    if word == Wish::NONE {
        live.learner.unpin(operation);
        log::info!("unpinned operation={operation:?} by=fleet");
        return;
    }
    match live.learner.pin(operation, Class::from_word(word)) {
        Ok(()) => log::info!("pinned operation={operation:?} class={word} by=fleet"),
        Err(why) => log::warn!("not pinned operation={operation:?} class={word} by=fleet: {why}"),
    }
}
