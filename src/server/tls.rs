//! Which certificate does a client see, and must it show one?
//!
//! One [`ServerConfig`] holds for all connections that begin now. A reload makes another: whoever is
//! connected stays so, and nobody resumes a session of the old one, which might have begun without
//! the certificate that is wanted since.

use crate::config::{ClientCertificates, Identity, Tls, Wanted, authorities};
use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use rustls::crypto::ring::default_provider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{Error, RootCertStore, ServerConfig};
use std::collections::HashMap;
use std::sync::Arc;

/// What the listeners with TLS show and want; nothing while there are no certificates.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    current: ArcSwapOption<ServerConfig>,
    serials: Mutex<Vec<String>>,
}

/// What was read from the files, to be taken or thrown away.
#[derive(Default)]
pub(super) struct Prepared {
    config: Option<ServerConfig>,
    serials: Vec<String>,
}

impl Credentials {
    /// What holds for a connection that begins now.
    pub(super) fn current(&self) -> Option<Arc<ServerConfig>> {
        self.current.load_full()
    }

    /// Takes what was prepared, from the next connection on; tells which certificates are others.
    pub(super) fn take(&self, prepared: Prepared) -> Vec<String> {
        self.current.store(prepared.config.map(Arc::new));
        let mut serials = self.serials.lock();
        let before = std::mem::replace(&mut *serials, prepared.serials);
        let pairs = before.iter().zip(serials.iter()).enumerate();
        pairs
            .filter(|(_, (before, now))| before != now)
            .map(|(at, (before, now))| format!("tls.certificates.{at}: serial {before} -> {now}"))
            .collect()
    }
}

/// Reads the files; nothing is changed by it.
///
/// # Errors
/// The file that is wrong, and the cure.
pub(super) fn prepare(tls: &Tls) -> Result<Prepared, String> {
    if tls.certificates.is_empty() {
        return Ok(Prepared::default());
    }
    let identities = tls
        .certificates
        .iter()
        .map(|pair| Identity::read(&pair.cert, &pair.key))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|bad| bad.to_string())?;
    let broken = |error: Error| error.to_string();
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(broken)?;
    let builder = match verifier(&tls.client)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(Shown::new(&identities)));
    if tls.http2 {
        config.alpn_protocols.push(b"h2".to_vec());
    }
    config.alpn_protocols.push(b"http/1.1".to_vec());
    Ok(Prepared {
        config: Some(config),
        serials: identities.into_iter().map(|each| each.serial).collect(),
    })
}

/// Who looks at clients' certificates, if somebody does.
fn verifier(client: &ClientCertificates) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    let (Some(ca), Wanted::Optional | Wanted::Required) = (&client.ca, client.wanted) else {
        return Ok(None);
    };
    let mut roots = RootCertStore::empty();
    for authority in authorities(ca).map_err(|bad| bad.to_string())? {
        roots.add(authority).map_err(|error| error.to_string())?;
    }
    let provider = Arc::new(default_provider());
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    if client.wanted == Wanted::Optional {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map(Some).map_err(|error| error.to_string())
}

/// Certificates by the names that they are for.
#[derive(Debug)]
struct Shown {
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By what follows `*.`.
    wild: HashMap<String, Arc<CertifiedKey>>,
    /// To whoever asks for no name, or for one that nobody has: most clients then say what is
    /// wrong better than a broken handshake does.
    first: Option<Arc<CertifiedKey>>,
}

impl Shown {
    fn new(identities: &[Identity]) -> Self {
        let (mut exact, mut wild) = (HashMap::new(), HashMap::new());
        for identity in identities {
            for name in &identity.names {
                let (table, name) = match name.strip_prefix("*.") {
                    Some(rest) => (&mut wild, rest),
                    None => (&mut exact, name.as_str()),
                };
                // The first in the file counts; the check has said so.
                table
                    .entry(name.to_owned())
                    .or_insert_with(|| Arc::clone(&identity.shown));
            }
        }
        let first = identities.first();
        Self {
            exact,
            wild,
            first: first.map(|identity| Arc::clone(&identity.shown)),
        }
    }

    fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        // RFC 6125: a wildcard stands for one label.
        let wild = || self.wild.get(name.split_once('.')?.1);
        self.exact.get(&name).or_else(wild)
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.find(name));
        named.or(self.first.as_ref()).cloned()
    }
}
