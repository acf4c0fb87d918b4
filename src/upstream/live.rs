//! What do all requests share? The current snapshot, and what outlives snapshots.

use super::fleet::Fleet;
use super::history::History;
use super::installs::Installs;
use super::lifecycle::Lifecycle;
use super::roll::Roll;
use super::sightings::Sightings;
use super::snapshot::{Parts, Snapshot};
use crate::admit::{Crowd, PSEUDONYM};
use crate::learn::{Classifier, Learner};
use crate::model::{GivenId, RequestId, clock};
use crate::nodes::{Plugins, Tunnels};
use crate::observe::Decisions;
use arc_swap::ArcSwap;
use http::{HeaderValue, Version};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

/// One running gateway, as its requests and its operator see it.
#[derive(Debug)]
pub struct Live {
    snapshot: ArcSwap<Snapshot>,
    /// Nodes, checks, metrics.
    pub parts: Parts,
    /// The plugins seen in traffic.
    pub plugins: Plugins,
    /// The plain TCP connections that pass through.
    pub tunnels: Arc<Tunnels>,
    /// The connections of clients.
    pub crowd: Arc<Crowd>,
    /// How one would ask for them.
    pub sightings: Sightings,
    /// Which expected plugins were found where.
    pub roll: Roll,
    /// Where plugins were installed last.
    pub installs: Installs,
    /// What was learned.
    pub learner: Arc<Learner>,
    /// What was decided lately.
    pub decisions: Decisions,
    /// What happened within the last minutes.
    pub history: History,
    /// Open or closing, and how many are inside.
    pub lifecycle: Arc<Lifecycle>,
    /// Who we are.
    pub identity: Identity,
    /// The other gateways.
    pub fleet: Fleet,
}

/// A gateway's name, new with every start: a loop must be told from a neighbour.
#[derive(Debug)]
pub struct Identity {
    /// The pseudonym in `Via`: `twolane-` and eight hexadecimal digits.
    pub name: String,
    /// The digits of the name.
    digits: u32,
    /// Requests that were given a number.
    numbered: AtomicU64,
    /// What a request's `Via` gains here, for HTTP 1.0, 1.1 and 2: made once.
    via: [HeaderValue; 3],
    /// For durations.
    pub started: Instant,
    /// For people.
    pub started_wall: SystemTime,
}

impl Default for Identity {
    fn default() -> Self {
        let digits = fastrand::u32(..);
        let name = format!("{PSEUDONYM}{digits:08x}");
        let via = ["1.0", "1.1", "2.0"].map(|version| {
            let line = format!("{version} {name}");
            HeaderValue::try_from(line).expect("letters, digits and a dash")
        });
        Self {
            name,
            digits,
            numbered: AtomicU64::new(0),
            via,
            started: clock::now(),
            started_wall: clock::wall(),
        }
    }
}

impl Identity {
    /// What we append to `Via` for a request that came in this version (RFC 9110, section 7.6.3).
    #[must_use]
    pub const fn via(&self, version: Version) -> &HeaderValue {
        let at = match version {
            Version::HTTP_10 => 0,
            Version::HTTP_2 => 2,
            _ => 1,
        };
        &self.via[at]
    }

    /// What a request is called: as its client does, if that is usable, else by a number of ours.
    #[must_use]
    pub fn request_id(&self, given: Option<&str>) -> RequestId {
        match given.and_then(GivenId::new) {
            Some(given) => RequestId::Given(given),
            None => RequestId::Own {
                gateway: self.digits,
                number: self.numbered.fetch_add(1, Ordering::Relaxed) + 1,
            },
        }
    }
}

impl Live {
    /// Puts a first snapshot into service.
    #[must_use]
    pub fn new(
        snapshot: Arc<Snapshot>,
        parts: Parts,
        learner: Arc<Learner>,
        identity: Identity,
        fleet: Fleet,
    ) -> Self {
        parts.roster.note_open();
        let decisions = Decisions::default();
        decisions.resize(snapshot.config.decisions);
        Self {
            snapshot: ArcSwap::new(snapshot),
            parts,
            plugins: Plugins::new(),
            tunnels: Arc::default(),
            crowd: Arc::default(),
            sightings: Sightings::new(clock::now()),
            roll: Roll::default(),
            installs: Installs::default(),
            learner,
            decisions,
            history: History::default(),
            lifecycle: Arc::default(),
            identity,
            fleet,
        }
    }

    /// The rules for a request that comes in now. Pin it; do not ask twice.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Who says what is long for requests of this snapshot.
    #[must_use]
    pub fn classifier<'a>(&'a self, snapshot: &'a Snapshot) -> &'a dyn Classifier {
        match &snapshot.classifier {
            Some(own) => own.as_ref(),
            None => self.learner.as_ref(),
        }
    }

    /// Puts a snapshot into service for requests to come.
    pub fn swap(&self, snapshot: Arc<Snapshot>) {
        self.parts.checks.set(&snapshot.config.health);
        self.decisions.resize(snapshot.config.decisions);
        self.snapshot.swap(snapshot).retire();
    }

    /// Whether clients should be sent here: the first checks are over, the end is not announced,
    /// and at least one node can work.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let healthy = || self.snapshot().nodes().iter().any(|node| node.is_healthy());
        self.lifecycle.is_ready() && !self.lifecycle.is_draining() && healthy()
    }
}
