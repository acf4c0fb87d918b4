//! Is there a place for a request, and what does it take to say so?

use super::WaitingRoom;
use super::waiter::Stay;
use crate::admit::{Guest, Pace, Quota, Taken};
use crate::config::PluginCap;
use crate::dify::plugin_of;
use crate::learn::matches;
use crate::model::{Class, Owner, Request};
use crate::nodes::{Hand, Lease, Limits, NoCandidate, Node, Plugin, Tried};
use crate::select::Why;
use crate::upstream::pool::{Pick, Pool};
use crate::upstream::selector::Ask;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a request holds its place, by class, while nobody knows.
const UNKNOWN: [Duration; Class::ALL.len()] = [Duration::from_millis(100), Duration::from_secs(5)];

/// What a request wants of a pool that has caps.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The request.
    pub request: Request,
    /// Nodes it has tried.
    pub tried: Tried,
    /// Seeds the dice.
    pub luck: u64,
    /// See [`Ask::affinity`].
    pub affinity: Option<u64>,
    /// See [`Ask::owner`].
    pub owner: Option<Owner>,
    /// It can be sent once only.
    pub once: bool,
    /// Its plugin.
    pub plugin: Arc<Plugin>,
    /// It calls a plugin. Others occupy a node for too short a time to be held.
    pub held: bool,
    /// It waits for a model or a service rather than for the node.
    pub io_bound: bool,
    /// Who asks, hashed; 0 is nobody.
    pub tenant: u64,
    /// How long it will probably take, where that was learned.
    pub predicted: Option<Duration>,
    /// How long it has waited already, for nodes that then failed it.
    pub waited: Duration,
    /// The places of the rule that limits it.
    pub quota: Option<Arc<Quota>>,
}

/// A node, chosen and leased.
#[derive(Debug)]
pub struct Seat {
    /// The node.
    pub pick: Pick,
    /// The claim on it.
    pub lease: Lease,
    /// How long it waited for it.
    pub waited: Duration,
}

/// By what a place is looked for.
pub(super) struct Known {
    pub(super) pace: Pace,
    pub(super) caps: Caps,
}

/// What holds now; none when a reload took the caps away.
pub(super) struct Caps {
    pub(super) on: bool,
    pub(super) plugins: Vec<PluginCap>,
}

/// What came of looking for a place.
pub(super) enum Found {
    Seat(Box<Seat>),
    Full,
    Shut,
    Nobody(NoCandidate),
}

impl WaitingRoom {
    /// Looks for a place, and takes it.
    pub(super) fn find(
        self: &Arc<Self>,
        known: &Known,
        (pool, wish, guest): (&Arc<Pool>, &Wish, &Guest),
        (overdue, now): (bool, Instant),
    ) -> Found {
        // Given back by `Drop` where no node is found.
        let (taken, beyond) = match &wish.quota {
            None => (None, false),
            Some(quota) => match quota.take(self.share_of(quota)) {
                None if !overdue => return Found::Full,
                None => (Some(quota.exceed()), true),
                taken => (taken, false),
            },
        };
        let limits = known
            .caps
            .on
            .then(|| self.limits(&known.caps, plugin_of(wish.plugin.name()), wish.io_bound));
        let limits = limits.filter(|_| wish.held);
        let nodes = pool.nodes();
        if limits.is_some() && wish.request.class == Class::Long && !overdue {
            let places = self.places(&nodes);
            let long: u32 = nodes.iter().map(|node| node.in_flight(Class::Long)).sum();
            let reserve = places.map(|places| known.pace.reserve(places, now));
            self.metrics.reserve(reserve.unwrap_or(0));
            // Of no places at all, the screen knows what is to be said.
            if let (Some(places @ 1..), Some(reserve)) = (places, reserve)
                && long + reserve >= places
            {
                return Found::Shut;
            }
        }
        let ask = |limits, overdue| Ask {
            request: wish.request,
            tried: &wish.tried,
            luck: wish.luck,
            affinity: wish.affinity,
            owner: wish.owner.as_ref(),
            once: wish.once,
            limits,
            overdue,
            now,
        };
        let chosen = match pool.choose(&ask(limits, false)) {
            Err(refused) if refused.full > 0 && overdue => {
                pool.choose(&ask(None, true)).map(|pick| (pick, true))
            }
            chosen => chosen.map(|pick| (pick, beyond)),
        };
        match chosen {
            Ok((mut pick, beyond)) => {
                if beyond {
                    self.metrics.overdue();
                    pick.why = Why::Overdue;
                }
                let seat = self.seat(pick, (wish, guest, taken), now);
                Found::Seat(Box::new(seat))
            }
            Err(refused) if refused.full > 0 => Found::Full,
            Err(refused) => Found::Nobody(refused),
        }
    }

    fn seat(
        self: &Arc<Self>,
        pick: Pick,
        (wish, guest, taken): (&Wish, &Guest, Option<Taken>),
        now: Instant,
    ) -> Seat {
        let lease = Lease::take(&pick.node, &wish.plugin, wish.request.class, now);
        // What is not held is not counted either.
        let lease = if wish.io_bound || !wish.held {
            lease.beside_class_limits()
        } else {
            lease
        };
        let stay = Stay {
            room: Arc::clone(self),
            guest: wish.held.then_some(*guest),
            taken,
            since: now,
        };
        Seat {
            pick,
            lease: lease.then(stay),
            waited: Duration::ZERO,
        }
    }

    pub(super) fn limits(&self, caps: &Caps, name: &str, io_bound: bool) -> Limits {
        let of_plugin = caps.plugins.iter().find(|cap| matches(&cap.plugin, name));
        let by_name = |cap: &PluginCap| cap.plugin == name;
        Limits {
            // A pattern was not written with this plugin in mind.
            plugin: of_plugin
                .filter(|cap| !io_bound || by_name(cap))
                .map(|cap| cap.most),
            io_bound,
            gateways: self.gateways.load(Ordering::Relaxed),
        }
    }

    /// How many of a rule's places are this gateway's.
    pub(in crate::upstream) fn share_of(&self, quota: &Quota) -> u32 {
        let limits = Limits {
            gateways: self.gateways.load(Ordering::Relaxed),
            ..Limits::default()
        };
        limits.share(quota.most())
    }

    /// All places of the nodes that take requests now; none when one of them has no limit.
    pub(super) fn places(&self, nodes: &[Arc<Node>]) -> Option<u32> {
        let limits = Limits {
            gateways: self.gateways.load(Ordering::Relaxed),
            ..Limits::default()
        };
        let usable = |node: &&Arc<Node>| node.is_healthy() && node.hand() == Hand::Ready;
        let mut all = 0u32;
        for node in nodes.iter().filter(usable) {
            all = all.saturating_add(limits.share(node.total_places()?));
        }
        Some(all)
    }
}

impl Known {
    pub(super) fn guest(&self, pool: &Arc<Pool>, wish: &Wish) -> Guest {
        let class = wish.request.class;
        let mut kin = DefaultHasher::new();
        let plain = wish.tried.is_empty() && wish.owner.is_none() && !wish.once;
        (Arc::as_ptr(pool), class, wish.io_bound).hash(&mut kin);
        wish.request.plugin.hash(&mut kin);
        wish.quota.as_ref().map(Arc::as_ptr).hash(&mut kin);
        if !plain {
            // Like nobody else: its luck is its own.
            wish.luck.hash(&mut kin);
        }
        let predicted = wish.predicted.or_else(|| self.pace.usual(class));
        Guest {
            class,
            kin: kin.finish(),
            tenant: wish.tenant,
            predicted: predicted.unwrap_or(UNKNOWN[class.index()]),
            waited: wish.waited,
        }
    }
}
