//! What stands in the file, before anybody asks what it means?
//!
//! A tree of tables, lists and scalars, filled from any serde format, in the order of the file.
//! A key that stands twice is noted, not refused: all problems are reported at once.

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::cell::RefCell;
use std::fmt;

/// One value of the file. It has no `Debug`: it may hold a secret.
#[derive(Clone, PartialEq)]
pub(super) enum Tree {
    /// Nothing is written.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Whole(i128),
    /// Any other number.
    Number(f64),
    /// A text, quoted or not.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// A table, in the order of the file.
    Table(Vec<(String, Self)>),
}

impl Tree {
    /// What it is, for a message that must not show it.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Flag(_) => "true or false",
            Self::Whole(_) | Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }

    /// The scalar as it would be typed; `None` for a table, a list or nothing.
    pub(super) fn typed(&self) -> Option<String> {
        match self {
            Self::Flag(flag) => Some(flag.to_string()),
            Self::Whole(whole) => Some(whole.to_string()),
            Self::Number(number) => Some(number.to_string()),
            Self::Text(text) => Some(text.clone()),
            Self::Null | Self::List(_) | Self::Table(_) => None,
        }
    }
}

/// One step from a value to one that it holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Step {
    /// Into a table.
    Key(String),
    /// Into a list.
    Index(usize),
}

/// Where a value stands: `pools[0].nodes[2].weight`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Path(pub(super) Vec<Step>);

impl Path {
    /// One step into a table.
    pub(super) fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    /// One step into a list.
    pub(super) fn index(&self, at: usize) -> Self {
        self.with(Step::Index(at))
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) => {
                    let dot = if at == 0 { "" } else { "." };
                    write!(f, "{dot}{}", key.escape_debug())?;
                }
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A key that stands more than once in its table.
pub(super) struct Duplicate {
    /// The key.
    pub(super) path: Path,
    /// Which of its occurrences this is; 1 is the second.
    pub(super) occurrence: usize,
}

/// Reads a tree and notes every key that stands twice; of those the first counts.
#[derive(Default)]
pub(super) struct Reader {
    path: RefCell<Path>,
    duplicates: RefCell<Vec<Duplicate>>,
}

impl Reader {
    /// What was noted.
    pub(super) fn duplicates(self) -> Vec<Duplicate> {
        self.duplicates.into_inner()
    }

    fn inside<T>(&self, step: Step, read: impl FnOnce() -> T) -> T {
        self.path.borrow_mut().0.push(step);
        let value = read();
        self.path.borrow_mut().0.pop();
        value
    }
}

impl<'de> DeserializeSeed<'de> for &Reader {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &Reader {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a configuration value")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Tree, E> {
        Ok(Tree::Flag(flag))
    }

    fn visit_i64<E: Error>(self, whole: i64) -> Result<Tree, E> {
        Ok(Tree::Whole(whole.into()))
    }

    fn visit_u64<E: Error>(self, whole: u64) -> Result<Tree, E> {
        Ok(Tree::Whole(whole.into()))
    }

    fn visit_i128<E: Error>(self, whole: i128) -> Result<Tree, E> {
        Ok(Tree::Whole(whole))
    }

    fn visit_u128<E: Error>(self, whole: u128) -> Result<Tree, E> {
        Ok(Tree::Whole(i128::try_from(whole).unwrap_or(i128::MAX)))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Tree, E> {
        Ok(Tree::Number(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) =
            self.inside(Step::Index(list.len()), || items.next_element_seed(self))?
        {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut table: Vec<(String, Tree)> = Vec::new();
        let mut again: Vec<String> = Vec::new();
        while let Some(key) = entries.next_key_seed(KeyReader)? {
            let value = self.inside(Step::Key(key.clone()), || entries.next_value_seed(self))?;
            if table.iter().any(|(known, _)| *known == key) {
                again.push(key);
                self.note_duplicate(&again);
            } else {
                table.push((key, value));
            }
        }
        Ok(Tree::Table(table))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Tree, A::Error> {
        Err(A::Error::custom("a YAML tag has no meaning here"))
    }
}

impl Reader {
    /// Notes the last of the keys that came again in the table being read.
    fn note_duplicate(&self, again: &[String]) {
        let Some(key) = again.last() else { return };
        self.duplicates.borrow_mut().push(Duplicate {
            path: self.path.borrow().key(key),
            occurrence: again.iter().filter(|other| *other == key).count(),
        });
    }
}

/// Reads a key as text: `5002: x` has the key `5002`.
pub(super) struct KeyReader;

impl<'de> DeserializeSeed<'de> for KeyReader {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for KeyReader {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key that is a text")
    }

    fn visit_unit<E: Error>(self) -> Result<String, E> {
        Ok("null".to_owned())
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<String, E> {
        Ok(flag.to_string())
    }

    fn visit_i64<E: Error>(self, whole: i64) -> Result<String, E> {
        Ok(whole.to_string())
    }

    fn visit_u64<E: Error>(self, whole: u64) -> Result<String, E> {
        Ok(whole.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Whole(whole) => serializer.serialize_i128(*whole),
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(list) => serializer.collect_seq(list),
            Self::Table(table) => {
                let mut map = serializer.serialize_map(Some(table.len()))?;
                for (key, value) in table {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}
