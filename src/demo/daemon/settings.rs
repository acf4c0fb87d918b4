//! What kind of daemon is it?
use super::plugin::Plugin;
use super::script::Script;
use super::world::World;
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Everything a stand-in daemon is told before it starts.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name in the ledger and in every event it sends.
    pub id: String,
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// `SERVER_KEY`: what `X-Api-Key` must equal. `None` accepts everyone.
    pub api_key: Option<String>,
    /// `version` in the health answer; a commit id in the real images.
    pub version: String,
    /// How `GET /health/check` answers.
    pub health: Health,
    /// Its plugins.
    pub plugins: Vec<Plugin>,
    /// Whether every plugin that is not in `plugins` counts as installed and running.
    pub accept_all_plugins: bool,
    /// Scripts by operation (`tool/invoke`), by plugin (`author/name`) or by hook (`e/<hook>`);
    /// the plugin's wins.
    pub scripts: HashMap<String, Script>,
    /// The plugin (`author/name`) behind a hook id; a hook that is not here is always served.
    pub hooks: HashMap<String, String>,
    /// Multiplies every time of a script, of [`Health`], of [`Install`] and the limits.
    pub clock_scale: f64,
    /// `PLUGIN_MAX_EXECUTION_TIMEOUT`: then a call ends by `killed by timeout`. Milliseconds.
    pub max_execution_ms: u64,
    /// Pause before each accept, milliseconds (not scaled).
    pub accept_delay_ms: u64,
    /// How long an installation takes, and where it takes effect.
    pub install: Install,
    /// `MAX_PLUGIN_PACKAGE_SIZE`, bytes: a larger upload is 200 with code -400.
    pub package_limit: u64,
    /// Size of the list `management/models?page_size=256`, bytes.
    pub large_list_bytes: usize,
    /// Whether `/metrics/` exists (>= 0.5.7).
    pub metrics: bool,
    /// Whether `/v2/invoke/*` exists (>= 0.5.5).
    pub v2: bool,
    /// Whether `model/polling/*` exists (>= 0.6.2).
    pub polling: bool,
    /// How many requests the log keeps.
    pub log_capacity: usize,
    /// How much of each body the log keeps, bytes; length and checksum are of the whole.
    pub keep_body_bytes: usize,
    /// What it shares with the other daemons.
    pub world: World,
}

/// How `GET /health/check` answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// A daemon <= 0.1.3: no `active_requests`, no `active_dispatch_requests`.
    pub omit_active: bool,
    /// Milliseconds before it answers.
    pub delay_ms: u64,
    /// Status code; anything but 200 comes with an error body.
    pub status: u16,
    /// Never answers.
    pub hang: bool,
    /// This body in place of the real one, for example `{"status":"bad"}`.
    pub body: Option<String>,
    /// `local` or `serverless`.
    pub platform: String,
    /// Added to the true `active_dispatch_requests`: traffic of clients nobody else sees.
    pub extra_dispatch: u64,
}

/// How long an installation takes, and where it takes effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Install {
    /// Until the plugin runs on the daemon that was asked, milliseconds.
    pub here_ms: u64,
    /// Until the other daemons look into the shared storage, milliseconds (30 s in reality).
    pub sweep_ms: u64,
    /// Then until the plugin runs there, milliseconds.
    pub elsewhere_ms: u64,
    /// Whether the other daemons can see the package at all.
    pub storage: Storage,
}

/// Where a daemon keeps its packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// S3 or a shared volume: the others find the plugin at their next sweep.
    Shared,
    /// A local disk: the plugin exists only where it was installed, for ever.
    PerNode,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            id: "n1".to_owned(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            api_key: None,
            version: "3f1c2ad9c0f14d1b8a7d2f7f1d1d7b1f9a6b5c4d".to_owned(),
            health: Health::default(),
            plugins: Vec::new(),
            accept_all_plugins: true,
            scripts: HashMap::new(),
            hooks: HashMap::new(),
            clock_scale: 1.0,
            max_execution_ms: 600_000,
            accept_delay_ms: 0,
            install: Install::default(),
            package_limit: 52_428_800,
            large_list_bytes: 2_000_000,
            metrics: true,
            v2: true,
            polling: true,
            log_capacity: 4096,
            keep_body_bytes: 64 * 1024,
            world: World::default(),
        }
    }
}

impl Settings {
    /// A daemon with this name, in this world.
    #[must_use]
    pub fn named(id: &str, world: &World) -> Self {
        Self {
            id: id.to_owned(),
            world: world.clone(),
            ..Self::default()
        }
    }

    /// `ms` of simulated time as real time. Never negative, never more than a day.
    pub(super) fn scaled(&self, ms: u64) -> Duration {
        const DAY: f64 = 86_400.0;
        // A u64 of milliseconds is exact in f64 up to 285,000 years.
        let seconds = (ms as f64 / 1000.0) * self.clock_scale;
        Duration::from_secs_f64(if seconds.is_finite() {
            seconds.clamp(0.0, DAY)
        } else {
            0.0
        })
    }
}

impl Default for Health {
    fn default() -> Self {
        Self {
            omit_active: false,
            delay_ms: 0,
            status: 200,
            hang: false,
            body: None,
            platform: "local".to_owned(),
            extra_dispatch: 0,
        }
    }
}

impl Default for Install {
    fn default() -> Self {
        Self {
            here_ms: 10_000,
            sweep_ms: 30_000,
            elsewhere_ms: 10_000,
            storage: Storage::Shared,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_time_and_survives_a_senseless_scale() {
        let at = |clock_scale| {
            Settings {
                clock_scale,
                ..Settings::default()
            }
            .scaled(1000)
        };
        assert_eq!(at(0.001), Duration::from_millis(1));
        assert_eq!(at(-1.0), Duration::ZERO);
        assert_eq!(at(f64::NAN), Duration::ZERO);
        assert_eq!(at(1e300), Duration::from_secs(86_400));
    }
}
