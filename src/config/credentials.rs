//! Are a certificate, its key, and the authorities in PEM files what they should be?

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate and its key that belong together.
#[derive(Clone, Debug)]
pub struct Identity {
    /// As it is shown: the certificate, those behind it, and what signs with the key.
    pub shown: Arc<CertifiedKey>,
    /// The key as it was read.
    pub key: Arc<PrivateKeyDer<'static>>,
    /// The names and addresses that it is for, in small letters; `*.` at their begin is any label.
    pub names: Vec<String>,
    /// The number that its authority gave it, in hexadecimal digits.
    pub serial: String,
    /// When it ends.
    pub ends: SystemTime,
}

/// Why a file cannot be used. It shows nothing of what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// The file.
    pub file: String,
    /// Whether that is the file of the key.
    pub is_key: bool,
    /// What is wrong.
    pub what: String,
    /// The cure.
    pub help: &'static str,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.file, self.what, self.help)
    }
}

impl std::error::Error for Unusable {}

const UNREADABLE: &str = "is the path right, and may this user read it?";
const CERTIFICATE: &str =
    "it begins with -----BEGIN CERTIFICATE-----; the server's own comes first, then its issuers";
const KEY: &str = "it begins with -----BEGIN PRIVATE KEY-----; are certificate and key swapped?";
const PASSPHRASE: &str =
    "take the passphrase off: openssl pkey -in KEY -out NEW, and guard the file";
const KIND: &str = "take an RSA key of 2048 to 8192 bits, ECDSA P-256 or P-384, or Ed25519";
const PAIR: &str =
    "take the certificate that was issued for this key, or the key it was issued for";
const ORDER: &str = "put the certificate of this key first in the file";

impl Identity {
    /// Reads a certificate with its chain and the key, and sees whether they belong together.
    ///
    /// # Errors
    /// When a file cannot be read or holds something else, and when key and certificate differ.
    pub fn read(cert: &Path, key: &Path) -> Result<Self, Unusable> {
        let chain = certificates(cert)?;
        let secret = private_key(key)?;
        let wrong = |what: &str, help| unusable(key, true, what.to_owned(), help);
        let kept = Arc::new(secret.clone_key());
        let paired = CertifiedKey::from_der(chain.clone(), secret, &default_provider());
        let shown = paired.map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                if belongs_further_down(&chain, &kept) {
                    let what = "the certificate of the key is not the first".to_owned();
                    return unusable(cert, false, what, ORDER);
                }
                let what = format!("does not belong to the certificate in {}", cert.display());
                wrong(&what, PAIR)
            }
            Error::General(_) => wrong("a key of a kind that is not supported", KIND),
            other => unusable(cert, false, other.to_string(), CERTIFICATE),
        })?;
        let parsed = X509Certificate::from_der(&chain[0]);
        let Ok((_, leaf)) = parsed else {
            let what = "no certificate of X.509, version 3".to_owned();
            return Err(unusable(cert, false, what, CERTIFICATE));
        };
        let ends = u64::try_from(leaf.validity().not_after.timestamp()).unwrap_or(0);
        Ok(Self {
            shown: Arc::new(shown),
            key: kept,
            names: names(&leaf),
            serial: leaf.raw_serial_as_string().replace(':', ""),
            ends: SystemTime::UNIX_EPOCH + Duration::from_secs(ends),
        })
    }
}

/// The authorities in a file.
///
/// # Errors
/// When it cannot be read, or one of them is none.
pub fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let found = certificates(file)?;
    let mut store = RootCertStore::empty();
    for each in &found {
        let broken = |error: Error| unusable(file, false, error.to_string(), CERTIFICATE);
        store.add(each.clone()).map_err(broken)?;
    }
    Ok(found)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let text = read(file, false)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found)
            if found
                .iter()
                .any(|each| X509Certificate::from_der(each).is_err()) =>
        {
            let what = "what stands there is no certificate of X.509, version 3".to_owned();
            Err(unusable(file, false, what, CERTIFICATE))
        }
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => {
            let what = "no certificate in it".to_owned();
            Err(unusable(file, false, what, CERTIFICATE))
        }
        Err(error) => Err(unusable(file, false, error.to_string(), CERTIFICATE)),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, Unusable> {
    let text = read(file, true)?;
    let locked = text
        .windows(21)
        .any(|window| window == b"ENCRYPTED PRIVATE KEY" || window == b"Proc-Type: 4,ENCRYPTE");
    if locked {
        let what = "the key is locked with a passphrase".to_owned();
        return Err(unusable(file, true, what, PASSPHRASE));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => unusable(file, true, "no private key in it".to_owned(), KEY),
        // Of what is broken nothing is shown: it may be most of a key.
        _ => unusable(file, true, "not PEM, or broken off".to_owned(), KEY),
    })
}

fn read(file: &Path, is_key: bool) -> Result<Vec<u8>, Unusable> {
    std::fs::read(file).map_err(|error| {
        let what = format!("cannot be read: {error}");
        unusable(file, is_key, what, UNREADABLE)
    })
}

fn unusable(file: &Path, is_key: bool, what: String, help: &'static str) -> Unusable {
    Unusable {
        file: file.display().to_string(),
        is_key,
        what,
        help,
    }
}

/// A chain in the wrong order is the commonest mistake after a wrong path.
fn belongs_further_down(chain: &[CertificateDer<'static>], key: &PrivateKeyDer<'static>) -> bool {
    chain.iter().skip(1).any(|each| {
        let alone = vec![each.clone()];
        CertifiedKey::from_der(alone, key.clone_key(), &default_provider()).is_ok()
    })
}

/// RFC 6125: what the certificate is for stands in its alternative names, and nowhere else.
fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternatives)) = leaf.subject_alternative_name() else {
        return Vec::new();
    };
    let names = alternatives.value.general_names.iter();
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    names.filter_map(name).collect()
}
