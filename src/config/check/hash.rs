//! By what a pool's requests are hashed, and the ring on which they lie.

use crate::config::hash::{HashAlgorithm, HashBy, HashPart, RingRules};
use crate::config::table::{Table, Value};
use crate::config::tree::Tree;

/// The key of a pool; at the top level it is short for its only pool.
pub(super) const KEY: &str = "hash";
const HELP: &str = "write `hash: [tenant]`, or `hash: { by: [tenant], required: true }`";

/// A word, a list of words, or a table. `rings`: the pool has a strategy that may look at it.
pub(super) fn by(value: Option<Value<'_>>, rings: bool) -> HashBy {
    let Some(value) = value else {
        return HashBy::default();
    };
    let (parts, required) = match value.tree {
        Tree::Table(_) => {
            let Some(table) = value.table() else {
                return HashBy::default();
            };
            let by = table.value("by");
            if by.is_none() {
                table.lacks("by", HELP);
            }
            (by, table.or("required", false, Value::flag))
        }
        _ => (Some(value.clone()), false),
    };
    let items = parts.as_ref().map(Value::one_or_list).unwrap_or_default();
    let mut read: Vec<HashPart> = Vec::new();
    for item in &items {
        let Some(part) = part(item) else { continue };
        if read.contains(&part) {
            item.wrong("stands twice", "remove one of the two");
        }
        read.push(part);
    }
    if parts.is_some() && items.is_empty() {
        value.wrong("nothing to hash by", HELP);
    }
    let by = HashBy {
        parts: read,
        required,
    };
    let mut all = items.iter().chain(std::iter::once(&value));
    let sound = all.all(|value| value.findings.sound(&value.path));
    if !rings && sound && by != HashBy::default() {
        value.findings.warning(
            &value.path,
            "nothing is hashed",
            "set `strategy: consistent_hash` in this pool, or leave it out",
        );
    }
    by
}

fn part(value: &Value<'_>) -> Option<HashPart> {
    let text = value.text()?;
    if let Some(name) = text.strip_prefix("header:") {
        return super::rules::header_name(value, name).map(HashPart::Header);
    }
    let found = HashPart::WORDS.into_iter().find(|(word, _)| *word == text);
    if found.is_none() {
        let mut words: Vec<_> = HashPart::WORDS.iter().map(|(word, _)| *word).collect();
        words.push("header:X-Name");
        let what = format!("not something to hash by: {}", value.shown());
        value.wrong(what, value.suggest(&words));
    }
    found.map(|(_, part)| part)
}

/// `strategies.consistent_hash`.
pub(super) fn ring(section: &Table<'_>) -> RingRules {
    let default = RingRules::default();
    let many = "more makes the ring larger, and hardly more even";
    let bound = |value: &Value<'_>| match value.typed()?.as_str() {
        "off" => Some(None),
        _ => value
            .number("from 1.05 to 10, or off", "1.25", |number| {
                (1.05..=10.0).contains(&number)
            })
            .map(Some),
    };
    RingRules {
        algorithm: section.or("algorithm", default.algorithm, |value| {
            value.word("algorithm", &HashAlgorithm::WORDS)
        }),
        virtual_nodes: section.or("virtual_nodes", default.virtual_nodes, |value| {
            value.whole(1..=1000, many)
        }),
        bound: section.or("bound", default.bound, bound),
    }
}
