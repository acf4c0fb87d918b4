//! Which node takes a plain TCP connection, and how many does each have?

use super::{Hand, Node, Tried};
use crate::model::{Dice, NodeId, Role};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// The plain TCP connections that pass through, by node. They outlive reloads, and they do not
/// count as load: a debug connection is silent most of the time.
#[derive(Debug, Default)]
pub struct Tunnels {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    open: HashMap<NodeId, u32>,
    total: u32,
    /// A connection was turned away, and since then there was no room.
    full: bool,
}

/// One connection's claim on a node; it ends by `Drop`.
#[derive(Debug)]
pub struct Tunnel {
    tunnels: Arc<Tunnels>,
    node: Arc<Node>,
}

/// Why a connection cannot pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTunnel {
    /// There are as many as are allowed. `first`: it had not been said since there was room.
    Full {
        /// Worth a line in the log.
        first: bool,
    },
    /// No node may take it, or all have been tried.
    Nobody,
}

impl Tunnels {
    /// Claims the healthy node with the fewest connections; dice decide between equals. Backups
    /// count only when no other node may. Choosing and counting are one step, so that many who
    /// come at once are spread.
    ///
    /// # Errors
    /// When there are `most` already, or nobody may take it.
    pub fn open(
        self: &Arc<Self>,
        nodes: &[Arc<Node>],
        tried: &Tried,
        most: u32,
        dice: &mut Dice,
    ) -> Result<Tunnel, NoTunnel> {
        let mut table = self.table.lock();
        if table.total >= most {
            let first = !std::mem::replace(&mut table.full, true);
            return Err(NoTunnel::Full { first });
        }
        let may = |node: &&Arc<Node>| {
            node.hand() == Hand::Ready && node.is_healthy() && !tried.contains(node.id())
        };
        let rank = |node: &Arc<Node>| (node.role() == Role::Backup, table.of(node.id()));
        let fewest = nodes.iter().filter(may).map(rank).min();
        let best: Vec<_> = nodes
            .iter()
            .filter(may)
            .filter(|node| Some(rank(node)) == fewest)
            .collect();
        let node = dice.choice(best).ok_or(NoTunnel::Nobody)?;
        *table.open.entry(node.id().clone()).or_default() += 1;
        table.total += 1;
        Ok(Tunnel {
            tunnels: Arc::clone(self),
            node: Arc::clone(node),
        })
    }

    /// How many a node has.
    #[must_use]
    pub fn of(&self, node: &NodeId) -> u32 {
        self.table.lock().of(node)
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.table.lock().total
    }
}

impl Table {
    fn of(&self, node: &NodeId) -> u32 {
        self.open.get(node).copied().unwrap_or(0)
    }
}

impl Tunnel {
    /// The node.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let mut table = self.tunnels.table.lock();
        table.total -= 1;
        table.full = false;
        if let Some(open) = table.open.get_mut(self.node.id()) {
            *open -= 1;
            if *open == 0 {
                table.open.remove(self.node.id());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;
    use smallvec::smallvec;
    use std::net::SocketAddr;

    fn nodes(count: u16) -> Vec<Arc<Node>> {
        let node = |n: u16| {
            let address = SocketAddr::from(([10, 0, 0, 1], n));
            let place = (Role::Secondary, 1);
            Arc::new(Node::new(
                format!("n{n}").into(),
                address,
                place,
                clock::now(),
            ))
        };
        (1..=count).map(node).collect()
    }

    #[test]
    fn connections_are_spread_and_counted_until_they_end() {
        let (nodes, tunnels) = (nodes(3), Arc::new(Tunnels::default()));
        let mut dice = Dice::with_seed(7);
        let mut open = || tunnels.open(&nodes, &Tried::new(), 9, &mut dice);
        let held: Vec<_> = (0..9).map(|_| open().expect("there is room")).collect();
        let counts = || [0, 1, 2].map(|n: usize| tunnels.of(nodes[n].id()));
        assert_eq!(counts(), [3, 3, 3]);
        assert_eq!(open().err(), Some(NoTunnel::Full { first: true }));
        assert_eq!(open().err(), Some(NoTunnel::Full { first: false }));
        drop(held);
        assert_eq!((tunnels.total(), counts()), (0, [0, 0, 0]));
        assert!(tunnels.table.lock().open.is_empty(), "nothing is left over");
    }

    #[test]
    fn between_equals_chance_decides() {
        let (nodes, tunnels) = (nodes(3), Arc::new(Tunnels::default()));
        let mut dice = Dice::with_seed(7);
        let mut first = || {
            let tunnel = tunnels.open(&nodes, &Tried::new(), 9, &mut dice);
            tunnel.expect("there is room").node().id().clone()
        };
        let seen: std::collections::HashSet<_> = (0..60).map(|_| first()).collect();
        assert_eq!(seen.len(), 3);
    }

    #[test]
    fn who_is_out_or_tried_takes_none() {
        let (nodes, tunnels) = (nodes(4), Arc::new(Tunnels::default()));
        nodes[0].set_healthy(false);
        nodes[1].set_hand(Hand::Drain);
        let mut dice = Dice::with_seed(7);
        let mut open = |tried: &Tried| {
            let tunnel = tunnels.open(&nodes, tried, 9, &mut dice);
            tunnel.map(|tunnel| tunnel.node().id().to_string())
        };
        assert_eq!(open(&smallvec!["n3".into()]), Ok("n4".to_owned()));
        assert_eq!(
            open(&smallvec!["n3".into(), "n4".into()]),
            Err(NoTunnel::Nobody)
        );
    }
}
