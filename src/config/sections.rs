//! What did the operator ask for? The checked configuration, section by section.

use super::access_log::AccessLog;
use super::application::{Application, Users};
use super::limits::{Limits, is_in};
use super::node_tls::NodeTls;
use super::pool::{DebugPlugin, Pool, RouteEntry, RuleEntry, Strategies};
use super::share::Share;
use super::shutdown::Shutdown;
use super::signals::{EventLog, Tracing};
use super::tls::Tls;
use crate::model::{LearnRules, Part, Secret};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// A checked configuration: complete, consistent, every value in its final unit.
///
/// `conf/reference.yaml` lists every key with its default and its reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where clients connect without TLS; the data port. At least one, or one in `tls`.
    pub listen: Vec<SocketAddr>,
    /// Where clients connect with TLS.
    pub tls: Tls,
    /// How nodes with TLS are reached.
    pub node_tls: NodeTls,
    /// Where the operator looks.
    pub admin: Admin,
    /// Proxy threads; 0 = one per core.
    pub threads: usize,
    /// Groups of nodes; at least one, each with at least one node.
    pub pools: Vec<Pool>,
    /// Which request goes to which pool; what no route takes goes to the first pool.
    pub routes: Vec<RouteEntry>,
    /// What the operator decides for single requests, before `routes` and `learn`.
    pub rules: Vec<RuleEntry>,
    /// Whose requests are whose, by their keys.
    pub applications: Vec<Application>,
    /// Where users' ids are looked for.
    pub users: Users,
    /// Which node has the connection of which debug plugin.
    pub debug_plugins: Vec<DebugPlugin>,
    /// The plain TCP listener of remote debugging.
    pub tcp: Tcp,
    /// How kinds of requests are treated.
    pub kinds: Kinds,
    /// The parameters of the strategies that have any.
    pub strategies: Strategies,
    /// How durations are learned.
    pub learn: Learn,
    /// How nodes are probed.
    pub health: Health,
    /// How failed attempts are repeated.
    pub retry: Retry,
    /// How nodes rest after failures.
    pub cooldown: Cooldown,
    /// How long we wait for whom.
    pub timeouts: Timeouts,
    /// What of a client is too large, too slow, too many and too often.
    pub limits: Limits,
    /// Loop detection.
    pub loops: Loops,
    /// True: answers carry `X-Twolane-Node`, `-Attempts`, `-Class` and `-Why`.
    pub debug_headers: bool,
    /// How what happens is written down.
    pub log: EventLog,
    /// By which ids a request can be followed.
    pub tracing: Tracing,
    /// So many of the last decisions are kept for the operator; 0 = none.
    pub decisions: usize,
    /// Who asked for what, line by line.
    pub access_log: AccessLog,
    /// How several gateways act as one.
    pub share: Share,
    /// Where learned durations survive a restart.
    pub state: State,
    /// How the gateway ends.
    pub shutdown: Shutdown,
    /// How changes of the file are noticed.
    pub reload: Reload,
}

impl Config {
    /// Whether this is the address of a proxy whose word about its clients is taken.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        is_in(&self.limits.trusted_proxies, address)
    }

    /// Whether a connection from this address begins with a PROXY header.
    #[must_use]
    pub fn announces(&self, address: IpAddr) -> bool {
        is_in(&self.limits.proxy_protocol, address)
    }
}

/// The admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Its address. Without a token only a loopback address is accepted.
    pub listen: SocketAddr,
    /// Required as `Authorization: Bearer` on everything but `/livez` and `/readyz`, when set.
    pub token: Option<Secret>,
}

/// The plain TCP listener, through which plugins in development connect to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Its address; none = there is no such listener.
    pub listen: Option<SocketAddr>,
    /// The port for it on every node.
    pub port: u16,
    /// A connection on which nothing moves for so long is closed; at least 150 s.
    pub idle: Duration,
    /// Beyond so many, a new connection is closed at once.
    pub max_connections: u32,
}

/// How kinds of requests are treated; a kind is told by method and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kinds {
    /// False: requests are not told apart, and everything is forwarded as it came.
    pub enabled: bool,
    /// Paths, and all below them, that clients of the data port may not ask for.
    pub denied: Vec<String>,
    /// Bytes that `/e/` takes; the daemon cuts off what is beyond its own limit without a word.
    pub hook_body: u64,
    /// True: a hook's requests go to one node while it may serve.
    pub sticky_hooks: bool,
    /// True: a hook may become a WebSocket.
    pub websocket_hooks: bool,
    /// Patience with reading management calls, between bytes.
    pub management_read: Duration,
    /// Patience with writing ones: uninstalling waits for running calls.
    pub management_write: Duration,
    /// True: a tenant's writing management calls go to one node while it may serve.
    pub one_writer: bool,
    /// Patience with assets.
    pub asset_read: Duration,
    /// Patience with calls back from serverless plugins, which send a heartbeat.
    pub transaction_read: Duration,
}

/// What is learned of which operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Learn {
    /// What makes up an operation's key, coarse to fine.
    pub key: Vec<Part>,
    /// Who says beforehand whether a request is long, when not what was learned: a word that the
    /// embedding program brings.
    pub classifier: Option<String>,
    /// How its durations are learned.
    pub rules: LearnRules,
}

/// How nodes are probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// False: every node counts as healthy.
    pub enabled: bool,
    /// What is fetched with GET; 200 and JSON `status == "ok"` pass.
    pub path: String,
    /// From one probe of a node to the next.
    pub interval: Duration,
    /// For a whole probe: connect, request, last byte of the answer.
    pub timeout: Duration,
    /// So many failures in a row make a node unhealthy.
    pub fall: usize,
    /// So many successes in a row make it healthy again.
    pub rise: usize,
    /// True: load that a node reports beyond what we sent counts as its load.
    pub use_daemon_load: bool,
    /// True: a new connection to a node counts as made when the node has answered `path` on it.
    pub on_connect: bool,
    /// For so long a node that came up gets no request for a plugin that others are known to have
    /// and it is not; zero = it does at once.
    pub warmup: Duration,
    /// For so long the share of a node that came up grows from a tenth to the whole; zero = it has
    /// the whole at once. `adaptive` and `least_in_flight` honour it.
    pub slow_start: Duration,
}

/// How failed attempts are repeated.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// At most so many nodes may fail one request, the first included. A node that answers that
    /// it does not have the plugin has not failed it.
    pub attempts: u8,
    /// A dispatch body up to this size, in bytes, is kept until a node has taken the request, so
    /// that it can go to another. Above it, nodes known to have the plugin are preferred.
    pub body_limit: u64,
    /// Repeated requests may be this share of all requests of a pool ...
    pub budget_ratio: f64,
    /// ... and so many per second whatever the share.
    pub budget_floor: u32,
    /// Nothing is repeated later than this after the request came.
    pub deadline: Duration,
    /// When no node may serve, all are asked again for so long; zero = the client hears so at once.
    pub wait: Duration,
}

/// How nodes rest after failures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cooldown {
    /// So many failures without a success between them begin a rest; 0 = never.
    pub max_fails: u32,
    /// Failures older than this are forgotten.
    pub fail_timeout: Duration,
    /// The first rest; each further one is twice as long until a request succeeds.
    pub base: Duration,
    /// No rest is longer, not even one that a node asks for.
    pub longest: Duration,
    /// For so long a node is believed that it does not have a plugin; twice as long each further
    /// time, up to twelve times this.
    pub absent: Duration,
}

/// How long we wait for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a TCP connection to a node.
    pub connect: Duration,
    /// For the first byte of a node's answer, and then for each next one.
    pub read: Duration,
    /// For a node to take a piece of the request.
    pub write: Duration,
    /// A client's idle connection is closed after this.
    pub client_idle: Duration,
    /// For the whole head of a client's request, from its first byte on; and for that byte on a
    /// new connection.
    pub client_header: Duration,
    /// For each piece of a client's request body.
    pub client_read: Duration,
    /// For a client to take a piece of the answer.
    pub client_write: Duration,
    /// An idle connection to a node is closed after this.
    pub node_idle: Duration,
}

/// Loop detection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loops {
    /// False: requests are forwarded without `Via` and `X-Plugin-Forwarded`, and no loop through this
    /// gateway is seen.
    pub marks: bool,
    /// So many gateways may stand behind one another.
    pub max_hops: u8,
}

/// Where learned durations survive a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The file; none = learned durations end with the process.
    pub file: Option<PathBuf>,
    /// It is written this often, and at the end.
    pub interval: Duration,
}

/// How changes of the file are noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reload {
    /// The content is compared this often; none = only SIGHUP and the admin API reload.
    pub poll: Option<Duration>,
}
