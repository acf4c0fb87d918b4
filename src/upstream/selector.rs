//! How does our choice go through Pingora's selection hook?
//!
//! The question travels in the hook's key. What has no bytes is left on the calling thread and picked
//! up on the same stack: the time on the way down, and on the way up the answer's reason, which does
//! not fit into Pingora's `Backend`. So [`Selector::iter`] is a pure function of both.

use super::idle::{Connections, Idle};
use super::membership::Crew;
use super::peer::request_peer;
use super::secure::Trust;
use crate::config::{Health, Timeouts};
use crate::model::{Class, Dice, NodeId, Owner, PluginPlace, Request, clock};
use crate::nodes::{
    Candidates, ComebackRules, Limits, NoCandidate, Node, Screening, Tried, owner_in, screen,
};
use crate::route::winner;
use crate::select::{Choice, Guarded, Shadowed, Strategy, Why};
use pingora::upstreams::peer::HttpPeer;
use pingora_load_balancing::Backend;
use pingora_load_balancing::selection::{BackendIter, BackendSelection};
use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// What is asked of a pool: which request, not where again, with which luck.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// The request.
    pub request: Request,
    /// Nodes it has tried.
    pub tried: &'a Tried,
    /// Seeds the dice.
    pub luck: u64,
    /// Chosen by rendezvous with this key, in place of the strategy.
    pub affinity: Option<u64>,
    /// The node that holds its debug plugin's connection, where that is known.
    pub owner: Option<&'a Owner>,
    /// It can be sent once only.
    pub once: bool,
    /// What it must fit into; none where nothing is limited.
    pub limits: Option<Limits>,
    /// It waited for as long as one may: to the least loaded node, whatever the strategy.
    pub overdue: bool,
    /// The time.
    pub now: Instant,
}

const FIXED: usize = 32;
/// The bits of the first byte; the lowest is the class.
const ONCE: u8 = 2;
const LIMITED: u8 = 4;
const IO_BOUND: u8 = 8;
const OVERDUE: u8 = 16;
const KEYED: u8 = 32;
const NO_CAP: u32 = u32::MAX;
/// How the line of the owner begins; without an owner it is empty.
const BY_NAME: u8 = b'=';
const BY_ADDRESS: u8 = b'@';

impl Ask<'_> {
    fn write(&self, key: &mut Vec<u8>) {
        let limits = self.limits.unwrap_or_default();
        let flags = [
            (self.once, ONCE),
            (self.limits.is_some(), LIMITED),
            (limits.io_bound, IO_BOUND),
            (self.overdue, OVERDUE),
            (self.request.key.is_some(), KEYED),
        ];
        let flags = flags.iter().filter(|(set, _)| *set).map(|(_, bit)| bit);
        key.push(flags.fold(self.request.class as u8, |all, bit| all | bit));
        key.push(self.request.attempt);
        key.extend(self.request.plugin.index.to_le_bytes());
        key.extend(self.request.plugin.generation.to_le_bytes());
        key.extend(self.luck.to_le_bytes());
        key.extend(self.affinity.unwrap_or(0).to_le_bytes());
        key.extend(limits.plugin.unwrap_or(NO_CAP).to_le_bytes());
        key.extend(limits.gateways.to_le_bytes());
        key.extend(self.request.key.unwrap_or(0).to_le_bytes());
        match self.owner {
            Some(Owner::Node(name)) => {
                key.push(BY_NAME);
                key.extend(name.as_str().as_bytes());
            }
            Some(Owner::At(address)) => {
                key.push(BY_ADDRESS);
                // Writing into memory cannot fail.
                let _ = write!(key, "{address}");
            }
            None => {}
        }
        key.push(b'\n');
        for node in self.tried {
            key.extend(node.as_str().as_bytes());
            key.push(b'\n');
        }
    }
}

fn read_owner(line: &[u8]) -> Option<Owner> {
    let (&how, text) = line.split_first()?;
    let text = std::str::from_utf8(text).ok()?;
    match how {
        BY_NAME => Some(Owner::Node(NodeId::from(text))),
        BY_ADDRESS => text.parse().ok().map(Owner::At),
        _ => None,
    }
}

/// A question as it was read out of the key.
struct Question {
    request: Request,
    tried: Tried,
    luck: u64,
    /// 0 = none.
    affinity: u64,
    owner: Option<Owner>,
    once: bool,
    limits: Option<Limits>,
    overdue: bool,
}

fn read(key: &[u8]) -> Option<Question> {
    let (fixed, names) = key.split_first_chunk::<FIXED>()?;
    let [flags, attempt, plugin @ ..] = fixed;
    let is = |bit: u8| flags & bit != 0;
    let class = *Class::ALL.get(usize::from(flags & 1))?;
    let luck = u64::from_le_bytes(plugin[4..12].try_into().ok()?);
    let affinity = u64::from_le_bytes(plugin[12..20].try_into().ok()?);
    let cap = u32::from_le_bytes(plugin[20..24].try_into().ok()?);
    let limits = is(LIMITED).then_some(Limits {
        plugin: Some(cap).filter(|&cap| cap != NO_CAP),
        io_bound: is(IO_BOUND),
        gateways: u16::from_le_bytes([plugin[24], plugin[25]]),
    });
    let point = u32::from_le_bytes(plugin[26..30].try_into().ok()?);
    let plugin = PluginPlace {
        index: u16::from_le_bytes([plugin[0], plugin[1]]),
        generation: u16::from_le_bytes([plugin[2], plugin[3]]),
    };
    let mut lines = names.split(|&byte| byte == b'\n');
    let owner = lines.next().and_then(read_owner);
    let tried = lines
        .filter(|name| !name.is_empty())
        .filter_map(|name| std::str::from_utf8(name).ok())
        .map(NodeId::from)
        .collect();
    Some(Question {
        request: Request::new(class, plugin)
            .attempt(*attempt)
            .keyed(is(KEYED).then_some(point)),
        tried,
        luck,
        affinity,
        owner,
        once: is(ONCE),
        limits,
        overdue: is(OVERDUE),
    })
}

/// What the selector decided.
pub(super) struct Said {
    pub(super) members: Arc<Members>,
    pub(super) at: usize,
    pub(super) why: Why,
    /// What the shadow would have chosen.
    pub(super) shadow: Option<usize>,
}

thread_local! {
    static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
    static SAID: Cell<Option<Result<Said, NoCandidate>>> = const { Cell::new(None) };
}

/// Asks through Pingora's hook: `select` is the pool's `LoadBalancer::select_with`.
pub(super) fn ask(ask: &Ask<'_>, select: impl FnOnce(&[u8])) -> Result<Said, NoCandidate> {
    thread_local! {
        static KEY: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    let mut key = KEY.take();
    key.clear();
    ask.write(&mut key);
    NOW.set(Some(ask.now));
    SAID.set(None);
    select(&key);
    NOW.set(None);
    KEY.set(key);
    SAID.take().unwrap_or_else(|| Err(NoCandidate::default()))
}

/// The nodes of a pool with what it takes to reach each, at the same positions.
#[derive(Default)]
pub(super) struct Members {
    pub(super) nodes: Vec<Arc<Node>>,
    #[expect(
        clippy::vec_box,
        reason = "a box is copied into a box, and not by way of the stack"
    )]
    pub(super) peers: Vec<Box<HttpPeer>>,
    pub(super) idle: Vec<Arc<Idle>>,
    pingora: Vec<Backend>,
}

/// What outlives a selector.
pub(super) struct SelectorConfig {
    pub(super) crew: Crew,
    pub(super) strategy: Shadowed,
    /// For requests that have waited for as long as one may.
    pub(super) least: Guarded,
    pub(super) fail_open: bool,
    pub(super) all_backups: bool,
    pub(super) comeback: ComebackRules,
    pub(super) timeouts: Timeouts,
    pub(super) health: Health,
    pub(super) trust: Arc<Trust>,
    /// Where idle connections are kept.
    pub(super) connections: Arc<Connections>,
}

impl SelectorConfig {
    /// What the screen must know.
    pub(super) fn screening<'a>(
        &self,
        request: &Request,
        tried: &'a Tried,
        once: bool,
        limits: Option<Limits>,
        now: Instant,
    ) -> Screening<'a> {
        Screening {
            tried,
            plugin: request.plugin,
            now,
            fail_open: self.fail_open,
            all_backups: self.all_backups,
            once,
            comeback: self.comeback,
            limits: limits.map(|limits| (request.class, limits)),
        }
    }
}

/// Our rule in Pingora's frame. Rebuilt on every change of membership.
pub(super) struct Selector {
    members: Arc<Members>,
    rules: Option<Arc<SelectorConfig>>,
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selector")
            .field("nodes", &self.members.nodes.len())
            .finish()
    }
}

impl BackendSelection for Selector {
    type Iter = One;
    type Config = Arc<SelectorConfig>;

    fn build(_members: &BTreeSet<Backend>) -> Self {
        Self {
            members: Arc::default(),
            rules: None,
        }
    }

    fn build_with_config(members: &BTreeSet<Backend>, config: &Self::Config) -> Self {
        let by_address: HashMap<SocketAddr, &Backend> = members
            .iter()
            .filter_map(|member| Some((*member.addr.as_inet()?, member)))
            .collect();
        let mut chosen = Members::default();
        for node in config.crew.load().iter() {
            if let Some(&member) = by_address.get(&node.address()) {
                chosen.nodes.push(Arc::clone(node));
                chosen.peers.push(Box::new(request_peer(node, config)));
                chosen.idle.push(config.connections.to(node));
                chosen.pingora.push(member.clone());
            }
        }
        config.strategy.members(&chosen.nodes);
        Self {
            members: Arc::new(chosen),
            rules: Some(Arc::clone(config)),
        }
    }

    fn iter(self: &Arc<Self>, key: &[u8]) -> One {
        let said = self.decide(key);
        let at = said.as_ref().ok().map(|said| said.at);
        SAID.set(Some(said));
        One {
            selector: Arc::clone(self),
            at,
        }
    }
}

impl Selector {
    fn decide(&self, key: &[u8]) -> Result<Said, NoCandidate> {
        let (Some(rules), Some(question)) = (&self.rules, read(key)) else {
            return Err(NoCandidate::default());
        };
        let (request, tried) = (&question.request, &question.tried);
        let now = NOW.take().unwrap_or_else(clock::now);
        let screening = rules.screening(request, tried, question.once, question.limits, now);
        let nodes = &self.members.nodes;
        let owner = question.owner.as_ref();
        if let Some(at) = owner.and_then(|owner| owner_in(nodes, owner, &screening)) {
            return if screening.fits(&nodes[at]) {
                Ok(self.said(at, Why::Owner, None))
            } else {
                Err(NoCandidate {
                    total: u16::try_from(nodes.len()).unwrap_or(u16::MAX),
                    full: 1,
                    ..NoCandidate::default()
                })
            };
        }
        let among = screen(nodes, &screening)?;
        let mut shadow = None;
        let choice = if question.affinity == 0 {
            let mut dice = Dice::with_seed(question.luck);
            if question.overdue {
                rules.least.choose(request, &among, &mut dice)
            } else {
                shadow = rules.strategy.beside(request, &among, question.luck);
                rules.strategy.choose(request, &among, &mut dice)
            }
        } else {
            at_home(question.affinity, &among)
        };
        let why = if among.is_fail_open() {
            Why::FailOpen
        } else {
            choice.why
        };
        let shadow = shadow.map(|at| among.pool_position(at));
        Ok(self.said(among.pool_position(choice.at), why, shadow))
    }

    fn said(&self, at: usize, why: Why, shadow: Option<usize>) -> Said {
        Said {
            members: Arc::clone(&self.members),
            at,
            why,
            shadow,
        }
    }
}

/// The one candidate to which all requests of a key go.
pub(super) fn at_home(key: u64, among: &Candidates<'_>) -> Choice {
    let names = among.iter().map(|node| node.id().as_str());
    Choice {
        at: winner(key, names).unwrap_or(0),
        why: Why::Affinity,
    }
}

/// The one node that was chosen. Another attempt asks again, with this node among the tried.
pub(super) struct One {
    selector: Arc<Selector>,
    at: Option<usize>,
}

impl BackendIter for One {
    fn next(&mut self) -> Option<&Backend> {
        let at = self.at.take()?;
        self.selector.members.pingora.get(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smallvec::smallvec;

    #[test]
    fn the_time_is_the_askers() {
        let later = clock::now() + std::time::Duration::from_secs(3600);
        let question = Ask {
            request: Request::new(Class::Short, PluginPlace::NONE),
            tried: &Tried::new(),
            luck: 0,
            affinity: None,
            owner: None,
            once: false,
            limits: None,
            overdue: false,
            now: later,
        };
        let mut seen = None;
        assert!(ask(&question, |_key| seen = NOW.get()).is_err(), "nobody");
        assert_eq!((seen, NOW.get()), (Some(later), None));
    }

    #[test]
    fn a_question_survives_the_way_through_the_key() {
        const PLACE: PluginPlace = PluginPlace {
            index: 1023,
            generation: 9,
        };
        let tried: Tried = smallvec!["n1".into(), "daemon@10.0.0.7".into()];
        let owners = [
            None,
            Some(Owner::Node("n2".into())),
            Some(Owner::At(([10, 0, 0, 2], 5002).into())),
        ];
        let limits = [
            None,
            Some(Limits::default()),
            Some(Limits {
                plugin: Some(7),
                io_bound: true,
                gateways: 300,
            }),
        ];
        for (owner, limits) in owners.into_iter().zip(limits) {
            let ask = Ask {
                request: Request::new(Class::Long, PLACE)
                    .attempt(3)
                    .keyed(limits.map(|_| 0x89ab_cdef)),
                tried: &tried,
                luck: 0x0123_4567_89ab_cdef,
                affinity: Some(77),
                owner: owner.as_ref(),
                once: true,
                limits,
                overdue: limits.is_some(),
                now: clock::now(),
            };
            let mut key = Vec::new();
            ask.write(&mut key);
            let read = read(&key).expect("what was written can be read");
            assert_eq!(read.request.class, Class::Long);
            assert_eq!(read.request.plugin, PLACE);
            assert_eq!(read.request.attempt, 3);
            assert_eq!(read.request.key, ask.request.key);
            assert_eq!(read.tried, tried);
            assert_eq!(read.affinity, 77);
            assert_eq!(read.owner, owner);
            assert!(read.once);
            assert_eq!((read.limits, read.overdue), (limits, limits.is_some()));
            assert_eq!(read.luck, ask.luck);
        }
        assert!(read(b"somebody else's key").is_none() || read(b"short").is_none());
    }
}
