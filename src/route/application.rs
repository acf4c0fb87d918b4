//! Whose key is this, and which pools does it open?

use crate::config::Application;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// The applications, by what becomes of their keys: a key itself is not kept here.
pub struct Applications {
    /// By the first half of the hash. What a look-up's duration tells of a hash, tells nothing of a
    /// key.
    keys: HashMap<[u8; 16], Key>,
    all: Vec<Row>,
}

struct Key {
    rest: [u8; 16],
    application: usize,
}

struct Row {
    name: Arc<str>,
    pool: usize,
}

/// An application that was told by its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its name.
    pub name: Arc<str>,
    /// The position of its pool.
    pub pool: usize,
}

impl Applications {
    /// Compiles applications; `position` gives a pool's place. None of none: then nothing is
    /// looked up.
    #[must_use]
    pub fn new(entries: &[Application], position: impl Fn(&str) -> Option<usize>) -> Option<Self> {
        if entries.is_empty() {
            return None;
        }
        let mut keys = HashMap::new();
        let mut all = Vec::new();
        for entry in entries {
            // Names were checked before.
            let Some(pool) = position(&entry.pool) else {
                continue;
            };
            for key in &entry.keys {
                let (first, rest) = halves(key.expose().as_bytes());
                let application = all.len();
                keys.insert(first, Key { rest, application });
            }
            all.push(Row {
                name: entry.name.as_str().into(),
                pool,
            });
        }
        Some(Self { keys, all })
    }

    /// Whose key it is.
    #[must_use]
    pub fn of(&self, key: &[u8]) -> Option<Known> {
        let (first, rest) = halves(key);
        let found = self.keys.get(&first)?;
        bool::from(found.rest.ct_eq(&rest)).then(|| {
            let row = &self.all[found.application];
            Known {
                name: Arc::clone(&row.name),
                pool: row.pool,
            }
        })
    }

    /// Whether a pool is some application's: then nobody comes in without a key.
    #[must_use]
    pub fn close(&self, pool: usize) -> bool {
        self.all.iter().any(|row| row.pool == pool)
    }
}

fn halves(key: &[u8]) -> ([u8; 16], [u8; 16]) {
    let hash: [u8; 32] = Sha256::digest(key).into();
    let (mut first, mut rest) = ([0; 16], [0; 16]);
    first.copy_from_slice(&hash[..16]);
    rest.copy_from_slice(&hash[16..]);
    (first, rest)
}

impl fmt::Debug for Applications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.all.iter().map(|row| &row.name);
        f.debug_list().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;

    #[test]
    fn f156_f157_each_key_tells_its_application_and_no_other_text_does() {
        let entry = |name: &str, keys: [&str; 2], pool: &str| Application {
            name: name.to_owned(),
            keys: keys.map(|key| Secret::new(key.to_owned())).to_vec(),
            pool: pool.to_owned(),
        };
        let entries = [
            entry("chat", ["app-chat-1", "app-chat-2"], "a"),
            entry("batch", ["app-batch-1", "app-batch-2"], "b"),
        ];
        let pools = ["main", "a", "b"];
        let position = |name: &str| pools.iter().position(|pool| *pool == name);
        let all = Applications::new(&entries, position).expect("there are some");
        for (key, name, pool) in [
            ("app-chat-1", "chat", 1),
            ("app-chat-2", "chat", 1),
            ("app-batch-2", "batch", 2),
        ] {
            let known = all.of(key.as_bytes()).expect("a key");
            assert_eq!((&*known.name, known.pool), (name, pool));
        }
        for wrong in ["", "app-chat-", "app-chat-1 ", "APP-CHAT-1", "app-chat-3"] {
            assert_eq!(all.of(wrong.as_bytes()), None, "{wrong:?}");
        }
        assert_eq!([0, 1, 2].map(|pool| all.close(pool)), [false, true, true]);
        assert!(!format!("{all:?}").contains("app-"), "no key is printed");
        assert!(Applications::new(&[], position).is_none());
    }
}
