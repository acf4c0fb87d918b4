//! What did the operator change of the pools while it ran?
//!
//! Edits are laid over the file before it is checked, so that they pass every check that a file
//! passes, together with the rest of it. They hold over reloads until they are taken back, and end
//! with the process: what is to stay belongs in the file.

use super::check;
use super::defaults;
use super::file;
use super::finding::Findings;
use super::probe::Spot;
use super::sections::Config;
use super::tree::{Path, Tree};
use std::collections::BTreeMap;
use std::fmt;

/// The strategy of a pool whose balancing is off.
const UNBALANCED: &str = "first";
/// How a secret is shown; who writes it means the one that is in force.
const HIDDEN: &str = "***";

/// One change of one pool.
#[derive(Clone, PartialEq)]
pub enum Edit {
    /// These nodes in the place of all that it lists: `[{id: a, address: 10.0.0.11:5002}]`, in
    /// YAML or JSON. Not shown: it may hold keys.
    Nodes(String),
    /// The nodes of the file again.
    FileNodes,
    /// False: everything to the first node that may serve.
    Balancing(bool),
}

impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nodes(_) => "Nodes",
            Self::FileNodes => "FileNodes",
            Self::Balancing(true) => "Balancing(true)",
            Self::Balancing(false) => "Balancing(false)",
        })
    }
}

/// All that was changed, by the name of the pool.
#[derive(Clone, Default, PartialEq)]
pub struct Edits(BTreeMap<String, OfPool>);

#[derive(Clone, Default, PartialEq)]
struct OfPool {
    nodes: Option<Tree>,
    unbalanced: bool,
}

impl Edits {
    /// Whether the nodes of a pool are other ones than the file's.
    #[must_use]
    pub fn has_nodes(&self, pool: &str) -> bool {
        self.0.get(pool).is_some_and(|edit| edit.nodes.is_some())
    }

    /// Whether the balancing of a pool is off.
    #[must_use]
    pub fn is_unbalanced(&self, pool: &str) -> bool {
        self.0.get(pool).is_some_and(|edit| edit.unbalanced)
    }

    /// The same with one more change. `now` is in force.
    ///
    /// # Errors
    /// Everything that is wrong with the nodes by themselves.
    pub(super) fn with(
        &self,
        pool: &str,
        edit: &Edit,
        now: &Config,
        findings: &Findings,
    ) -> Result<Self, file::Broken> {
        let mut edits = self.clone();
        let of_pool = edits.0.entry(pool.to_owned()).or_default();
        match edit {
            Edit::Nodes(text) => of_pool.nodes = Some(nodes(text, pool, now, findings)?),
            Edit::FileNodes => of_pool.nodes = None,
            Edit::Balancing(on) => of_pool.unbalanced = !on,
        }
        edits.0.retain(|_, edit| *edit != OfPool::default());
        Ok(edits)
    }

    /// Lays the nodes over a file's tree. Returns where.
    pub(super) fn lay_over(&self, tree: &mut Tree, findings: &Findings) -> Vec<Path> {
        let mut laid = Vec::new();
        for (name, edit) in &self.0 {
            match (place(tree, name), &edit.nodes) {
                (Some((entries, path)), Some(nodes)) => {
                    entries.retain(|(key, _)| key != "nodes");
                    entries.push(("nodes".to_owned(), nodes.clone()));
                    laid.push(path.key("nodes"));
                }
                (Some(_), None) => {}
                (None, _) => findings.warning(
                    &Path::default(),
                    format!("the pool {name:?} was changed by hand, and there is none any more"),
                    "its changes wait for a pool of that name",
                ),
            }
        }
        laid
    }

    /// Does what needs no check.
    pub(super) fn settle(&self, config: &mut Config) {
        for pool in &mut config.pools {
            if self.is_unbalanced(&pool.name) {
                UNBALANCED.clone_into(&mut pool.strategy);
            }
        }
    }
}

impl fmt::Debug for Edits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The table of a pool, and its path; the whole file for the pool it is short for.
fn place<'t>(tree: &'t mut Tree, name: &str) -> Option<(&'t mut Vec<(String, Tree)>, Path)> {
    if *tree == Tree::Null {
        *tree = Tree::Table(Vec::new());
    }
    let Tree::Table(root) = tree else { return None };
    let Some(pools) = root.iter().position(|(key, _)| key == "pools") else {
        return (name == defaults::POOL).then(|| (root, Path::default()));
    };
    let Tree::List(pools) = &mut root[pools].1 else {
        return None;
    };
    let named = |pool: &Tree| text_of(pool, "name").as_deref() == Some(name);
    let at = pools.iter().position(named)?;
    match &mut pools[at] {
        Tree::Table(entries) => Some((entries, Path::default().key("pools").index(at))),
        _ => None,
    }
}

/// A list of nodes, with the keys that it leaves hidden.
fn nodes(text: &str, pool: &str, now: &Config, findings: &Findings) -> Result<Tree, file::Broken> {
    let parsed = file::parse(text)?;
    for twice in &parsed.duplicates {
        let spot = Spot::KeyAgain(twice.occurrence);
        let what = "this key stands twice".to_owned();
        findings.key(&twice.path, spot, what, "remove one of the two".to_owned());
    }
    let (mut tree, path) = match parsed.tree {
        Tree::Table(entries) => {
            let mut entries = entries.into_iter();
            let nodes = entries.find(|(key, _)| key == "nodes");
            let nodes = nodes.map_or(Tree::Null, |(_, nodes)| nodes);
            (nodes, Path::default().key("nodes"))
        }
        other => (other, Path::default()),
    };
    let found = now.pools.iter().find(|known| known.name == pool);
    if tree == Tree::List(Vec::new()) && found.is_none_or(|pool| pool.discover.is_none()) {
        let cure = "send at least one: nothing else brings this pool any";
        findings.value(&path, "a pool without nodes", cure);
    }
    if let Tree::List(items) = &mut tree {
        for (at, item) in items.iter_mut().enumerate() {
            unhide(item, pool, now, &path.index(at), findings);
        }
    }
    check::edited(&tree, path, findings);
    Ok(tree)
}

/// Puts in the key that is in force where it is left hidden, and nothing that only a file may name.
fn unhide(node: &mut Tree, pool: &str, now: &Config, path: &Path, findings: &Findings) {
    let id = text_of(node, "id").or_else(|| text_of(node, "address"));
    let Tree::Table(entries) = node else { return };
    for (key, value) in entries {
        let path = path.key(key);
        match value {
            Tree::Text(text) if key == "upstream_key" && text == HIDDEN => {
                let pool = now.pools.iter().find(|known| known.name == pool);
                let mut nodes = pool.iter().flat_map(|pool| &pool.nodes);
                let known = nodes.find(|node| Some(node.id.as_str()) == id.as_deref());
                match known.and_then(|node| node.upstream_key.as_ref()) {
                    Some(secret) => *value = Tree::Text(secret.expose().to_owned()),
                    None => findings.value(
                        &path,
                        "no key is known that could be kept",
                        "write the key, or leave `upstream_key` out",
                    ),
                }
            }
            Tree::Text(text) if text.contains("${") => findings.value(
                &path,
                "a reference to the gateway's own environment",
                "write the value itself: only the file may use ${...}",
            ),
            _ => {}
        }
    }
}

fn text_of(table: &Tree, key: &str) -> Option<String> {
    let Tree::Table(entries) = table else {
        return None;
    };
    let (_, value) = entries.iter().find(|(name, _)| name == key)?;
    value.typed()
}
