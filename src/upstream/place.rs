//! Where does a request go, and whose is it? Said before its body is read.

use super::{Incoming, Pool, Snapshot};
use crate::model::Rejection;
use crate::model::rejection::Reason;
use crate::route::{Found, Head, Known, Look, Rule};
use http::{HeaderName, header};
use std::sync::Arc;

static API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Where a request goes.
#[derive(Clone, Debug)]
pub struct Place {
    /// The rule of the operator that decided something.
    pub rule: Option<Rule>,
    /// The pool.
    pub pool: Arc<Pool>,
    /// The pool that takes over when none of its nodes may serve.
    pub fallback: Option<Arc<Pool>>,
    /// Whose it is.
    pub application: Option<Arc<str>>,
    /// The header in which the application's key came.
    pub credential: Option<HeaderName>,
    shut: bool,
}

impl Place {
    /// What a request is told that may not come in without a key.
    #[must_use]
    pub fn refusal(&self) -> Option<Rejection> {
        self.shut.then(|| {
            let public = "the key is missing or unknown: send it as Authorization: Bearer, or as \
                          X-Api-Key";
            Rejection::new(Reason::Unauthorized, public)
        })
    }
}

impl<'r> Incoming<'r> {
    /// Finds out. A pool of applications takes requests with a key of one of its applications, and
    /// what a rule sends there or lets in; every other pool takes what rules and routes send there.
    #[must_use]
    pub fn place(&self, snapshot: &Snapshot) -> Place {
        let known = self.application(snapshot);
        let rule = self.rule(snapshot, known.as_ref().map(|(known, _)| &*known.name));
        let ruled = rule.and_then(|rule| rule.pool);
        let own = known.as_ref().map(|(known, _)| known.pool);
        let at = ruled
            .or(own)
            .unwrap_or_else(|| snapshot.position_for(self.path));
        let closed = || {
            let all = snapshot.applications.as_ref();
            all.is_some_and(|all| all.close(at))
        };
        let shut = known.is_none() && closed() && !rule.is_some_and(|rule| rule.open);
        let pool = &snapshot.pools()[at];
        let (known, credential) = known.unzip();
        Place {
            rule,
            fallback: snapshot.fallback_of(pool),
            pool: Arc::clone(pool),
            application: known.map(|known| known.name),
            credential,
            shut,
        }
    }

    /// The rule that holds for it. Where there are no rules, nothing is looked up.
    fn rule(&self, snapshot: &Snapshot, application: Option<&str>) -> Option<Rule> {
        if snapshot.rules.is_empty() {
            return None;
        }
        let look = Look {
            asked: &self.asked,
            method: self.method,
            path: self.path,
            host: self.host(),
            application,
        };
        snapshot.rules.find(&look, |name| self.named(name))
    }

    /// Whose key it carries, and in which header. Where there are no applications, nothing is looked
    /// up.
    fn application(&self, snapshot: &Snapshot) -> Option<(Known, HeaderName)> {
        let all = snapshot.applications.as_ref()?;
        let bearer = self.headers.get(header::AUTHORIZATION).and_then(|value| {
            let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
        });
        let plain = self.text(&API_KEY);
        let mut sent = [(bearer, header::AUTHORIZATION), (plain, API_KEY.clone())].into_iter();
        sent.find_map(|(key, name)| Some((all.of(key?.as_bytes())?, name)))
    }

    /// A header's first value, by its name.
    pub(super) fn named(&self, name: &str) -> Option<&'r str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Who the user is, as far as that stands outside of the body; only where the pool or
    /// a limit asks.
    /// `body`: is there one that may be looked into?
    #[must_use]
    pub fn user(&self, snapshot: &Snapshot, pool: &Pool, body: impl FnOnce() -> bool) -> Found {
        let hashed = pool.hashing.as_ref().is_some_and(|it| it.goes_by_user());
        if !hashed && !snapshot.counts_users(pool) {
            return Found::Settled(None);
        }
        let values = |name: &str| -> Vec<&'r str> {
            let values = self.headers.get_all(name).iter();
            values.filter_map(|value| value.to_str().ok()).collect()
        };
        snapshot.users.find(&Head {
            header: &values,
            query: self.query,
            body: body(),
        })
    }
}
