//! The key `expects` of a pool.

use super::applications;
use crate::config::expects::{Expected, Expects};
use crate::config::table::Value;
use std::time::Duration;

/// More often says nothing new and fills the daemons' logs; more seldom is no watch.
const EVERY: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(3600)];
/// Each is a question to each node.
const MOST: usize = 200;

pub(super) fn expects(value: &Value<'_>) -> Option<Expects> {
    let table = value.table()?;
    let named = table.value("plugins");
    if named.is_none() {
        table.lacks("plugins", "write `plugins: [langgenius/openai]`");
    }
    let items = named.as_ref().and_then(Value::list).unwrap_or_default();
    let mut plugins: Vec<Expected> = Vec::new();
    for item in &items {
        let Some(read) = plugin(item) else { continue };
        if plugins.iter().any(|known| known.plugin == read.plugin) {
            item.wrong("this plugin stands twice", "remove one of the two");
        }
        plugins.push(read);
    }
    if let Some(value) = named.filter(|value| value.findings.sound(&value.path)) {
        if plugins.is_empty() {
            value.wrong(
                "nothing is expected",
                "name a plugin, or leave `expects` out",
            );
        }
        if plugins.len() > MOST {
            value.wrong(
                format!("more than {MOST} plugins"),
                "name those that must not be missing",
            );
        }
    }
    let key = table
        .value("key")
        .filter(|value| value.tree.typed().as_deref() != Some(""));
    let tenant = table.value("tenant").and_then(|value| tenant(&value));
    Some(Expects {
        plugins,
        every: table.or("every", Expects::EVERY, every),
        key: key.and_then(|value| applications::key(&value)),
        tenant: tenant.flatten(),
    })
}

fn plugin(value: &Value<'_>) -> Option<Expected> {
    let read = Expected::read(value.text()?);
    if read.is_none() {
        value.wrong(
            "not a plugin",
            "write `author/name`, or its whole identifier `author/name:version@checksum`",
        );
    }
    read
}

/// An empty one is none: `${TENANT:-}` stands for an optional variable.
fn tenant(value: &Value<'_>) -> Option<Option<String>> {
    let text = value.text()?;
    if text.len() > 128
        || !text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    {
        value.wrong("not the id of a tenant", "write the UUID of a workspace");
        return None;
    }
    Some((!text.is_empty()).then(|| text.to_owned()))
}

fn every(value: &Value<'_>) -> Option<Duration> {
    let every = value.duration()?;
    if every < EVERY[0] || every > EVERY[1] {
        value.wrong("must be from 100ms to 1h", "30s is soon enough to be told");
        return None;
    }
    Some(every)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Known, OwnWords, Problems, examine, masked};

    fn read(text: &str) -> Result<Config, Problems> {
        let known = Known {
            strategies: &["adaptive"],
            own: OwnWords::NONE,
        };
        let text = format!("nodes: [a]\nexpects: {text}\n");
        examine(&text, "test.yaml", &known, &|_| None).map(|loaded| loaded.config)
    }

    #[test]
    fn it_is_read_with_its_defaults_and_printed_without_its_key() {
        let config = read("{ plugins: [a/b, 'c/d:1@x'], key: hunter2-hunter2, tenant: '' }");
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        let expects = config.pools[0].expects.as_ref().expect("it expects");
        assert_eq!(
            (expects.plugins.len(), expects.every),
            (2, Duration::from_secs(30))
        );
        assert_eq!(expects.tenant, None);
        let printed = masked(&config);
        assert!(
            printed.contains("c/d:1@x") && !printed.contains("hunter2"),
            "{printed}"
        );
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        for (text, place, what) in [
            ("{}", "expects", "`plugins` is missing"),
            ("{ plugins: [] }", "expects.plugins", "nothing is expected"),
            (
                "{ plugins: [openai] }",
                "expects.plugins[0]",
                "not a plugin",
            ),
            (
                "{ plugins: [a/b, 'a/b:1@x'] }",
                "expects.plugins[1]",
                "twice",
            ),
            ("{ plugins: [a/b], every: 10ms }", "expects.every", "100ms"),
            ("{ plugins: [a/b], key: short }", "expects.key", "not a key"),
            (
                "{ plugins: [a/b], tenant: 'a b' }",
                "expects.tenant",
                "tenant",
            ),
            (
                "{ plugins: [a/b], evry: 1s }",
                "expects.evry",
                "unknown key",
            ),
        ] {
            let problems = read(text).expect_err(text).to_string();
            assert!(
                problems.contains(place) && problems.contains(what),
                "{text}: {problems}"
            );
        }
    }
}
