//! What did the operator ask for, of clients? What is too large, too slow and too often.

use super::print::{list, maybe, table, text, time, whole};
use super::tree::Tree;
use super::unit::write_size;
use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;

/// The daemon's `MAX_BUNDLE_PACKAGE_SIZE` (600 MiB) and room. It is streamed, never held.
const BODY: u64 = 640 << 20;
/// Cookies and tokens of a large installation fit into a quarter of it; Go's servers read a MiB.
const HEADER: usize = 64 << 10;
/// Dify sends a dozen.
const HEADER_FIELDS: usize = 128;
/// Twice what nginx takes.
const TARGET: usize = 16 << 10;
/// The slowest modem there was; Apache's `mod_reqtimeout` wants the same.
const CLIENT_RATE: u64 = 500;
/// A client that computes while it sends may stop for so long.
const CLIENT_GRACE: Duration = Duration::from_secs(20);
/// Each takes two file descriptors at most, one to a node.
const CONNECTIONS: usize = 8192;
/// Dify's workers may all have one address; nobody has every seat.
const CONNECTIONS_PER_ADDRESS: usize = 6144;
/// nginx's `keepalive_requests`: what a long connection has piled up ends with it.
const CONNECTION_REQUESTS: usize = 1000;
/// About a MiB.
const RATE_KEYS: usize = 10_000;

/// What is too large, too slow, too many and too often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of a request's body, in bytes.
    pub body: u64,
    /// Of a request's head, in bytes.
    pub header: usize,
    /// Of a request's head, in fields.
    pub header_fields: usize,
    /// Of a request's target, in bytes.
    pub target: usize,
    /// A client sends its body at least so fast, in bytes per second, while it is waited for;
    /// 0 = as slowly as it likes.
    pub client_rate: u64,
    /// So long it may be slower.
    pub client_grace: Duration,
    /// Connections of clients at once.
    pub connections: usize,
    /// Those from one address; trusted proxies are not counted.
    pub connections_per_address: usize,
    /// Requests of one HTTP/1 connection; after the last one it is closed.
    pub connection_requests: usize,
    /// How often whom.
    pub rates: Vec<RateEntry>,
    /// So many keys are counted per entry of `rates`.
    pub rate_keys: usize,
    /// Networks of the proxies before us whose word about their clients is taken. A key of its own
    /// in the file.
    pub trusted_proxies: Vec<IpNet>,
    /// Networks of the balancers whose connections begin with a PROXY header. A key of its own in
    /// the file.
    pub proxy_protocol: Vec<IpNet>,
}

/// How often, and how much at once, requests with the same key may come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateEntry {
    /// What is the key.
    pub by: RateBy,
    /// How often; none = as often as they like.
    pub rate: Option<Rate>,
    /// So many may come at once after a rest.
    pub burst: u32,
    /// So many may be inside at once; none = no matter.
    pub at_once: Option<u32>,
    /// Only requests of this pool count; none = all.
    pub pool: Option<String>,
}

/// What requests share that are counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RateBy {
    /// The client's address; of IPv6, its first 64 bits.
    Address,
    /// The tenant in the path.
    Tenant,
    /// The application whose key it carries; requests without one are not counted.
    Application,
    /// The user, of each application for itself; requests without one are not counted. Where the id
    /// is in a body, that is read first.
    User,
    /// The value of this header; requests without it are not counted.
    Header(String),
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: BODY,
            header: HEADER,
            header_fields: HEADER_FIELDS,
            target: TARGET,
            client_rate: CLIENT_RATE,
            client_grace: CLIENT_GRACE,
            connections: CONNECTIONS,
            connections_per_address: CONNECTIONS_PER_ADDRESS,
            connection_requests: CONNECTION_REQUESTS,
            rates: Vec::new(),
            rate_keys: RATE_KEYS,
            trusted_proxies: Vec::new(),
            proxy_protocol: Vec::new(),
        }
    }
}

impl RateBy {
    /// The word in metrics and `explain`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Tenant => "tenant",
            Self::Application => "application",
            Self::User => "user",
            Self::Header(_) => "header",
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Header(name) => format!("header:{name}"),
            other => other.word().to_owned(),
        }
    }
}

/// So many in such a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many; at least one.
    pub count: u32,
    /// In which time.
    pub per: Duration,
}

const UNITS: [(&str, u64); 3] = [("s", 1), ("m", 60), ("h", 3600)];

impl Rate {
    /// Reads `50/s`, `20/m` or `5/h`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (count, unit) = text.split_once('/')?;
        let (_, seconds) = UNITS.iter().find(|(word, _)| *word == unit)?;
        let count = count.parse().ok().filter(|count| *count > 0)?;
        Some(Self {
            count,
            per: Duration::from_secs(*seconds),
        })
    }

    fn text(self) -> String {
        let unit = UNITS
            .iter()
            .find(|(_, seconds)| *seconds == self.per.as_secs());
        format!("{}/{}", self.count, unit.map_or("s", |(word, _)| word))
    }
}

/// Whether an address is that of a proxy whose word is taken.
pub(super) fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

impl Limits {
    pub(super) fn tree(&self) -> Tree {
        let size = |bytes: usize| text(write_size(bytes as u64));
        table([
            ("body", text(write_size(self.body))),
            ("header", size(self.header)),
            ("header_fields", whole(self.header_fields)),
            ("target", size(self.target)),
            ("client_rate", whole(self.client_rate)),
            ("client_grace", time(self.client_grace)),
            ("connections", whole(self.connections)),
            (
                "connections_per_address",
                whole(self.connections_per_address),
            ),
            ("connection_requests", whole(self.connection_requests)),
            ("rates", list(&self.rates, RateEntry::tree)),
            ("rate_keys", whole(self.rate_keys)),
        ])
    }
}

impl Limits {
    pub(super) fn proxies(&self) -> Tree {
        list(&self.trusted_proxies, |network| text(network))
    }

    pub(super) fn balancers(&self) -> Tree {
        list(&self.proxy_protocol, |network| text(network))
    }
}

impl RateEntry {
    /// Each is asked for every request: so many must do.
    pub const MOST: usize = 8;

    fn tree(&self) -> Tree {
        table([
            ("by", text(self.by.text())),
            (
                "rate",
                self.rate.map_or(Tree::Null, |rate| text(rate.text())),
            ),
            ("burst", self.rate.map_or(Tree::Null, |_| whole(self.burst))),
            ("at_once", self.at_once.map_or(Tree::Null, whole)),
            ("pool", maybe(self.pool.as_ref())),
        ])
    }
}
