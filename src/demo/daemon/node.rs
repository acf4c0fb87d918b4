//! What does one daemon know of itself? Its plugins, its counters, its power.
use super::plugin::Plugins;
use super::power::Power;
use super::pulse::Pulse;
use super::script::Script;
use super::seen::RequestLog;
use super::settings::{Health, Settings};
use super::world::World;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpSocket;

/// One daemon: its process may come and go, its identity and its port stay.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) settings: Settings,
    pub(super) addr: SocketAddr,
    pub(super) plugins: Plugins,
    pub(super) log: RequestLog,
    pub(super) open_connections: Gauge,
    pub(super) active_requests: Gauge,
    pub(super) active_dispatch: Gauge,
    pub(super) health_checks: AtomicU64,
    pub(super) accept_delay_ms: AtomicU64,
    health: Mutex<Health>,
    scripts: Mutex<HashMap<String, Script>>,
    power: Mutex<Power>,
    /// Bound, never listening: a dead process refuses connections, and nobody takes its port.
    _reserved: TcpSocket,
}

impl Node {
    pub(super) fn new(settings: Settings, addr: SocketAddr, reserved: TcpSocket) -> Self {
        let pulse = settings.world.pulse().clone();
        let plugins = &settings.plugins;
        Self {
            addr,
            plugins: Plugins::new(plugins, settings.accept_all_plugins, pulse.clone()),
            log: RequestLog::new(settings.log_capacity),
            open_connections: Gauge::new(&pulse),
            active_requests: Gauge::new(&pulse),
            active_dispatch: Gauge::new(&pulse),
            health_checks: AtomicU64::new(0),
            accept_delay_ms: AtomicU64::new(settings.accept_delay_ms),
            health: Mutex::new(settings.health.clone()),
            scripts: Mutex::new(settings.scripts.clone()),
            power: Mutex::new(Power::on()),
            _reserved: reserved,
            settings,
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.settings.id
    }

    pub(super) fn world(&self) -> &World {
        &self.settings.world
    }

    pub(super) fn power(&self) -> Power {
        self.power.lock().clone()
    }

    /// A new process: what belonged to the old one stays dead.
    pub(super) fn new_power(&self) -> Power {
        let power = Power::on();
        *self.power.lock() = power.clone();
        power
    }

    pub(super) fn count_health_check(&self) {
        self.health_checks.fetch_add(1, Ordering::AcqRel);
        // After the change, or who waits for it would look too early and never again.
        self.world().pulse().beat();
    }

    pub(super) fn health(&self) -> Health {
        self.health.lock().clone()
    }

    pub(super) fn set_health(&self, health: Health) {
        *self.health.lock() = health;
    }

    pub(super) fn set_script(&self, key: &str, script: Option<Script>) {
        let mut scripts = self.scripts.lock();
        match script {
            Some(script) => scripts.insert(key.to_owned(), script),
            None => scripts.remove(key),
        };
    }

    /// The script of the first of `keys` that has one.
    pub(super) fn script(&self, keys: &[&str]) -> Option<Script> {
        let scripts = self.scripts.lock();
        keys.iter().find_map(|key| scripts.get(*key)).cloned()
    }

    /// Sleeps `ms` of simulated time.
    pub(super) async fn sleep(&self, ms: u64) {
        let time = self.settings.scaled(ms);
        if time > Duration::ZERO {
            tokio::time::sleep(time).await;
        }
    }
}

/// A number that goes up, and down again when the guard is dropped.
#[derive(Debug)]
pub(super) struct Gauge {
    value: std::sync::Arc<AtomicU64>,
    pulse: Pulse,
}

impl Gauge {
    fn new(pulse: &Pulse) -> Self {
        Self {
            value: std::sync::Arc::default(),
            pulse: pulse.clone(),
        }
    }

    pub(super) fn get(&self) -> u64 {
        self.value.load(Ordering::Acquire)
    }

    pub(super) fn raise(&self) -> Raised {
        self.value.fetch_add(1, Ordering::AcqRel);
        self.pulse.beat();
        Raised {
            value: self.value.clone(),
            pulse: self.pulse.clone(),
        }
    }
}

/// One unit of a [`Gauge`].
#[derive(Debug)]
pub(super) struct Raised {
    value: std::sync::Arc<AtomicU64>,
    pulse: Pulse,
}

impl Drop for Raised {
    fn drop(&mut self) {
        self.value.fetch_sub(1, Ordering::AcqRel);
        self.pulse.beat();
    }
}
