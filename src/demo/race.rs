//! What runs at once? The calls of every lane, and the nodes that die and come back.

use super::lane::Lane;
use super::trace::Trace;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

#[derive(Debug)]
pub(super) struct Race {
    calls: Vec<JoinHandle<()>>,
    kills: Vec<JoinHandle<io::Result<()>>>,
}

impl Race {
    /// The same calls in every lane, and the same death.
    pub(super) fn begin(lanes: &[Arc<Lane>], trace: &Arc<Trace>, death: [Duration; 2]) -> Self {
        let mut race = Self {
            calls: Vec::new(),
            kills: Vec::new(),
        };
        race.send(lanes, trace);
        race.kill(lanes, death);
        race
    }

    fn send(&mut self, lanes: &[Arc<Lane>], trace: &Arc<Trace>) {
        let calls = |lane: &Arc<Lane>| tokio::spawn(Arc::clone(lane).race(Arc::clone(trace)));
        self.calls.extend(lanes.iter().map(calls));
    }

    /// Another burst.
    pub(super) fn burst(&mut self, lanes: &[Arc<Lane>], seed: u64) {
        self.send(lanes, &Arc::new(Trace::burst(seed)));
    }

    /// A node dies in each lane, then, and comes back, then.
    pub(super) fn kill(&mut self, lanes: &[Arc<Lane>], death: [Duration; 2]) {
        let kill = |lane: &Arc<Lane>| tokio::spawn(Arc::clone(lane).lose_a_node(death));
        self.kills.extend(lanes.iter().map(kill));
    }

    /// Whether every call has ended.
    pub(super) fn is_over(&self) -> bool {
        self.calls.iter().all(JoinHandle::is_finished)
    }

    /// Ends what still runs, if it was left early.
    ///
    /// # Errors
    /// When a node did not come back.
    pub(super) async fn end(self) -> io::Result<()> {
        let early = !self.is_over();
        for task in self.calls {
            if early {
                task.abort();
            } else {
                task.await.map_err(io::Error::other)?;
            }
        }
        for task in self.kills {
            if early {
                task.abort();
            } else {
                task.await.map_err(io::Error::other)??;
            }
        }
        Ok(())
    }
}
