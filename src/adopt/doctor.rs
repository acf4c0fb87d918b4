//! Which of the classic mistakes was made?

use super::dify::Dify;
use super::manifests::Manifests;
use super::plan::{AGENT_URL, GATEWAY, LONGEST, LONGEST_DEFAULT, URL};
use super::{Compose, Service};
use crate::config::Config;
use std::time::Duration;

/// How much a mistake matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Something does not work.
    Error,
    /// Something will not work on a bad day.
    Warning,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// How much it matters.
    pub weight: Weight,
    /// Its word, which does not change.
    pub word: &'static str,
    /// What is wrong, and where.
    pub what: String,
    /// What to do.
    pub cure: String,
}

/// The key that Dify's files come with, which everybody knows.
const PUBLIC_KEY: &str = "lYkiYYT6owG+71oLerGzA7GXCgOT++6ovaezWAjpCjf+Sjc3ZtU+qUEi";

/// What the doctor may look at; less shows less.
#[derive(Debug, Default)]
struct Notes(Vec<Complaint>);

impl Notes {
    fn add(&mut self, weight: Weight, word: &'static str, what: String, cure: &str) {
        let cure = cure.to_owned();
        self.0.push(Complaint {
            weight,
            word,
            what,
            cure,
        });
    }

    fn error(&mut self, word: &'static str, what: String, cure: &str) {
        self.add(Weight::Error, word, what, cure);
    }

    fn warn(&mut self, word: &'static str, what: String, cure: &str) {
        self.add(Weight::Warning, word, what, cure);
    }
}

/// Looks at what there is, and names every mistake.
#[must_use]
pub fn examine(
    config: Option<&Config>,
    dify: Option<&Dify>,
    manifests: Option<&Manifests>,
) -> Vec<Complaint> {
    let mut notes = Notes::default();
    if let Some(config) = config {
        of_config(config, &mut notes);
    }
    if let Some(dify) = dify {
        of_dify(dify, &mut notes);
        if let Some(config) = config {
            of_both(config, dify, &mut notes);
        }
    }
    if let Some(manifests) = manifests {
        of_manifests(manifests, &mut notes);
    }
    notes.0
}

fn of_config(config: &Config, notes: &mut Notes) {
    if config.health.enabled && config.health.path == "/health" {
        notes.error(
            "health_path",
            "health.path is /health, which a daemon does not have".to_owned(),
            "write /health/check, or leave the key out",
        );
    }
    let celerys = |url: &&crate::model::Secret| {
        let url = url.expose().trim_end_matches('/');
        url.rsplit_once('/').is_some_and(|(_, base)| base == "1")
    };
    if config.share.urls.iter().any(|url| celerys(&url)) {
        notes.warn(
            "celery_database",
            "share.redis uses database 1, where Dify's Celery keeps its queues".to_owned(),
            "use database 0 or one of your own: redis://host:6379/0",
        );
    }
}

fn of_dify(dify: &Dify, notes: &mut Notes) {
    let Some(daemon) = dify.daemon_of(&dify.merged) else {
        return;
    };
    let environment = dify.environment(daemon);
    let says = |name: &str| environment.get(name).map(String::as_str);
    if says("SERVER_KEY") == Some(PUBLIC_KEY) {
        notes.warn(
            "public_key",
            format!(
                "{}: PLUGIN_DAEMON_KEY is the one that Dify's files come with",
                daemon.name
            ),
            "set PLUGIN_DAEMON_KEY in .env to the output of `openssl rand -base64 42`",
        );
    }
    if daemon.replicas() > 1 {
        of_replicas(dify, daemon, notes);
    }
    if dify.merged.service(GATEWAY).is_none() {
        return;
    }
    for (service, variable, target) in callers(dify, &dify.merged, daemon.name) {
        if !target.contains(GATEWAY) {
            let word = if variable == AGENT_URL {
                "agent_not_redirected"
            } else {
                "caller_not_redirected"
            };
            notes.error(
                word,
                format!("{service}: {variable} leads past the gateway"),
                "write `twolane init dify` again, or set it to http://twolane:5002",
            );
        }
    }
    of_webhooks(dify, daemon, notes);
}

/// Who calls daemons, by which variable, and where it leads.
fn callers(dify: &Dify, compose: &Compose, daemon: &str) -> Vec<(String, &'static str, String)> {
    let mut all = Vec::new();
    for service in compose
        .services()
        .filter(|one| one.name != daemon && one.name != GATEWAY)
    {
        let environment = dify.environment(service);
        for variable in [URL, AGENT_URL] {
            if let Some(target) = environment.get(variable) {
                all.push((service.name.to_owned(), variable, target.clone()));
            }
        }
    }
    all
}

fn of_replicas(dify: &Dify, daemon: Service<'_>, notes: &mut Notes) {
    let environment = dify.environment(daemon);
    let path = environment.get("PLUGIN_WORKING_PATH");
    let path = path.map_or("/app/storage/cwd", String::as_str);
    if path.starts_with("/app/storage") {
        notes.error(
            "shared_cwd",
            format!(
                "{}: several daemons unpack plugins into one {path}",
                daemon.name
            ),
            "set PLUGIN_WORKING_PATH to a folder of the container alone, such as /app/cwd",
        );
    }
    if dify.ports(daemon).iter().any(|port| port.contains(':')) {
        notes.error(
            "one_port_for_many",
            format!(
                "{}: several daemons cannot have one port of the host",
                daemon.name
            ),
            "`ports: !reset []` for it; the gateway publishes 5003",
        );
    }
}

fn of_webhooks(dify: &Dify, daemon: Service<'_>, notes: &mut Notes) {
    let template = dify.folder.join("nginx/conf.d/default.conf.template");
    let Ok(text) = std::fs::read_to_string(&template) else {
        return;
    };
    let direct = format!("http://{}:", daemon.name);
    if text.contains("/e/") && text.contains(&direct) {
        notes.warn(
            "webhooks_pass_by",
            format!("{}: webhooks (/e/) go past the gateway", template.display()),
            "put http://twolane:5002 there",
        );
    }
}

fn of_both(config: &Config, dify: &Dify, notes: &mut Notes) {
    let Some(daemon) = dify.daemon_of(&dify.merged) else {
        return;
    };
    let environment = dify.environment(daemon);
    let longest = environment.get(LONGEST).and_then(|text| text.parse().ok());
    let longest = Duration::from_secs(longest.unwrap_or(LONGEST_DEFAULT));
    if config.timeouts.read < longest {
        notes.error(
            "short_read_timeout",
            format!(
                "timeouts.read is {} s, and a plugin may run for {} s",
                config.timeouts.read.as_secs(),
                longest.as_secs()
            ),
            "make timeouts.read longer than the daemon's PLUGIN_MAX_EXECUTION_TIMEOUT",
        );
    }
    if config.shutdown.deadline < longest {
        notes.warn(
            "short_deadline",
            format!(
                "shutdown.deadline is {} s, and a plugin may run for {} s: a stop cuts it",
                config.shutdown.deadline.as_secs(),
                longest.as_secs()
            ),
            "make shutdown.deadline, and the container's stop_grace_period, longer than that",
        );
    }
    let published = dify.plain.service(daemon.name).map(|one| dify.ports(one));
    let was_published = published.is_some_and(|ports| !ports.is_empty());
    let gateway = dify.merged.service(GATEWAY);
    if was_published && gateway.is_some() && config.tcp.listen.is_none() {
        notes.warn(
            "debugging_closed",
            "plugins in development have no port: the daemons' 5003 is behind the gateway, and \
             `tcp` is off"
                .to_owned(),
            "write tcp: { listen: 0.0.0.0:5003 } and publish 5003 of the gateway",
        );
    }
}

fn of_manifests(manifests: &Manifests, notes: &mut Notes) {
    for (workload, claim) in manifests.crowded_volumes() {
        notes.error(
            "one_volume_for_many",
            format!("{workload}: several replicas on the ReadWriteOnce volume {claim}"),
            "use ReadWriteMany, object storage (PLUGIN_STORAGE_TYPE), or a StatefulSet with a \
             volume each",
        );
    }
    for (workload, path) in manifests.wrong_probes() {
        notes.error(
            "wrong_probe",
            format!("{workload}: a probe asks for {path}, which a daemon answers with 404"),
            "write /health/check",
        );
    }
}
