//! What is a head, what is a body, and does it matter in which pieces they come?

use super::*;
use crate::model::clock;
use crate::model::rejection::Reason;
use proptest::prelude::*;
use std::time::Duration;

const RULES: HeadRules = HeadRules {
    bytes: 4096,
    fields: 16,
    target: 1024,
};

fn head(text: &[u8]) -> Result<Option<(usize, Framing)>, Reason> {
    let mut head = Head::default();
    let end = head.read(text, &RULES).map_err(|fault| fault.reason)?;
    Ok(end.map(|end| (end, head.framing())))
}

fn with(fields: &str) -> Result<Framing, Reason> {
    let text = format!("POST /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    Ok(head(text.as_bytes())?.expect("it is complete").1)
}

fn line(line: &str) -> Option<Reason> {
    head(format!("{line}\r\nHost: a\r\n\r\n").as_bytes()).err()
}

#[test]
fn a_plain_head_is_read_and_its_body_is_known() {
    assert_eq!(with(""), Ok(Framing::None));
    assert_eq!(with("Content-Length: 0\r\n"), Ok(Framing::None));
    assert_eq!(with("content-length:  17 \r\n"), Ok(Framing::Length(17)));
    assert_eq!(with("Transfer-Encoding: Chunked\r\n"), Ok(Framing::Chunked));
    assert_eq!(with("X-Empty:\r\nX-Latin: \u{e9}\r\n"), Ok(Framing::None));
    for target in ["/", "/a?b=%20", "http://a/x", "HTTPS://A", "http://a?q"] {
        assert_eq!(line(&format!("GET {target} HTTP/1.1")), None, "{target}");
    }
    assert_eq!(line("OPTIONS * HTTP/1.1"), None);
}

#[test]
fn framing_that_can_be_read_in_two_ways_is_refused() {
    for fields in [
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 1\r\nContent-Length: 1\r\n",
        "Content-Length: 1, 1\r\n",
        "Content-Length: +1\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x1\r\n",
        "Content-Length: 1 1\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length:\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: cow\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "A: b\nC: d\r\n",
    ] {
        assert_eq!(with(fields), Err(Reason::BadFraming), "{fields:?}");
    }
    let old = b"POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(head(old), Err(Reason::BadFraming));
    let gzip = with("Transfer-Encoding: gzip, chunked\r\n");
    assert_eq!(gzip, Err(Reason::CodingUnknown));
}

#[test]
fn fields_that_are_none_are_refused() {
    for fields in [
        "A: b\r\n c\r\n",
        "A : b\r\n",
        "A\r\n",
        ": b\r\n",
        "A\0: b\r\n",
        "A: b\0c\r\n",
        "A: b\rc\r\n",
        "A\u{e9}: b\r\n",
        "A: \u{7f}\r\n",
        "Host: a\r\n",
        "A b: c\r\n",
    ] {
        assert_eq!(with(fields), Err(Reason::BadRequest), "{fields:?}");
    }
    for host in [
        "", "a b", "a, b", "a/x", "u@a", "a:", "a:0", "a:65536", "a:b", "a:1:2", "[::1", "[x]",
        "a?b",
    ] {
        let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(head(text.as_bytes()), Err(Reason::BadRequest), "{host:?}");
    }
    for host in [
        "a",
        "a.b:80",
        "plugin_daemon:5002",
        "127.0.0.1:5002",
        "[::1]:80",
        "[::1]",
    ] {
        let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert!(head(text.as_bytes()).is_ok(), "{host:?}");
    }
    assert_eq!(head(b"GET / HTTP/1.1\r\n\r\n"), Err(Reason::BadRequest));
    assert!(head(b"GET / HTTP/1.0\r\n\r\n").is_ok());
}

#[test]
fn first_lines_that_are_none_are_refused() {
    for (text, reason) in [
        ("GET /", Reason::BadRequest),
        ("GET / HTTP/2.0", Reason::VersionUnknown),
        ("GET / HTTP/1.2", Reason::VersionUnknown),
        ("GET / HTTP/11", Reason::BadRequest),
        ("GET / http/1.1", Reason::BadRequest),
        ("GET  / HTTP/1.1", Reason::BadRequest),
        ("GET / HTTP/1.1 ", Reason::BadRequest),
        ("GET\t/ HTTP/1.1", Reason::BadRequest),
        (" GET / HTTP/1.1", Reason::BadRequest),
        ("G\0T / HTTP/1.1", Reason::BadRequest),
        ("GET /\0 HTTP/1.1", Reason::BadPath),
        ("GET /\u{e9} HTTP/1.1", Reason::BadPath),
        ("GET /a#b HTTP/1.1", Reason::BadPath),
        ("GET x HTTP/1.1", Reason::BadRequest),
        ("GET * HTTP/1.1", Reason::BadRequest),
        ("GET a:80 HTTP/1.1", Reason::BadRequest),
        ("GET ftp://a/ HTTP/1.1", Reason::BadRequest),
        ("GET http://b/ HTTP/1.1", Reason::BadRequest),
        ("GET http://u@a/ HTTP/1.1", Reason::BadRequest),
        ("PRI * HTTP/2.0", Reason::VersionUnknown),
        ("CONNECT a:80 HTTP/1.1", Reason::MethodNotAllowed),
        ("TRACE / HTTP/1.1", Reason::MethodNotAllowed),
        ("ABCDEFGHIJKLMNOPQ / HTTP/1.1", Reason::BadRequest),
    ] {
        assert_eq!(line(text), Some(reason), "{text:?}");
    }
}

#[test]
fn what_is_too_large_is_refused_before_it_is_complete() {
    let long = "x".repeat(5000);
    let cases = [
        (format!("GET /{long}"), Reason::TargetTooLong),
        (long.clone(), Reason::BadRequest),
        (format!("GET / HTTP/1.1\r\nA: {long}"), Reason::HeadTooLarge),
        (
            format!("GET / HTTP/1.1\r\n{}", "A: b\r\n".repeat(17)),
            Reason::HeadTooLarge,
        ),
    ];
    for (text, reason) in cases {
        assert_eq!(head(text.as_bytes()), Err(reason), "{}", &text[..20]);
    }
}

fn body(framing: Framing, bytes: &[u8]) -> Result<(usize, bool), Fault> {
    let mut body = Body::of(framing);
    let read = body.feed(bytes)?;
    Ok((read, body.is_done()))
}

#[test]
fn a_body_ends_where_it_says_and_the_rest_is_not_its_own() {
    assert_eq!(body(Framing::None, b"GET"), Ok((0, true)));
    assert_eq!(body(Framing::Length(3), b"abcGET"), Ok((3, true)));
    assert_eq!(body(Framing::Length(9), b"abc"), Ok((3, false)));
    for whole in [
        "0\r\n\r\n",
        "3\r\nabc\r\n0\r\n\r\n",
        "00A;x=y\r\n0123456789\r\n0\r\n\r\n",
        "3;a=\"b c\"\r\nabc\r\n000\r\nX-T: 1\r\nY:\r\n\r\n",
    ] {
        let text = format!("{whole}GET");
        assert_eq!(
            body(Framing::Chunked, text.as_bytes()),
            Ok((whole.len(), true)),
            "{whole:?}"
        );
    }
}

#[test]
fn chunks_that_can_be_read_in_two_ways_are_refused() {
    let long = format!("1;{}\r\na", "x".repeat(5000));
    let many = format!("0\r\n{}", "A: b\r\n".repeat(2000));
    for text in [
        "\r\nabc",
        ";a\r\n",
        "3;a\nabc",
        "3\nabc",
        "3 \r\nabc",
        " 3\r\nabc",
        "0x3\r\nabc",
        "-3\r\nabc",
        "g\r\n",
        "3\r\nabcd\r\n",
        "3\r\nabc\n",
        "3\r\nabc0\r\n",
        "3;\0\r\nabc",
        "fffffffffffff\r\n",
        "0\r\nX\r\n\r\n",
        "0\r\n X: y\r\n\r\n",
        "0\r\nX: y\n\r\n",
        "0\r\n\n",
        "3\r\r\nabc",
        &long,
        &many,
    ] {
        assert!(body(Framing::Chunked, text.as_bytes()).is_err(), "{text:?}");
    }
}

#[test]
fn a_client_is_given_its_grace_and_what_it_earned() {
    let rules = PaceRules {
        rate: 500,
        grace: Duration::from_secs(20),
        piece: Duration::MAX,
    };
    let start = clock::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut pace = Pace::default();
    assert_eq!(pace.waits(&rules, at(0)), Ok(Some(at(20))));
    pace.received(5000, at(15));
    assert_eq!(
        pace.waits(&rules, at(100)),
        Ok(Some(at(115))),
        "ten seconds earned, fifteen used; what passed meanwhile was the node's"
    );
    assert!(pace.waits(&rules, at(115)).is_err());
    let free = PaceRules { rate: 0, ..rules };
    assert_eq!(Pace::default().waits(&free, at(0)), Ok(None));
}

#[test]
fn no_piece_has_longer_than_one_may_have() {
    let start = clock::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    for rate in [0, 500] {
        let rules = PaceRules {
            rate,
            grace: Duration::from_secs(20),
            piece: Duration::from_secs(5),
        };
        let mut pace = Pace::default();
        pace.received(1 << 20, at(0));
        assert_eq!(
            pace.waits(&rules, at(1)),
            Ok(Some(at(6))),
            "whatever it earned"
        );
        pace.received(1, at(5));
        assert_eq!(pace.waits(&rules, at(9)), Ok(Some(at(14))), "the next one");
        assert!(pace.waits(&rules, at(14)).is_err());
    }
}

/// All there is, fed in these pieces.
fn in_pieces(framing: Framing, bytes: &[u8], cuts: &[usize]) -> Result<(usize, bool), Fault> {
    let mut body = Body::of(framing);
    let mut read = 0;
    let mut ends: Vec<_> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    for end in ends {
        while read < end {
            let more = body.feed(&bytes[read..end])?;
            read += more;
            if more == 0 {
                return Ok((read, body.is_done()));
            }
        }
    }
    Ok((read, body.is_done()))
}

proptest! {
    #[test]
    fn what_is_in_chunks_is_peeled_however_they_are_cut(
        chunks in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 1..40), "[ \t]{0,2}(;[a-z]{0,2000})?"), 1..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let mut bytes = Vec::new();
        for (data, more) in &chunks {
            bytes.extend_from_slice(format!("{:x}{more}\r\n", data.len()).as_bytes());
            bytes.extend_from_slice(data);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\nT: u\r\n\r\n");
        let end = bytes.len();
        bytes.extend_from_slice(b"HTTP/1.1");
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(end)).collect();
        cuts.sort_unstable();
        cuts.push(bytes.len());
        let (mut read, mut came, mut from) = (Chunks::of_answer(), Vec::new(), 0);
        for to in cuts {
            prop_assert!(!read.is_done());
            let (data, taken) = read.peel(&mut bytes[from..to]);
            came.extend_from_slice(&bytes[from..to][data]);
            prop_assert_eq!(taken, Ok(to.min(end) - from));
            from = to;
        }
        prop_assert!(read.is_done());
        let sent: Vec<_> = chunks.into_iter().flat_map(|(data, _)| data).collect();
        prop_assert_eq!(came, sent);
    }
}

#[test]
fn what_is_sound_before_a_fault_is_told() {
    let mut bytes = *b"2\r\nab\r\n1\r\nc\r\nx\r\n";
    let (data, read) = Chunks::of_answer().peel(&mut bytes);
    assert_eq!(&bytes[data], b"abc");
    assert!(read.is_err());
    let sizes = [
        ("2 ", true),
        ("0000000000000002", true),
        ("00000000000000002", false),
    ];
    for (size, taken) in sizes {
        let mut bytes = format!("{size}\r\nab\r\n").into_bytes();
        let of_client = Body::of(Framing::Chunked).feed(&bytes);
        assert!(of_client.is_err(), "of a client it is not taken: {size:?}");
        let (_, read) = Chunks::of_answer().peel(&mut bytes);
        assert_eq!(read.is_ok(), taken, "{size:?}");
    }
}

/// Bytes such as an attacker would try.
fn crafted() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        &b"GET / HTTP/1.1\r\n"[..],
        b"POST /x HTTP/1.1\r\n",
        b"Host: a\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"X: y\r\n",
        b" ",
        b"\0",
        b":",
        b"3\r\nabc\r\n",
        b"0\r\n",
        b"0\r\n\r\n",
        b";x",
        b"a",
        b"ff\r\n",
        b"\xff",
        b"HTTP/1.0\r\n",
    ]);
    prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn it_does_not_matter_in_which_pieces_a_body_comes(
        bytes in crafted(),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
        length in 0_u64..20,
    ) {
        for framing in [Framing::Chunked, Framing::Length(length), Framing::None] {
            let whole = body(framing, &bytes);
            prop_assert_eq!(&in_pieces(framing, &bytes, &cuts), &whole);
            if let Ok((read, _)) = whole {
                prop_assert!(read <= bytes.len());
            }
        }
    }

    #[test]
    fn it_does_not_matter_in_which_pieces_a_head_comes(
        bytes in crafted(),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
    ) {
        let whole = head(&bytes);
        let mut read = Head::default();
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
        ends.push(bytes.len());
        ends.sort_unstable();
        let mut found = Ok(None);
        for end in ends {
            found = read.read(&bytes[..end], &RULES).map_err(|fault| fault.reason);
            if found != Ok(None) {
                break;
            }
        }
        let found = found.map(|end| end.map(|end| (end, read.framing())));
        prop_assert_eq!(found, whole);
    }

    #[test]
    fn a_head_that_passes_is_one_that_a_strict_reader_reads_alike(bytes in crafted()) {
        let Ok(Some((end, framing))) = head(&bytes) else {
            return Ok(());
        };
        let text = &bytes[..end];
        prop_assert!(text.ends_with(b"\r\n\r\n"));
        let bare = text.windows(2).any(|two| two[1] == b'\n' && two[0] != b'\r');
        prop_assert!(!bare, "every line ends with CR LF");
        let lower = text.to_ascii_lowercase();
        let count = |name: &[u8]| lower.windows(name.len()).filter(|part| part == &name).count();
        prop_assert!(count(b"\r\ncontent-length:") + count(b"\r\ntransfer-encoding:") <= 1);
        prop_assert_eq!(framing == Framing::Chunked, count(b"\r\ntransfer-encoding:") == 1);
    }
}
