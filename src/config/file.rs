//! How is YAML spoken? The only file that knows.

use super::probe::{Probe, Spot};
use super::tree::{Duplicate, Path, Reader, Tree};
use serde::Deserialize;
use serde::de::DeserializeSeed;
use serde_json::Value as Json;
use serde_yaml::{Deserializer, Error, Value};

/// A text that is YAML.
pub(super) struct Parsed {
    /// What it holds; nothing at all for an empty text.
    pub(super) tree: Tree,
    /// The keys that stand twice.
    pub(super) duplicates: Vec<Duplicate>,
}

/// A text that is no YAML.
#[derive(Debug)]
pub(super) struct Broken {
    /// What is wrong with it.
    pub(super) what: String,
    /// Line and column from 1; 0 where the parser does not say.
    pub(super) place: (usize, usize),
}

/// Parses a text.
pub(super) fn parse(text: &str) -> Result<Parsed, Broken> {
    let reader = Reader::default();
    let tree = match (&reader).deserialize(Deserializer::from_str(text)) {
        Ok(tree) => tree,
        Err(error) if error.to_string() == "EOF while parsing a value" => Tree::Null,
        Err(error) => return Err(broken(&error)),
    };
    Ok(Parsed {
        tree,
        duplicates: reader.duplicates(),
    })
}

/// Line and column (from 1) of an entry; of the nearest that holds it, if it is not written.
pub(super) fn locate(text: &str, path: &Path, spot: Spot) -> Option<(usize, usize)> {
    let mut path = path.clone();
    let mut spot = spot;
    loop {
        let probe = Probe::new(&path, spot).deserialize(Deserializer::from_str(text));
        if let Some(location) = probe.err().and_then(|error| error.location()) {
            return Some((location.line(), location.column()));
        }
        path.0.pop()?;
        spot = Spot::Value;
    }
}

/// Writes a tree as YAML.
pub(super) fn write(tree: &Tree) -> String {
    serde_yaml::to_string(tree).expect("a tree holds only what YAML can say")
}

/// Reads YAML that is not ours, such as a Compose file: each of its documents, merge keys (`<<`)
/// applied. A tag becomes a table: `!reset []` is `{"!reset": []}`.
///
/// # Errors
/// When it is no YAML: what, and where.
pub fn read_foreign(text: &str) -> Result<Vec<Json>, String> {
    let mut documents = Vec::new();
    for document in Deserializer::from_str(text) {
        let mut value = Value::deserialize(document).map_err(|error| error.to_string())?;
        value.apply_merge().map_err(|error| error.to_string())?;
        documents.push(json(value));
    }
    Ok(documents)
}

fn json(value: Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(flag) => flag.into(),
        Value::Number(number) => serde_json::to_value(&number).unwrap_or_default(),
        Value::String(text) => text.into(),
        Value::Sequence(list) => list.into_iter().map(json).collect(),
        Value::Mapping(table) => table
            .into_iter()
            .map(|(key, value)| (key_of(&key), json(value)))
            .collect(),
        Value::Tagged(tagged) => {
            let name = tagged.tag.to_string();
            [(name, json(tagged.value))].into_iter().collect()
        }
    }
}

/// JSON has no keys but texts.
fn key_of(key: &Value) -> String {
    match json(key.clone()) {
        Json::String(text) => text,
        other => other.to_string(),
    }
}

fn broken(error: &Error) -> Broken {
    let place = error
        .location()
        .map_or((0, 0), |at| (at.line(), at.column()));
    let text = error.to_string();
    // A scalar that does not fit its tag is quoted by serde; it may be a secret.
    let what = if text.contains("invalid value") || text.contains("invalid type") {
        "this value does not fit its place or its YAML tag".to_owned()
    } else {
        without_place(&text)
    };
    Broken { what, place }
}

/// The parser's sentence without its own `at line 3 column 7`: ours stands in front already.
fn without_place(text: &str) -> String {
    let Some(start) = text.find(" at line ") else {
        return text.to_owned();
    };
    let rest = &text[start..];
    let end = rest.find(',').unwrap_or(rest.len());
    format!("{}{}", &text[..start], &rest[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a: 1\nb:\n  - x: 1\n    y: 2\n    y: 3\n  - {x: 4, z: 5}\n";

    fn path(steps: &[(&str, usize)]) -> Path {
        steps.iter().fold(Path::default(), |path, (key, index)| {
            if key.is_empty() {
                path.index(*index)
            } else {
                path.key(key)
            }
        })
    }

    #[test]
    fn a_key_and_its_value_are_found() {
        let b = path(&[("b", 0)]);
        assert_eq!(locate(TEXT, &b, Spot::Key), Some((2, 1)));
        assert_eq!(locate(TEXT, &b, Spot::Value), Some((3, 3)));
        let z = b.index(1).key("z");
        assert_eq!(locate(TEXT, &z, Spot::Key), Some((6, 12)));
        assert_eq!(locate(TEXT, &z, Spot::Value), Some((6, 15)));
    }

    #[test]
    fn what_is_not_written_is_where_it_would_stand() {
        let missing = path(&[("b", 0), ("", 1), ("w", 0)]);
        assert_eq!(locate(TEXT, &missing, Spot::Value), Some((6, 5)));
        assert_eq!(locate("", &missing, Spot::Value), Some((1, 1)));
    }

    #[test]
    fn the_second_of_two_equal_keys_is_found() {
        let parsed = parse(TEXT).expect("sound YAML");
        let twice = &parsed.duplicates[0];
        assert_eq!(twice.path.to_string(), "b[0].y");
        let spot = Spot::KeyAgain(twice.occurrence);
        assert_eq!(locate(TEXT, &twice.path, spot), Some((5, 5)));
    }

    #[test]
    fn broken_yaml_says_where() {
        let broken = parse("a: 1\nb: [1, 2\nc: 3\n")
            .err()
            .expect("a list without its end");
        assert!(broken.place.0 >= 2, "{broken:?}");
        assert!(!broken.what.contains(" at line 3 column 1,"), "{broken:?}");
        assert!(parse("a: !secret x").is_err(), "tags are refused");
        assert!(parse("a: 1\n---\nb: 2\n").is_err(), "one document");
        assert!(parse("# nothing\n").is_ok_and(|parsed| parsed.tree == Tree::Null));
    }

    #[test]
    fn a_value_that_does_not_fit_its_tag_is_not_shown() {
        let broken = parse("token: !!int hunter2").err().expect("no number");
        assert!(!broken.what.contains("hunter2"));
    }
}
