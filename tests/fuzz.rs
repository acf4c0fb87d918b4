//! Do the targets of `fuzz/` hold for their corpus, and for what becomes of it by chance? The same
//! chance each time: what fails here fails everywhere.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

#[path = "../fuzz/targets.rs"]
mod targets;

use std::fs;
use std::path::Path;
use targets::{TARGETS, Target};

/// Changed inputs per file of a corpus.
const CHANGES: usize = 3000;
/// Longer ones are cut: what goes wrong goes wrong in few bytes.
const LONGEST: usize = 4096;
/// What is worth putting in.
const PIECES: [&[u8]; 24] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"0",
    b"ffffffffffffffff",
    b"%2e",
    b"%00",
    b"/../",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"HTTP/1.1",
    b"\xff\xfe",
    b"{",
    b"\"",
    b"\\u",
    b"[",
    b"-1",
    b"&a *a",
];

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    assert!(files.len() > 1, "{target} has a corpus");
    files
}

fn changed(bytes: &[u8], rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..rng.usize(1..6) {
        let at = rng.usize(0..=bytes.len());
        let end = (at + rng.usize(0..16)).min(bytes.len());
        match rng.u8(0..6) {
            0 => drop(bytes.drain(at..end)),
            1 => bytes.truncate(at),
            2 => drop(bytes.splice(at..at, PIECES[rng.usize(..PIECES.len())].iter().copied())),
            3 => {
                let again = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, again));
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << rng.u8(..8);
                }
            }
        }
    }
    bytes.truncate(LONGEST);
    bytes
}

fn hold((name, target): Target, changes: usize) {
    for (file, bytes) in corpus(name) {
        target(&bytes);
        let mut rng = fastrand::Rng::with_seed(42);
        for n in 0..changes {
            let bytes = changed(&bytes, &mut rng);
            let shown = String::from_utf8_lossy(&bytes).into_owned();
            let held = std::panic::catch_unwind(|| target(&bytes));
            assert!(held.is_ok(), "{name}: change {n} of {file}: {shown:?}");
        }
    }
}

#[test]
fn every_target_holds_for_its_corpus_and_what_becomes_of_it() {
    for target in TARGETS {
        // Reading YAML and telling problems with their lines takes a thousand times as long.
        hold(
            target,
            if target.0 == "config" {
                CHANGES / 20
            } else {
                CHANGES
            },
        );
    }
}

#[test]
fn every_target_has_a_driver_for_cargo_fuzz() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        let driver = fs::read_to_string(root.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(
            driver.contains(&format!("targets::{name}(bytes)")),
            "{name}"
        );
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
}
