//! Which plugins are here, do they run, and are they occupied?
use super::pulse::Pulse;
use crate::dify::{plugin_of, runtime};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One plugin on one daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// `author/name`, or `author/name:version` for one version of several.
    pub id: String,
    /// How its process treats concurrent calls.
    pub mode: Mode,
    /// Whether the tenant has it (a row in the shared database).
    pub installed: bool,
    /// Whether its process runs on this daemon.
    pub running: bool,
    /// From the start of the daemon until the process runs, milliseconds.
    pub start_delay_ms: u64,
}

/// How a plugin's process treats concurrent calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Greenlets: calls that wait for I/O do not disturb one another.
    Cooperative,
    /// Calls that hold the interpreter: one at a time, also after the client has left.
    Blocking,
}

impl Plugin {
    /// An installed, running, cooperative plugin.
    #[must_use]
    pub fn running(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            mode: Mode::Cooperative,
            installed: true,
            running: true,
            start_delay_ms: 0,
        }
    }

    /// Like [`Plugin::running`], one call at a time.
    #[must_use]
    pub fn blocking(id: &str) -> Self {
        Self {
            mode: Mode::Blocking,
            ..Self::running(id)
        }
    }

    /// Installed for the tenant, but its process is not on this daemon.
    #[must_use]
    pub fn absent(id: &str) -> Self {
        Self {
            running: false,
            ..Self::running(id)
        }
    }
}

/// What the daemon's middleware finds before it binds the body.
#[derive(Debug)]
pub(super) enum Presence {
    NotInstalled,
    NotRunning,
    Running(Arc<Runtime>),
}

/// One plugin's process in one boot of one daemon.
#[derive(Debug)]
pub(super) struct Runtime {
    slot: Option<Arc<Semaphore>>,
    active: AtomicUsize,
    pulse: Pulse,
}

impl Runtime {
    fn new(mode: Mode, pulse: &Pulse) -> Arc<Self> {
        Arc::new(Self {
            slot: (mode == Mode::Blocking).then(|| Arc::new(Semaphore::new(1))),
            active: AtomicUsize::new(0),
            pulse: pulse.clone(),
        })
    }

    /// Counts a call until the guard is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> Call {
        self.active.fetch_add(1, Ordering::Relaxed);
        Call(Arc::clone(self))
    }

    /// Calls that the process holds, waiting ones included.
    pub(super) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    /// The interpreter, if calls must take turns for it.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        match &self.slot {
            // The semaphore is never closed, so there is no error to tell.
            Some(slot) => Arc::clone(slot).acquire_owned().await.ok(),
            None => None,
        }
    }
}

/// One call inside a plugin's process.
#[derive(Debug)]
pub(super) struct Call(Arc<Runtime>);

impl Call {
    pub(super) fn runtime(&self) -> &Runtime {
        &self.0
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
        self.0.pulse.beat();
    }
}

#[derive(Debug)]
struct Slot {
    plugin: Plugin,
    launching: bool,
    runtime: Arc<Runtime>,
}

/// All plugins of one daemon.
#[derive(Debug)]
pub(super) struct Plugins {
    table: Mutex<BTreeMap<String, Slot>>,
    accept_all: bool,
    pulse: Pulse,
}

impl Plugins {
    pub(super) fn new(plugins: &[Plugin], accept_all: bool, pulse: Pulse) -> Self {
        let table = Self {
            table: Mutex::default(),
            accept_all,
            pulse,
        };
        for plugin in plugins {
            table.put(plugin.clone());
        }
        table
    }

    /// Adds or replaces a plugin; a replaced one gets a new process.
    pub(super) fn put(&self, plugin: Plugin) {
        let runtime = Runtime::new(plugin.mode, &self.pulse);
        let slot = Slot {
            launching: false,
            runtime,
            plugin,
        };
        self.table.lock().insert(slot.plugin.id.clone(), slot);
        self.pulse.beat();
    }

    /// The daemon has started: every process is new. Returns the plugins that need time, with
    /// that time in milliseconds; they run when [`Plugins::launched`] is called.
    pub(super) fn boot(&self) -> Vec<(String, u64)> {
        let mut slow = Vec::new();
        for slot in self.table.lock().values_mut() {
            slot.runtime = Runtime::new(slot.plugin.mode, &self.pulse);
            slot.launching = slot.plugin.running && slot.plugin.start_delay_ms > 0;
            if slot.launching {
                slow.push((slot.plugin.id.clone(), slot.plugin.start_delay_ms));
            }
        }
        slow
    }

    pub(super) fn launched(&self, id: &str) {
        self.edit(id, |slot| slot.launching = false);
    }

    pub(super) fn set_running(&self, id: &str, running: bool) {
        self.edit(id, |slot| {
            slot.plugin.running = running;
            slot.launching = false;
        });
    }

    pub(super) fn set_installed(&self, id: &str, installed: bool) {
        self.edit(id, |slot| {
            slot.plugin.installed = installed;
        });
    }

    fn edit(&self, id: &str, change: impl FnOnce(&mut Slot)) {
        change(
            self.table
                .lock()
                .entry(id.to_owned())
                .or_insert_with(|| self.unlisted(id)),
        );
        self.pulse.beat();
    }

    fn unlisted(&self, id: &str) -> Slot {
        let plugin = Plugin {
            installed: self.accept_all,
            running: self.accept_all,
            ..Plugin::running(id)
        };
        Slot {
            runtime: Runtime::new(plugin.mode, &self.pulse),
            launching: false,
            plugin,
        }
    }

    pub(super) fn presence(&self, id: &str) -> Presence {
        let mut table = self.table.lock();
        if !self.accept_all && !table.contains_key(id) {
            return Presence::NotInstalled;
        }
        let slot = table
            .entry(id.to_owned())
            .or_insert_with(|| self.unlisted(id));
        match (
            slot.plugin.installed,
            slot.plugin.running && !slot.launching,
        ) {
            (false, _) => Presence::NotInstalled,
            (true, false) => Presence::NotRunning,
            (true, true) => Presence::Running(Arc::clone(&slot.runtime)),
        }
    }

    /// The version that is named, where that version was put here; else the plugin, whatever its version.
    pub(super) fn of_identifier(&self, identifier: &str) -> Presence {
        let (version, plugin) = (runtime(identifier), plugin_of(runtime(identifier)));
        let is_put = self.table.lock().contains_key(version);
        self.presence(if is_put { version } else { plugin })
    }

    /// A process that is in no table, for a hook that names no plugin.
    pub(super) fn unnamed(&self) -> Arc<Runtime> {
        Runtime::new(Mode::Cooperative, &self.pulse)
    }

    pub(super) fn installed(&self, id: &str) -> bool {
        !matches!(self.presence(id), Presence::NotInstalled)
    }

    /// Calls that the plugin's process holds, waiting ones included.
    pub(super) fn active(&self, id: &str) -> usize {
        self.table
            .lock()
            .get(id)
            .map_or(0, |slot| slot.runtime.active())
    }

    /// `plugin_runtime_status` of each plugin: 1 active, 0.5 launching, 0 stopped.
    pub(super) fn statuses(&self) -> Vec<(String, &'static str)> {
        let status = |slot: &Slot| match (slot.plugin.running, slot.launching) {
            (true, false) => "1",
            (true, true) => "0.5",
            (false, _) => "0",
        };
        let table = self.table.lock();
        let installed = table.iter().filter(|(_, slot)| slot.plugin.installed);
        installed
            .map(|(id, slot)| (id.clone(), status(slot)))
            .collect()
    }
}
