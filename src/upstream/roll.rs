//! Which of the expected plugins were found where, and when?

use crate::model::NodeId;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::Instant;

/// What was found of a plugin on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attendance {
    /// It runs there.
    Present,
    /// Its process starts.
    Starting,
    /// It does not run there.
    Absent,
    /// Nobody could tell.
    Unknown,
}

impl Attendance {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Starting => "starting",
            Self::Absent => "absent",
            Self::Unknown => "unknown",
        }
    }

    /// It is known that a call there would fail.
    #[must_use]
    pub const fn is_missing(self) -> bool {
        matches!(self, Self::Absent | Self::Starting)
    }
}

/// One line of the roll.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What was found.
    pub attendance: Attendance,
    /// Since when it is so.
    pub since: Instant,
    /// When it was last asked.
    pub asked: Instant,
}

/// What roll calls found; only of what is expected now.
#[derive(Debug, Default)]
pub struct Roll(Mutex<BTreeMap<(NodeId, String), Entry>>);

impl Roll {
    /// What was found of a plugin on a node, if it was asked for.
    #[must_use]
    pub fn entry(&self, node: &NodeId, plugin: &str) -> Option<Entry> {
        self.0
            .lock()
            .get(&(node.clone(), plugin.to_owned()))
            .copied()
    }

    /// How many of the expected plugins are missing on a node.
    #[must_use]
    pub fn missing(&self, node: &NodeId) -> usize {
        let all = self.0.lock();
        let missing = all
            .iter()
            .filter(|((at, _), entry)| at == node && entry.attendance.is_missing());
        missing.count()
    }

    /// Says once what changed.
    pub(super) fn note(&self, node: &NodeId, plugin: &str, attendance: Attendance, now: Instant) {
        let mut all = self.0.lock();
        let place = (node.clone(), plugin.to_owned());
        let before = all.get(&place).copied();
        let same = before.filter(|before| before.attendance == attendance);
        let entry = Entry {
            attendance,
            since: same.map_or(now, |before| before.since),
            asked: now,
        };
        all.insert(place, entry);
        drop(all);
        let word = attendance.word();
        if same.is_none() && attendance.is_missing() {
            log::warn!("an expected plugin is not there node={node} plugin={plugin} found={word}");
        } else if same.is_none() && before.is_some() {
            log::info!("an expected plugin changed node={node} plugin={plugin} found={word}");
        }
    }

    /// Forgets what nobody expects any more, and nodes that are not asked.
    pub(super) fn keep(&self, wanted: impl Fn(&NodeId, &str) -> bool) {
        self.0
            .lock()
            .retain(|(node, plugin), _| wanted(node, plugin));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;
    use std::time::Duration;

    #[test]
    fn an_entry_knows_since_when_and_what_nobody_expects_is_forgotten() {
        let (roll, start) = (Roll::default(), clock::now());
        let node = NodeId::from("n1");
        let later = start + Duration::from_secs(9);
        roll.note(&node, "a/b", Attendance::Absent, start);
        roll.note(&node, "a/b", Attendance::Absent, later);
        roll.note(&node, "c/d", Attendance::Unknown, start);
        let entry = roll.entry(&node, "a/b").expect("it was asked for");
        assert_eq!((entry.since, entry.asked), (start, later));
        assert_eq!(roll.missing(&node), 1, "what is unknown is not missing");
        roll.note(&node, "a/b", Attendance::Present, later);
        assert_eq!(roll.missing(&node), 0);
        assert_eq!(
            roll.entry(&node, "a/b").map(|entry| entry.since),
            Some(later)
        );
        roll.keep(|_, plugin| plugin == "c/d");
        assert!(roll.entry(&node, "a/b").is_none());
    }
}
