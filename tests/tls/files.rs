//! What is wrong with a certificate or a key, and what is said about it.

use crate::clients::section;
use crate::support::pki::{Pair, Pki, openssl};
use crate::support::program::{command, errors, output, said};
use std::fs;
use std::path::PathBuf;
use twolane::config::{self, Loaded, Problems};
use twolane::server::known;

/// What the loader says about these files.
fn load(pki: &Pki, pairs: &[&Pair], more: &str) -> Result<Loaded, Problems> {
    let file = pki.folder().join("twolane.yaml");
    let text = format!("nodes: [10.0.0.11:5002]\n{}", section(pairs, more));
    fs::write(&file, text.replace("127.0.0.1:0", "127.0.0.1:5443")).unwrap();
    config::load_file(&file, &known())
}

fn write(pki: &Pki, name: &str, content: &[u8]) -> PathBuf {
    let file = pki.folder().join(name);
    fs::write(&file, content).unwrap();
    file
}

/// Certificate, key, which of them is refused, and what is said.
const MISTAKES: &str = "
    good.pem   | other.key  | key  | does not belong to the certificate in
    good.key   | good.pem   | cert | no certificate in it
    good.pem   | good.pem   | key  | are certificate and key swapped?
    good.pem   | locked.key | key  | locked with a passphrase
    good.pem   | old.key    | key  | openssl pkey -in KEY
    good.pem   | kind.key   | key  | ECDSA P-256
    good.pem   | half.key   | key  | broken off
    good.pem   | none.key   | key  | is the path right
    none.pem   | good.key   | cert | cannot be read
    turned.pem | good.key   | cert | put the certificate of this key first
    broken.pem | good.key   | cert | -----BEGIN CERTIFICATE-----
    empty.pem  | good.key   | cert | no certificate in it
";
const BROKEN: &[u8] = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

/// The files that the mistakes are made with.
fn spoil(pki: &Pki, good: &Pair) {
    let lock = |how: &str, to: &str| {
        let more = [
            "-in",
            "good.key",
            "-aes128",
            "-passout",
            "pass:hunter2",
            "-out",
        ];
        openssl(pki.folder(), &[&[how], &more[..], &[to]].concat());
    };
    lock("ec", "old.key");
    lock("pkey", "locked.key");
    let kind = ["genpkey", "-algorithm", "X25519", "-out", "kind.key"];
    openssl(pki.folder(), &kind);
    let (cert, key) = (fs::read(&good.cert).unwrap(), fs::read(&good.key).unwrap());
    let turned = [fs::read(pki.ca()).unwrap(), cert].concat();
    write(pki, "turned.pem", &turned);
    write(pki, "broken.pem", BROKEN);
    write(pki, "empty.pem", b"");
    write(pki, "half.key", &key[..key.len() / 2]);
}

#[test]
fn every_mistake_with_a_file_is_refused_with_the_file_and_the_cure() {
    let pki = Pki::new();
    let (good, other) = (pki.issue("good", "DNS:a"), pki.issue("other", "DNS:b"));
    load(&pki, &[&good, &other], "").expect("these are good");
    spoil(&pki, &good);
    let secret = fs::read_to_string(&good.key).unwrap();
    let secret = secret.lines().nth(1).unwrap();
    for row in MISTAKES.trim().lines() {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [cert, key, refused, what] = cells[..] else {
            panic!("four cells in {row}");
        };
        let pair = Pair {
            cert: pki.folder().join(cert),
            key: pki.folder().join(key),
        };
        let problems = load(&pki, &[&good, &pair], "").expect_err(row);
        let [problem] = problems.list.as_slice() else {
            panic!("one problem, not these: {problems}");
        };
        let text = problem.to_string();
        assert_eq!(
            problem.at,
            format!("tls.certificates[1].{refused}"),
            "{text}"
        );
        assert_eq!(problem.line, 6, "{text}");
        let file = if refused == "key" { key } else { cert };
        assert!(text.contains(file) && text.contains(what), "{row}: {text}");
        assert!(problem.help.is_some(), "{text}");
        assert!(
            !problems.render().contains(secret),
            "nothing of a key is shown"
        );
    }
}

#[test]
fn authorities_are_read_too() {
    let pki = Pki::new();
    let good = pki.issue("good", "DNS:a");
    let client = |ca: &str| format!("  client: {{ certificate: required, ca: {ca} }}\n");
    load(&pki, &[&good], &client(&pki.ca().display().to_string())).expect("it is good");
    for (ca, what) in [
        (pki.folder().join("none.pem"), "cannot be read"),
        (good.key.clone(), "no certificate in it"),
        (
            write(
                &pki,
                "b.pem",
                b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            ),
            "b.pem",
        ),
    ] {
        let problems = load(&pki, &[&good], &client(&ca.display().to_string())).unwrap_err();
        assert_eq!(problems.list[0].at, "tls.client.ca");
        assert!(problems.to_string().contains(what), "{problems}");
    }
}

#[test]
fn what_works_and_is_probably_not_meant_is_a_warning() {
    let pki = Pki::new();
    let ended = pki.issue_for("ended", "DNS:a", -1);
    let soon = pki.issue_for("soon", "DNS:b", 3);
    let twice = pki.issue("twice", "DNS:b,DNS:c");
    let loaded = load(&pki, &[&ended, &soon, &twice], "").expect("it works");
    let warnings = loaded.warnings.to_string();
    for word in [
        "the certificate ended on",
        "the certificate ends on",
        "for b the one at tls.certificates[1] is shown",
    ] {
        assert!(warnings.contains(word), "{word} in {warnings}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_refuses_a_pair_that_does_not_fit() {
    let pki = Pki::new();
    let (good, other) = (pki.issue("good", "DNS:a"), pki.issue("other", "DNS:b"));
    load(&pki, &[&good], "").expect("it is good");
    let check = || command(pki.folder(), &["check", "--config", "twolane.yaml"]);
    assert_eq!(output(check()).await.status.code(), Some(0));
    fs::copy(&other.key, &good.key).unwrap();
    let refused = output(check()).await;
    assert_eq!(refused.status.code(), Some(78), "{}", said(&refused));
    let text = errors(&refused);
    for word in ["does not belong to", "good.key", "twolane.yaml:5"] {
        assert!(text.contains(word), "{word} in {text}");
    }
}
