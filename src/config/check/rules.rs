//! The operator's rules for single requests.

use super::waiting;
use crate::config::application::Application;
use crate::config::pool::{Pool, RuleEntry, When};
use crate::config::table::{Table, Value};
use crate::config::tree::Tree;
use crate::model::Class;

/// What a request may have to look like.
const CONDITIONS: [&str; 8] = [
    "op",
    "plugin",
    "tenant",
    "application",
    "host",
    "path",
    "method",
    "header",
];
/// Whether any rule has a limit: known before the pools are read, whose keys about waiting have an
/// effect then.
pub(super) fn any_limit(root: &Table<'_>) -> bool {
    let limited = |item: &Tree| match item {
        Tree::Table(entries) => entries.iter().any(|(key, _)| key == "limit"),
        _ => false,
    };
    root.value("rules").is_some_and(|value| match value.tree {
        Tree::List(list) => list.iter().any(limited),
        _ => false,
    })
}

/// The rules; each pool they name must exist.
pub(super) fn rules(
    root: &Table<'_>,
    pools: &[Pool],
    applications: &[Application],
) -> Vec<RuleEntry> {
    let list = root.value("rules").and_then(|value| value.list());
    let rules = list.unwrap_or_default();
    rules
        .iter()
        .filter_map(|item| rule(item, pools, applications))
        .collect()
}

fn rule(item: &Value<'_>, pools: &[Pool], applications: &[Application]) -> Option<RuleEntry> {
    let classes = [
        (Class::Short.word(), Some(Class::Short)),
        (Class::Long.word(), Some(Class::Long)),
        ("auto", None),
    ];
    let names: Vec<_> = pools
        .iter()
        .map(|pool| (pool.name.as_str(), pool.name.as_str()))
        .collect();
    let table = item.table()?;
    let conditions = CONDITIONS.map(|key| table.value(key));
    if conditions.iter().all(Option::is_none) {
        table.lacks(
            "op",
            "a rule for everything is none: write op, plugin, tenant, application, host, path, method \
             or header; `*` is anything",
        );
    }
    let (class, pool) = (table.value("class"), table.value("pool"));
    let limit = table.value("limit");
    let open = table.value("open");
    if class.is_none() && pool.is_none() && open.is_none() && limit.is_none() {
        table.lacks(
            "class",
            "write what the rule decides: class, pool, limit, or open",
        );
    }
    let opens = open.as_ref().and_then(Value::flag).unwrap_or(false);
    if let Some(value) = open.filter(|_| opens && applications.is_empty()) {
        value.wrong(
            "everything is open: there are no applications",
            "leave it out, or add `applications`",
        );
    }
    let [op, plugin, tenant, application, host, path, method, header] = conditions;
    let application = application.and_then(|value| known_application(&value, applications));
    let pattern = |value: Option<Value<'_>>| value.and_then(|value| pattern(&value));
    Some(RuleEntry {
        when: When {
            op: pattern(op),
            plugin: pattern(plugin),
            tenant: pattern(tenant),
            application,
            host: pattern(host).map(|host| host.to_ascii_lowercase()),
            path: pattern(path),
            method: pattern(method),
            header: header.map(|value| headers(&value)).unwrap_or_default(),
        },
        class: class
            .and_then(|value| value.word("class", &classes))
            .flatten(),
        pool: pool
            .and_then(|value| value.word("pool", &names))
            .map(str::to_owned),
        open: opens,
        limit: limit.and_then(|value| waiting::cap(&value)),
    })
}

/// A pattern that fits at least one application.
fn known_application(value: &Value<'_>, applications: &[Application]) -> Option<String> {
    let text = pattern(value)?;
    let names: Vec<_> = applications
        .iter()
        .map(|application| application.name.as_str())
        .collect();
    if !text.contains('*') && !names.contains(&text.as_str()) {
        let what = format!("unknown application {}", value.shown());
        let help = if names.is_empty() {
            "there are none: add `applications`".to_owned()
        } else {
            value.suggest(&names)
        };
        value.wrong(what, help);
    }
    Some(text)
}

fn pattern(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    if text.is_empty() {
        value.wrong("matches nothing", "`*` matches everything");
    }
    Some(text.to_owned())
}

/// `{ X-Team: "batch*" }`.
fn headers(value: &Value<'_>) -> Vec<(String, String)> {
    let Tree::Table(entries) = value.tree else {
        value.wrong(
            format!("expected a table, found {}", value.tree.kind()),
            "write { X-Team: \"batch*\" }",
        );
        return Vec::new();
    };
    if entries.is_empty() {
        value.wrong("no header is named", "write { X-Team: \"batch*\" }");
    }
    let mut headers = Vec::new();
    for (name, tree) in entries {
        let value = Value {
            tree,
            path: value.path.key(name),
            findings: value.findings,
        };
        if let (Some(name), Some(pattern)) = (header_name(&value, name), pattern(&value)) {
            headers.push((name, pattern));
        }
    }
    headers
}

/// A header's name, in small letters.
pub(super) fn header_name(value: &Value<'_>, name: &str) -> Option<String> {
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if name.is_empty() || !name.bytes().all(sign) {
        value.wrong("not the name of a header", "letters, digits, `-` and `_`");
        return None;
    }
    Some(name.to_ascii_lowercase())
}
