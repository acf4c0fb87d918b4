//! A page of metrics, read as strictly as Prometheus reads it.

use super::gateway::Gateway;
use std::collections::{BTreeMap, BTreeSet};

/// Every series of one page with its value.
#[derive(Debug, Clone)]
pub struct Page(BTreeMap<String, f64>);

impl Page {
    /// Reads the text format. Panics at everything that Prometheus would refuse.
    pub fn read(text: &str) -> Self {
        assert!(
            text.ends_with('\n'),
            "the last line of a metrics page must end with a newline"
        );
        let (mut kinds, mut helped) = (BTreeMap::new(), BTreeSet::new());
        let mut series = BTreeMap::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let name = rest.split(' ').next().unwrap_or_default().to_owned();
                assert!(helped.insert(name), "a family is described twice: {line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a TYPE line has a kind");
                let before = kinds.insert(name.to_owned(), kind.to_owned());
                assert!(before.is_none(), "a family stands twice: {line}");
            } else {
                let (name, value) = sample(line, &kinds);
                let before = series.insert(name, value);
                assert!(before.is_none(), "a series stands twice: {line}");
            }
        }
        assert!(!series.is_empty(), "a metrics page shows something");
        Self(series)
    }

    /// The value of one series, written as on the page.
    pub fn get(&self, series: &str) -> Option<f64> {
        self.0.get(series).copied()
    }

    /// The names of all series.
    pub fn series(&self) -> BTreeSet<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// The sum over a family whose labels contain each of `labels`.
    pub fn sum(&self, family: &str, labels: &[&str]) -> f64 {
        let of_family = self.0.iter().filter(|(name, _)| {
            name.split('{').next() == Some(family) && labels.iter().all(|part| name.contains(part))
        });
        of_family.map(|(_, value)| value).sum()
    }
}

fn sample(line: &str, kinds: &BTreeMap<String, String>) -> (String, f64) {
    let (name, value) = line.rsplit_once(' ').expect("a sample has a value");
    let family = name.split('{').next().unwrap_or_default();
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    assert!(
        !family.is_empty() && family.chars().all(word),
        "this is no metric's name: {line}"
    );
    let known = ["", "_bucket", "_sum", "_count"].iter().any(|end| {
        let base = family.strip_suffix(end).unwrap_or_default();
        let kind = kinds.get(base).map(String::as_str);
        kind.is_some_and(|kind| end.is_empty() || kind == "histogram")
    });
    assert!(known, "a sample comes after the TYPE of its family: {line}");
    let value = match value {
        "+Inf" => f64::INFINITY,
        value => value.parse().expect("a sample's value is a number"),
    };
    (name.to_owned(), value)
}

impl Gateway {
    /// The metrics as they are now.
    pub async fn metrics(&self) -> Page {
        let page = self.admin("/metrics").await;
        assert_eq!(page.status, 200, "the metrics page answers");
        Page::read(page.text())
    }
}

/// Every page for readers: below `docs` and `deploy`, and the READMEs, as paths from the root.
pub fn documents(root: &std::path::Path) -> Vec<String> {
    let mut found = vec!["README.md".to_owned(), "README.zh-CN.md".to_owned()];
    let mut folders = vec!["docs".to_owned(), "deploy".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root.join(&folder)).expect("the folder is there") {
            let entry = entry.expect("an entry");
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                folders.push(path);
            } else if path.ends_with(".md") {
                found.push(path);
            }
        }
    }
    found
}
