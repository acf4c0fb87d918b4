//! What is known of one request, stage by stage?

use super::carried::Carried;
use super::hold::Held;
use super::limited::Stays;
use super::tracing::Names;
use crate::admit::{Patience, Quota};
use crate::dify::Kind;
use crate::dify::envelope::InBand;
use crate::learn::Running;
use crate::model::{
    Basis, Operation, Outcome, Owner, PluginPlace, Rejection, RequestId, Verdict, clock,
};
use crate::nodes::{Lease, Plugin, Tried};
use crate::observe::Ending;
use crate::route::Treatment;
use crate::select::{self, Why};
use crate::upstream::{Handover, Live, Passage, Pool, Snapshot, Turn};
use bytes::Bytes;
use http::HeaderName;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One request, from its header to the end of its answer. Stages, not a bag: before routing there
/// is no route, and between attempts there is no lease.
#[derive(Debug)]
pub struct Ctx {
    /// The rules that hold for it, whatever is reloaded meanwhile.
    pub(super) snapshot: Arc<Snapshot>,
    /// When its header was read.
    pub(super) arrived: Instant,
    /// What it is called, where anybody will want to know.
    pub(super) id: Option<RequestId>,
    /// By which names it is followed elsewhere.
    pub(super) names: Names,
    /// Set by `request_filter`.
    pub(super) routed: Option<Routed>,
    /// The attempt that runs now.
    pub(super) attempt: Option<Attempt>,
    /// Nodes that were tried before.
    pub(super) tried: Tried,
    /// How many of them failed the request,
    pub(super) failures: u8,
    /// and how many did not have its plugin.
    pub(super) misses: u8,
    /// Whether it pays to ask all nodes again.
    pub(super) patience: Patience,
    /// What the last attempt left behind.
    pub(super) last: Last,
    /// How long it waited for places.
    pub(super) waited: Duration,
    /// The last node's error answer, which no client has seen yet.
    pub(super) held: Option<Held>,
    /// How it ended, once that is known.
    pub(super) ending: Option<Ending>,
    /// Why we answered ourselves, if we did.
    pub(super) rejection: Option<Rejection>,
    /// Counts it as inside by the limits that go by so many at once.
    pub(super) stays: Stays,
    /// The request whose place this takes, for whoever carries its answer on.
    pub(super) carries: Mutex<Option<Box<Carried>>>,
    /// Counts it as inside until it is dropped.
    _passage: Passage,
}

/// Where a request goes and what it is.
#[derive(Debug)]
pub(super) struct Routed {
    pub(super) pool: Arc<Pool>,
    /// The pool that takes over when none of its nodes may serve.
    pub(super) fallback: Option<Arc<Pool>>,
    /// Whose it is.
    pub(super) application: Option<Arc<str>>,
    /// The header in which the application's key came.
    pub(super) credential: Option<HeaderName>,
    /// The client does not wait for leave to send its body any more.
    pub(super) continued: bool,
    pub(super) kind: Kind,
    /// Dify takes the first event and hangs up: that is success.
    pub(super) single_result: bool,
    /// The key under which it is learned; none for what is not learned.
    pub(super) operation: Option<Operation>,
    pub(super) plugin: Arc<Plugin>,
    /// The node that holds its debug plugin's connection, or took its installation.
    pub(super) owner: Option<Owner>,
    pub(super) verdict: Verdict,
    /// What matters when it has to wait.
    pub(super) standing: Standing,
    /// How its kind is treated.
    pub(super) treatment: Treatment,
    /// Set for requests that all go to one node: which one, by rendezvous.
    pub(super) affinity: Option<u64>,
    /// Where on its pool's ring it lies.
    pub(super) key: Option<u32>,
    /// Its body is too large to be kept, so that it can be sent once only.
    pub(super) once: bool,
    /// It only reads: running it twice does no harm.
    pub(super) read: bool,
    /// The whole body, where it is too large for Pingora to keep and small enough for us.
    pub(super) kept: Option<Bytes>,
    /// The head of the body of a request that installs plugins: it names them.
    pub(super) names: Option<Vec<u8>>,
    /// Bytes of the request body sent to the current node.
    pub(super) body_sent: u64,
}

/// What of an attempt outlives its lease, for those who read about it later.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Last {
    pub(super) why: Option<Why>,
    pub(super) status: Option<u16>,
    /// From the request's header to the first byte of an answer.
    pub(super) first_byte: Option<Duration>,
}

/// What matters of a request when it has to wait.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    /// It calls a plugin; nothing else is held.
    pub(super) held: bool,
    /// It waits for a model or a service rather than for the node.
    pub(super) io_bound: bool,
    /// Who asks, hashed; 0 is nobody.
    pub(super) tenant: u64,
    /// The places of the rule that limits it.
    pub(super) quota: Option<Arc<Quota>>,
}

/// One try on one node.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) lease: Lease,
    /// Tells the learner that a request of this operation runs.
    pub(super) running: Option<Running>,
    pub(super) why: Why,
    /// Others of its plugin that it met on the node.
    pub(super) neighbours: u32,
    /// The node's status, once it answered.
    pub(super) status: Option<u16>,
    /// Who failed inside a 200 answer, as daemons tell it.
    pub(super) failed_in_band: Option<InBand>,
    /// Whether any byte of an answer's body came.
    pub(super) body_began: bool,
    /// The node's error answer, held back until its meaning is known.
    pub(super) held: Option<Held>,
    /// Set where the request asks for another protocol: its end goes before the node's answer.
    pub(super) turn: Option<Arc<Turn>>,
    /// Its connection tells the node what is told beside the client's own fields.
    pub(super) told: bool,
    /// Present where its answer may go on without Pingora,
    pub(super) handover: Option<Arc<Handover>>,
    /// and set when it does.
    pub(super) carried: bool,
}

impl Attempt {
    /// How an attempt that came to the answer's end ended.
    pub(super) fn answered(&self) -> Outcome {
        let executed = self
            .status
            .is_some_and(|status| (200..300).contains(&status) || status == 101);
        if executed && self.failed_in_band.is_none() {
            Outcome::Answered
        } else {
            Outcome::Refused
        }
    }
}

impl Ctx {
    pub(super) fn new(live: &Live) -> Self {
        Self {
            snapshot: live.snapshot(),
            arrived: clock::now(),
            id: None,
            names: Names::default(),
            routed: None,
            attempt: None,
            tried: Tried::new(),
            failures: 0,
            misses: 0,
            patience: Patience::default(),
            last: Last::default(),
            waited: Duration::ZERO,
            held: None,
            ending: None,
            rejection: None,
            stays: Stays::new(),
            carries: Mutex::default(),
            _passage: live.lifecycle.enter(),
        }
    }

    /// Ends the running attempt, if there is one: frees the node, counts, learns.
    pub(super) fn settle(&mut self, live: &Live, outcome: impl FnOnce(&Attempt) -> Outcome) {
        let Some(attempt) = self.attempt.take() else {
            return;
        };
        let now = clock::now();
        let outcome = outcome(&attempt);
        (self.last.why, self.last.status) = (Some(attempt.why), attempt.status);
        let node = attempt.lease.node().id().clone();
        live.parts.metrics.attempt(&node, outcome);
        if outcome == Outcome::Answered {
            self.note_neighbours(&attempt, now);
        }
        drop((attempt.running, attempt.handover));
        self.tried.push(node);
        // An attempt was routed; were it not, its lease would end here all the same.
        if let Some(routed) = &self.routed {
            select::settle(
                attempt.lease,
                routed.pool.chooser(),
                live.classifier(&self.snapshot),
                routed.operation.as_ref(),
                outcome,
                now,
            );
        }
    }

    /// Whether neighbours of one plugin slow each other down is learned where both durations are
    /// known: this one, and the usual one.
    fn note_neighbours(&self, attempt: &Attempt, now: Instant) {
        if let Some(routed) = &self.routed
            && let Basis::Learned { score, .. } = routed.verdict.basis
            && routed.plugin.place() != PluginPlace::NONE
        {
            let took = attempt.lease.age(now);
            routed.pool.note_neighbours(attempt.neighbours, took, score);
        }
    }
}
