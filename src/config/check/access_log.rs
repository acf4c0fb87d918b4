//! The section `access_log`.

use crate::config::access_log::{AccessLog, LogTarget};
use crate::config::table::{Table, Value};
use crate::model::{LogFormat, LogRules, Notable};
use std::path::PathBuf;

pub(super) fn access_log(section: &Table<'_>) -> AccessLog {
    let default = AccessLog::default();
    let rules = default.rules;
    let share = |value: &Value<'_>| {
        value.number("from 0 to 1", "0.01", |number| {
            (0.0..=1.0).contains(&number)
        })
    };
    AccessLog {
        to: section.or("to", default.to, target),
        rules: LogRules {
            format: section.or("format", rules.format, |value| {
                value.word("format", &LogFormat::WORDS)
            }),
            always: section.value("always").map_or(rules.always, |value| {
                let items = value.list().unwrap_or_default();
                items.iter().filter_map(notable).collect()
            }),
            sample: section.or("sample", rules.sample, share),
            slow: section.or("slow", rules.slow, Value::duration),
            large: section.or("large", rules.large, Value::size),
        },
        queue: section.or("queue", default.queue, |value| {
            value.whole(1..=1_000_000, "each line takes a KiB or so while it waits")
        }),
    }
}

fn target(value: &Value<'_>) -> Option<Option<LogTarget>> {
    match value.typed()?.trim() {
        "off" | "false" => Some(None),
        "stdout" => Some(Some(LogTarget::Stdout)),
        file if file.starts_with(['/', '.']) => Some(Some(LogTarget::File(PathBuf::from(file)))),
        _ => {
            value.wrong(
                format!("neither a place nor a file: {}", value.shown()),
                "write off, stdout, or a file as /var/log/twolane/access.log or ./access.log",
            );
            None
        }
    }
}

fn notable(value: &Value<'_>) -> Option<Notable> {
    let typed = value.typed()?;
    let found = Notable::read(&typed);
    if found.is_none() {
        let mut known: Vec<_> = Notable::WORDS.iter().map(|(word, _)| *word).collect();
        known.extend(["4xx", "5xx", "429"]);
        value.wrong(
            format!("not a condition: {}", value.shown()),
            value.suggest(&known),
        );
    }
    found
}
