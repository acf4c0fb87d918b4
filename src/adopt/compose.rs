//! What do Dify's Compose files say?

use super::interpolate::interpolate;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Compose files, merged as Compose merges them.
#[derive(Clone, Debug, Default)]
pub struct Compose {
    services: Map<String, Value>,
}

/// Variables by name.
pub(super) type Variables = BTreeMap<String, String>;

/// One service.
#[derive(Clone, Copy, Debug)]
pub struct Service<'a> {
    /// Its name, which is also its host name.
    pub name: &'a str,
    value: &'a Value,
}

/// Sequences of a service that a later file adds to; other sequences it replaces.
const ADDED: [&str; 5] = ["ports", "expose", "dns", "tmpfs", "env_file"];

impl Compose {
    /// The first file, as read.
    #[must_use]
    pub fn new(file: &Value) -> Self {
        let mut whole = Self::default();
        whole.add(file);
        whole
    }

    /// A further file, which wins.
    pub fn add(&mut self, file: &Value) {
        for (name, value) in file["services"].as_object().into_iter().flatten() {
            let service = self.services.entry(name.clone()).or_insert(Value::Null);
            merge(service, value, "");
        }
    }

    /// One service by name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<Service<'_>> {
        let (name, value) = self.services.get_key_value(name)?;
        Some(Service { name, value })
    }

    /// All of them.
    pub fn services(&self) -> impl Iterator<Item = Service<'_>> {
        let named = self.services.iter();
        named.map(|(name, value)| Service { name, value })
    }
}

/// Compose's rules: tables are merged key by key, `!reset` removes, `!override` replaces, some lists
/// grow, everything else is replaced. `environment` may be a list or a table: it is made a table.
fn merge(into: &mut Value, from: &Value, key: &str) {
    if from.get("!reset").is_some() {
        *into = Value::Null;
        return;
    }
    if let Some(whole) = from.get("!override") {
        *into = whole.clone();
        return;
    }
    if key == "environment" {
        let mut table = as_table(into);
        table.extend(as_table(from));
        *into = Value::Object(table);
        return;
    }
    match (&mut *into, from) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in new {
                merge(old.entry(key.clone()).or_insert(Value::Null), value, key);
            }
        }
        (Value::Array(old), Value::Array(new)) if ADDED.contains(&key) => {
            old.extend(new.iter().cloned());
        }
        (Value::Null, Value::Object(new)) => {
            *into = Value::Object(Map::new());
            merge(into, &Value::Object(new.clone()), key);
        }
        (old, new) => *old = new.clone(),
    }
}

/// `A: b`, or `- A=b`.
fn as_table(value: &Value) -> Map<String, Value> {
    match value {
        Value::Object(table) => table.clone(),
        Value::Array(lines) => lines
            .iter()
            .filter_map(Value::as_str)
            .map(|line| line.split_once('=').unwrap_or((line, "")))
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect(),
        _ => Map::new(),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// A list of texts, or one text; of a table among them, the value of `key`.
fn texts(value: &Value, key: &str) -> Vec<String> {
    match value {
        Value::Array(list) => list
            .iter()
            .filter_map(|one| scalar(one).or_else(|| scalar(&one[key])))
            .collect(),
        one => scalar(one).into_iter().collect(),
    }
}

impl Service<'_> {
    /// The image, with its tag.
    #[must_use]
    pub fn image(&self) -> &str {
        self.value["image"].as_str().unwrap_or_default()
    }

    /// What `environment` says, variables replaced.
    pub(super) fn own_environment(&self, env: &dyn Fn(&str) -> Option<String>) -> Variables {
        as_table(&self.value["environment"])
            .iter()
            .map(|(name, value)| {
                // A name alone passes the variable of the same name on.
                let value = scalar(value).or_else(|| env(name)).unwrap_or_default();
                (name.clone(), interpolate(&value, env))
            })
            .collect()
    }

    /// The files that `env_file` names.
    pub(super) fn env_files(&self) -> Vec<String> {
        texts(&self.value["env_file"], "path")
    }

    /// Ports of the host that it takes, as written and with variables replaced.
    #[must_use]
    pub fn ports(&self, env: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
        texts(&self.value["ports"], "target")
            .iter()
            .map(|port| interpolate(port, env))
            .collect()
    }

    /// The networks that it is named on; none = the default one.
    #[must_use]
    pub fn networks(&self) -> Vec<String> {
        match &self.value["networks"] {
            Value::Object(named) => named.keys().cloned().collect(),
            list => texts(list, "name"),
        }
    }

    /// How many of it run.
    #[must_use]
    pub fn replicas(&self) -> u64 {
        let deployed = self.value["deploy"]["replicas"].as_u64();
        deployed.or(self.value["scale"].as_u64()).unwrap_or(1)
    }

    /// Any text of it, by its path of keys.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<String> {
        scalar(&self.value[key])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn files_are_merged_as_compose_merges_them() {
        let mut compose = Compose::new(&json!({ "services": {
            "daemon": {
                "image": "a:1", "ports": ["5003:5003"], "command": ["a", "b"],
                "environment": ["A=1", "B=2"],
            },
            "api": { "environment": { "A": 1, "URL": "http://daemon:${PORT:-5002}" } },
        }}));
        compose.add(&json!({ "services": {
            "daemon": {
                "ports": { "!reset": [] }, "deploy": { "replicas": 2 }, "command": ["c"],
                "environment": { "B": "3" },
            },
            "api": { "environment": { "URL": "http://gateway:5002" }, "ports": ["1:1"] },
            "gateway": { "image": "g:1" },
        }}));
        let none = |_: &str| None;
        let daemon = compose.service("daemon").expect("it is there");
        assert_eq!(daemon.image(), "a:1");
        assert_eq!(daemon.replicas(), 2);
        assert!(daemon.ports(&none).is_empty(), "reset");
        let environment = daemon.own_environment(&none);
        assert_eq!((&*environment["A"], &*environment["B"]), ("1", "3"));
        let api = compose.service("api").expect("it is there");
        assert_eq!(api.own_environment(&none)["URL"], "http://gateway:5002");
        assert_eq!(api.ports(&none), ["1:1"]);
        assert_eq!(compose.services().count(), 3);
    }

    #[test]
    fn lists_of_tables_and_texts_are_both_read() {
        let compose = Compose::new(&json!({ "services": { "a": {
            "env_file": ["one.env", { "path": "two.env", "required": false }],
            "networks": { "inner": null },
            "environment": { "PASSED": null },
        }}}));
        let service = compose.service("a").expect("it is there");
        assert_eq!(service.env_files(), ["one.env", "two.env"]);
        assert_eq!(service.networks(), ["inner"]);
        let env = |name: &str| (name == "PASSED").then(|| "on".to_owned());
        assert_eq!(service.own_environment(&env)["PASSED"], "on");
    }
}
