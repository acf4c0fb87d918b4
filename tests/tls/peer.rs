//! A client with TLS: what it trusts, what it shows, what it sees.
#![allow(dead_code, reason = "another test binary uses a part of it")]

use crate::support::pki::{Pair, Pki};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// One client; its connections may resume each other's sessions.
#[derive(Clone)]
pub(crate) struct Peer(TlsConnector);

pub(crate) fn certificates(file: &Path) -> Vec<CertificateDer<'static>> {
    let found = CertificateDer::pem_file_iter(file).unwrap();
    found.map(Result::unwrap).collect()
}

impl Peer {
    /// Trusts the authority, shows nothing, and speaks HTTP/1.1.
    pub(crate) fn new(pki: &Pki) -> Self {
        Self::of(pki, None, &["http/1.1"])
    }

    /// Shows a certificate.
    pub(crate) fn showing(pki: &Pki, pair: &Pair) -> Self {
        Self::of(pki, Some(pair), &["http/1.1"])
    }

    /// What it offers to speak, best first.
    pub(crate) fn speaking(pki: &Pki, protocols: &[&str]) -> Self {
        Self::of(pki, None, protocols)
    }

    fn of(pki: &Pki, pair: Option<&Pair>, protocols: &[&str]) -> Self {
        let mut roots = RootCertStore::empty();
        for authority in certificates(&pki.ca()) {
            roots.add(authority).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match pair {
            None => builder.with_no_client_auth(),
            Some(pair) => builder
                .with_client_auth_cert(
                    certificates(&pair.cert),
                    PrivateKeyDer::from_pem_file(&pair.key).unwrap(),
                )
                .unwrap(),
        };
        let protocols = protocols.iter().map(|word| word.as_bytes().to_vec());
        config.alpn_protocols = protocols.collect();
        Self(TlsConnector::from(Arc::new(config)))
    }

    /// A connection to `to`, by this name.
    pub(crate) async fn connect(
        &self,
        to: SocketAddr,
        name: &str,
    ) -> io::Result<TlsStream<TcpStream>> {
        self.begin(TcpStream::connect(to).await?, name).await
    }

    /// TLS on a connection that is there.
    pub(crate) async fn begin(
        &self,
        stream: TcpStream,
        name: &str,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        self.0.connect(name, stream).await
    }

    /// One GET on a connection of its own: the whole answer, as text.
    pub(crate) async fn get(&self, to: SocketAddr, name: &str, path: &str) -> io::Result<String> {
        let mut stream = self.connect(to, name).await?;
        ask(&mut stream, name, path).await
    }

    /// The certificate that is shown under a name.
    pub(crate) async fn shown(&self, to: SocketAddr, name: &str) -> CertificateDer<'static> {
        let stream = self.connect(to, name).await.unwrap();
        certificate_of(&stream)
    }
}

/// The server's own certificate.
pub(crate) fn certificate_of(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    let (_, session) = stream.get_ref();
    session.peer_certificates().unwrap()[0].clone().into_owned()
}

/// One GET on this connection, the last one: the whole answer, as text.
pub(crate) async fn ask(
    stream: &mut TlsStream<TcpStream>,
    host: &str,
    path: &str,
) -> io::Result<String> {
    let text = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await?;
    let mut answer = String::new();
    match stream.read_to_string(&mut answer).await {
        Ok(_) => Ok(answer),
        // A server may close without a farewell once it has said all.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !answer.is_empty() => {
            Ok(answer)
        }
        Err(error) => Err(error),
    }
}
