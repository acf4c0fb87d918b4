//! Nodes: those of a pool, and those of the environment.

use super::{applications, discover, waiting};
use crate::config::BadAddress;
use crate::config::address::Address;
use crate::config::defaults;
use crate::config::discover::Discover;
use crate::config::finding::Findings;
use crate::config::pool::NodeEntry;
use crate::config::resolve::Env;
use crate::config::table::{Table, Value};
use crate::config::tree::{Path, Tree};
use crate::model::{NodeId, Role};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

/// The nodes of the environment when the file names none: a list with commas, then Dify's own
/// name for its one daemon, then Dify's own names for its Redis.
const ENV_NODES: &str = "TWOLANE_NODES";
const ENV_DAEMON: &str = "PLUGIN_DAEMON_URL";

pub(super) const OWN: &str = "this is the gateway's own address";
pub(super) const OWN_HELP: &str =
    "requests would come back for ever: write where a plugin daemon listens";

/// All nodes of the file so far, and where they must not be.
pub(super) struct Roster {
    own: Vec<SocketAddr>,
    seen: HashMap<NodeId, Path>,
}

impl Roster {
    /// `own` are the addresses on which the gateway itself listens.
    pub(super) fn new(own: Vec<SocketAddr>) -> Self {
        Self {
            own,
            seen: HashMap::new(),
        }
    }

    /// The nodes of one pool, checked against each other and against all before. `alone`: nothing
    /// else brings nodes.
    pub(super) fn list(&mut self, value: &Value<'_>, alone: bool) -> Vec<NodeEntry> {
        let items = value.one_or_list();
        if alone && items.is_empty() && value.findings.sound(&value.path) {
            value.wrong(
                "a pool without nodes",
                "write at least one, such as 10.0.0.11:5002",
            );
        }
        let mut nodes: Vec<NodeEntry> = Vec::new();
        let mut places = HashSet::new();
        for item in &items {
            if let Some(node) = node(item) {
                let new = places.insert(node.address.place());
                self.admit(item, &node, (&nodes, new));
                nodes.push(node);
            }
        }
        let backups = !nodes.is_empty() && nodes.iter().all(|node| node.role == Role::Backup);
        if alone && backups && nodes.len() == items.len() {
            value.wrong(
                "only backups",
                "a backup stands in for other nodes: leave one `role` out",
            );
        }
        nodes
    }

    /// Checks one node against the others of its pool, among whom its place may be new, and of the
    /// file.
    fn admit(&mut self, item: &Value<'_>, node: &NodeEntry, (pool, new): (&[NodeEntry], bool)) {
        let primary = |node: &NodeEntry| node.role == Role::Primary;
        if primary(node) && pool.iter().any(primary) {
            item.wrong(
                "a second primary in the pool",
                "make it a secondary: leave `role` out",
            );
        }
        if is_own(&self.own, &node.address) {
            item.wrong(OWN, OWN_HELP);
        }
        if !new {
            item.wrong(
                "a second node with this address in the pool",
                "raise its weight instead",
            );
            return;
        }
        if let Some(first) = self.seen.get(&node.id) {
            item.wrong(
                "a second node with this id",
                format!(
                    "ids are unique in the whole file; the first is at {first}: give one an `id`"
                ),
            );
        }
        self.seen.insert(node.id.clone(), item.path.clone());
    }

    /// The nodes of the environment.
    pub(super) fn environment(
        &mut self,
        root: &Table<'_>,
        env: Env<'_>,
    ) -> (Vec<NodeEntry>, Option<Discover>) {
        let filled = |name| env(name).filter(|value| !value.trim().is_empty());
        let (variable, texts) = match (filled(ENV_NODES), filled(ENV_DAEMON)) {
            (Some(list), _) => (ENV_NODES, list.split(',').map(str::to_owned).collect()),
            (None, Some(url)) => (ENV_DAEMON, vec![url]),
            (None, None) => {
                let found = discover::environment(root.findings, env);
                if found.is_none() {
                    root.lacks(
                        "nodes",
                        format!(
                            "write `nodes: [10.0.0.11:5002]`, or set {ENV_NODES}, {ENV_DAEMON} or \
                             REDIS_HOST"
                        ),
                    );
                }
                return (Vec::new(), found);
            }
        };
        root.findings.note_nodes_from(variable);
        let wrong = |bad: BadAddress| root.findings.outside(variable, bad.what, bad.help);
        let mut nodes: Vec<NodeEntry> = Vec::new();
        for text in texts
            .iter()
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
        {
            let address = match text.parse::<Address>() {
                Ok(address) => address,
                Err(bad) => {
                    wrong(bad);
                    continue;
                }
            };
            let mut node = NodeEntry::at(address);
            if nodes
                .iter()
                .any(|other| other.address.place() == node.address.place())
            {
                wrong(BadAddress {
                    what: "the same address twice",
                    help: "remove one of the two",
                });
            }
            if is_own(&self.own, &node.address) {
                wrong(BadAddress {
                    what: OWN,
                    help: OWN_HELP,
                });
            }
            if variable == ENV_DAEMON {
                node.id = NodeId::from("default");
            }
            nodes.push(node);
        }
        (nodes, None)
    }
}

/// The nodes of a file that holds nothing else.
pub(in crate::config) fn listed(tree: &Tree, findings: &Findings) -> Vec<NodeEntry> {
    let root = Path::default();
    let lacks = |what: &str| {
        findings.value(
            &root,
            what,
            "write a list of nodes: `[10.0.0.11:5002]`, or `[]` for none",
        );
        Vec::new()
    };
    let value = Value {
        tree,
        path: root.clone(),
        findings,
    };
    match tree {
        Tree::List(_) => list_alone(&value, false),
        Tree::Table(entries) => {
            let table = Table::new(entries, root.clone(), findings);
            match table.value("nodes") {
                Some(value) => list_alone(&value, false),
                None => lacks("`nodes` is missing"),
            }
        }
        Tree::Null => lacks("nothing is written"),
        other => lacks(&format!("expected a list of nodes, found {}", other.kind())),
    }
}

/// The nodes that an operator sends in the place of a pool's.
pub(in crate::config) fn edited(tree: &Tree, path: Path, findings: &Findings) {
    let value = Value {
        tree,
        path,
        findings,
    };
    match tree {
        Tree::List(_) => drop(list_alone(&value, true)),
        other => value.wrong(
            format!("expected a list of nodes, found {}", other.kind()),
            "send `[{\"id\": \"a\", \"address\": \"10.0.0.11:5002\"}]`",
        ),
    }
}

/// `keys`: each may have its own.
fn list_alone(value: &Value<'_>, keys: bool) -> Vec<NodeEntry> {
    let mut nodes: Vec<NodeEntry> = Vec::new();
    for item in value.list().unwrap_or_default() {
        let Some(mut node) = node(&item) else {
            continue;
        };
        // The brackets of an IPv6 address are no part of a name.
        node.id = node.id.as_str().replace(['[', ']'], "").into();
        if !NodeId::is_plain(node.id.as_str()) {
            item.wrong("not a name", NAME_HELP);
        }
        if node.upstream_key.is_some() && !keys {
            item.wrong(
                "a key in a list of nodes",
                "write `upstream_key` into the pool: lists are read by many",
            );
        }
        if nodes.iter().any(|other| other.id == node.id) {
            item.wrong(
                "a second node with this id",
                "give one of them another `id`",
            );
        }
        if nodes
            .iter()
            .any(|other| other.address.place() == node.address.place())
        {
            item.wrong(
                "a second node with this address",
                "raise its weight instead",
            );
        }
        nodes.push(node);
    }
    nodes
}

const NAME_HELP: &str = "use letters, digits, `.`, `_`, `:` and `-`, at most 128";

/// True when a listener of ours answers at this address for certain.
pub(super) fn is_own(listeners: &[SocketAddr], address: &Address) -> bool {
    let ip = match address.host.as_str() {
        "localhost" => Some(IpAddr::from([127, 0, 0, 1])),
        host => host.parse::<IpAddr>().ok(),
    };
    listeners.iter().any(|own| {
        let same = |ip: IpAddr| {
            ip == own.ip()
                || (own.ip().is_unspecified() && (ip.is_loopback() || ip.is_unspecified()))
        };
        own.port() == address.port && ip.is_some_and(same)
    })
}

fn node(item: &Value<'_>) -> Option<NodeEntry> {
    let Tree::Table(_) = item.tree else {
        return address(item).map(NodeEntry::at);
    };
    let table = item.table()?;
    let placed = table.value("address");
    if placed.is_none() {
        table.lacks("address", "write where the node listens: host:5002");
    }
    // The other keys are read even when the address is wrong: all problems at once.
    let id = table.value("id").and_then(|value| node_id(&value));
    let role = role(&table);
    let weight = table.or("weight", defaults::WEIGHT, |value| {
        value.whole(
            1..=1000,
            "to take a node out of service: `enabled: false` or `drain: true`",
        )
    });
    let enabled = table.or("enabled", true, Value::flag);
    let drain = table.or("drain", false, Value::flag);
    let max_in_flight = table
        .value("max_in_flight")
        .and_then(|value| waiting::max_in_flight(&value));
    let upstream_key = table
        .value("upstream_key")
        .and_then(|value| applications::key(&value));
    let named = table.value("server_name");
    let server_name = named.as_ref().and_then(server_name);
    let at = NodeEntry::at(placed.and_then(|value| address(&value))?);
    if let (Some(named), false) = (named, at.address.tls) {
        let help = "write `https://` before the address, or leave `server_name` out";
        named.wrong("no certificate is looked at without TLS", help);
    }
    Some(NodeEntry {
        server_name,
        id: id.unwrap_or_else(|| at.id.clone()),
        address: at.address,
        role,
        weight,
        enabled,
        drain,
        max_in_flight,
        upstream_key,
    })
}

fn address(value: &Value<'_>) -> Option<Address> {
    value
        .text()?
        .trim()
        .parse()
        .map_err(|bad: BadAddress| value.wrong(bad.what, bad.help))
        .ok()
}

fn server_name(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    if text.is_empty() || !text.bytes().all(sign) {
        value.wrong(
            "neither a host name nor an IP address",
            "write daemon.internal",
        );
        return None;
    }
    Some(text.to_owned())
}

fn node_id(value: &Value<'_>) -> Option<NodeId> {
    let id = value.text()?;
    if id.is_empty() || id.len() > 128 || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        value.wrong(
            "not a name",
            "use at most 128 printable ASCII characters, no blanks",
        );
        return None;
    }
    Some(NodeId::from(id))
}

fn role(table: &Table<'_>) -> Role {
    let words = Role::ALL.map(|role| (role.word(), role));
    let Some(value) = table.value_or_alias("role", "backup") else {
        return Role::default();
    };
    // The alias is HAProxy's flag, not a word.
    if value.path == table.path.key("backup") {
        return match value.flag() {
            Some(true) => Role::Backup,
            _ => Role::default(),
        };
    }
    value.word("role", &words).unwrap_or_default()
}
