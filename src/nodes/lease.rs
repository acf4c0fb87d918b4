//! How does a request hold a node, and let go of it?

use super::expected::Ticket;
use super::{Node, Plugin};
use crate::model::{Class, Outcome, PluginPlace, Sample};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// One request's claim on one node. It ends by itself, by `Drop`. There is no other way to end it,
/// so none can be forgotten.
#[must_use = "dropping a lease frees the node at once"]
#[derive(Debug)]
pub struct Lease {
    node: Arc<Node>,
    plugin: Arc<Plugin>,
    class: Class,
    /// A long request ran there when this one came.
    beside_long: bool,
    /// Requests of its plugin that ran there, and others.
    met: (u32, u32),
    /// Its request has not reached the node yet.
    reaching: bool,
    since: Instant,
    expected: Option<Ticket>,
    /// Limits per class do not count it.
    beside: bool,
    /// Dropped after the node was freed: whoever wants to know that.
    then: Option<Box<dyn Then>>,
}

/// Something that waits for a lease to end: it is dropped then.
pub trait Then: fmt::Debug + Send + Sync {}

impl Lease {
    /// Claims a node for one attempt.
    pub fn take(node: &Arc<Node>, plugin: &Arc<Plugin>, class: Class, now: Instant) -> Self {
        let beside_long =
            node.in_flight(Class::Long) > 0 || node.others().burden(plugin.place(), now).long > 0;
        let own = node.runtime_in_flight(plugin.place());
        let met = (own, node.total_in_flight().saturating_sub(own));
        node.count_up(class, plugin.place());
        node.count_taken();
        Self {
            met,
            reaching: false,
            node: Arc::clone(node),
            plugin: Arc::clone(plugin),
            class,
            beside_long,
            since: now,
            expected: None,
            beside: false,
            then: None,
        }
    }

    /// Notes for how long the node is expected to be held, where that is known.
    pub fn expecting(mut self, lasting: Option<Duration>) -> Self {
        if self.expected.is_none() {
            self.expected = lasting.map(|lasting| self.node.expected.begin(self.since + lasting));
        }
        self
    }

    /// The same claim, of a request that has yet to reach the node.
    pub fn reaching(mut self) -> Self {
        if !self.reaching {
            self.node.reaching().fetch_add(1, Ordering::Relaxed);
            self.reaching = true;
        }
        self
    }

    /// The request has reached the node.
    pub fn note_reached(&mut self) {
        if std::mem::take(&mut self.reaching) {
            self.node.reaching().fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The same claim, which limits per class do not count.
    pub fn beside_class_limits(mut self) -> Self {
        self.node.places().count_beside(self.class, true);
        self.beside = true;
        self
    }

    /// The same claim; when it ends, `then` is dropped, after the node was freed.
    pub fn then(mut self, then: impl Then + 'static) -> Self {
        self.then = Some(Box::new(then));
        self
    }

    /// The node that is held.
    #[must_use]
    pub const fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// The plugin whose runtime it occupies.
    #[must_use]
    pub fn plugin(&self) -> PluginPlace {
        self.plugin.place()
    }

    /// What its request was taken for.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// Whether a long request ran on the node when this one was sent there.
    #[must_use]
    pub const fn beside_long(&self) -> bool {
        self.beside_long
    }

    /// How many of its plugin, and how many others, ran on the node when it was sent there.
    #[must_use]
    pub const fn met(&self) -> (u32, u32) {
        self.met
    }

    /// The node served it: it has the plugin, and what it did wrong before is forgotten.
    pub fn note_success(&self) {
        self.node.note_present(self.plugin());
        self.node.note_success();
    }

    /// How long it has been held.
    #[must_use]
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// Ends the claim and says what it taught, if anything.
    #[must_use]
    pub fn settle(self, outcome: Outcome, now: Instant) -> Option<Sample> {
        if matches!(outcome, Outcome::Failed | Outcome::Unreached) {
            self.node.count_failure();
        }
        let age = self.age(now);
        if outcome == Outcome::Answered {
            self.node.recent(self.class).note(age, now);
        }
        outcome.sample(age)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.note_reached();
        if let Some(ticket) = self.expected {
            self.node.expected.end(ticket);
        }
        self.node.count_down(self.class, self.plugin.place());
        if self.beside {
            self.node.places().count_beside(self.class, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Role, clock};
    use crate::nodes::Plugins;

    #[test]
    fn f041_f042_every_way_out_counts_down_once() {
        let address = "10.0.0.1:5002".parse().expect("an address");
        let node = Arc::new(Node::new(
            "n1".into(),
            address,
            (Role::Secondary, 1),
            clock::now(),
        ));
        let plugin = Plugins::new().find(Some("a/b"));
        let now = clock::now();
        let take = |class| Lease::take(&node, &plugin, class, now);

        let (settled, dropped, panicked) =
            (take(Class::Short), take(Class::Long), take(Class::Long));
        assert_eq!(node.in_flight(Class::Short), 1);
        assert_eq!(node.in_flight(Class::Long), 2);
        assert_eq!(node.runtime_in_flight(plugin.place()), 3);

        let sample = settled.settle(Outcome::Answered, now + Duration::from_millis(7));
        assert_eq!(
            sample.map(|sample| sample.duration),
            Some(Duration::from_millis(7))
        );
        drop(dropped);
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _held = panicked;
            panic!("a request failed in the middle");
        }));
        assert!(unwound.is_err());
        assert_eq!(node.total_in_flight(), 0);
        assert_eq!(node.runtime_in_flight(plugin.place()), 0);
        assert_eq!(node.taken(), 3);
    }
}
