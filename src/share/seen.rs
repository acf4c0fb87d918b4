//! What of that which the others saw of plugins is the newest?

use super::Neighbour;
use crate::model::NodeId;
use std::collections::BTreeMap;
use std::time::Duration;

/// The newest that any other gateway saw of a plugin on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newest {
    /// It runs there; otherwise it does not.
    pub present: bool,
    /// How long ago it was seen.
    pub age: Duration,
    /// How much longer an absence is believed.
    pub lasting: Duration,
    /// One of them says that it is absent; not the one who saw it last, perhaps.
    pub missed: bool,
}

/// Per node and plugin, the newest that these gateways saw.
#[must_use]
pub fn newest(others: &[Neighbour]) -> BTreeMap<&NodeId, BTreeMap<&str, Newest>> {
    let mut all: BTreeMap<&NodeId, BTreeMap<&str, Newest>> = BTreeMap::new();
    for other in others {
        for seen in &other.seen {
            let told = Newest {
                present: seen.present,
                age: other.age.saturating_add(Duration::from_millis(seen.age)),
                lasting: Duration::from_millis(seen.ms).saturating_sub(other.age),
                missed: !seen.present,
            };
            if !told.present && told.lasting.is_zero() {
                continue;
            }
            let here = all.entry(&seen.node).or_default();
            let newest = here.entry(seen.plugin.as_str()).or_insert(told);
            let missed = newest.missed || told.missed;
            if told.age < newest.age {
                *newest = told;
            }
            newest.missed = missed;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::{Profile, Seen};
    use super::*;

    fn told(gateway: &str, age: u64, present: bool, seen: u64) -> Neighbour {
        Neighbour {
            gateway: gateway.to_owned(),
            age: Duration::from_millis(age),
            profile: Profile::default(),
            leases: Vec::new(),
            rests: Vec::new(),
            custom: Vec::new(),
            seen: vec![Seen {
                node: "n1".into(),
                plugin: "a/b".to_owned(),
                present,
                age: seen,
                ms: if present { 0 } else { 4000 },
            }],
        }
    }

    #[test]
    fn who_saw_it_last_is_believed_and_what_has_ended_is_not_said() {
        let of = |others: &[Neighbour]| {
            let all = newest(others);
            let here = all.get(&NodeId::from("n1")).and_then(|it| it.get("a/b"));
            let ms = |time: Duration| time.as_millis();
            here.map(|it| (it.present, ms(it.age), ms(it.lasting), it.missed))
        };
        let (a, b) = (told("a", 100, false, 900), told("b", 50, true, 930));
        assert_eq!(of(&[a.clone(), b.clone()]), Some((true, 980, 0, true)));
        let c = told("c", 10, false, 900);
        assert_eq!(of(&[a, b, c]), Some((false, 910, 3990, true)));
        assert_eq!(of(&[told("a", 4000, false, 0)]), None);
    }
}
