//! Applications and their keys, what belongs to them in pools, and where users' ids are.

use super::sections;
use crate::config::application::{Application, PoolKind, UserSource, Users};
use crate::config::finding::{Findings, suggest};
use crate::config::pool::Pool;
use crate::config::table::{Table, Value};
use crate::config::tree::Path;
use crate::model::Secret;

/// Shorter ones are guessed, and longer ones are no header.
const KEY_LENGTH: std::ops::RangeInclusive<usize> = 8..=1024;

/// A body is held in memory while it is looked through.
const LONGEST_LOOK: u64 = 16 << 20;

/// The applications; each pool they name must exist, and each key is one application's.
pub(super) fn applications(root: &Table<'_>, pools: &[Pool]) -> Vec<Application> {
    let list = root.value("applications").and_then(|value| value.list());
    let mut all: Vec<Application> = Vec::new();
    for item in list.unwrap_or_default() {
        if let Some(application) = application(&item, pools, &all) {
            all.push(application);
        }
    }
    if all.is_empty() {
        no_keys_for_everybody(root, pools);
    }
    all
}

fn application(item: &Value<'_>, pools: &[Pool], before: &[Application]) -> Option<Application> {
    let table = item.table()?;
    let (name, keys, pool) = (
        table.value("name"),
        table.value("keys"),
        table.value("pool"),
    );
    if name.is_none() {
        table.lacks(
            "name",
            "give the application a name: logs and rules refer to it",
        );
    }
    if keys.is_none() {
        table.lacks("keys", "write the keys of its clients: [${CHAT_KEY}]");
    }
    let names: Vec<_> = pools
        .iter()
        .map(|pool| (pool.name.as_str(), pool.name.as_str()))
        .collect();
    let pool = match pool {
        Some(value) => value.word("pool", &names)?,
        None => names.first()?.1,
    };
    let read = keys.as_ref().map(Value::one_or_list).unwrap_or_default();
    if read.is_empty() && keys.is_some() {
        item.wrong(
            "an application without a key",
            "nobody could be told to be it",
        );
    }
    let mut secrets: Vec<Secret> = Vec::new();
    for value in &read {
        let Some(secret) = key(value) else { continue };
        let earlier = before.iter().flat_map(|application| &application.keys);
        if earlier.chain(&secrets).any(|known| *known == secret) {
            value.wrong(
                "this key stands twice",
                "a key tells which application it is: give each its own",
            );
        }
        secrets.push(secret);
    }
    let name = name.and_then(|value| application_name(&value, before))?;
    Some(Application {
        name,
        keys: secrets,
        pool: pool.to_owned(),
    })
}

fn application_name(value: &Value<'_>, before: &[Application]) -> Option<String> {
    let name = value.name()?;
    if before.iter().any(|application| application.name == name) {
        value.wrong(
            format!("a second application named {}", value.shown()),
            "names are unique; an application may have several keys",
        );
    }
    Some(name.to_owned())
}

/// A key as a header can carry it. It is never shown.
pub(super) fn key(value: &Value<'_>) -> Option<Secret> {
    let text = value.text()?;
    if !KEY_LENGTH.contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        value.wrong(
            "not a key",
            "8 to 1024 printable ASCII characters without blanks, best from ${VAR} or ${file:...}",
        );
        return None;
    }
    Some(Secret::new(text.to_owned()))
}

/// Whoever comes would be given a node's key.
fn no_keys_for_everybody(root: &Table<'_>, pools: &[Pool]) {
    let keyed = |pool: &Pool| {
        pool.upstream_key.is_some() || pool.nodes.iter().any(|node| node.upstream_key.is_some())
    };
    for pool in pools.iter().filter(|pool| keyed(pool)) {
        root.findings.value(
            &root.path,
            format!(
                "pool {} has an `upstream_key`, and there are no applications",
                pool.name
            ),
            "the key is written for applications only, not for everybody who comes: add \
             `applications`, or leave the key out and let clients send it",
        );
    }
}

/// The keys of a pool that are about applications. At the top level they are short for its only
/// pool.
pub(super) struct OfPool {
    pub(super) kind: PoolKind,
    pub(super) health_path: Option<String>,
    pub(super) upstream_key: Option<Secret>,
}

/// Their names.
pub(super) const KEYS: [&str; 3] = ["kind", "health_path", "upstream_key"];

/// Reads them.
pub(super) fn of_pool(table: &Table<'_>) -> OfPool {
    OfPool {
        kind: table.or("kind", PoolKind::default(), |value| {
            value.word("kind", &PoolKind::WORDS)
        }),
        health_path: table
            .value("health_path")
            .and_then(|value| sections::path(&value)),
        upstream_key: table.value("upstream_key").and_then(|value| key(&value)),
    }
}

/// Which pool takes over for which: each must exist, and be another.
pub(super) fn fallbacks(pools: &[Pool], places: &[Path], findings: &Findings) {
    let names: Vec<_> = pools.iter().map(|pool| pool.name.as_str()).collect();
    for (pool, place) in pools.iter().zip(places) {
        let Some(target) = pool.fallback.as_deref() else {
            continue;
        };
        let path = place.key("fallback_pool");
        if target == pool.name {
            findings.value(&path, "the pool itself", "write the name of another pool");
        } else if !names.contains(&target) {
            let seen = (!findings.is_substituted(&path)).then_some(target);
            let what = format!("unknown pool {}", findings.shown(&path, target));
            findings.value(&path, what, suggest(seen, &names));
        }
    }
}

/// Where users' ids are.
pub(super) fn users(section: &Table<'_>) -> Users {
    let default = Users::default();
    let mut sources: Vec<UserSource> = Vec::new();
    let written = section.value("sources");
    for item in written.as_ref().map(Value::one_or_list).unwrap_or_default() {
        let Some(source) = source(&item) else {
            continue;
        };
        if sources.contains(&source) {
            item.wrong("stands twice", "remove one of the two");
        }
        sources.push(source);
    }
    if let Some(value) = written.as_ref().filter(|_| sources.is_empty())
        && value.findings.sound(&value.path)
    {
        value.wrong("no place to look", "leave `sources` out for the usual ones");
    }
    Users {
        sources: if written.is_some() {
            sources
        } else {
            default.sources
        },
        look: section.or("look", default.look, |value| {
            let size = value.size()?;
            if size > LONGEST_LOOK {
                value.wrong(
                    "more than 16MiB",
                    "a body is held in memory while it is looked through: write 1MiB",
                );
                return None;
            }
            Some(size)
        }),
    }
}

fn source(value: &Value<'_>) -> Option<UserSource> {
    const HELP: &str =
        "write header:X-User-ID, query:user_id, cookie:user_id, json:user, form:user";
    let text = value.text()?;
    let (place, name) = text.split_once(':').unwrap_or((text, ""));
    if name.is_empty() || name.len() > 128 {
        value.wrong(format!("not a place of an id: {}", value.shown()), HELP);
        return None;
    }
    let name = name.to_owned();
    Some(match place {
        "header" => UserSource::Header(super::rules::header_name(value, &name)?),
        "query" => UserSource::Query(name),
        "cookie" => UserSource::Cookie(name),
        "json" => UserSource::Json(name),
        "form" => UserSource::Form(name),
        _ => {
            value.wrong(format!("not a place of an id: {}", value.shown()), HELP);
            return None;
        }
    })
}
