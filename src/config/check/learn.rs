//! The section `learn`.

use super::{Around, own};
use crate::config::sections::Learn;
use crate::config::table::{Table, Value};
use crate::model::{Class, LearnRules, Part, Pin, Score, Threshold, Unknown};

pub(super) fn learn(section: &Table<'_>, around: &Around<'_>) -> Learn {
    let Learn {
        key: parts,
        classifier: _,
        rules: default,
    } = Learn::default();
    let scores = [
        ("decayed", Score::Decayed),
        ("median", Score::Median),
        ("mean", Score::Mean),
    ];
    let unknowns = [
        ("prior", Unknown::Prior),
        (Class::Short.word(), Unknown::Always(Class::Short)),
        (Class::Long.word(), Unknown::Always(Class::Long)),
    ];
    Learn {
        key: section.or("key", parts, key),
        classifier: section
            .value("classifier")
            .and_then(|value| own::word(&value, "classifier", &around.known.own.classifiers)),
        rules: LearnRules {
            long_threshold: section.or("long_threshold", default.long_threshold, threshold),
            exit_ratio: section.or("exit_ratio", default.exit_ratio, |value| {
                value.number("above 0, at most 1", "0.7", |number| {
                    number > 0.0 && number <= 1.0
                })
            }),
            score: section.or("score", default.score, |value| value.word("score", &scores)),
            window: section.or("window", default.window, |value| {
                value.whole(1..=64, "seed 000 takes 5")
            }),
            min_samples: section.or("min_samples", default.min_samples, |value| {
                value.whole(1..=1000, "1 lets the first sample decide")
            }),
            unknown: section.or("unknown", default.unknown, |value| {
                value.word("class", &unknowns)
            }),
            max_keys: section.or("max_keys", default.max_keys, |value| {
                value.whole(16..=10_000_000, "4096 are enough for most")
            }),
            pins: section.or("pins", default.pins, pins),
        },
    }
}

fn threshold(value: &Value<'_>) -> Option<Threshold> {
    match value.typed()?.as_str() {
        "auto" => Some(Threshold::Auto),
        _ => value.duration().map(Threshold::Fixed),
    }
}

fn key(value: &Value<'_>) -> Option<Vec<Part>> {
    let words = Part::ALL.map(|part| (part.word(), part));
    let items = value.list()?;
    let mut parts = Vec::new();
    for item in &items {
        let part = item.word("part", &words)?;
        if parts.contains(&part) {
            item.wrong(
                format!("{} stands twice", item.shown()),
                "remove one of the two",
            );
            return None;
        }
        parts.push(part);
    }
    let fine = match parts.first() {
        Some(Part::Op) => !parts.contains(&Part::Path),
        Some(Part::Path) => parts.len() == 1,
        _ => false,
    };
    if !fine {
        value.wrong(
            "a key begins with `op` and goes on without `path`, or is `[path]` alone",
            "write [op, plugin, item]",
        );
        return None;
    }
    Some(parts)
}

fn pins(value: &Value<'_>) -> Option<Vec<Pin>> {
    Some(value.list()?.iter().filter_map(pin).collect())
}

fn pin(value: &Value<'_>) -> Option<Pin> {
    let classes = [
        (Class::Short.word(), Some(Class::Short)),
        (Class::Long.word(), Some(Class::Long)),
        ("auto", None),
    ];
    let entry = value.table()?;
    let operation = entry.value("operation");
    let class = entry.value("class");
    if operation.is_none() {
        entry.lacks(
            "operation",
            "write a key as `/cluster/stats` shows it; `*` is anything",
        );
    }
    if class.is_none() {
        entry.lacks("class", "write short, long or auto");
    }
    let (operation, class) = (operation?, class?);
    let text = operation.text()?;
    if text.is_empty() {
        operation.wrong("matches nothing", "`*` matches every operation");
    }
    Some(Pin {
        operation: text.to_owned(),
        class: class.word("class", &classes)?,
    })
}
