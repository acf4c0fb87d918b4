//! Where do nodes come from that the file does not list?

use super::address::Address;
use super::defaults;
use crate::model::Secret;
use ipnet::IpNet;
use std::path::PathBuf;
use std::time::Duration;

/// The sources of a pool's nodes, beside those that are listed. What they bring is added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discover {
    /// A name: every address it leads to is a node.
    pub dns: Option<Address>,
    /// A file with a list of nodes, read again whenever its content changes.
    pub file: Option<PathBuf>,
    /// The registry that the daemons keep in Dify's Redis.
    pub dify_redis: Option<DifyRedis>,
    /// A source of the embedding program, by the word that it gave it.
    pub own: Option<String>,
    /// True: nodes may register over the admin API.
    pub register: bool,
    /// How often the sources are asked.
    pub refresh: Duration,
    /// Networks that nodes may be in; empty = any, but loopback.
    pub allow: Vec<IpNet>,
    /// How long a member that came and went three times within a minute must stay before it gets
    /// requests; twice as long each further time. None = not at all.
    pub damping: Option<Duration>,
}

/// A new node is seen, and a stalled heartbeat noticed, within a few seconds; no source minds.
const REFRESH: Duration = Duration::from_secs(2);
/// A member that came and went three times in a minute must stay this long, then twice as long.
const DAMPING: Duration = Duration::from_secs(10);
/// A daemon writes every 5 s, and is late when it looks after dead neighbours: three beats.
const STALE: Duration = Duration::from_secs(15);

impl Default for Discover {
    fn default() -> Self {
        Self {
            dns: None,
            file: None,
            dify_redis: None,
            own: None,
            register: false,
            refresh: REFRESH,
            allow: Vec::new(),
            damping: Some(DAMPING),
        }
    }
}

impl DifyRedis {
    /// A Redis of which only the address is known.
    #[must_use]
    pub fn at(address: Address) -> Self {
        Self {
            address,
            sentinels: None,
            username: None,
            password: None,
            db: 0,
            encryption: Encryption::Off,
            ca: None,
            prefix: defaults::PREFIX.to_owned(),
            stale: STALE,
            owners: true,
        }
    }
}

impl Discover {
    /// Whether nodes are described there as they are in the configuration, with limits of their own.
    #[must_use]
    pub const fn lists_nodes(&self) -> bool {
        self.file.is_some() || self.own.is_some()
    }
}

/// Dify's Redis, as the daemons use it. It is only ever read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DifyRedis {
    /// Where it is. Not used when there are sentinels.
    pub address: Address,
    /// Who knows where it is.
    pub sentinels: Option<Sentinels>,
    /// Of an ACL user; none = the default user.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// The database's number.
    pub db: u8,
    /// TLS or not.
    pub encryption: Encryption,
    /// The certificate of the authority that signed Redis's own; none = those of the system.
    pub ca: Option<PathBuf>,
    /// Before each key: the daemons' `REDIS_KEY_PREFIX`.
    pub prefix: String,
    /// A node whose heartbeat has not moved for so long is gone.
    pub stale: Duration,
    /// True: the owners of debug plugins are read there too.
    pub owners: bool,
}

/// Redis Sentinel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentinels {
    /// Where they are; at least one.
    pub addresses: Vec<Address>,
    /// The name they know Redis by.
    pub service: String,
    /// Of a user of theirs.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
}

/// TLS to Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Plain TCP.
    Off,
    /// TLS, and the certificate is verified.
    Verified,
    /// TLS with any certificate: `CERT_NONE`.
    Unverified,
}

impl Encryption {
    /// The word in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Verified => "verified",
            Self::Unverified => "unverified",
        }
    }
}

impl Discover {
    /// Its sources in words, for logs.
    #[must_use]
    pub fn sources(&self) -> Vec<&'static str> {
        let words = [
            (self.dns.is_some(), "dns"),
            (self.file.is_some(), "file"),
            (self.dify_redis.is_some(), "dify_redis"),
            (self.own.is_some(), "own"),
            (self.register, "register"),
        ];
        let there = words.into_iter().filter(|(there, _)| *there);
        there.map(|(_, word)| word).collect()
    }
}
