//! Caps: how many requests a node may have in flight, and how the others wait.

use super::Around;
use crate::config::discover::Discover;
use crate::config::pool::{MaxInFlight, Waiting};
use crate::config::probe::Spot;
use crate::config::table::{Table, Value};
use crate::config::tree::Tree;
use crate::config::{NodeEntry, PluginCap};

/// The keys of a pool that are about waiting; at the top level they are short for its only pool.
pub(super) const KEYS: [&str; 4] = ["max_in_flight", "plugin_caps", "max_hold", "max_queue"];

const NO_CAP: &str = "leave the line out: nothing is limited then";

/// The caps of a pool, and of its nodes, which are read already, or may yet be found.
pub(super) fn waiting(
    table: &Table<'_>,
    (nodes, discover): (&[NodeEntry], Option<&Discover>),
    around: &Around<'_>,
) -> Waiting {
    let default = Waiting::default();
    let hold = table.value("max_hold");
    let queue = table.value("max_queue");
    let many = |value: &Value<'_>| value.whole(1..=10_000, "more would only wait in vain");
    let waiting = Waiting {
        max_in_flight: table
            .value("max_in_flight")
            .and_then(|value| max_in_flight(&value)),
        plugin_caps: table
            .value("plugin_caps")
            .map(|value| plugin_caps(&value))
            .unwrap_or_default(),
        max_hold: hold
            .as_ref()
            .and_then(Value::duration)
            .unwrap_or(default.max_hold),
        max_queue: queue.as_ref().and_then(many).unwrap_or(default.max_queue),
    };
    let capped = waiting.is_on()
        || around.limited
        || nodes.iter().any(|node| node.max_in_flight.is_some())
        || discover.is_some_and(Discover::lists_nodes);
    let changed = [
        hold.filter(|_| waiting.max_hold != default.max_hold),
        queue.filter(|_| waiting.max_queue != default.max_queue),
    ];
    for value in changed.into_iter().flatten().filter(|_| !capped) {
        value.findings.warning(
            &value.path,
            "nothing waits without a cap",
            "set max_in_flight, plugin_caps or a rule's limit, or leave it out",
        );
    }
    waiting
}

/// A number for all, or one for each class.
pub(super) fn max_in_flight(value: &Value<'_>) -> Option<MaxInFlight> {
    let Tree::Table(_) = value.tree else {
        return cap(value).map(MaxInFlight::Node);
    };
    let table = value.table()?;
    let of = |key| table.value(key).and_then(|value| cap(&value));
    let (short, long) = (of("short"), of("long"));
    if short.is_none() && long.is_none() && value.findings.sound(&value.path) {
        value.wrong(
            "no class is limited",
            "write `{ long: 4 }`, or a number for all",
        );
        return None;
    }
    Some(MaxInFlight::Classes { short, long })
}

pub(super) fn cap(value: &Value<'_>) -> Option<u32> {
    value.whole(1..=100_000, NO_CAP)
}

fn plugin_caps(value: &Value<'_>) -> Vec<PluginCap> {
    let Tree::Table(entries) = value.tree else {
        value.wrong(
            format!("expected a table, found {}", value.tree.kind()),
            "write `{ langgenius/comfyui: 3 }`",
        );
        return Vec::new();
    };
    let mut caps = Vec::new();
    for (name, tree) in entries {
        let entry = Value {
            tree,
            path: value.path.key(name),
            findings: value.findings,
        };
        let sign = |byte: u8| byte.is_ascii_graphic();
        let named = name.contains(['/', '*']) && name.len() <= 256 && name.bytes().all(sign);
        if !named {
            value.findings.key(
                &entry.path,
                Spot::Key,
                format!("unknown key `{}`: not a plugin's name", name.escape_debug()),
                "write `author/name`; `*` stands for anything".to_owned(),
            );
        } else if let Some(most) = cap(&entry) {
            caps.push(PluginCap {
                plugin: name.clone(),
                most,
            });
        }
    }
    caps
}
