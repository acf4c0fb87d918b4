//! What holds when nothing is written, and why?

use super::access_log::AccessLog;
use super::address::Address;
use super::application::{PoolKind, Users};
use super::hash::HashBy;
use super::limits::Limits;
use super::node_tls::NodeTls;
use super::pool::{NodeEntry, Pool, Strategies, Waiting};
use super::sections::{
    Admin, Config, Cooldown, Health, Kinds, Learn, Loops, Reload, Retry, State, Tcp, Timeouts,
};
use super::share::Share;
use super::shutdown::Shutdown;
use super::signals::{EventLog, Tracing};
use super::tls::Tls;
use crate::model::{LearnRules, NodeId, Part, Role};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The daemon's own port: the gateway takes its place without a change in Dify.
pub(super) const PORT: u16 = 5002;
/// On every interface, as the daemon does.
pub(super) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT);
/// Ten above the data port, and only for this machine: it needs no token.
pub(super) const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5012);
/// The pool of a file that names none.
pub(super) const POOL: &str = "main";
/// Knows plugins and classes; needs no capacity numbers.
pub(super) const STRATEGY: &str = "adaptive";
/// A wrong health verdict about every node must not take Dify down.
pub(super) const FAIL_OPEN: bool = true;
/// As in HAProxy without `option allbackups`: backups are a chain of replacements.
pub(super) const USE_ALL_BACKUPS: bool = false;
/// All nodes alike.
pub(super) const WEIGHT: u16 = 1;

/// An agent's nested call waits for a parent that holds its place; each level adds at most this.
const MAX_HOLD: Duration = Duration::from_secs(10);
/// Ten seconds' work of a hundred requests a second: a longer queue is served too late.
const MAX_QUEUE: usize = 1000;

/// The finest key that survives a change of tenant: what runs is a plugin's tool.
const KEY: [Part; 3] = [Part::Op, Part::Plugin, Part::Item];

/// The daemon's own health route.
const HEALTH_PATH: &str = "/health/check";
/// A dead node is out after `fall` times this: 4 s.
const HEALTH_INTERVAL: Duration = Duration::from_secs(2);
/// The route does no work; a second without an answer is a verdict.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(1);
/// One lost probe proves nothing.
const FALL: usize = 2;
/// An answer proves life.
const RISE: usize = 1;
/// A daemon says that it is well at once and starts its plugins, two at a time, within the minute or
/// so after it; until a probe finds one there, it goes where it is known to run.
const WARMUP: Duration = Duration::from_secs(60);
/// HAProxy's `slowstart` in most examples: connections and caches fill within seconds.
const SLOW_START: Duration = Duration::from_secs(10);

/// Enough to find a call that somebody complains about a minute later; a quarter of a MiB.
pub(super) const DECISIONS: usize = 1000;

/// Two other nodes are worth a try; more only spreads a request that kills.
const ATTEMPTS: u8 = 3;

/// Within one data centre a connection takes a millisecond or fails.
const CONNECT: Duration = Duration::from_secs(1);
/// The daemon's `PLUGIN_MAX_EXECUTION_TIMEOUT` (600 s) and a minute: it must be the first to end.
const READ: Duration = Duration::from_secs(660);
/// The daemon's limit itself: below it a reply can be cut off that was still to come.
pub(super) const SHORTEST_READ: Duration = Duration::from_secs(600);
/// A node that takes no bytes for a minute is gone.
const WRITE: Duration = Duration::from_secs(60);
/// nginx's `keepalive_timeout`.
const CLIENT_IDLE: Duration = Duration::from_secs(75);
/// nginx's `client_body_timeout`.
const CLIENT_READ: Duration = Duration::from_secs(60);
/// nginx's `send_timeout`: a reader that takes nothing for a minute, or 64 KiB in more than one,
/// holds memory for nobody.
const CLIENT_WRITE: Duration = Duration::from_secs(60);
/// A head is one packet or two; haproxy's usual `timeout http-request`.
const CLIENT_HEADER: Duration = Duration::from_secs(10);
/// nginx's `keepalive_timeout`, for the other side.
const NODE_IDLE: Duration = Duration::from_secs(75);

/// Gateway, a second one in front of it, and one more by mistake.
const MAX_HOPS: u8 = 3;
/// A crash loses at most this much of what was learned.
const STATE_INTERVAL: Duration = Duration::from_secs(10);
/// Reading a small file costs nothing; a watch misses how Kubernetes swaps a `ConfigMap`.
const POLL: Duration = Duration::from_secs(2);

/// The daemon's `PLUGIN_REMOTE_INSTALLING_PORT`.
const TCP_PORT: u16 = 5003;
/// A daemon bears 60 to 120 s of silence; whoever closes earlier breaks what was sound.
pub(super) const SHORTEST_TCP_IDLE: Duration = Duration::from_secs(150);
/// Four nodes full: the daemon's `PLUGIN_REMOTE_INSTALLING_MAX_CONN` is 256.
const TCP_CONNECTIONS: u32 = 1024;
/// The daemon's own pages: its profiler, its administration, its metrics, which are one node's each.
const DENIED: [&str; 3] = ["/debug/pprof", "/admin", "/metrics"];
/// The daemon reads hooks through a limit of 10 MiB and cuts off the rest without a word.
const HOOK_BODY: u64 = 10 << 20;
/// Database work: milliseconds, or something is broken.
const SHORT_READ: Duration = Duration::from_secs(30);
/// The daemon's MAX_SERVERLESS_TRANSACTION_TIMEOUT is 300 s.
const TRANSACTION_READ: Duration = Duration::from_secs(310);
/// Model calls with a long history and a picture stay below it; memory is bounded by it times the
/// requests under way.
const REPLAY_BODY: u64 = 4 << 20;
/// More repetition than this keeps a fleet down that has just fallen over ("Metastable failures in
/// the wild", OSDI 2022).
const BUDGET_RATIO: f64 = 0.1;
/// A quiet gateway may still repeat.
const BUDGET_FLOOR: u32 = 3;
/// nginx users write `proxy_next_upstream_timeout 30s`.
const RETRY_DEADLINE: Duration = Duration::from_secs(30);
/// nginx counts to one and ejects on noise; three in a row are no noise.
const MAX_FAILS: u32 = 3;
/// Slower failures than three in this time are not worth a rest.
const FAIL_TIMEOUT: Duration = Duration::from_secs(30);
/// A daemon needs longer to restart; shorter rests cost requests.
const REST: Duration = Duration::from_secs(10);
/// After five minutes somebody has looked.
const LONGEST_REST: Duration = Duration::from_secs(300);
/// A plugin is started within a minute or so of its install; asking every 5 s at first finds it.
const ABSENT: Duration = Duration::from_secs(5);

/// The daemon's own, when REDIS_KEY_PREFIX is not set.
pub(super) const PREFIX: &str = "plugin_daemon";
/// Redis's own.
pub(super) const REDIS_PORT: u16 = 6379;
/// Sentinel's own.
pub(super) const SENTINEL_PORT: u16 = 26379;

impl Config {
    /// The configuration of a file that lists nothing but these nodes. At least one, please:
    /// what a file says is checked, what a caller says is not.
    #[must_use]
    pub fn default_with(nodes: impl IntoIterator<Item = NodeEntry>) -> Self {
        let pool = Pool {
            name: POOL.to_owned(),
            strategy: STRATEGY.to_owned(),
            shadow: None,
            fail_open: FAIL_OPEN,
            use_all_backups: USE_ALL_BACKUPS,
            kind: PoolKind::default(),
            health_path: None,
            upstream_key: None,
            fallback: None,
            hash: HashBy::default(),
            waiting: Waiting::default(),
            nodes: nodes.into_iter().collect(),
            discover: None,
            expects: None,
        };
        Self {
            listen: vec![LISTEN],
            tls: Tls::default(),
            node_tls: NodeTls::default(),
            admin: Admin::default(),
            threads: 0,
            pools: vec![pool],
            routes: Vec::new(),
            rules: Vec::new(),
            applications: Vec::new(),
            users: Users::default(),
            strategies: Strategies::default(),
            learn: Learn::default(),
            health: Health::default(),
            debug_plugins: Vec::new(),
            tcp: Tcp::default(),
            kinds: Kinds::default(),
            retry: Retry::default(),
            cooldown: Cooldown::default(),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            loops: Loops::default(),
            debug_headers: false,
            log: EventLog::default(),
            tracing: Tracing::default(),
            access_log: AccessLog::default(),
            share: Share::default(),
            decisions: DECISIONS,
            state: State::default(),
            shutdown: Shutdown::default(),
            reload: Reload::default(),
        }
    }
}

impl NodeEntry {
    /// A node of which only the address is written; it is also its name.
    #[must_use]
    pub fn at(address: Address) -> Self {
        Self {
            id: NodeId::from(address.place()),
            address,
            role: Role::default(),
            weight: WEIGHT,
            enabled: true,
            drain: false,
            max_in_flight: None,
            upstream_key: None,
            server_name: None,
        }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: ADMIN,
            token: None,
        }
    }
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            max_in_flight: None,
            plugin_caps: Vec::new(),
            max_hold: MAX_HOLD,
            max_queue: MAX_QUEUE,
        }
    }
}

impl Default for Learn {
    fn default() -> Self {
        Self {
            key: KEY.to_vec(),
            classifier: None,
            rules: LearnRules::default(),
        }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self {
            enabled: true,
            path: HEALTH_PATH.to_owned(),
            interval: HEALTH_INTERVAL,
            timeout: HEALTH_TIMEOUT,
            fall: FALL,
            rise: RISE,
            use_daemon_load: true,
            on_connect: true,
            warmup: WARMUP,
            slow_start: SLOW_START,
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: ATTEMPTS,
            body_limit: REPLAY_BODY,
            budget_ratio: BUDGET_RATIO,
            budget_floor: BUDGET_FLOOR,
            deadline: RETRY_DEADLINE,
            wait: Duration::ZERO,
        }
    }
}

impl Default for Tcp {
    fn default() -> Self {
        Self {
            listen: None,
            port: TCP_PORT,
            idle: SHORTEST_TCP_IDLE,
            max_connections: TCP_CONNECTIONS,
        }
    }
}

impl Default for Kinds {
    fn default() -> Self {
        Self {
            enabled: true,
            denied: DENIED.map(str::to_owned).to_vec(),
            hook_body: HOOK_BODY,
            // A busy hook would have one node only, however long what runs there takes.
            sticky_hooks: false,
            // Whether it does is the plugin's word; seed 002 lets it.
            websocket_hooks: true,
            management_read: SHORT_READ,
            management_write: READ,
            one_writer: true,
            asset_read: SHORT_READ,
            transaction_read: TRANSACTION_READ,
        }
    }
}

impl Default for Cooldown {
    fn default() -> Self {
        Self {
            max_fails: MAX_FAILS,
            fail_timeout: FAIL_TIMEOUT,
            base: REST,
            longest: LONGEST_REST,
            absent: ABSENT,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: CONNECT,
            read: READ,
            write: WRITE,
            client_idle: CLIENT_IDLE,
            client_header: CLIENT_HEADER,
            client_read: CLIENT_READ,
            client_write: CLIENT_WRITE,
            node_idle: NODE_IDLE,
        }
    }
}

impl Default for Loops {
    fn default() -> Self {
        Self {
            marks: true,
            max_hops: MAX_HOPS,
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            file: None,
            interval: STATE_INTERVAL,
        }
    }
}

impl Default for Reload {
    fn default() -> Self {
        Self { poll: Some(POLL) }
    }
}
