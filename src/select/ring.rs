//! Where on a ring is a key at home, and who comes after?
//!
//! Each node is on the ring many times, so that all have about the same part of it, and one that
//! leaves gives its parts to many. Karger and others, "Consistent hashing and random trees", 1997.

use crate::config::{HashAlgorithm, RingRules};
use crate::model::NodeId;
use crate::nodes::Node;
use crate::route::cut;
use smallvec::{SmallVec, smallvec};
use std::iter::Chain;
use std::slice::Iter;
use std::sync::Arc;

/// nginx has so many points for each unit of a server's weight
/// (`ngx_http_upstream_hash_module.c`, `npoints`).
const KETAMA_POINTS: usize = 160;
/// Weights of a thousand would make a ring of megabytes: beyond so many labels all have fewer.
const MOST_LABELS: usize = 200_000;

/// Where, and the position of the node.
type Point = (u32, u16);

/// A ring of nodes, built once for each change of membership.
#[derive(Debug, Default)]
pub(super) struct Ring {
    /// Sorted.
    points: Box<[Point]>,
    ids: Box<[NodeId]>,
}

impl Ring {
    /// The ring of these nodes.
    pub(super) fn of(rules: &RingRules, nodes: &[Arc<Node>]) -> Self {
        let wanted: usize = nodes.iter().map(|node| labels(rules, node)).sum();
        let mut points = Vec::new();
        for (at, node) in (0u16..).zip(nodes) {
            let mut count = labels(rules, node);
            if wanted > MOST_LABELS {
                count = (count * MOST_LABELS / wanted).max(1);
            }
            let mut put = |point: u32| points.push((point, at));
            if rules.algorithm == HashAlgorithm::Ketama {
                ketama(node, count, put);
            } else {
                for n in 1..=count {
                    let label = format!("{}#{n}", node.id());
                    cut(rules.algorithm, label.as_bytes())
                        .into_iter()
                        .for_each(&mut put);
                }
            }
        }
        // Two nodes at one point: the name decides, so that the order of the file does not. The other
        // stays behind it, for it is at home there when the first has left.
        points.sort_unstable_by(|(a, one), (b, other)| {
            let id = |at: u16| nodes[usize::from(at)].id().as_str();
            a.cmp(b).then_with(|| id(*one).cmp(id(*other)))
        });
        Self {
            points: points.into(),
            ids: nodes.iter().map(|node| node.id().clone()).collect(),
        }
    }

    /// The nodes from a point on, clockwise.
    pub(super) fn from(&self, point: u32) -> Walk<'_> {
        // Behind the last point the ring begins again.
        let home = self.points.partition_point(|(other, _)| *other < point);
        let (before, after) = self.points.split_at(home);
        Walk {
            points: after.iter().chain(before),
            seen: smallvec![0; self.ids.len().div_ceil(64)],
            left: self.ids.len(),
        }
    }

    /// Who was at a position when the ring was built.
    pub(super) fn id(&self, at: u16) -> &NodeId {
        &self.ids[usize::from(at)]
    }
}

/// Nodes clockwise, each once, by their positions when the ring was built.
pub(super) struct Walk<'r> {
    points: Chain<Iter<'r, Point>, Iter<'r, Point>>,
    /// A bit for each node.
    seen: SmallVec<[u64; 4]>,
    left: usize,
}

impl Iterator for Walk<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if self.left == 0 {
            return None;
        }
        for &(_, at) in self.points.by_ref() {
            let (word, bit) = (usize::from(at / 64), 1 << (at % 64));
            if self.seen[word] & bit == 0 {
                self.seen[word] |= bit;
                self.left -= 1;
                return Some(at);
            }
        }
        None
    }
}

fn labels(rules: &RingRules, node: &Node) -> usize {
    let each = if rules.algorithm == HashAlgorithm::Ketama {
        KETAMA_POINTS
    } else {
        usize::from(rules.virtual_nodes)
    };
    each * usize::from(node.weight())
}

/// nginx hashes `host \0 port` and the point before in the byte order of the machine: we take that
/// of nearly all machines.
fn ketama(node: &Node, count: usize, mut put: impl FnMut(u32)) {
    let address = node.address();
    let mut base = crc32fast::Hasher::new();
    match address {
        std::net::SocketAddr::V4(v4) => base.update(v4.ip().to_string().as_bytes()),
        std::net::SocketAddr::V6(v6) => base.update(format!("[{}]", v6.ip()).as_bytes()),
    }
    base.update(b"\0");
    base.update(address.port().to_string().as_bytes());
    let mut before = 0u32;
    for _ in 0..count {
        let mut hasher = base.clone();
        hasher.update(&before.to_le_bytes());
        before = hasher.finalize();
        put(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Role, clock};
    use std::net::SocketAddr;

    /// nginx 1.22.1 (Debian 12) with `hash $arg_k consistent`, 127.0.0.1:15001 to 15004 and the
    /// weights 1, 2, 1 and 3: which of them it asked for the keys user-0 to user-255.
    const NGINX: &str = "\
        4323324411142324231424442422221424424443443224344232421431441442\
        2322344414444122424224444412241324424122324424442141422222321442\
        2441441422244213444244444411442444344242244432141424242424124444\
        1144244144141324331422423442414224322444124442432322222344424212";
    const NGINX_WEIGHTS: [u16; 4] = [1, 2, 1, 3];

    fn rules(algorithm: HashAlgorithm) -> RingRules {
        RingRules {
            algorithm,
            ..RingRules::default()
        }
    }

    fn node(id: &str, port: u16, weight: u16) -> Arc<Node> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let place = (Role::Secondary, weight);
        Arc::new(Node::new(id.into(), address, place, clock::now()))
    }

    fn nginx_nodes() -> Vec<Arc<Node>> {
        let weights = NGINX_WEIGHTS.iter();
        (15_001..)
            .zip(weights)
            .map(|(port, &weight)| node(&format!("any{port}"), port, weight))
            .collect()
    }

    fn home(ring: &Ring, algorithm: HashAlgorithm, key: &str) -> usize {
        let point = crate::route::point(algorithm, key.as_bytes());
        usize::from(ring.from(point).next().expect("somebody is on the ring"))
    }

    #[test]
    fn f172_ketama_sends_every_key_where_nginx_sent_it() {
        let ketama = HashAlgorithm::Ketama;
        let ring = Ring::of(&rules(ketama), &nginx_nodes());
        let ours: String = (0..256)
            .map(|n| home(&ring, ketama, &format!("user-{n}")) + 1)
            .map(|n| n.to_string())
            .collect();
        assert_eq!(ours, NGINX);
    }

    #[test]
    fn f172_ketama_agrees_with_pingoras_for_ten_thousand_keys() {
        let ketama = HashAlgorithm::Ketama;
        let nodes = nginx_nodes();
        let ring = Ring::of(&rules(ketama), &nodes);
        let bucket =
            |node: &Arc<Node>| pingora_ketama::Bucket::new(node.address(), node.weight().into());
        let buckets: Vec<_> = nodes.iter().map(bucket).collect();
        let theirs = pingora_ketama::Continuum::new(&buckets);
        for n in 0..10_000 {
            let key = format!("customer_service:{n}");
            let ours = nodes[home(&ring, ketama, &key)].address();
            assert_eq!(Some(ours), theirs.node(key.as_bytes()), "{key}");
        }
    }

    /// How much more than its share the busiest of these has of 30,000 users.
    fn peak(algorithm: HashAlgorithm, nodes: &[Arc<Node>]) -> f64 {
        let ring = Ring::of(&rules(algorithm), nodes);
        let mut counts = vec![0u32; nodes.len()];
        for n in 0..30_000 {
            counts[home(&ring, algorithm, &format!("user-{n}"))] += 1;
        }
        let most = counts.iter().max().copied().unwrap_or(0);
        f64::from(most) * nodes.len() as f64 / 30_000.0
    }

    #[test]
    fn f173_f177_of_two_to_ten_nodes_none_has_more_than_1_15_of_its_share() {
        let names: [fn(u16) -> String; 4] = [
            |n| format!("10.0.0.1{n}:5002"),
            |n| format!("dify{n}"),
            |n| format!("daemon-{n}"),
            |n| format!("n{n}"),
        ];
        use HashAlgorithm::{Crc32, Md5, Sha1, Xxh3};
        for algorithm in [Xxh3, Md5, Sha1, Crc32] {
            let mut worst = 0f64;
            for name in names {
                for count in 2..=10 {
                    let nodes: Vec<_> = (1..=count).map(|n| node(&name(n), n, 1)).collect();
                    worst = worst.max(peak(algorithm, &nodes));
                }
            }
            assert!(worst <= 1.15, "{}: {worst}", algorithm.word());
        }
    }

    #[test]
    fn f174_each_algorithm_has_a_spread_of_its_own() {
        let nodes: Vec<_> = (1..=4).map(|n| node(&format!("n{n}"), n, 1)).collect();
        let spreads = HashAlgorithm::WORDS.map(|(_, algorithm)| {
            let ring = Ring::of(&rules(algorithm), &nodes);
            let homes = (0..200).map(|n| home(&ring, algorithm, &format!("user-{n}")));
            homes.collect::<Vec<_>>()
        });
        for (at, spread) in spreads.iter().enumerate() {
            assert!(!spreads[..at].contains(spread), "the spread of {at}");
        }
    }

    #[test]
    fn f175_a_node_that_moves_to_another_address_keeps_its_keys() {
        let algorithm = HashAlgorithm::Xxh3;
        let here: Vec<_> = (1..=5).map(|n| node(&format!("n{n}"), n, 1)).collect();
        let there: Vec<_> = (1..=5)
            .map(|n| node(&format!("n{n}"), 900 + n, 1))
            .collect();
        let (here, there) = (
            Ring::of(&rules(algorithm), &here),
            Ring::of(&rules(algorithm), &there),
        );
        assert_eq!(here.points, there.points);
    }

    #[test]
    fn f176_behind_the_last_point_the_ring_begins_again() {
        let nodes: Vec<_> = (1..=3).map(|n| node(&format!("n{n}"), n, 1)).collect();
        let ring = Ring::of(&rules(HashAlgorithm::Md5), &nodes);
        let (first, last) = (ring.points[0], ring.points[ring.points.len() - 1]);
        assert!(
            last.0 < u32::MAX,
            "there is something behind the last point"
        );
        assert_eq!(ring.from(last.0 + 1).next(), Some(first.1));
        assert_eq!(ring.from(u32::MAX).next(), Some(first.1));
        assert_eq!(
            ring.from(last.0).next(),
            Some(last.1),
            "a point is its node's"
        );
    }

    #[test]
    fn f180_weights_are_shares() {
        let nodes = [node("n1", 1, 1), node("n2", 2, 3)];
        for (_, algorithm) in HashAlgorithm::WORDS {
            let ring = Ring::of(&rules(algorithm), &nodes);
            let first = (0..30_000)
                .filter(|n| home(&ring, algorithm, &format!("user-{n}")) == 0)
                .count();
            let share = first as f64 / 30_000.0;
            assert!(
                (0.21..=0.29).contains(&share),
                "{}: {share}",
                algorithm.word()
            );
        }
    }

    #[test]
    fn a_ring_of_heavy_nodes_stays_small_and_everybody_is_on_it() {
        let mut nodes: Vec<_> = (1..=64).map(|n| node(&format!("n{n}"), n, 1000)).collect();
        nodes.push(node("light", 99, 1));
        let ring = Ring::of(&rules(HashAlgorithm::Md5), &nodes);
        assert!(ring.points.len() <= 4 * (MOST_LABELS + nodes.len()));
        assert_eq!(ring.from(7).count(), nodes.len(), "each once");
    }

    /// Compares where keys are at home before and after one of these nodes has left.
    fn leaves(algorithm: HashAlgorithm, all: &[Arc<Node>], gone: usize) {
        let mut rest = all.to_vec();
        let gone = rest.remove(gone);
        let (before, after) = (
            Ring::of(&rules(algorithm), all),
            Ring::of(&rules(algorithm), &rest),
        );
        for n in 0..300 {
            let key = format!("user-{n}");
            let (was, is) = (
                &all[home(&before, algorithm, &key)],
                &rest[home(&after, algorithm, &key)],
            );
            let next = crate::route::point(algorithm, key.as_bytes());
            let next = before.from(next).nth(1).expect("there are two");
            if was.id() == gone.id() {
                assert_eq!(is.id(), all[usize::from(next)].id(), "to the next");
            } else {
                assert_eq!(was.id(), is.id(), "{key} stays");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn f178_a_node_that_leaves_moves_only_its_own_keys(
            count in 2u16..10,
            gone in 0usize..10,
            which in 0usize..5,
            salt in 0u32..1_000_000,
            weights in proptest::collection::vec(1u16..4, 10),
        ) {
            let algorithm = HashAlgorithm::WORDS[which].1;
            let all: Vec<_> = (1..=count)
                .map(|n| node(&format!("{salt}-{n}"), n, weights[usize::from(n) - 1]))
                .collect();
            leaves(algorithm, &all, gone % all.len());
        }
    }

    #[test]
    fn of_two_at_one_point_the_other_is_at_home_there_next() {
        let (_, algorithm) = HashAlgorithm::WORDS[3];
        let weights = (1..).zip([1, 1, 1, 2, 1, 1, 1, 1, 3]);
        let all: Vec<_> = weights
            .map(|(n, weight)| node(&format!("112491-{n}"), n, weight))
            .collect();
        let points = Ring::of(&rules(algorithm), &all).points;
        let shared = points.windows(2).any(|two| two[0].0 == two[1].0);
        assert!(shared, "names that were found to meet");
        leaves(algorithm, &all, 3);
    }
}
