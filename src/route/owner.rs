//! Which node is a debug plugin's?

use crate::config::DebugPlugin;
use crate::model::Owner;
use std::collections::HashMap;
use std::fmt;

/// Who knows to which node the developer of a debug plugin is connected. Asked for each request,
/// so it answers from memory.
pub trait Owners: fmt::Debug + Send + Sync {
    /// The owner of `author/name`; none for what is not a debug plugin, or is not known.
    fn owner(&self, plugin: &str) -> Option<Owner>;
}

/// Owners as a table, whoever filled it: today the configuration.
#[derive(Clone, Debug, Default)]
pub struct OwnerTable {
    rows: HashMap<Box<str>, Owner>,
}

impl OwnerTable {
    /// The owners that the configuration names.
    #[must_use]
    pub fn configured(entries: &[DebugPlugin]) -> Self {
        let row = |entry: &DebugPlugin| {
            let owner = Owner::Node(entry.node.clone());
            (entry.plugin.as_str().into(), owner)
        };
        entries.iter().map(row).collect()
    }
}

impl FromIterator<(Box<str>, Owner)> for OwnerTable {
    fn from_iter<I: IntoIterator<Item = (Box<str>, Owner)>>(rows: I) -> Self {
        Self {
            rows: rows.into_iter().collect(),
        }
    }
}

impl Owners for OwnerTable {
    fn owner(&self, plugin: &str) -> Option<Owner> {
        // Nearly every table is empty, and nearly every request is for another plugin.
        if self.rows.is_empty() {
            return None;
        }
        self.rows.get(plugin).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_knows_what_it_was_told() {
        let plugin = "8d6c1f0e-2b4a-4c1d-9e3f-0a1b2c3d4e5f/tool";
        let table = OwnerTable::configured(&[DebugPlugin {
            plugin: plugin.to_owned(),
            node: "n2".into(),
        }]);
        assert_eq!(table.owner(plugin), Some(Owner::Node("n2".into())));
        assert_eq!(table.owner("langgenius/openai"), None);
        assert_eq!(OwnerTable::default().owner(plugin), None);
    }
}
