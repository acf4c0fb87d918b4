//! What changes when this configuration takes the place of that one?

use super::pool::Pool;
use super::print;
use super::sections::Config;
use super::tree::Tree;
use crate::model::Secret;
use std::collections::BTreeMap;
use std::fmt;

/// One key that differs. Nodes and pools are called by their names: `pools.main.nodes.d1.weight`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Takes effect at once: the key, its old value and its new one. `none` is no value; secrets
    /// are `***`.
    Live(String, String, String),
    /// Takes effect at the next start only.
    NeedsRestart(String),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Live(path, from, to) => write!(f, "{path}: {from} -> {to}"),
            Self::NeedsRestart(path) => write!(f, "{path}: needs a restart"),
        }
    }
}

/// What is bound or started once, in the life of a process.
const FIXED: [&str; 10] = [
    "log.format",
    "listen",
    "tls.listen",
    "admin.listen",
    "tcp.listen",
    "threads",
    "reload.poll",
    "share.prefix",
    "share.ttl",
    "share.sharded",
];
const NONE: &str = "none";

/// Every key that differs, in the order of their names.
#[must_use]
pub fn diff(old: &Config, new: &Config) -> Vec<Change> {
    let (from, to) = (leaves(old), leaves(new));
    let keys: std::collections::BTreeSet<_> = from.keys().chain(to.keys()).collect();
    let value = |leaves: &BTreeMap<String, String>, key: &String| {
        leaves
            .get(key)
            .map_or_else(|| NONE.to_owned(), Clone::clone)
    };
    let mut changes: Vec<_> = keys
        .into_iter()
        .map(|key| (key, value(&from, key), value(&to, key)))
        .filter(|(_, from, to)| from != to)
        .map(|(key, from, to)| change(key, from, to))
        .collect();
    // Two tokens look alike, both masked; none and one do not.
    let token = "admin.token";
    let both = old.admin.token.is_some() && new.admin.token.is_some();
    if both && old.admin.token != new.admin.token {
        changes.push(change(token, "***".to_owned(), "***".to_owned()));
    }
    secrets(&mut changes, old, new);
    for pool in &new.pools {
        let before = old.pools.iter().find(|other| other.name == pool.name);
        let passwords = [before, Some(pool)].map(|pool| redis_password(pool?));
        if let [Some(from), Some(to)] = passwords
            && from != to
        {
            let key = format!("pools.{}.discover.dify_redis.password", pool.name);
            changes.push(change(&key, "***".to_owned(), "***".to_owned()));
        }
    }
    fleet(&mut changes, old, new);
    changes
}

/// Keys look alike, all masked.
fn secrets(changes: &mut Vec<Change>, old: &Config, new: &Config) {
    let masked = || "***".to_owned();
    for now in &new.applications {
        let before = old.applications.iter().find(|it| it.name == now.name);
        if before.is_some_and(|it| it.keys.len() == now.keys.len() && it.keys != now.keys) {
            let key = format!("applications.{}.keys", now.name);
            changes.push(change(&key, masked(), masked()));
        }
    }
    let found = |config: &Config| -> BTreeMap<String, Secret> {
        let mut found = BTreeMap::new();
        for pool in &config.pools {
            let own = std::iter::once((None, &pool.upstream_key));
            let nodes = pool.nodes.iter();
            for (node, key) in own.chain(nodes.map(|node| (Some(&node.id), &node.upstream_key))) {
                let place = node.map_or(String::new(), |id| format!("nodes.{id}."));
                if let Some(key) = key {
                    let place = format!("pools.{}.{place}upstream_key", pool.name);
                    found.insert(place, key.clone());
                }
            }
        }
        found
    };
    let before = found(old);
    for (place, key) in found(new) {
        if before.get(&place).is_some_and(|old| *old != key) {
            changes.push(change(&place, masked(), masked()));
        }
    }
}

fn redis_password(pool: &Pool) -> Option<&Secret> {
    let registry = pool.discover.as_ref()?.dify_redis.as_ref()?;
    registry.password.as_ref()
}

/// A fleet is joined at the start; where it meets may change.
fn fleet(changes: &mut Vec<Change>, old: &Config, new: &Config) {
    let (old, new) = (&old.share, &new.share);
    if old.is_on() != new.is_on() {
        changes.retain(|change| !change.to_string().starts_with("share.redis"));
        changes.push(Change::NeedsRestart("share.redis".to_owned()));
        return;
    }
    let passwords = |share: &super::Share| (share.urls.clone(), share.sentinel.password.clone());
    let told = |change: &Change| change.to_string().starts_with("share.");
    if passwords(old) != passwords(new) && !changes.iter().any(told) {
        changes.push(change("share.redis", "***".to_owned(), "***".to_owned()));
    }
}

fn change(key: &str, from: String, to: String) -> Change {
    if FIXED.contains(&key) {
        Change::NeedsRestart(key.to_owned())
    } else {
        Change::Live(key.to_owned(), from, to)
    }
}

fn leaves(config: &Config) -> BTreeMap<String, String> {
    let mut leaves = BTreeMap::new();
    flatten(&print::tree(config), String::new(), &mut leaves);
    leaves
}

fn flatten(tree: &Tree, path: String, leaves: &mut BTreeMap<String, String>) {
    let below = |step: &str| {
        let dot = if path.is_empty() { "" } else { "." };
        format!("{path}{dot}{step}")
    };
    match tree {
        Tree::Table(entries) => {
            for (key, value) in entries {
                flatten(value, below(key), leaves);
            }
        }
        Tree::List(items) if items.iter().any(|item| matches!(item, Tree::Table(_))) => {
            for (at, item) in items.iter().enumerate() {
                flatten(
                    item,
                    below(&name(item).unwrap_or_else(|| at.to_string())),
                    leaves,
                );
            }
        }
        Tree::List(items) if items.is_empty() => {}
        Tree::List(items) => {
            let words: Vec<_> = items.iter().filter_map(Tree::typed).collect();
            leaves.insert(path, words.join(", "));
        }
        leaf => {
            leaves.insert(path, leaf.typed().unwrap_or_else(|| NONE.to_owned()));
        }
    }
}

/// What an entry of a list is called: its place may change although it stays what it is.
pub(super) fn name(item: &Tree) -> Option<String> {
    let Tree::Table(entries) = item else {
        return None;
    };
    let (key, value) = entries.first()?;
    // The order of pins and rules has a meaning: the first that matches wins.
    (!["operation", "op"].contains(&key.as_str())).then(|| value.typed())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NodeEntry;
    use crate::model::{Class, EventFormat, Pin, Secret};
    use std::time::Duration;

    fn config(nodes: &[&str]) -> Config {
        let node = |text: &&str| NodeEntry::at(text.parse().expect("an address"));
        Config::default_with(nodes.iter().map(node))
    }

    fn live(path: &str, from: &str, to: &str) -> Change {
        Change::Live(path.to_owned(), from.to_owned(), to.to_owned())
    }

    #[test]
    fn nothing_changes_between_equals() {
        assert_eq!(diff(&config(&["a:1"]), &config(&["a:1"])), []);
    }

    #[test]
    fn a_node_that_leaves_does_not_change_those_that_stay() {
        let changes = diff(&config(&["a:1", "b:1"]), &config(&["b:1"]));
        assert!(!changes.is_empty());
        for change in &changes {
            assert!(
                change.to_string().starts_with("pools.main.nodes.a:1."),
                "{change}"
            );
        }
    }

    #[test]
    fn values_are_told_and_secrets_are_not() {
        let old = config(&["a:1"]);
        let mut new = old.clone();
        new.timeouts.read = Duration::from_secs(900);
        new.learn.rules.pins.push(Pin {
            operation: "tool/*".to_owned(),
            class: Some(Class::Long),
        });
        new.admin.token = Some(Secret::new("hunter2".to_owned()));
        assert_eq!(
            diff(&old, &new),
            [
                live("admin.token", NONE, "***"),
                live("learn.pins.0.class", NONE, "long"),
                live("learn.pins.0.operation", NONE, "tool/*"),
                live("timeouts.read", "660s", "900s"),
            ]
        );
        let mut third = new.clone();
        third.admin.token = Some(Secret::new("hunter3".to_owned()));
        assert_eq!(diff(&new, &third), [live("admin.token", "***", "***")]);
    }

    #[test]
    fn what_needs_a_restart_is_named() {
        let old = config(&["a:1"]);
        let mut new = old.clone();
        new.listen = vec!["0.0.0.0:5003".parse().expect("an address")];
        new.tls.listen = vec!["0.0.0.0:5443".parse().expect("an address")];
        new.admin.listen = "127.0.0.1:5013".parse().expect("an address");
        new.tcp.listen = Some("0.0.0.0:5004".parse().expect("an address"));
        new.threads = 2;
        new.reload.poll = None;
        new.share.prefix = "other:".to_owned();
        new.share.ttl = Duration::from_secs(3);
        new.share.sharded = true;
        new.log.format = EventFormat::Json;
        let expected = FIXED.map(|key| Change::NeedsRestart(key.to_owned()));
        let changes = diff(&old, &new);
        assert_eq!(changes.len(), FIXED.len());
        for change in expected {
            assert!(changes.contains(&change), "{change}");
        }
    }
}
