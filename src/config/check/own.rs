//! Words that only the embedding program can bring.

use super::Around;
use crate::config::table::Value;

/// One of the program's own words. Where it brings none, that is what is said.
pub(super) fn word(value: &Value<'_>, noun: &str, own: &[String]) -> Option<String> {
    if own.is_empty() {
        value.text()?;
        value.wrong(
            format!(
                "unknown {noun} {}: this program brings none of its own",
                value.shown()
            ),
            "leave the key out, or register one with Gateway::builder",
        );
        return None;
    }
    let words: Vec<_> = own.iter().map(|word| (word.as_str(), word)).collect();
    value.word(noun, &words).cloned()
}

/// A strategy, built in or the program's own.
pub(super) fn strategy(value: &Value<'_>, around: &Around<'_>) -> Option<String> {
    let all = around.known.all_strategies();
    let words: Vec<_> = all.iter().map(|word| (*word, *word)).collect();
    value.word("strategy", &words).map(str::to_owned)
}

/// Where a pool's nodes come from. A list beside it would have no effect.
pub(super) fn discovery(
    value: &Value<'_>,
    nodes: Option<&Value<'_>>,
    around: &Around<'_>,
) -> Option<String> {
    if let Some(nodes) = nodes {
        nodes.wrong(
            "stands beside `discovery`",
            "the nodes come from one of the two: remove the other",
        );
    }
    word(value, "discovery", &around.known.own.discoveries)
}
