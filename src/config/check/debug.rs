//! Remote debugging: who owns which plugin, and the plain TCP listener.

use super::nodes::{OWN, OWN_HELP, is_own};
use super::sections::{overlap, socket};
use crate::config::address::Address;
use crate::config::defaults;
use crate::config::pool::{DebugPlugin, Pool};
use crate::config::sections::Tcp;
use crate::config::table::{Table, Value};
use crate::config::unit;
use crate::model::{NodeId, is_debug_plugin};
use std::net::SocketAddr;

/// The owners of debug plugins; each node they name must exist.
pub(super) fn debug_plugins(root: &Table<'_>, pools: &[Pool]) -> Vec<DebugPlugin> {
    let nodes: Vec<_> = pools.iter().flat_map(|pool| &pool.nodes).collect();
    let words: Vec<_> = nodes
        .iter()
        .map(|node| (node.id.as_str(), &node.id))
        .collect();
    let list = root.value("debug_plugins").and_then(|value| value.list());
    let mut owned: Vec<DebugPlugin> = Vec::new();
    for item in list.unwrap_or_default() {
        let Some(table) = item.table() else { continue };
        let (named, node) = (table.value("plugin"), table.value("node"));
        if named.is_none() {
            table.lacks("plugin", "write the tenant's id, a slash, and a name");
        }
        if node.is_none() {
            table.lacks(
                "node",
                "write the id of the node that has its developer's connection",
            );
        }
        let plugin = named.as_ref().and_then(plugin);
        let anybody = pools.iter().any(|pool| pool.discover.is_some());
        let node: Option<NodeId> = node.and_then(|value| {
            if anybody {
                // Who will be found is not known yet.
                return value.text().map(NodeId::from);
            }
            value.word("node", &words).cloned()
        });
        let (Some(plugin), Some(node)) = (plugin, node) else {
            continue;
        };
        if let Some(value) = named.filter(|_| owned.iter().any(|known| known.plugin == plugin)) {
            value.wrong(
                format!("a second owner of {}", value.shown()),
                "remove one of the two: a debug plugin has one connection",
            );
        }
        owned.push(DebugPlugin { plugin, node });
    }
    owned
}

fn plugin(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    if !is_debug_plugin(text) {
        value.wrong(
            "not a debug plugin",
            "write <uuid>/name without a version; the uuid is the tenant's id, in small letters: \
             no other plugin has an owner",
        );
        return None;
    }
    Some(text.to_owned())
}

/// The plain TCP listener; `taken` are the addresses of the other two.
pub(super) fn tcp(section: &Table<'_>, taken: &[SocketAddr]) -> Tcp {
    let default = Tcp::default();
    let listen = |value: &Value<'_>| {
        let address = socket(value)?;
        if taken.iter().any(|other| overlap(*other, address)) {
            value.wrong(
                "the port of another listener as well: see `listen` and `admin.listen`",
                "take another port, such as 5003",
            );
        }
        Some(Some(address))
    };
    let idle = |value: &Value<'_>| {
        let idle = value.duration()?;
        if idle < defaults::SHORTEST_TCP_IDLE {
            let least = unit::write_duration(defaults::SHORTEST_TCP_IDLE);
            value.wrong(
                format!("below {least}: a daemon and its plugin may be silent for that long"),
                format!("write {least} or more"),
            );
            return None;
        }
        Some(idle)
    };
    let count = |value: &Value<'_>| {
        value.whole(
            1..=1_000_000,
            "to have no such listener, leave tcp.listen out",
        )
    };
    Tcp {
        listen: section.or("listen", default.listen, listen),
        port: section.or("port", default.port, |value| {
            value.whole(1..=u16::MAX, "5003 is the daemon's own")
        }),
        idle: section.or("idle", default.idle, idle),
        max_connections: section.or("max_connections", default.max_connections, count),
    }
}

/// Refuses a node whose debugging port is our own listener: a connection would come back for ever.
pub(super) fn no_loop(root: &Table<'_>, tcp: &Tcp, pools: &[Pool]) {
    let Some(listen) = tcp.listen else { return };
    let debugs_here = |host: &String| {
        let place = Address {
            host: host.clone(),
            port: tcp.port,
            tls: false,
        };
        is_own(&[listen], &place)
    };
    let mut nodes = pools.iter().flat_map(|pool| &pool.nodes);
    if nodes.any(|node| debugs_here(&node.address.host)) {
        let place = root.path.key("tcp").key("listen");
        root.findings.value(
            &place,
            format!("{OWN}: a node stands there with tcp.port {}", tcp.port),
            OWN_HELP,
        );
    }
}
