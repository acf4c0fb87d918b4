//! What becomes of a request? Said once, for the request itself and for whoever asks about one.

use super::{Incoming, Installs, Place, Pool, Snapshot};
use crate::admit::Quota;
use crate::config::PoolKind;
use crate::dify::{Asked, Kind, runtime};
use crate::model::rejection::Reason;
use crate::model::{Basis, Class, Operation, Owner, Rejection, Verdict, clock};
use crate::route::{Facts, Rule, Treatment, stable_hash};
use http::HeaderName;
use std::sync::Arc;

/// What its body told, as far as it was asked.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// Provider and tool, model or agent strategy.
    pub item: Option<String>,
    /// The user's id, wherever it stood.
    pub user: Option<String>,
}

/// What was found out about it.
#[derive(Clone, Debug)]
pub struct Plan<'r> {
    /// What is asked.
    pub asked: Asked<'r>,
    /// The rule of the operator that decided something.
    pub rule: Option<Rule>,
    /// The places of that rule, where it has a limit.
    pub quota: Option<Arc<Quota>>,
    /// Where it goes.
    pub pool: Arc<Pool>,
    /// The pool that takes over when none of its nodes may serve.
    pub fallback: Option<Arc<Pool>>,
    /// Whose it is.
    pub application: Option<Arc<str>>,
    /// The header in which the application's key came.
    pub credential: Option<HeaderName>,
    /// Its kind; `Other` where kinds are not told apart.
    pub kind: Kind,
    /// Dify takes the first event and hangs up: that is success.
    pub single_result: bool,
    /// The key under which it is learned; none for what is not learned.
    pub operation: Option<Operation>,
    /// The plugin it names.
    pub plugin: Option<&'r str>,
    /// The plugin's process: the plugin, with its version where the request names one.
    pub runtime: Option<&'r str>,
    /// The node that holds its debug plugin's connection, where that is known; or that took the
    /// tenant's installation of the plugin not long ago.
    pub owner: Option<Owner>,
    /// It occupies a node for long enough to be held where a pool has caps.
    pub held: bool,
    /// It waits for a model or a service rather than for the node.
    pub io_bound: bool,
    /// Set for requests that all go to one node: which one, by rendezvous.
    pub affinity: Option<u64>,
    /// Where on its pool's ring it lies; none where there is no ring, or nothing to hash.
    pub key: Option<u32>,
}

impl<'r> Plan<'r> {
    /// Finds out what is to be known of a request that goes to this place.
    #[must_use]
    pub fn new(
        snapshot: &Snapshot,
        installs: &Installs,
        incoming: &Incoming<'r>,
        treatment: &Treatment,
        (place, named): (Place, &Named),
    ) -> Self {
        let asked = incoming.asked;
        let Place {
            rule,
            pool,
            fallback,
            application,
            credential,
            ..
        } = place;
        // What goes to Dify's own API is no daemon's business, whatever its path looks like.
        let told_apart = snapshot.treatments.is_on() && pool.kind == PoolKind::PluginDaemon;
        let levels = &snapshot.config.learn.key;
        let learnable = told_apart && asked.learnable();
        let plugin = asked.plugin.filter(|_| told_apart);
        let writer = asked.tenant.filter(|_| treatment.one_writer);
        let hook = asked.plugin.filter(|_| treatment.sticky);
        let key = pool.hashing.as_ref().and_then(|hashing| {
            let facts = Facts {
                user: named.user.as_deref(),
                application: application.as_deref(),
                tenant: asked.tenant,
                plugin: asked.plugin,
                client: incoming.client,
            };
            hashing.point(&facts, |name| incoming.named(name))
        });
        Self {
            quota: rule.and_then(|rule| snapshot.quota_of(&rule).cloned()),
            rule,
            key,
            pool,
            fallback,
            application,
            credential,
            kind: if told_apart { asked.kind } else { Kind::Other },
            single_result: told_apart && asked.single_result(),
            operation: learnable.then(|| {
                let item = named.item.as_deref();
                asked.operation(levels, item, incoming.path)
            }),
            plugin,
            runtime: match asked.version {
                Some(_) => incoming.names.identifier().map(runtime),
                None => plugin,
            },
            owner: plugin.and_then(|plugin| {
                let installed = |tenant| installs.taken_by(tenant, plugin, clock::now);
                let owner = snapshot.owner_of(plugin);
                owner.or_else(|| asked.tenant.and_then(installed))
            }),
            held: !told_apart || matches!(asked.kind, Kind::Dispatch | Kind::Polling | Kind::Hook),
            io_bound: told_apart && asked.io_bound(),
            // All gateways of a fleet must agree on the node.
            affinity: writer.or(hook).map(|key| stable_hash(key.as_bytes())),
            asked,
        }
    }

    /// What a request is told whose pool wants a key that it does not have.
    #[must_use]
    pub fn lacks_key(&self) -> Option<Rejection> {
        let hashing = self.pool.hashing.as_ref()?;
        (hashing.is_required() && self.key.is_none()).then(|| {
            let by = hashing.written();
            let public =
                format!("the request has nothing to be told by; one of these is needed: {by}");
            Rejection::new(Reason::BadRequest, public)
        })
    }

    /// The class: what a rule says, else what `judge` says of its operation and what such a one
    /// usually is; what is not learned is short.
    pub fn verdict(&self, judge: impl FnOnce(&Operation, Class) -> Verdict) -> Verdict {
        if let Some(class) = self.rule.and_then(|rule| rule.class) {
            let basis = Basis::Pinned;
            return Verdict { class, basis };
        }
        match &self.operation {
            Some(operation) => judge(operation, self.asked.prior()),
            None => Verdict {
                class: Class::Short,
                basis: Basis::Prior,
            },
        }
    }
}
