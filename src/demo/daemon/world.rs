//! What do the daemons share? The ledger, the install tasks, the assets: their database and S3.
use super::ledger::Ledger;
use super::node::Node;
use super::pulse::Pulse;
use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// What the daemons share; cheap to clone, clones are the same world.
#[derive(Debug, Clone, Default)]
pub struct World(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ledger: Ledger,
    pulse: Pulse,
    nodes: Mutex<Vec<Weak<Node>>>,
    tasks: Mutex<BTreeMap<String, Task>>,
    assets: Mutex<HashMap<String, Bytes>>,
    next: AtomicU64,
}

impl Default for Inner {
    fn default() -> Self {
        let pulse = Pulse::default();
        Self {
            ledger: Ledger::with_pulse(pulse.clone()),
            pulse,
            nodes: Mutex::default(),
            tasks: Mutex::default(),
            assets: Mutex::default(),
            next: AtomicU64::new(1),
        }
    }
}

/// One row of `install/tasks`.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) status: &'static str,
    pub(super) message: &'static str,
    pub(super) identifiers: Vec<String>,
}

impl Task {
    pub(super) fn json(&self, id: &str) -> Value {
        let done = if self.status == "success" {
            self.identifiers.len()
        } else {
            0
        };
        let plugin = |identifier: &String| {
            json!({
                "plugin_unique_identifier": identifier,
                "plugin_id": identifier.split(':').next().unwrap_or_default(),
                "status": self.status,
                "message": self.message,
            })
        };
        json!({
            "id": id,
            "status": self.status,
            "total_plugins": self.identifiers.len(),
            "completed_plugins": done,
            "plugins": self.identifiers.iter().map(plugin).collect::<Vec<_>>(),
        })
    }
}

impl World {
    /// The execution ledger.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    /// Puts an asset into the shared storage; `GET .../asset/:id` gives it back.
    pub fn put_asset(&self, id: &str, content: impl Into<Bytes>) {
        self.0.assets.lock().insert(id.to_owned(), content.into());
    }

    /// Returns once `condition` holds; looks again whenever a daemon of this world changes.
    pub async fn until(&self, condition: impl FnMut() -> bool) {
        self.0.pulse.until(condition).await;
    }

    pub(super) fn asset(&self, id: &str) -> Option<Bytes> {
        self.0.assets.lock().get(id).cloned()
    }

    pub(super) fn pulse(&self) -> &Pulse {
        &self.0.pulse
    }

    pub(super) fn join(&self, node: &Arc<Node>) {
        let mut nodes = self.0.nodes.lock();
        nodes.retain(|node| node.strong_count() > 0);
        nodes.push(Arc::downgrade(node));
    }

    /// All daemons of this world, dead processes included.
    pub(super) fn nodes(&self) -> Vec<Arc<Node>> {
        self.0
            .nodes
            .lock()
            .iter()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// A number that nobody in this world has had.
    pub(super) fn number(&self) -> u64 {
        self.0.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn set_task(&self, id: &str, task: Task) {
        self.0.tasks.lock().insert(id.to_owned(), task);
        self.0.pulse.beat();
    }

    pub(super) fn task(&self, id: &str) -> Option<Value> {
        self.0.tasks.lock().get(id).map(|task| task.json(id))
    }

    pub(super) fn tasks(&self) -> Vec<Value> {
        self.0
            .tasks
            .lock()
            .iter()
            .map(|(id, task)| task.json(id))
            .collect()
    }

    pub(super) fn forget_task(&self, id: &str) {
        self.0.tasks.lock().remove(id);
    }

    pub(super) fn forget_tasks(&self) {
        self.0.tasks.lock().clear();
    }
}
