//! How do we reach a node by TLS? Whom we believe to be one, and who we are to it.

use crate::config::{Identity, NodeTls, authorities};
use pingora::listeners::ALPN;
use pingora::upstreams::peer::HttpPeer;
use pingora::utils::tls::{CertKey, WrappedX509, parse_x509};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;

/// Whom we believe to be a node, and who we are to it. Certificates are always looked at: whoever
/// has none that an authority signed makes one of its own, and names it as `ca`.
#[derive(Clone, Default)]
pub struct Trust {
    /// None: the authorities of the system.
    authorities: Option<Arc<[WrappedX509]>>,
    /// What we show to a node that asks; none = nothing.
    shown: Option<Arc<CertKey>>,
    /// Another one for other files: connections that were made by those are not used any more.
    mark: u64,
}

impl Trust {
    /// Reads the files.
    ///
    /// # Errors
    /// The file that is wrong, and the cure.
    pub fn read(settings: &NodeTls) -> Result<Self, String> {
        let mut hasher = DefaultHasher::new();
        let mut trust = Self::default();
        if let Some(ca) = &settings.ca {
            let found = authorities(ca).map_err(|bad| bad.to_string())?;
            found.hash(&mut hasher);
            // Each of them was parsed when the file was read.
            let wrap = |each: &[u8]| WrappedX509::new(each.to_vec(), parse_x509);
            trust.authorities = Some(found.iter().map(|each| wrap(each)).collect());
        }
        if let Some(pair) = &settings.shown {
            let identity = Identity::read(&pair.cert, &pair.key).map_err(|bad| bad.to_string())?;
            let chain: Vec<_> = identity
                .shown
                .cert
                .iter()
                .map(|each| each.to_vec())
                .collect();
            chain.hash(&mut hasher);
            let key = identity.key.secret_der().to_vec();
            trust.shown = Some(Arc::new(CertKey::new(chain, key)));
        }
        trust.mark = hasher.finish();
        Ok(trust)
    }

    /// Makes a peer one with TLS, where the node with this name is expected.
    pub(super) fn apply(&self, peer: &mut HttpPeer) {
        let options = &mut peer.options;
        options.ca.clone_from(&self.authorities);
        // The daemons' own version. It also makes Pingora look at the options above.
        options.alpn = ALPN::H1;
        peer.client_cert_key.clone_from(&self.shown);
        peer.group_key = self.mark;
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field(
                "authorities",
                &self.authorities.as_ref().map(|all| all.len()),
            )
            .field("shown", &self.shown.is_some())
            .finish_non_exhaustive()
    }
}

/// A peer at an address, without timeouts yet; with the name in its certificate, where it is to be
/// reached by TLS.
pub(super) fn plain_or_secure(
    address: SocketAddr,
    server_name: Option<&str>,
    trust: &Trust,
) -> HttpPeer {
    // A socket address is never looked up, so this cannot block or fail.
    let Some(name) = server_name else {
        return HttpPeer::new(address, false, String::new());
    };
    let mut peer = HttpPeer::new(address, true, name.to_owned());
    trust.apply(&mut peer);
    peer
}
