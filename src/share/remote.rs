//! What do all others together do on each node?

use super::Neighbour;
use crate::model::NodeId;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Rates are averaged over this time.
const MEMORY: f64 = 10.0;

/// All other gateways' leases on one node.
#[derive(Clone, Debug, PartialEq)]
pub struct Sum {
    /// Short requests in flight.
    pub short: u32,
    /// Long requests in flight.
    pub long: u32,
    /// Requests in flight per plugin.
    pub plugins: BTreeMap<String, u32>,
    /// The age of the oldest word in it.
    pub age: Duration,
    /// Leases begun per second.
    pub rate: f64,
    /// How long the node rests for the longest of them.
    pub rest: Duration,
}

/// How fast each gateway takes leases on each node, from the totals it tells.
#[derive(Debug, Default)]
pub struct Paces(HashMap<(String, NodeId), Pace>);

#[derive(Clone, Copy, Debug)]
struct Pace {
    taken: u64,
    at: Instant,
    rate: f64,
}

impl Paces {
    /// Adds up what the others hold, per node. They told it `age` before `now`.
    pub fn sum(&mut self, others: &[Neighbour], now: Instant) -> BTreeMap<NodeId, Sum> {
        let mut sums: BTreeMap<NodeId, Sum> = BTreeMap::new();
        for other in others {
            let empty = Sum {
                short: 0,
                long: 0,
                plugins: BTreeMap::new(),
                age: Duration::ZERO,
                rate: 0.0,
                rest: Duration::ZERO,
            };
            for held in &other.leases {
                let sum = sums
                    .entry(held.node.clone())
                    .or_insert_with(|| empty.clone());
                sum.short = sum.short.saturating_add(held.short);
                sum.long = sum.long.saturating_add(held.long);
                sum.age = sum.age.max(other.age);
                sum.rate += self.pace(
                    &other.gateway,
                    held.taken,
                    &held.node,
                    now - other.age.min(MOST_AGE),
                );
                for (plugin, count) in &held.plugins {
                    let all = sum.plugins.entry(plugin.clone()).or_default();
                    *all = all.saturating_add(*count);
                }
            }
            for rest in &other.rests {
                let sum = sums
                    .entry(rest.node.clone())
                    .or_insert_with(|| empty.clone());
                let left = Duration::from_millis(rest.ms).saturating_sub(other.age);
                sum.rest = sum.rest.max(left);
            }
        }
        self.0
            .retain(|(gateway, _), _| others.iter().any(|other| other.gateway == *gateway));
        sums
    }

    fn pace(&mut self, gateway: &str, taken: u64, node: &NodeId, at: Instant) -> f64 {
        let place = (gateway.to_owned(), node.clone());
        let pace = self.0.entry(place).or_insert(Pace {
            taken,
            at,
            rate: 0.0,
        });
        let seconds = at.saturating_duration_since(pace.at).as_secs_f64();
        if seconds > 0.0 {
            let found = taken.saturating_sub(pace.taken) as f64 / seconds;
            pace.rate += (found - pace.rate) * (1.0 - (-seconds / MEMORY).exp());
            (pace.taken, pace.at) = (taken, at);
        }
        pace.rate
    }
}

/// Older words are not summed up at all; a bound, so that no arithmetic with time can fail.
const MOST_AGE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::super::{Held, Profile, Rest};
    use super::*;
    use crate::model::clock;

    fn told(gateway: &str, taken: u64, long: u32, age: u64) -> Neighbour {
        Neighbour {
            gateway: gateway.to_owned(),
            age: Duration::from_millis(age),
            profile: Profile::default(),
            leases: vec![Held {
                node: "n1".into(),
                short: 1,
                long,
                taken,
                plugins: vec![("a/b".to_owned(), 1 + long)],
            }],
            seen: Vec::new(),
            custom: Vec::new(),
            rests: vec![Rest {
                node: "n2".into(),
                ms: 1000,
            }],
        }
    }

    #[test]
    fn what_several_hold_is_added_up_and_as_old_as_the_oldest() {
        let mut paces = Paces::default();
        let start = clock::now() + Duration::from_secs(100);
        let sums = paces.sum(&[told("a", 0, 2, 40), told("b", 0, 3, 90)], start);
        let sum = &sums[&NodeId::from("n1")];
        assert_eq!((sum.short, sum.long), (2, 5));
        assert_eq!(sum.plugins["a/b"], 7);
        assert_eq!(sum.age, Duration::from_millis(90));
        assert_eq!(sums[&NodeId::from("n2")].rest, Duration::from_millis(960));
        assert_eq!(sums[&NodeId::from("n2")].long, 0);
    }

    #[test]
    fn a_rate_comes_from_the_totals_and_goes_with_the_gateway() {
        let mut paces = Paces::default();
        let mut now = clock::now() + Duration::from_secs(100);
        let mut rate = 0.0;
        for second in 0..60 {
            let sums = paces.sum(&[told("a", 20 * second, 0, 10)], now);
            rate = sums[&NodeId::from("n1")].rate;
            now += Duration::from_secs(1);
        }
        assert!((rate - 20.0).abs() < 0.1, "{rate}");
        assert!(paces.sum(&[], now).is_empty());
        let sums = paces.sum(&[told("a", 9999, 0, 10)], now);
        assert!(sums[&NodeId::from("n1")].rate < 0.001, "it begins anew");
    }
}
