//! How do we reach nodes by TLS? The section `node_tls`.

use super::print::{path, table};
use super::tls::Certificate;
use super::tree::Tree;
use std::path::PathBuf;

/// Whom we believe to be a node, and who we are to it; for nodes whose address begins with
/// `https://`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeTls {
    /// A PEM file with the authorities that a node's certificate must lead to; none = those of the
    /// system.
    pub ca: Option<PathBuf>,
    /// What we show to nodes that ask for a certificate; none = nothing.
    pub shown: Option<Certificate>,
}

impl NodeTls {
    /// The files that it is read from.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let pair = self.shown.iter().flat_map(|pair| [&pair.cert, &pair.key]);
        pair.chain(&self.ca)
    }

    /// How an operator would write it, with every key.
    pub(super) fn tree(&self) -> Tree {
        let (cert, key) = self
            .shown
            .as_ref()
            .map(|pair| (&pair.cert, &pair.key))
            .unzip();
        table([
            ("ca", path(self.ca.as_ref())),
            ("cert", path(cert)),
            ("key", path(key)),
        ])
    }
}
