//! What is wrong with the tree? Noted here while it is read, so that all of it is told at once.

use super::probe::Spot;
use super::problem::Severity;
use super::tree::Path;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// One thing that is wrong, before its line is looked up.
pub(super) struct Finding {
    /// Where it is.
    pub(super) path: Path,
    /// What of the entry the message points at; `None` when it does not stand in the file.
    pub(super) spot: Option<Spot>,
    /// Whether it stops the gateway.
    pub(super) severity: Severity,
    /// What is wrong.
    pub(super) what: String,
    /// The cure.
    pub(super) help: Option<String>,
}

/// Everything found so far. Shared by all readers of one tree.
#[derive(Default)]
pub(super) struct Findings {
    list: RefCell<Vec<Finding>>,
    /// Values that came out of the environment or a file, and how they stand in the text.
    substituted: RefCell<HashMap<Path, String>>,
    /// The variable that the nodes were taken from.
    nodes_from: Cell<Option<&'static str>>,
    /// The variable that says where the fleet meets.
    share_from: Cell<Option<&'static str>>,
}

impl Findings {
    /// Notes a wrong value.
    pub(super) fn value(&self, path: &Path, what: impl Into<String>, help: impl Into<String>) {
        self.note(
            path,
            Some(Spot::Value),
            Severity::Error,
            what.into(),
            help.into(),
        );
    }

    /// Notes a wrong key.
    pub(super) fn key(&self, path: &Path, spot: Spot, what: String, help: String) {
        self.note(path, Some(spot), Severity::Error, what, help);
    }

    /// Notes something that works and is probably not meant.
    pub(super) fn warning(&self, path: &Path, what: impl Into<String>, help: impl Into<String>) {
        self.note(
            path,
            Some(Spot::Value),
            Severity::Warning,
            what.into(),
            help.into(),
        );
    }

    /// Notes something that does not stand in the file: a variable of the environment.
    pub(super) fn outside(&self, name: &str, what: impl Into<String>, help: impl Into<String>) {
        let path = Path::default().key(name);
        // Two sections may ask for the same variable.
        if !self.sound(&path) {
            return;
        }
        self.note(&path, None, Severity::Error, what.into(), help.into());
    }

    fn note(
        &self,
        path: &Path,
        spot: Option<Spot>,
        severity: Severity,
        what: String,
        help: String,
    ) {
        self.list.borrow_mut().push(Finding {
            path: path.clone(),
            spot,
            severity,
            what,
            help: (!help.is_empty()).then_some(help),
        });
    }

    /// Remembers that a value was not written but put in, and what stands in its place.
    pub(super) fn substitute(&self, path: &Path, written: &str) {
        self.substituted
            .borrow_mut()
            .insert(path.clone(), written.to_owned());
    }

    /// True when the value was put in: it may be a secret, and no message may show it.
    pub(super) fn is_substituted(&self, path: &Path) -> bool {
        self.substituted.borrow().contains_key(path)
    }

    /// A value for a message: as it stands in the file, never what was put in.
    pub(super) fn shown(&self, path: &Path, value: &str) -> String {
        let substituted = self.substituted.borrow();
        let text = substituted.get(path).map_or(value, String::as_str);
        let mut short: String = text.chars().take(60).flat_map(char::escape_debug).collect();
        if text.chars().nth(60).is_some() {
            short.push_str("...");
        }
        format!("`{short}`")
    }

    /// True when nothing is wrong at this path or below: comparing it with others makes sense.
    pub(super) fn sound(&self, path: &Path) -> bool {
        !self
            .list
            .borrow()
            .iter()
            .any(|finding| finding.path.0.starts_with(&path.0))
    }

    /// Notes that the nodes were taken from a variable of the environment.
    pub(super) fn note_nodes_from(&self, variable: &'static str) {
        self.nodes_from.set(Some(variable));
    }

    /// The variable that the nodes were taken from.
    pub(super) fn nodes_from(&self) -> Option<&'static str> {
        self.nodes_from.get()
    }

    /// Notes that a variable of the environment says where the fleet meets.
    pub(super) fn note_share_from(&self, variable: &'static str) {
        self.share_from.set(Some(variable));
    }

    /// The variable that says where the fleet meets.
    pub(super) fn share_from(&self) -> Option<&'static str> {
        self.share_from.get()
    }

    /// All of it.
    pub(super) fn into_list(self) -> Vec<Finding> {
        self.list.into_inner()
    }
}

/// `did you mean` for a word close to one of those that are known; else all of those.
pub(super) fn suggest(word: Option<&str>, known: &[&str]) -> String {
    let nearest = word.and_then(|word| {
        known
            .iter()
            .map(|other| (strsim::damerau_levenshtein(word, other), *other))
            .min()
            .filter(|(distance, other)| *distance <= 1 + other.len().max(word.len()) / 4)
    });
    match nearest {
        Some((_, other)) => format!("did you mean `{other}`?"),
        None if known.is_empty() => String::new(),
        None => format!("known here: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_corrected_and_a_stranger_is_shown_the_list() {
        let known = ["interval", "timeout", "rise"];
        assert_eq!(
            suggest(Some("intervall"), &known),
            "did you mean `interval`?"
        );
        assert_eq!(suggest(Some("raise"), &known), "did you mean `rise`?");
        assert_eq!(
            suggest(Some("xyzzy"), &known),
            "known here: interval, timeout, rise"
        );
        assert_eq!(suggest(None, &known[..1]), "known here: interval");
    }

    #[test]
    fn a_value_that_was_put_in_is_shown_as_it_was_written() {
        let findings = Findings::default();
        let path = Path::default().key("strategy");
        assert_eq!(findings.shown(&path, "a\nb"), "`a\\nb`");
        findings.substitute(&path, "${SECRET}");
        assert_eq!(findings.shown(&path, "hunter2"), "`${SECRET}`");
        assert_eq!(findings.shown(&Path::default(), &"x".repeat(99)).len(), 65);
    }
}
