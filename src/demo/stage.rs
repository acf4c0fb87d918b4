//! Who watches, and what do they want?

use super::board::{Learned, Now};
use super::table;
use crate::nodes::Node;
use crate::upstream::Live;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// So many of the last lines are kept for whoever shows a whole screen.
const NEWS: usize = 6;

/// Whoever watches a demo.
pub trait Audience {
    /// How often it looks.
    fn every(&self) -> Duration;

    /// Something is said: before the race, on the way, and after it.
    fn hear(&mut self, line: &str);

    /// How it is now. Returns what the audience wants.
    ///
    /// # Errors
    /// When it cannot be shown: the demo ends.
    fn see(&mut self, scene: &Scene) -> std::io::Result<Option<Wanted>>;
}

/// What an audience may want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Another burst of long calls in each lane.
    Burst,
    /// A node of each lane killed, and started again after a while.
    Kill,
    /// The end, and what it came to so far.
    End,
}

/// How it is now. Durations of calls are of the demo's clock, in seconds.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// Real time since the first call.
    pub elapsed: Duration,
    /// Real time of arrivals.
    pub length: Duration,
    /// Repeats it.
    pub seed: u64,
    /// Where our lane's dashboard is.
    pub address: String,
    /// The lanes; the first is ours.
    pub lanes: Vec<Now>,
    /// The nodes of our lane.
    pub nodes: Vec<NodeNow>,
    /// What our lane learned, most samples first.
    pub learned: Vec<Learned>,
    /// Our lane's last choice.
    pub choice: Option<String>,
    /// The last lines that were said.
    pub news: VecDeque<String>,
}

/// How a node is now.
#[derive(Clone, Debug, Default)]
pub struct NodeNow {
    /// Its name.
    pub name: String,
    /// Whether it answers.
    pub up: bool,
    /// Short and long calls that run there.
    pub running: [u32; 2],
}

impl NodeNow {
    fn of(node: &Node) -> Self {
        Self {
            name: node.id().to_string(),
            up: node.is_healthy(),
            running: crate::model::Class::ALL.map(|class| node.in_flight(class)),
        }
    }
}

impl Scene {
    /// Notes a line.
    pub(super) fn tell(&mut self, line: &str) {
        self.news.push_back(line.trim().to_owned());
        while self.news.len() > NEWS {
            self.news.pop_front();
        }
    }

    /// Looks at our lane.
    pub(super) fn look(&mut self, live: &Arc<Live>, mut learned: Vec<Learned>) {
        let nodes = live.snapshot().nodes();
        self.nodes = nodes.iter().map(|node| NodeNow::of(node)).collect();
        learned.sort_by_key(|row| std::cmp::Reverse(row.samples));
        self.learned = learned;
        let last = live.decisions.last(1);
        self.choice = last.first().map(|choice| {
            let node = choice.node.as_ref().map_or("nobody", |node| node.as_str());
            let class = choice.verdict.class.word();
            let operation = choice.operation.as_str();
            format!("{operation} ({class}) to {node}: {}", choice.why)
        });
    }

    /// The lanes in one line.
    #[must_use]
    pub fn line(&self) -> String {
        table::line(self.elapsed, &self.lanes)
    }
}
