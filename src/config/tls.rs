//! How do clients connect with TLS? The section `tls`.

use super::print::{list, path, table, text};
use super::tree::Tree;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The listeners with TLS; none of it matters without an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Where clients connect with TLS; empty = nowhere.
    pub listen: Vec<SocketAddr>,
    /// True: HTTP/2 is offered beside HTTP/1.1.
    pub http2: bool,
    /// Which certificates are shown; the first to whoever asks for no name that is known.
    pub certificates: Vec<Certificate>,
    /// Whether clients show certificates.
    pub client: ClientCertificates,
}

/// A certificate and its key, in PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate, and behind it those it leads to the authority by.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Whether clients show certificates, and whose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificates {
    /// Whether they are asked.
    pub wanted: Wanted,
    /// A PEM file with the authorities that a client's certificate must lead to.
    pub ca: Option<PathBuf>,
}

/// Whether clients are asked for certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// They are not.
    #[default]
    Off,
    /// They are, and may have none; one that is wrong ends the connection.
    Optional,
    /// Without one there is no connection.
    Required,
}

impl Wanted {
    /// Every one, by its word in the configuration.
    pub const WORDS: [(&'static str, Self); 3] = [
        ("off", Self::Off),
        ("optional", Self::Optional),
        ("required", Self::Required),
    ];
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            // The daemon's own port speaks plain HTTP, and so does Dify to it.
            listen: Vec::new(),
            http2: true,
            certificates: Vec::new(),
            client: ClientCertificates::default(),
        }
    }
}

impl Tls {
    /// The files that it is read from.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let pairs = self.certificates.iter();
        let pairs = pairs.flat_map(|pair| [&pair.cert, &pair.key]);
        pairs.chain(&self.client.ca)
    }

    /// How an operator would write it, with every key.
    pub(super) fn tree(&self) -> Tree {
        let ClientCertificates { wanted, ca } = &self.client;
        let word = Wanted::WORDS.iter().find(|(_, each)| each == wanted);
        let certificate = |pair: &Certificate| {
            table([
                ("cert", text(pair.cert.display())),
                ("key", text(pair.key.display())),
            ])
        };
        table([
            ("listen", list(&self.listen, |address| text(address))),
            ("http2", Tree::Flag(self.http2)),
            ("certificates", list(&self.certificates, certificate)),
            (
                "client",
                table([
                    (
                        "certificate",
                        word.map_or(Tree::Null, |(word, _)| text(word)),
                    ),
                    ("ca", path(ca.as_ref())),
                ]),
            ),
        ])
    }
}
