//! Which node has a debug plugin's connection, as the daemons tell each other?

use super::record::StateRecord;
use crate::model::Owner;
use crate::route::{OwnerTable, Owners};
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::net::SocketAddr;

/// More debug plugins are not mirrored; their owners are found by asking.
const MOST: usize = 4096;

/// A copy in memory, so that a request never waits for Redis. Stays as it is while Redis is away.
#[derive(Debug, Default)]
pub(crate) struct Mirror {
    table: ArcSwap<OwnerTable>,
}

impl Mirror {
    /// Takes over what the daemons say; `at` is where each run is.
    pub(super) fn set<'s>(
        &self,
        states: impl Iterator<Item = &'s StateRecord>,
        at: &HashMap<&str, SocketAddr>,
    ) {
        let mut latest: HashMap<&str, (Option<i64>, SocketAddr)> = HashMap::new();
        for state in states {
            let Some(&address) = at.get(state.run.as_str()) else {
                continue;
            };
            if latest.len() >= MOST && !latest.contains_key(state.plugin.as_str()) {
                continue;
            }
            // A developer who connects again may reach another node; the old entry stays a while.
            let known = latest.entry(&state.plugin).or_insert((state.at, address));
            if state.at > known.0 {
                *known = (state.at, address);
            }
        }
        let row = |(plugin, (_, address)): (&str, (Option<i64>, SocketAddr))| {
            (Box::from(plugin), Owner::At(address))
        };
        let table: OwnerTable = latest.into_iter().map(row).collect();
        self.table.store(table.into());
    }
}

impl Owners for Mirror {
    fn owner(&self, plugin: &str) -> Option<Owner> {
        self.table.load().owner(plugin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "8d6c1f0e-2b4a-4c1d-9e3f-0a1b2c3d4e5f";

    fn state(run: &str, plugin: &str, second: u8) -> StateRecord {
        let text = format!(
            r#"{{"identity":"{TENANT}/{plugin}:0.0.1@aa",
                "scheduled_at":"2026-08-21T08:00:{second:02}Z"}}"#
        );
        StateRecord::read(&format!("{run}:dad7"), text.as_bytes()).expect("a debug plugin")
    }

    #[test]
    fn the_latest_word_about_a_known_run_counts() {
        let address = |last| SocketAddr::from(([10, 0, 0, last], 5002));
        let at = HashMap::from([("a", address(1)), ("b", address(2))]);
        let mirror = Mirror::default();
        let states = [
            state("a", "one", 5),
            state("b", "one", 9),
            state("c", "one", 20),
            state("a", "two", 1),
            state("c", "three", 1),
        ];
        mirror.set(states.iter(), &at);
        let owner = |plugin: &str| mirror.owner(&format!("{TENANT}/{plugin}"));
        assert_eq!(owner("one"), Some(Owner::At(address(2))));
        assert_eq!(owner("two"), Some(Owner::At(address(1))));
        assert_eq!(owner("three"), None, "nobody knows where c is");
        mirror.set([].iter(), &at);
        assert_eq!(owner("one"), None);
    }

    #[test]
    fn the_copy_is_bounded() {
        let at = HashMap::from([("a", SocketAddr::from(([10, 0, 0, 1], 5002)))]);
        let mirror = Mirror::default();
        let states: Vec<_> = (0..=MOST)
            .map(|n| state("a", &format!("p{n}"), 1))
            .collect();
        mirror.set(states.iter(), &at);
        let known = |n: usize| mirror.owner(&format!("{TENANT}/p{n}")).is_some();
        assert_eq!((0..=MOST).filter(|&n| known(n)).count(), MOST);
    }
}
