//! Where does each value of a configuration come from?

use super::print;
use super::sections::Config;
use super::tree::{Path, Step, Tree};
use serde::Serialize;

/// Where one value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "origin", content = "from", rename_all = "lowercase")]
pub enum Origin {
    /// Nobody wrote it.
    Default,
    /// It stands in the file.
    File,
    /// It was put in: variables of the environment, or files that the file names.
    Environment(Vec<String>),
    /// An operator changed it while the gateway ran.
    Hand,
}

/// One key of the configuration, as a page shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The key: `pools.main.nodes.n1.weight`.
    pub key: String,
    /// Its value as it would be typed; a secret is `***`, nothing is none.
    pub value: Option<String>,
    /// Where it comes from.
    #[serde(flatten)]
    pub origin: Origin,
}

/// What stands in the file, and where its values come from. Values are not kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origins {
    written: Vec<(Path, Origin)>,
    /// The variable that the nodes were taken from.
    nodes_from: Option<&'static str>,
    /// The variable that says where the fleet meets.
    share_from: Option<&'static str>,
    /// What was laid over the file.
    by_hand: Vec<Path>,
}

impl Origins {
    /// Of a file's tree in which nothing was put in yet.
    pub(super) fn of(tree: &Tree) -> Self {
        let mut written = Vec::new();
        leaves(tree, &Names::default(), &mut |names, leaf| {
            written.push((names.path.clone(), origin_of(leaf)));
        });
        Self {
            written,
            nodes_from: None,
            share_from: None,
            by_hand: Vec::new(),
        }
    }

    /// The nodes, and the place where the fleet meets, were taken from these variables.
    pub(super) const fn with_variables(
        mut self,
        nodes: Option<&'static str>,
        share: Option<&'static str>,
    ) -> Self {
        (self.nodes_from, self.share_from) = (nodes, share);
        self
    }

    /// This was changed by hand.
    pub(super) fn with_hand(mut self, laid: Vec<Path>) -> Self {
        self.by_hand = laid;
        self
    }

    /// Every key of a configuration that was read from this file, with its value and origin.
    #[must_use]
    pub fn rows(&self, config: &Config) -> Vec<Row> {
        let mut rows = Vec::new();
        leaves(
            &print::tree(config),
            &Names::default(),
            &mut |names, leaf| {
                rows.push(Row {
                    key: names.name.clone(),
                    value: typed(leaf),
                    origin: self.origin(&names.path.0),
                });
            },
        );
        rows
    }

    fn origin(&self, path: &[Step]) -> Origin {
        if self.is_by_hand(path) {
            return Origin::Hand;
        }
        let found = self.written_at(path);
        // What belongs to a pool may stand at the top level, when there is one pool.
        let short = match path {
            [Step::Key(pools), Step::Index(0), rest @ ..] if pools == "pools" => Some(rest),
            _ => None,
        };
        let found = found.or_else(|| short.and_then(|rest| self.written_at(rest)));
        let of_nodes = |rest: &[Step]| {
            let key = |word: &str| Step::Key(word.to_owned());
            rest.first()
                .is_some_and(|step| [key("nodes"), key("discover")].contains(step))
        };
        let meets = |path: &[Step]| {
            let key = |word: &str| Step::Key(word.to_owned());
            path.starts_with(&[key("share"), key("redis")])
        };
        let variable = match found {
            Some(origin) => return origin,
            None if short.is_some_and(of_nodes) => self.nodes_from,
            None if meets(path) => self.share_from,
            None => None,
        };
        variable.map_or(Origin::Default, |variable| {
            Origin::Environment(vec![variable.to_owned()])
        })
    }

    fn is_by_hand(&self, path: &[Step]) -> bool {
        let short = path.strip_prefix(&[Step::Key("pools".to_owned()), Step::Index(0)]);
        let mut laid = self.by_hand.iter();
        laid.any(|at| {
            path.starts_with(&at.0) || short.is_some_and(|short| short.starts_with(&at.0))
        })
    }

    /// What is written there, or in short for all that is there: `- 10.0.0.11:5002` is a node.
    fn written_at(&self, path: &[Step]) -> Option<Origin> {
        let mut written = self.written.iter();
        let found = written.find(|(at, _)| match path.strip_prefix(at.0.as_slice()) {
            Some([]) => true,
            Some([Step::Key(key)]) => {
                !matches!(at.0.last(), Some(Step::Index(_)))
                    || ["id", "address"].contains(&key.as_str())
            }
            _ => false,
        });
        let found = found.map(|(_, origin)| origin.clone());
        found.or_else(|| self.entry_at(path))
    }

    /// An entry of a list that has no defaults, such as a rule: whoever wrote it wrote all of it,
    /// though perhaps by other words.
    fn entry_at(&self, path: &[Step]) -> Option<Origin> {
        let listed = |word: &str| ["rules", "routes", "pins", "debug_plugins"].contains(&word);
        let at = path
            .windows(2)
            .position(|steps| matches!(steps, [Step::Key(list), Step::Index(_)] if listed(list)))?;
        let mut written = self.written.iter();
        let inside = written.any(|(leaf, _)| leaf.0.starts_with(&path[..at + 2]));
        inside.then_some(Origin::File)
    }
}

/// The variables and files in a text: the default behind `:-` may be a secret.
fn origin_of(leaf: &Tree) -> Origin {
    let mut from = Vec::new();
    let mut look = |text: &str| {
        // `$${` is a plain `${`.
        for piece in text.replace("$${", "").split("${").skip(1) {
            let reference = piece.split('}').next().unwrap_or_default();
            from.push(match reference.strip_prefix("file:") {
                Some(file) => format!("file:{file}"),
                None => reference.split(":-").next().unwrap_or_default().to_owned(),
            });
        }
    };
    match leaf {
        Tree::Text(text) => look(text),
        Tree::List(items) => items
            .iter()
            .filter_map(Tree::typed)
            .for_each(|text| look(&text)),
        _ => {}
    }
    if from.is_empty() {
        Origin::File
    } else {
        Origin::Environment(from)
    }
}

/// Where a leaf stands, and what it is called.
#[derive(Clone, Default)]
struct Names {
    path: Path,
    name: String,
}

impl Names {
    fn key(&self, key: &str) -> Self {
        Self {
            path: self.path.key(key),
            name: join(&self.name, key),
        }
    }

    fn entry(&self, at: usize, item: &Tree) -> Self {
        let name = super::diff::name(item).unwrap_or_else(|| at.to_string());
        Self {
            path: self.path.index(at),
            name: join(&self.name, &name),
        }
    }
}

fn join(path: &str, step: &str) -> String {
    let dot = if path.is_empty() { "" } else { "." };
    format!("{path}{dot}{step}")
}

/// Scalars, and lists of scalars.
fn leaves(tree: &Tree, at: &Names, visit: &mut dyn FnMut(&Names, &Tree)) {
    match tree {
        Tree::Table(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                leaves(value, &at.key(key), visit);
            }
        }
        // A list of nodes may be written in short, and is not one value.
        Tree::List(items) if items.iter().any(is_table) || at.is_nodes() => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &at.entry(index, item), visit);
            }
        }
        leaf => visit(at, leaf),
    }
}

impl Names {
    fn is_nodes(&self) -> bool {
        self.path.0.last() == Some(&Step::Key("nodes".to_owned()))
    }
}

const fn is_table(tree: &Tree) -> bool {
    matches!(tree, Tree::Table(_))
}

fn typed(leaf: &Tree) -> Option<String> {
    match leaf {
        Tree::List(items) => {
            let words: Vec<_> = items.iter().filter_map(Tree::typed).collect();
            (!words.is_empty()).then(|| words.join(", "))
        }
        leaf => leaf.typed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Known, OwnWords, examine};

    fn rows(text: &str, env: &[(&str, &str)]) -> Vec<Row> {
        let known = Known {
            strategies: &["adaptive", "seed"],
            own: OwnWords::NONE,
        };
        let look = |name: &str| {
            let mut env = env.iter();
            let found = env.find(|(known, _)| *known == name)?;
            Some(found.1.to_owned())
        };
        let loaded = examine(text, "test", &known, &look);
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
        loaded.origins.rows(&loaded.config)
    }

    fn row<'a>(rows: &'a [Row], key: &str) -> &'a Row {
        let found = rows.iter().find(|row| row.key == key);
        found.unwrap_or_else(|| panic!("no {key} in {rows:?}"))
    }

    #[test]
    fn each_value_names_where_it_comes_from() {
        let text = "nodes:\n  - 10.0.0.1:5002\n  - { id: n2, address: 10.0.0.2:5002, weight: 3 }\n\
                    strategy: seed\nadmin: { token: \"${TOKEN:-hunter2}\" }\n\
                    listen: [127.0.0.1:5002]\n";
        let rows = rows(text, &[("TOKEN", "s3cret")]);
        let environment = Origin::Environment(vec!["TOKEN".to_owned()]);
        for (key, value, origin) in [
            ("pools.main.strategy", Some("seed"), Origin::File),
            ("pools.main.nodes.n2.weight", Some("3"), Origin::File),
            (
                "pools.main.nodes.n2.role",
                Some("secondary"),
                Origin::Default,
            ),
            (
                "pools.main.nodes.10.0.0.1:5002.address",
                Some("10.0.0.1:5002"),
                Origin::File,
            ),
            (
                "pools.main.nodes.10.0.0.1:5002.weight",
                Some("1"),
                Origin::Default,
            ),
            ("admin.token", Some("***"), environment),
            ("listen", Some("127.0.0.1:5002"), Origin::File),
            ("threads", Some("0"), Origin::Default),
            ("pools.main.shadow", None, Origin::Default),
        ] {
            let row = row(&rows, key);
            assert_eq!(
                (row.value.as_deref(), &row.origin),
                (value, &origin),
                "{key}"
            );
        }
        let all = format!("{rows:?}");
        assert!(!all.contains("s3cret") && !all.contains("hunter2"));
    }

    #[test]
    fn nodes_of_the_environment_name_their_variable() {
        let rows = rows("", &[("TWOLANE_NODES", "10.0.0.1:5002")]);
        let node = row(&rows, "pools.main.nodes.10.0.0.1:5002.address");
        let variable = Origin::Environment(vec!["TWOLANE_NODES".to_owned()]);
        assert_eq!(node.origin, variable);
    }
}
