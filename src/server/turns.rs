//! Whose turn is it, in rounds that the whole fleet shares?

use crate::model::Class;
use crate::share::{Granted, Turns};
use crate::upstream::Snapshot;

/// So many turns are taken at a time: one exchange's worth at a thousand requests a second.
const BLOCK: u64 = 256;

/// The rounds that run low, and how many turns they want.
pub(super) fn wanted(snapshot: &Snapshot) -> Vec<Turns> {
    let mut wanted = Vec::new();
    for pool in snapshot.pools() {
        let Some(turns) = pool.chooser().turns() else {
            continue;
        };
        for class in Class::ALL {
            if turns.left(class) < BLOCK {
                wanted.push(Turns {
                    name: name(pool.name(), class),
                    many: BLOCK,
                });
            }
        }
    }
    wanted
}

/// Gives the rounds the turns that are ours.
pub(super) fn grant(snapshot: &Snapshot, granted: &[Granted]) {
    for pool in snapshot.pools() {
        let Some(turns) = pool.chooser().turns() else {
            continue;
        };
        for class in Class::ALL {
            let name = name(pool.name(), class);
            for block in granted.iter().filter(|block| block.name == name) {
                turns.grant(class, block.first, block.many);
            }
        }
    }
}

fn name(pool: &str, class: Class) -> String {
    format!("{pool}/{}", class.word())
}
