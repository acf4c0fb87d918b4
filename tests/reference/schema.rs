//! `conf/schema.json` against what `check` says, and with what the reference says of each key.

use super::comments::{Entry, Part, parts};
use serde_json::{Map, Value, json};

/// Says of each key in the schema what the reference says, and gives its default.
pub(super) fn described(schema: &Value, entries: &[Entry]) -> Value {
    let mut schema = schema.clone();
    for entry in entries {
        describe(&mut schema, &entry.path, entry);
        // The short form of the only pool.
        if let Some(short) = entry.path.strip_prefix("pools[].")
            && schema["properties"].get(short).is_some()
        {
            describe(&mut schema, short, entry);
        }
    }
    schema
}

fn describe(schema: &mut Value, path: &str, entry: &Entry) {
    let place = pointer(schema, path).unwrap_or_else(|| panic!("the schema lacks {path}"));
    let node = schema.pointer_mut(&place).expect("it was found there");
    let table = node.as_object_mut().expect("a schema is an object");
    let text: Vec<_> = parts(&entry.said).into_iter().map(flat).collect();
    if text.is_empty() {
        table.remove("description");
    } else {
        table.insert("description".to_owned(), text.join("\n").into());
    }
    if !entry.default.is_empty() {
        let default: Value = serde_yaml::from_str(&entry.default).expect("the reference is YAML");
        table.insert("default".to_owned(), default);
    }
}

fn flat(part: Part) -> String {
    match part {
        Part::Text(text) => text,
        Part::Example(lines) => format!("  {}", lines.join("\n  ")),
    }
}

/// Where the schema of a key stands, as a JSON pointer.
pub(super) fn pointer(schema: &Value, path: &str) -> Option<String> {
    let mut place = String::new();
    for step in path.split('.') {
        let name = step.trim_end_matches("[]");
        place = settled(schema, place, "properties")?;
        place = format!("{place}/properties/{name}");
        schema.pointer(&place)?;
        if step.ends_with("[]") {
            place = settled(schema, place, "items")?;
            place.push_str("/items");
        }
    }
    Some(place)
}

/// Through references and alternatives to what has a keyword.
fn settled(schema: &Value, place: String, keyword: &str) -> Option<String> {
    let node = schema.pointer(&place)?;
    if node.get(keyword).is_some() {
        return Some(place);
    }
    if let Some(reference) = node["$ref"].as_str() {
        return settled(
            schema,
            reference.trim_start_matches('#').to_owned(),
            keyword,
        );
    }
    let count = node["anyOf"].as_array()?.len();
    (0..count).find_map(|at| settled(schema, format!("{place}/anyOf/{at}"), keyword))
}

/// What may stand there, in words.
pub(super) fn kind(schema: &Value, place: &str) -> String {
    let node = &schema.pointer(place).expect("it is there");
    if let Some(reference) = node["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return match name {
            "flag" => "`true` or `false`".to_owned(),
            "socket" => "an address or a port".to_owned(),
            "network" => "a network".to_owned(),
            "duration" | "size" | "path" | "file" | "text" | "name" | "key" | "address"
            | "pattern" => format!("a {name}").replace("a address", "an address"),
            _ => kind(schema, reference.trim_start_matches('#')),
        };
    }
    if let Some(word) = node.get("const") {
        return format!("`{}`", word.as_str().unwrap_or_default());
    }
    if let Some(words) = node["enum"].as_array() {
        let words = words.iter().filter_map(Value::as_str);
        return words
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", ");
    }
    if let Some(all) = node["anyOf"].as_array() {
        let mut kinds: Vec<String> = Vec::new();
        for at in 0..all.len() {
            let one = kind(schema, &format!("{place}/anyOf/{at}"));
            if !one.is_empty() && !kinds.contains(&one) {
                kinds.push(one);
            }
        }
        return kinds.join(" or ");
    }
    let is = |word: &str| {
        node["type"] == word
            || node["type"]
                .as_array()
                .is_some_and(|all| all.contains(&json!(word)))
    };
    let bound = |key: &str| node[key].as_f64();
    match (
        bound("minimum").or(bound("exclusiveMinimum")),
        bound("maximum"),
    ) {
        (Some(least), Some(most)) => format!("{least} to {most}"),
        _ if is("array") => "a list".to_owned(),
        // What `digits` and `substituted` let in beside a number or a word is no kind of its own.
        _ => String::new(),
    }
}

/// The JSON, with what fits on a line on one.
pub(super) fn written(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, 0, &mut text);
    text.push('\n');
    text
}

fn write(value: &Value, indent: usize, before: usize, to: &mut String) {
    let line = value.to_string();
    let children: Vec<(Option<&String>, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, value)| (Some(key), value)).collect(),
        Value::Array(items) => items.iter().map(|item| (None, item)).collect(),
        _ => Vec::new(),
    };
    if children.is_empty() || indent + before + line.len() <= 100 {
        to.push_str(&line);
        return;
    }
    let [open, close] = if value.is_object() {
        ["{", "}"]
    } else {
        ["[", "]"]
    };
    to.push_str(open);
    for (at, (key, child)) in children.iter().enumerate() {
        to.push_str(if at == 0 { "\n" } else { ",\n" });
        to.push_str(&" ".repeat(indent + 1));
        let key = key
            .map(|key| format!("{}: ", Value::from(key.as_str())))
            .unwrap_or_default();
        to.push_str(&key);
        write(child, indent + 1, key.len(), to);
    }
    to.push('\n');
    to.push_str(&" ".repeat(indent));
    to.push_str(close);
}

/// Every key that the schema knows.
pub(super) fn keys(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map {
                if let ("properties", Value::Object(properties)) = (key.as_str(), value) {
                    found.extend(properties.keys().cloned());
                    properties.values().for_each(|one| keys(one, found));
                } else {
                    keys(value, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|one| keys(one, found)),
        _ => {}
    }
}

/// One mistake in every place of a file where one could slip: the file, where, and what.
pub(super) fn mutations(value: &Value) -> Vec<(Value, String)> {
    let mut places = Vec::new();
    visit(value, String::new(), &mut places);
    let mut all = Vec::new();
    for place in places {
        let here = value.pointer(&place).expect("it was visited");
        let mut put = |new: Value| {
            let mut other = value.clone();
            *other.pointer_mut(&place).expect("it was visited") = new.clone();
            all.push((other, format!("{place} = {new}")));
        };
        if let Value::Object(map) = here {
            let mut more: Map<String, Value> = map.clone();
            more.insert("bogus_key".to_owned(), 1.into());
            put(more.into());
            put("a word".into());
        } else {
            put(json!({}));
            put(json!({ "bogus_key": 1 }));
            put("no such word".into());
            put("".into());
            put(json!(-1));
            put(json!(99_999_999_999_u64));
            put(json!(true));
            put(json!([["a"]]));
        }
    }
    all
}

fn visit(value: &Value, place: String, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, child) in map {
                let key = key.replace('~', "~0").replace('/', "~1");
                visit(child, format!("{place}/{key}"), found);
            }
        }
        Value::Array(items) => {
            for (at, child) in items.iter().enumerate() {
                visit(child, format!("{place}/{at}"), found);
            }
        }
        _ => {}
    }
    found.push(place);
}
