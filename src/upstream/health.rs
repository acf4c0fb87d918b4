//! Is a node alive? Our check, in Pingora's health check service.

use super::errand::{Bounds, Errands};
use super::secure::Trust;
use crate::config::Health;
use crate::dify::health::{judge, judge_plain};
use crate::model::clock;
use crate::nodes::{Check, Node, Roster};
use crate::observe::{CheckEnd, CheckMetrics};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::RequestHeader;
use pingora::server::ShutdownWatch;
use pingora::{Error, ErrorType, Result};
use pingora_load_balancing::health_check::HealthCheck;
use pingora_load_balancing::{Backend, HealthCheckService, HealthRegistry};
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;

/// An answer to a check longer than this is not a daemon's.
const LONGEST_ANSWER: usize = 64 * 1024;

/// `GET /health/check`, 200 and JSON `status == "ok"`, all within one timeout. Its settings can
/// change while it runs.
#[derive(Clone)]
pub struct NodeCheck {
    settings: Arc<ArcSwap<Health>>,
    roster: Arc<Roster>,
    errands: Errands,
    metrics: CheckMetrics,
}

impl NodeCheck {
    async fn fetch(
        &self,
        address: SocketAddr,
        path: &str,
        settings: &Health,
    ) -> Result<(u16, Vec<u8>)> {
        let mut request = RequestHeader::build("GET", path.as_bytes(), None)?;
        request.insert_header("User-Agent", "twolane-health")?;
        let bounds = Bounds {
            timeout: settings.timeout,
            longest: LONGEST_ANSWER,
            idle: settings.interval * 2,
        };
        // Pools may share one daemon under two names: the same process answers.
        let nodes = self.roster.at(address);
        match nodes.iter().find(|node| node.server_name().is_some()) {
            Some(node) => {
                self.errands
                    .visit(node, request, Bytes::new(), bounds)
                    .await
            }
            None => {
                self.errands
                    .run(address, request, Bytes::new(), bounds)
                    .await
            }
        }
    }

    async fn probe(&self, address: SocketAddr) -> Result<()> {
        let settings = self.settings.load_full();
        let nodes = self.roster.at(address);
        let ours: Vec<_> = nodes.iter().map(|node| node.total_in_flight()).collect();
        let route = nodes.first().and_then(|node| node.health_route().get());
        let path = route.as_ref().map_or(&*settings.path, |route| &*route.path);
        let (status, body) = self.fetch(address, path, &settings).await?;
        let judged = if route.is_none_or(|route| route.daemon) {
            judge(status, &body)
        } else {
            judge_plain(status, &body)
        };
        let report = judged.map_err(|why| Error::explain(UNWELL, why))?;
        for node in &nodes {
            node.note_serverless(report.platform.as_deref() == Some("serverless"));
        }
        if let (true, Some(running)) = (settings.use_daemon_load, report.active_dispatch_requests) {
            for (node, ours) in nodes.iter().zip(ours) {
                node.note_reported(running, ours, clock::now());
            }
        }
        Ok(())
    }
}

impl NodeCheck {
    async fn verdict(&self, address: SocketAddr) -> Result<()> {
        let begun = clock::now();
        let result = self.probe(address).await;
        let at = clock::now();
        let took = at.saturating_duration_since(begun);
        if !self.settings.load().enabled {
            // Switched off while it ran: its verdict would stay for ever.
            return result;
        }
        for node in self.roster.at(address) {
            self.metrics.checked(node.id(), end(&result), took);
            note_return(&node, result.is_ok());
            node.note_check(result.is_ok());
            node.note_last_check(Check {
                at,
                took,
                wrong: result.as_ref().err().map(|error| wrong(error)),
            });
        }
        result
    }
}

#[async_trait]
impl HealthCheck for NodeCheck {
    async fn check(&self, target: &Backend) -> Result<()> {
        let Some(address) = target.addr.as_inet().copied() else {
            return Error::e_explain(ErrorType::InternalError, "not an IP address");
        };
        self.verdict(address).await
    }

    async fn health_status_change(&self, target: &Backend, healthy: bool) {
        let Some(address) = target.addr.as_inet().copied() else {
            return;
        };
        if !self.settings.load().enabled {
            return;
        }
        for node in self.roster.at(address) {
            note_return(&node, healthy);
            node.set_healthy(healthy);
        }
    }

    fn backend_summary(&self, target: &Backend) -> String {
        let nodes = target
            .addr
            .as_inet()
            .map(|address| self.roster.at(*address));
        let names = nodes.unwrap_or_default();
        let names: Vec<_> = names.iter().map(|node| node.id().as_str()).collect();
        format!("node {} at {}", names.join(", "), target.addr)
    }

    fn health_threshold(&self, success: bool) -> usize {
        let settings = self.settings.load();
        if success {
            settings.rise
        } else {
            settings.fall
        }
    }
}

/// It answered, and not that it is well.
const UNWELL: ErrorType = ErrorType::Custom("unhealthy");

fn end(result: &Result<()>) -> CheckEnd {
    use ErrorType::{
        ConnectError, ConnectNoRoute, ConnectRefused, ConnectTimedout, ReadTimedout, SocketError,
    };
    match result.as_ref().map_err(|error| error.etype()) {
        Ok(()) => CheckEnd::Passed,
        Err(kind) if *kind == UNWELL => CheckEnd::Unwell,
        Err(ReadTimedout) => CheckEnd::Silent,
        Err(ConnectError | ConnectNoRoute | ConnectRefused | ConnectTimedout | SocketError) => {
            CheckEnd::Unreached
        }
        Err(_) => CheckEnd::Broke,
    }
}

/// A failed check in a few words.
fn wrong(error: &Error) -> String {
    let mut words = error.etype().as_str().to_owned();
    if let Some(context) = &error.context {
        words.push_str(": ");
        words.push_str(context.as_str());
    }
    words.chars().take(200).collect()
}

/// Before a node counts as healthy again it must count as one that came up: requests read both
/// without a lock.
fn note_return(node: &Node, passed: bool) {
    if passed && !node.is_healthy() {
        node.note_came_up(clock::now());
    }
}

impl fmt::Debug for NodeCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeCheck").finish_non_exhaustive()
    }
}

/// The checks of all nodes of all pools: one probe per address, whatever pools it is in. Clones are
/// the same checks.
#[derive(Clone)]
pub struct Checks {
    registry: Arc<HealthRegistry>,
    roster: Arc<Roster>,
    settings: Arc<ArcSwap<Health>>,
    check: Arc<NodeCheck>,
}

impl Checks {
    /// Checks of the roster's nodes.
    #[must_use]
    pub fn new(roster: &Arc<Roster>, settings: &Health, metrics: CheckMetrics) -> Self {
        // By address alone: a node whose weight changes keeps its health.
        let registry = HealthRegistry::with_equivalence(|member| {
            let mut hasher = DefaultHasher::new();
            member.addr.hash(&mut hasher);
            hasher.finish()
        });
        let settings = Arc::new(ArcSwap::from_pointee(settings.clone()));
        let check = NodeCheck {
            settings: Arc::clone(&settings),
            roster: Arc::clone(roster),
            errands: Errands::new(),
            metrics,
        };
        registry.set_health_check(Box::new(check.clone()));
        Self {
            check: Arc::new(check),
            registry: Arc::new(registry),
            roster: Arc::clone(roster),
            settings,
        }
    }

    pub(super) const fn registry(&self) -> &Arc<HealthRegistry> {
        &self.registry
    }

    /// Whom to believe to be a node, from the next check on.
    pub(super) fn trust(&self, trust: &Arc<Trust>) {
        self.check.errands.trust(trust);
    }

    /// Whom the checks believe to be a node.
    pub(super) fn trusted(&self) -> Arc<Trust> {
        self.check.errands.trusted()
    }

    /// New settings; path, timeout and thresholds hold from the next check on. Switched off, every
    /// node counts as healthy.
    pub fn set(&self, settings: &Health) {
        self.settings.store(Arc::new(settings.clone()));
        if !settings.enabled {
            self.roster
                .all()
                .iter()
                .for_each(|node| node.forget_checks());
        }
    }

    /// One round of checks over all nodes, at once.
    pub async fn round(&self) {
        if self.settings.load().enabled {
            self.registry.run_health_check(true).await;
        }
    }

    /// Checks newcomers that no check has seen yet: the first verdict on a node decides at once.
    pub(super) async fn greet(&self, nodes: &[Arc<Node>]) {
        if !self.settings.load().enabled {
            return;
        }
        let mut asked = tokio::task::JoinSet::new();
        for node in nodes.iter().filter(|node| !node.is_checked()) {
            let (check, address) = (Arc::clone(&self.check), node.address());
            asked.spawn(async move { check.verdict(address).await.is_ok() });
        }
        asked.join_all().await;
    }

    /// Checks until `stop` says true. The interval is read when this starts.
    pub async fn run(&self, stop: ShutdownWatch) {
        let settings = self.settings.load_full();
        if !settings.enabled {
            return;
        }
        let mut service = HealthCheckService::new(Arc::clone(&self.registry));
        service.health_check_frequency = Some(settings.interval);
        service.parallel_health_check = true;
        service.run(stop, None).await;
    }
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checks")
            .field("settings", &self.settings.load())
            .finish_non_exhaustive()
    }
}
