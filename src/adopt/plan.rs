//! What is to be done so that the gateway stands between this Dify and its daemons?

use super::dify::Dify;
use super::{Compose, Service};
use std::time::Duration;

/// Who calls the daemon, and the variable that says where it is.
pub(super) const URL: &str = "PLUGIN_DAEMON_URL";
/// Dify's agent service has one of its own, since 1.16.
pub(super) const AGENT_URL: &str = "DIFY_AGENT_PLUGIN_DAEMON_URL";
/// The daemon's limit of one call, in seconds.
pub(super) const LONGEST: &str = "PLUGIN_MAX_EXECUTION_TIMEOUT";
/// Its default.
pub(super) const LONGEST_DEFAULT: u64 = 600;
/// The name of our service, and so of our host.
pub(super) const GATEWAY: &str = "twolane";

/// Dify's own proxy.
const NGINX: &str = "nginx";

/// What the operator wants.
#[derive(Clone, Debug)]
pub struct Wish {
    /// So many daemons.
    pub replicas: u64,
    /// The image of the gateway.
    pub image: String,
}

/// What the override and the configuration are written from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The daemon's service.
    pub daemon: String,
    /// Its port.
    pub port: u16,
    /// Its port for plugins in development.
    pub debugging: u16,
    /// The same on the host, as the Compose file writes it.
    pub debugging_outside: String,
    /// Services to be pointed at the gateway, each with its variable.
    pub redirected: Vec<(String, &'static str)>,
    /// Networks of the daemon that the gateway must be on as well; none = the default one.
    pub networks: Vec<String>,
    /// The longest call of a plugin.
    pub longest: Duration,
    /// So many daemons.
    pub replicas: u64,
    /// The image of the gateway.
    pub image: String,
    /// Dify's nginx is there, and will say who calls webhooks.
    pub behind_nginx: bool,
    /// What the operator should know.
    pub notes: Vec<String>,
}

impl Plan {
    /// Looks at a Dify and decides.
    ///
    /// # Panics
    /// Never: a [`Dify`] without a daemon cannot be read.
    #[must_use]
    pub fn new(dify: &Dify, wish: &Wish) -> Self {
        let plain = &dify.plain;
        let daemon = dify.daemon_of(plain).expect("it was read with a daemon");
        let environment = dify.environment(daemon);
        let number = |name: &str| environment.get(name).and_then(|text| text.parse().ok());
        let debugging = number("PLUGIN_REMOTE_INSTALLING_PORT").unwrap_or(5003);
        let longest = number(LONGEST).map_or(LONGEST_DEFAULT, u64::from);
        Self {
            port: number("SERVER_PORT").unwrap_or(5002),
            debugging,
            debugging_outside: outside(dify, daemon, debugging),
            redirected: redirected(dify, plain, daemon.name),
            networks: daemon.networks(),
            longest: Duration::from_secs(longest),
            replicas: wish.replicas,
            image: wish.image.clone(),
            behind_nginx: plain.service(NGINX).is_some(),
            notes: notes(dify, daemon),
            daemon: daemon.name.to_owned(),
        }
    }

    /// Where Dify finds the gateway.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{GATEWAY}:5002")
    }

    /// How long the gateway waits for a node: the daemon is to be the first to end.
    #[must_use]
    pub fn read_timeout(&self) -> Duration {
        self.longest + Duration::from_secs(60)
    }

    /// How long a stop may take.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.longest + Duration::from_secs(30)
    }
}

/// The host's port for plugins in development: the first that the daemon's service maps to it.
fn outside(dify: &Dify, daemon: Service<'_>, inside: u16) -> String {
    let ports = dify.ports(daemon);
    let end = format!(":{inside}");
    let mapped = ports.iter().find_map(|port| port.strip_suffix(&end));
    mapped.map_or_else(|| inside.to_string(), str::to_owned)
}

/// Whoever has one of the two variables, or runs the image that reads it. The daemon shares Dify's
/// environment and does not call itself.
fn redirected(dify: &Dify, compose: &Compose, daemon: &str) -> Vec<(String, &'static str)> {
    let mut all = Vec::new();
    for service in compose.services().filter(|one| one.name != daemon) {
        let environment = dify.environment(service);
        if environment.contains_key(AGENT_URL) || service.name == "agent_backend" {
            all.push((service.name.to_owned(), AGENT_URL));
        } else if environment.contains_key(URL) || service.image().contains("dify-api") {
            all.push((service.name.to_owned(), URL));
        }
    }
    all
}

fn notes(dify: &Dify, daemon: Service<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(name) = daemon.text("container_name") {
        notes.push(format!(
            "{}: container_name {name:?} allows one container; remove it, or two daemons cannot start",
            daemon.name
        ));
    }
    if dify.plain.service(NGINX).is_some() {
        notes.push(
            "nginx sends webhooks (/e/) to the daemons by their own name, past the gateway; in \
             nginx/conf.d/default.conf.template put http://twolane:5002 there"
                .to_owned(),
        );
    }
    notes
}
