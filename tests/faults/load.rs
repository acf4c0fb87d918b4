//! Daemons behind a gateway, and many callers at once.

use crate::relay::Relay;
use crate::sim;
use crate::support::client::{Dify, DifyError};
use crate::support::gateway::{Gateway, parse, yaml};
use crate::support::within;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::RwLock;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use twolane::demo::daemon::{Daemon, Ledger, Settings, World};
use twolane::nodes::Node;

/// The checks under which the figures are owed.
pub(crate) const CHECKS: &str = "health: { interval: 500ms, timeout: 400ms, fall: 2 }\n";
/// Without checks every node counts as healthy, and nobody but clients asks for anything.
pub(crate) const UNCHECKED: &str = "health: { enabled: false }\n";
pub(crate) const CALLS: usize = 1000;
pub(crate) const CALLERS: usize = 20;
/// 200 calls a second.
const PACE: std::time::Duration = std::time::Duration::from_millis(5);

pub(crate) struct Rig {
    pub(crate) nodes: Vec<Daemon>,
    pub(crate) gateway: Gateway,
}

/// Daemons that share a ledger, named n1, n2, ...
pub(crate) async fn daemons(count: usize) -> Vec<Daemon> {
    let world = World::default();
    let mut daemons = Vec::new();
    for n in 1..=count {
        let settings = Settings::named(&format!("n{n}"), &world);
        daemons.push(Daemon::start(settings).await.unwrap());
    }
    daemons
}

impl Rig {
    pub(crate) async fn new(count: usize, more: &str) -> Self {
        let nodes = daemons(count).await;
        let named: Vec<_> = nodes.iter().map(named).collect();
        let gateway = Gateway::start(parse(&yaml(&named, more))).await;
        Self { nodes, gateway }
    }

    /// The first so many nodes stand behind doors.
    pub(crate) async fn with_doors(count: usize, doors: usize, more: &str) -> (Self, Vec<Relay>) {
        let nodes = daemons(count).await;
        let mut named: Vec<_> = nodes.iter().map(named).collect();
        let mut relays = Vec::new();
        for (_, address) in &mut named[..doors] {
            let relay = Relay::before(*address).await;
            *address = relay.addr;
            relays.push(relay);
        }
        let gateway = Gateway::start(parse(&yaml(&named, more))).await;
        (Self { nodes, gateway }, relays)
    }

    pub(crate) fn dify(&self) -> Dify {
        self.gateway.dify()
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        self.nodes[0].ledger()
    }

    /// What the gateway knows of a node.
    pub(crate) fn node(&self, id: &str) -> Arc<Node> {
        let nodes = self.gateway.embedded.live().snapshot().nodes();
        nodes
            .into_iter()
            .find(|node| node.id().as_str() == id)
            .unwrap()
    }

    /// How often each request was executed.
    pub(crate) fn executed(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for entry in self.ledger().executions() {
            *counts
                .entry(entry.id.expect("every call has an id"))
                .or_default() += 1;
        }
        counts
    }

    /// Requests that nodes were sent, without health checks.
    pub(crate) fn sent(&self) -> u64 {
        self.nodes.iter().map(Daemon::calls_seen).sum()
    }

    /// Waits until nobody is inside and no node is held.
    pub(crate) async fn quiet(&self) {
        let quiet = self.gateway.until(|gateway| {
            gateway.in_flight() == 0 && gateway.embedded.live().lifecycle.open() == 0
        });
        within("the gateway becomes quiet", quiet).await;
    }

    /// Sends `calls` tool calls from [`CALLERS`] callers, each with an id that starts with `name`.
    pub(crate) async fn load(&self, name: &str, calls: usize, script: Value) -> Tally {
        let (next, script) = (Arc::new(AtomicUsize::new(0)), Arc::new(script));
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let (next, script, dify) = (Arc::clone(&next), Arc::clone(&script), self.dify());
            let name = name.to_owned();
            callers.spawn(async move {
                let mut tally = Tally::default();
                loop {
                    let n = next.fetch_add(1, Ordering::AcqRel);
                    if n >= calls {
                        return tally;
                    }
                    tally.call(&dify, format!("{name}.{n}"), &script).await;
                }
            });
        }
        join(callers).await
    }

    /// Sends `calls` tool calls, one every 5 ms whatever becomes of the others, as clients do: the
    /// pace at which the figures are owed. [`Paced::between`] alone holds them up.
    pub(crate) fn paced(&self, calls: usize, script: &Value) -> Paced {
        let (dify, script) = (self.dify(), script.clone());
        let (sent, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let under_way = Arc::new(RwLock::new(()));
        let (going, counted, entered) = (sent.clone(), ended.clone(), under_way.clone());
        let all = tokio::spawn(async move {
            let mut callers = JoinSet::new();
            let mut pace = tokio::time::interval(PACE);
            // A machine that stood still does not send all that it missed at once.
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for n in 0..calls {
                pace.tick().await;
                let (dify, script, ended) = (dify.clone(), script.clone(), Arc::clone(&counted));
                let under_way = Arc::clone(&entered);
                going.store(n + 1, Ordering::Release);
                callers.spawn(async move {
                    let mut tally = Tally::default();
                    let _under_way = under_way.read().await;
                    tally.call(&dify, format!("p{n}"), &script).await;
                    ended.fetch_add(1, Ordering::AcqRel);
                    tally
                });
            }
            join(callers).await
        });
        Paced {
            all,
            sent,
            ended,
            under_way,
        }
    }

    /// Warms connections up, as they are in production when something breaks.
    pub(crate) async fn warm(&self) {
        let tally = self.load("warm", 100, json!({})).await;
        assert_eq!(tally.errors, [], "all is well before the fault");
        self.quiet().await;
    }

    /// What holds after every fault.
    pub(crate) async fn expect_clean(&self, tally: &Tally) {
        self.quiet().await;
        assert!(
            self.ledger().duplicates().is_empty(),
            "no dispatch may be executed twice: {:?}",
            self.ledger().duplicates()
        );
        for (id, error) in &tally.errors {
            assert!(
                is_understood(error),
                "Dify should understand how {id} failed: {error:?}"
            );
        }
        let executed = self.executed();
        for id in &tally.answered {
            assert_eq!(
                executed.get(id),
                Some(&1),
                "what was answered should have been executed: {id}"
            );
        }
    }
}

fn named(node: &Daemon) -> (String, SocketAddr) {
    (node.id().to_owned(), node.addr())
}

/// Whether Dify shows an error for it, and the right one.
pub(crate) fn is_understood(error: &DifyError) -> bool {
    !matches!(
        error,
        DifyError::SilentEmptySuccess | DifyError::ValueError(_)
    )
}

/// How calls ended.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answered: Vec<String>,
    pub(crate) errors: Vec<(String, DifyError)>,
}

impl Tally {
    async fn call(&mut self, dify: &Dify, id: String, script: &Value) {
        let mut script = script.clone();
        script["id"] = json!(id);
        let answer = dify.all("tool/invoke", crate::PLUGIN, sim(script));
        match within("an end of a call", answer).await {
            Ok(_events) => self.answered.push(id),
            Err(error) => self.errors.push((id, error)),
        }
    }
}

async fn join(mut callers: JoinSet<Tally>) -> Tally {
    let mut all = Tally::default();
    while let Some(tally) = callers.join_next().await {
        let tally = tally.unwrap();
        all.answered.extend(tally.answered);
        all.errors.extend(tally.errors);
    }
    all
}

/// Calls at a steady pace.
pub(crate) struct Paced {
    all: tokio::task::JoinHandle<Tally>,
    sent: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    /// Read for as long as a call is under way.
    under_way: Arc<RwLock<()>>,
}

impl Paced {
    /// Waits until so many calls have ended, in all.
    pub(crate) async fn until(&self, calls: usize) {
        crate::support::eventually("the load goes on", async || {
            self.ended.load(Ordering::Acquire) >= calls
        })
        .await;
    }

    /// How many calls were sent until now: p0, p1 and so on.
    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Ordering::Acquire)
    }

    /// Does something while no call is under way. Those whose time has come wait for its end.
    pub(crate) async fn between<F: Future>(&self, something: F) -> F::Output {
        let _nobody = self.under_way.write().await;
        something.await
    }

    /// Waits for the last end.
    pub(crate) async fn end(self) -> Tally {
        self.all.await.unwrap()
    }
}

/// Callers that go on until they are told to stop.
pub(crate) struct Steady {
    callers: JoinSet<Tally>,
    stop: Arc<AtomicBool>,
    ended: Arc<AtomicUsize>,
}

impl Steady {
    pub(crate) fn start(rig: &Rig, callers: usize, script: &Value) -> Self {
        let mut steady = Self {
            callers: JoinSet::new(),
            stop: Arc::default(),
            ended: Arc::default(),
        };
        for caller in 0..callers {
            let (dify, script) = (rig.dify(), script.clone());
            let (stop, ended) = (Arc::clone(&steady.stop), Arc::clone(&steady.ended));
            steady.callers.spawn(async move {
                let mut tally = Tally::default();
                for n in 0.. {
                    if stop.load(Ordering::Acquire) {
                        break;
                    }
                    let id = format!("s{caller}.{n}");
                    tally.call(&dify, id, &script).await;
                    ended.fetch_add(1, Ordering::AcqRel);
                }
                tally
            });
        }
        steady
    }

    /// Waits for so many more ends.
    pub(crate) async fn more(&self, calls: usize) {
        let goal = self.ended.load(Ordering::Acquire) + calls;
        crate::support::eventually("the load goes on", async || {
            self.ended.load(Ordering::Acquire) >= goal
        })
        .await;
    }

    pub(crate) async fn end(self) -> Tally {
        self.stop.store(true, Ordering::Release);
        join(self.callers).await
    }
}
