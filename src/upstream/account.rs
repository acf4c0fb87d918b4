//! Who may take a request, and what speaks against the others? For a line of the log.

use super::Pool;
use crate::model::Request;
use crate::nodes::{Tried, account, screen};
use std::time::Instant;

/// The nodes of a pool, before one of them is chosen.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Those that may serve.
    pub may: Vec<String>,
    /// The others, each with its reason.
    pub excluded: Vec<String>,
}

impl Pool {
    /// Who may take this request now. Caps are not asked: a full node is waited for.
    #[must_use]
    pub fn account(&self, request: &Request, tried: &Tried, once: bool, now: Instant) -> Account {
        let nodes = self.nodes();
        let screening = self.rules().screening(request, tried, once, None, now);
        let among = screen(&nodes, &screening);
        let against = account(&nodes, among.as_ref().ok(), &screening);
        let mut told = Account::default();
        for (node, against) in nodes.iter().zip(against) {
            match against {
                None => told.may.push(node.id().to_string()),
                Some(why) => told.excluded.push(format!("{}: {why}", node.id())),
            }
        }
        told
    }
}
