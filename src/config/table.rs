//! What does the tree say at this key?
//!
//! A [`Table`] is asked for its keys by name. What nobody asked for when it is dropped is an
//! unknown key: no reader can forget to refuse one.

use super::finding::{Findings, suggest};
use super::probe::Spot;
use super::tree::{Path, Tree};
use super::unit;
use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A table of the file, or the lack of one.
pub(super) struct Table<'a> {
    entries: &'a [(String, Tree)],
    asked: RefCell<Vec<&'static str>>,
    /// Where it stands.
    pub(super) path: Path,
    /// What is wrong is noted here.
    pub(super) findings: &'a Findings,
}

/// A value of the file and where it stands.
#[derive(Clone)]
pub(super) struct Value<'a> {
    /// What stands there.
    pub(super) tree: &'a Tree,
    /// Where it stands.
    pub(super) path: Path,
    /// What is wrong is noted here.
    pub(super) findings: &'a Findings,
}

impl<'a> Table<'a> {
    /// The value of a key; none when it is not written or empty.
    pub(super) fn value(&self, key: &'static str) -> Option<Value<'a>> {
        self.asked.borrow_mut().push(key);
        self.entry(key)
    }

    /// The value of a key that has two names. Both at once is a problem.
    pub(super) fn value_or_alias(&self, key: &'static str, alias: &str) -> Option<Value<'a>> {
        match (self.value(key), self.entry(alias)) {
            (Some(_), Some(second)) => {
                second.wrong(
                    format!("`{alias}` is another name for `{key}`"),
                    "write one of them",
                );
                None
            }
            (first, second) => first.or(second),
        }
    }

    /// The value of a key, read; its default when it is not written or wrong.
    pub(super) fn or<T>(
        &self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&Value<'a>) -> Option<T>,
    ) -> T {
        self.value(key)
            .and_then(|value| read(&value))
            .unwrap_or(default)
    }

    /// The table behind a key; an empty one when it is not written or wrong.
    pub(super) fn section(&self, key: &'static str) -> Self {
        self.value(key)
            .and_then(|value| value.table())
            .unwrap_or_else(|| Self::new(&[], self.path.key(key), self.findings))
    }

    /// A table of these entries.
    pub(super) fn new(entries: &'a [(String, Tree)], path: Path, findings: &'a Findings) -> Self {
        Self {
            entries,
            asked: RefCell::default(),
            path,
            findings,
        }
    }

    /// Notes that a key must be written, unless its value was already found wrong.
    pub(super) fn lacks(&self, key: &str, help: impl Into<String>) {
        if self.findings.sound(&self.path.key(key)) {
            self.findings
                .value(&self.path, format!("`{key}` is missing"), help);
        }
    }

    fn entry(&self, key: &str) -> Option<Value<'a>> {
        let (_, tree) = self.entries.iter().find(|(name, _)| name == key)?;
        (*tree != Tree::Null).then(|| Value {
            tree,
            path: self.path.key(key),
            findings: self.findings,
        })
    }
}

/// The second names of keys, as HAProxy and nginx have them. Each is read by `value_or_alias`.
const ALIASES: [(&str, &str); 2] = [("interval", "inter"), ("role", "backup")];

impl Drop for Table<'_> {
    fn drop(&mut self) {
        let asked = self.asked.get_mut();
        for (key, _) in self.entries {
            let known = |name: &&str| *name == key || ALIASES.contains(&(*name, key.as_str()));
            if !asked.iter().any(known) {
                self.findings.key(
                    &self.path.key(key),
                    Spot::Key,
                    format!("unknown key `{}`", key.escape_debug()),
                    suggest(Some(key), asked),
                );
            }
        }
    }
}

impl<'a> Value<'a> {
    /// Notes what is wrong with this value.
    pub(super) fn wrong(&self, what: impl Into<String>, help: impl Into<String>) {
        self.findings.value(&self.path, what, help);
    }

    /// The value for a message, never what was put in from the environment.
    pub(super) fn shown(&self) -> String {
        let typed = self.tree.typed().unwrap_or_default();
        self.findings.shown(&self.path, &typed)
    }

    /// `did you mean`, unless that could tell something of what was put in.
    pub(super) fn suggest(&self, known: &[&str]) -> String {
        let typed = self.tree.typed();
        let seen = typed.filter(|_| !self.findings.is_substituted(&self.path));
        suggest(seen.as_deref(), known)
    }

    /// This value as a table.
    pub(super) fn table(&self) -> Option<Table<'a>> {
        let Tree::Table(entries) = self.tree else {
            self.wrong(format!("expected a table, found {}", self.tree.kind()), "");
            return None;
        };
        Some(Table::new(entries, self.path.clone(), self.findings))
    }

    /// This value as a list.
    pub(super) fn list(&self) -> Option<Vec<Self>> {
        let Tree::List(items) = self.tree else {
            let found = self.tree.kind();
            self.wrong(
                format!("expected a list, found {found}"),
                "write `[a, b]`, or `- a` per line",
            );
            return None;
        };
        Some(self.items(items))
    }

    /// This value as a list; one value alone is a list of one.
    pub(super) fn one_or_list(&self) -> Vec<Self> {
        match self.tree {
            Tree::List(items) => self.items(items),
            _ => vec![self.clone()],
        }
    }

    fn items(&self, items: &'a [Tree]) -> Vec<Self> {
        let item = |(at, tree)| Self {
            tree,
            path: self.path.index(at),
            findings: self.findings,
        };
        // Nothing stands where a reference could not be resolved: that was said already.
        let told = |item: &Self| *item.tree == Tree::Null && !self.findings.sound(&item.path);
        let items = items.iter().enumerate().map(item);
        items.filter(|item| !told(item)).collect()
    }

    /// A name that rules, routes and metrics can carry.
    pub(super) fn name(&self) -> Option<&'a str> {
        let name = self.text()?;
        let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(sign) {
            self.wrong(
                "not a name",
                "use letters, digits, `-`, `_` and `.`, at most 64",
            );
            return None;
        }
        Some(name)
    }

    /// A text. Numbers are refused: `0815` would lose its zero on the way.
    pub(super) fn text(&self) -> Option<&'a str> {
        match self.tree {
            Tree::Text(text) => Some(text),
            other => {
                let help = if other.typed().is_some() {
                    "put it in quotes"
                } else {
                    ""
                };
                self.wrong(format!("expected a text, found {}", other.kind()), help);
                None
            }
        }
    }

    /// Whatever scalar, as typed.
    pub(super) fn typed(&self) -> Option<String> {
        let typed = self.tree.typed();
        if typed.is_none() {
            self.wrong(
                format!("expected a single value, found {}", self.tree.kind()),
                "",
            );
        }
        typed
    }

    /// `true` or `false`.
    pub(super) fn flag(&self) -> Option<bool> {
        match self.typed()?.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.wrong("neither true nor false", "write true or false");
                None
            }
        }
    }

    /// A whole number within bounds. `help` is the cure for one outside of them.
    pub(super) fn whole<T>(&self, bounds: RangeInclusive<T>, help: &str) -> Option<T>
    where
        T: TryFrom<i128> + PartialOrd + Display,
    {
        let (low, high) = (bounds.start(), bounds.end());
        let Ok(number) = self.typed()?.trim().parse::<i128>() else {
            self.wrong(
                "not a whole number",
                format!("write a number from {low} to {high}"),
            );
            return None;
        };
        let fitting = T::try_from(number)
            .ok()
            .filter(|number| bounds.contains(number));
        if fitting.is_none() {
            self.wrong(format!("must be from {low} to {high}"), help);
        }
        fitting
    }

    /// A number that `fits`; `bounds` and an `example` say in words which do.
    pub(super) fn number(
        &self,
        bounds: &str,
        example: &str,
        fits: impl FnOnce(f64) -> bool,
    ) -> Option<f64> {
        let number = self.typed()?.trim().parse::<f64>().ok();
        let fitting = number.filter(|number| number.is_finite() && fits(*number));
        if fitting.is_none() {
            self.wrong(
                format!("must be a number {bounds}"),
                format!("write {example}"),
            );
        }
        fitting
    }

    /// A duration above zero.
    pub(super) fn duration(&self) -> Option<Duration> {
        let duration = self.delay()?;
        if duration.is_zero() {
            self.wrong("must be above 0", "write a duration such as 5s or 250ms");
            return None;
        }
        Some(duration)
    }

    /// A duration, which may be zero.
    pub(super) fn delay(&self) -> Option<Duration> {
        let typed = self.typed()?;
        let Some(duration) = unit::duration(typed.trim()) else {
            let what = match self.tree {
                Tree::Whole(_) | Tree::Number(_) => "a duration needs a unit",
                _ => "not a duration",
            };
            self.wrong(what, "write 5s, 250ms or 10m");
            return None;
        };
        if duration > unit::LONGEST {
            self.wrong(
                "longer than a week",
                "write 5s, 250ms or 10m (10M is ten months)",
            );
            return None;
        }
        Some(duration)
    }

    /// A size in bytes, above zero.
    pub(super) fn size(&self) -> Option<u64> {
        let size = unit::size(&self.typed()?);
        match size {
            Some(0) => self.wrong("must be above 0", "to allow everything, write a large size"),
            None => self.wrong("not a size", "write 100MiB, 64KiB or a number of bytes"),
            Some(_) => return size,
        }
        None
    }

    /// One of a closed set of words; `noun` names what they are.
    pub(super) fn word<T: Copy>(&self, noun: &str, words: &[(&str, T)]) -> Option<T> {
        let typed = self.typed()?;
        let found = words.iter().find(|(word, _)| *word == typed);
        if found.is_none() {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(
                format!("unknown {noun} {}", self.shown()),
                self.suggest(&known),
            );
        }
        found.map(|(_, meaning)| *meaning)
    }
}
