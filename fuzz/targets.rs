//! What must hold for any bytes at all? One function for each reader of bytes that strangers write.
//!
//! `fuzz_targets/` hands them what libFuzzer finds (`cargo +nightly fuzz run head`); `tests/fuzz.rs`
//! hands them the corpus and changes of it, with every `cargo test`.

use twolane::admit::wire::{self, Fault, Framing, Head, HeadRules};
use twolane::admit::{Arrival, admit};
use twolane::config::{self, Loops};
use twolane::dify::Peek;
use twolane::dify::user::{Body, in_cookies, in_query};
use twolane::share::Record;

/// A target's name and what it does with bytes.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// Every target.
pub(crate) const TARGETS: [Target; 7] = [
    ("config", config),
    ("head", head),
    ("body", body),
    ("peek", peek),
    ("record", record),
    ("path", path),
    ("user", user),
];

/// A file is a configuration or a list of problems with their places.
pub(crate) fn config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let known = twolane::server::known();
    match config::load(&text, "fuzz.yaml", &known, &|_| None) {
        Ok(config) => {
            let printed = config::masked(&config);
            assert!(!printed.is_empty());
        }
        Err(problems) => assert!(!problems.to_string().is_empty()),
    }
}

const RULES: HeadRules = HeadRules {
    bytes: 2048,
    fields: 16,
    target: 512,
};

fn read_head(bytes: &[u8], cut: usize) -> Result<Option<(usize, Framing)>, Fault> {
    let mut head = Head::default();
    let mut end = head.read(&bytes[..cut], &RULES)?;
    if end.is_none() {
        end = head.read(bytes, &RULES)?;
    }
    Ok(end.map(|end| (end, head.framing())))
}

/// Where a head is cut changes nothing, and one that passes has one framing and clean lines.
pub(crate) fn head(bytes: &[u8]) {
    let cut = bytes
        .first()
        .map_or(0, |byte| usize::from(*byte) % (bytes.len() + 1));
    let whole = read_head(bytes, 0);
    let cut = read_head(bytes, cut);
    assert_eq!(whole.is_ok(), cut.is_ok());
    let Ok(Some((end, framing))) = whole else {
        return;
    };
    assert_eq!(cut, Ok(Some((end, framing))));
    let text = bytes[..end].to_ascii_lowercase();
    let lines: Vec<_> = text.split(|byte| *byte == b'\n').collect();
    let fields = &lines[..lines.len() - 1];
    assert!(fields.iter().all(|line| line.ends_with(b"\r")));
    let count = |name: &[u8]| fields.iter().filter(|line| line.starts_with(name)).count();
    let (lengths, codings) = (count(b"content-length:"), count(b"transfer-encoding:"));
    assert!(lengths + codings <= 1);
    assert_eq!(framing == Framing::Chunked, codings == 1);
    assert!(count(b"host:") <= 1);
}

fn read_body(bytes: &[u8], cut: usize) -> Result<(usize, bool), Fault> {
    let mut body = wire::Body::of(Framing::Chunked);
    let mut read = body.feed(&bytes[..cut])?;
    if read == cut {
        read += body.feed(&bytes[cut..])?;
    }
    Ok((read, body.is_done()))
}

/// Where chunks are cut changes nothing, and what follows the last one is left alone.
pub(crate) fn body(bytes: &[u8]) {
    let cut = bytes
        .first()
        .map_or(0, |byte| usize::from(*byte) % (bytes.len() + 1));
    let whole = read_body(bytes, 0);
    assert_eq!(whole, read_body(bytes, cut));
    if let Ok((read, done)) = whole {
        assert!(read <= bytes.len() && (done || read == bytes.len()));
    }
}

/// Where a body is cut does not change what it names, and a name is short.
pub(crate) fn peek(bytes: &[u8]) {
    let cut = bytes
        .first()
        .map_or(0, |byte| usize::from(*byte) % (bytes.len() + 1));
    let (mut whole, mut pieces) = (Peek::new(), Peek::new());
    whole.feed(bytes);
    if pieces.feed(&bytes[..cut]) {
        pieces.feed(&bytes[cut..]);
    }
    assert_eq!(whole.item(), pieces.item());
    assert!(whole.item().is_none_or(|item| item.len() <= 1024));
}

/// What was read of Redis is written as it is read.
pub(crate) fn record(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(record) = Record::from_text(&text) {
        let _ = record.count();
        assert_eq!(Record::from_text(&record.to_text()), Some(record));
    }
}

/// A path that passes has no segment that leads elsewhere.
pub(crate) fn path(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let arrival = Arrival {
        method: "GET",
        path: &text,
        headers: &Default::default(),
    };
    let loops = Loops {
        marks: true,
        max_hops: 3,
    };
    if admit(&arrival, "twolane-1", 1, &loops).is_ok() {
        let lower = text.to_ascii_lowercase();
        let dots = lower.replace("%2e", ".");
        assert!(
            !dots
                .split('/')
                .skip(1)
                .any(|segment| segment == "." || segment == "..")
        );
        assert!(!lower.contains("%00") && !lower.contains("%0d") && !lower.contains("%0a"));
    }
}

/// A user's id that is found in the beginning of a body is the one of the whole body, and is no empty
/// text.
pub(crate) fn user(bytes: &[u8]) {
    let cut = bytes
        .first()
        .map_or(0, |byte| usize::from(*byte) % (bytes.len() + 1));
    for body in [Body::Json, Body::Form, Body::Parts("X".to_owned())] {
        let whole = body.id(bytes, "user", true);
        let early = body.id(&bytes[..cut], "user", false);
        assert!(early.is_none() || early == whole, "{body:?}");
        assert_ne!(whole.as_deref(), Some(""), "{body:?}");
    }
    let text = String::from_utf8_lossy(bytes);
    for id in [in_query(&text, "user"), in_cookies(&text, "user")] {
        assert_ne!(id.as_deref(), Some(""));
    }
    let _ = Body::announced(&text);
}
