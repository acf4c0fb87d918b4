//! Do the files that a configuration names hold what they should?

use super::credentials::{Identity, Unusable, authorities};
use super::finding::Findings;
use super::sections::Config;
use super::tree::Path;
use crate::model::clock;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::time::Duration;

/// Two weeks before its end a certificate should have been replaced: most are renewed a month before.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// Reads the certificates, keys and authorities, and notes what is wrong with them.
pub(super) fn verify(config: &Config, findings: &Findings) {
    let place = Path::default().key("tls");
    let mut known: HashMap<String, usize> = HashMap::new();
    for (at, pair) in config.tls.certificates.iter().enumerate() {
        let place = place.key("certificates").index(at);
        let Some(identity) = identity((&pair.cert, &pair.key), &place, findings) else {
            continue;
        };
        for name in identity.names {
            let first = *known.entry(name.clone()).or_insert(at);
            if first != at {
                findings.warning(
                    &place.key("cert"),
                    format!("for {name} the one at tls.certificates[{first}] is shown"),
                    "each name is served by one certificate: remove one of the two",
                );
            }
        }
    }
    let place_of_nodes = Path::default().key("node_tls");
    if let Some(pair) = &config.node_tls.shown {
        identity((&pair.cert, &pair.key), &place_of_nodes, findings);
    }
    if let Some(ca) = &config.node_tls.ca {
        note(authorities(ca), &place_of_nodes.key("ca"), findings);
    }
    if let Some(ca) = &config.tls.client.ca {
        note(authorities(ca), &place.key("client").key("ca"), findings);
    }
}

fn identity(
    (cert, key): (&std::path::Path, &std::path::Path),
    place: &Path,
    findings: &Findings,
) -> Option<Identity> {
    match Identity::read(cert, key) {
        Ok(identity) => {
            expiring(&identity, &place.key("cert"), findings);
            Some(identity)
        }
        Err(bad) => {
            let place = place.key(if bad.is_key { "key" } else { "cert" });
            note::<()>(Err(bad), &place, findings);
            None
        }
    }
}

fn note<T>(read: Result<T, Unusable>, place: &Path, findings: &Findings) {
    if let Err(bad) = read {
        findings.value(place, format!("{}: {}", bad.file, bad.what), bad.help);
    }
}

/// Not refused: the machine's clock may be what is wrong, and the old one may have ended too.
fn expiring(identity: &Identity, place: &Path, findings: &Findings) {
    let now = clock::wall();
    if identity.ends > now + SOON {
        return;
    }
    let end = humantime::format_rfc3339_seconds(identity.ends);
    let what = if identity.ends > now {
        format!("the certificate ends on {end}")
    } else {
        format!("the certificate ended on {end}: clients will refuse it")
    };
    findings.warning(
        place,
        what,
        "renew it; the file is read again when it changes",
    );
}

/// Tells whether one of these files changed since; a file that cannot be read is like none.
pub(super) fn hash<'a>(files: impl Iterator<Item = &'a PathBuf>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in files {
        std::fs::read(file).ok().hash(&mut hasher);
    }
    hasher.finish()
}
