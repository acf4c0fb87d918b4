//! The section `tls`.

use super::sections::{overlap, socket};
use crate::config::node_tls::NodeTls;
use crate::config::table::{Table, Value};
use crate::config::tls::{Certificate, ClientCertificates, Tls, Wanted};
use std::net::SocketAddr;
use std::path::PathBuf;

/// `own` are the other addresses on which the gateway listens.
pub(super) fn tls(section: &Table<'_>, own: &[SocketAddr]) -> Tls {
    let default = Tls::default();
    let tls = Tls {
        listen: section
            .value("listen")
            .map_or(default.listen, |value| listen(&value, own)),
        http2: section.or("http2", default.http2, Value::flag),
        certificates: section
            .value("certificates")
            .map_or_else(Vec::new, |value| {
                let items = value.list().unwrap_or_default();
                items.iter().filter_map(certificate).collect()
            }),
        client: client(&section.section("client")),
    };
    let (listen, certificates) = (section.path.key("listen"), section.path.key("certificates"));
    let findings = section.findings;
    if !findings.sound(&certificates) || !findings.sound(&listen) {
        return tls;
    }
    if !tls.listen.is_empty() && tls.certificates.is_empty() {
        let help =
            "write `certificates: [{ cert: /etc/twolane/tls.crt, key: /etc/twolane/tls.key }]`";
        findings.value(&listen, "no certificate to show there", help);
    }
    if tls.listen.is_empty() && !tls.certificates.is_empty() {
        let help = "write where clients connect with TLS: `listen: 0.0.0.0:5443`";
        findings.warning(&certificates, "shown nowhere", help);
    }
    tls
}

fn listen(value: &Value<'_>, own: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for item in value.one_or_list() {
        let Some(address) = socket(&item) else {
            continue;
        };
        let taken = |other: &SocketAddr| overlap(*other, address);
        if own.iter().any(taken) || addresses.contains(&address) {
            item.wrong(
                "the port of another listener as well",
                "take another one, such as 0.0.0.0:5443; `listen: []` closes the one without TLS",
            );
        }
        addresses.push(address);
    }
    addresses
}

fn certificate(value: &Value<'_>) -> Option<Certificate> {
    let table = value.table()?;
    let file = |key| {
        let written = table.value(key);
        if written.is_none() {
            table.lacks(key, "name its PEM file");
        }
        written.and_then(|value| file(&value))
    };
    // Both are read even when one is wrong: all problems at once.
    let (cert, key) = (file("cert"), file("key"));
    Some(Certificate {
        cert: cert?,
        key: key?,
    })
}

fn file(value: &Value<'_>) -> Option<PathBuf> {
    let text = value.text()?;
    if text.is_empty() {
        value.wrong("no file has an empty name", "name a PEM file");
        return None;
    }
    Some(PathBuf::from(text))
}

fn client(section: &Table<'_>) -> ClientCertificates {
    let client = ClientCertificates {
        wanted: section.or("certificate", Wanted::Off, |value| {
            value.word("rule", &Wanted::WORDS)
        }),
        ca: section.value("ca").and_then(|value| file(&value)),
    };
    let ca = section.path.key("ca");
    if client.wanted != Wanted::Off && client.ca.is_none() && section.findings.sound(&ca) {
        let place = section.path.key("certificate");
        section.findings.value(
            &place,
            "no authority is named by which to know them",
            "write `ca: /etc/twolane/clients.pem`",
        );
    }
    if client.wanted == Wanted::Off && client.ca.is_some() {
        let help = "write `certificate: required`, or leave `ca` out";
        section
            .findings
            .warning(&ca, "nobody is asked for a certificate", help);
    }
    client
}

pub(super) fn node_tls(section: &Table<'_>) -> NodeTls {
    let named = |key| section.value(key).and_then(|value| file(&value));
    let (ca, cert, key) = (named("ca"), named("cert"), named("key"));
    let shown = match (cert, key) {
        (Some(cert), Some(key)) => Some(Certificate { cert, key }),
        (None, None) => None,
        (cert, _) => {
            let lacking = if cert.is_some() { "key" } else { "cert" };
            section.lacks(lacking, "a certificate and its key go together");
            None
        }
    };
    NodeTls { ca, shown }
}
