//! Would a node read this head as we do?
//!
//! Routing reads a few fields and the path; so do nodes, in their own way. What they could read
//! differently is not forwarded.

use crate::model::Rejection;
use crate::model::rejection::Reason;
use http::{HeaderMap, HeaderValue};

/// Fields that are read once and must stand there once.
const ONCE: [&str; 5] = [
    "x-api-key",
    "x-user-id",
    "x-plugin-id",
    "authorization",
    "x-plugin-unique-identifier",
];

/// Other fields that mean something to us or to a node: a client may not have them taken out on the
/// way by naming them in `Connection`, and not write them with `_` either, which some servers read
/// as `-`.
const READ: [&str; 16] = [
    "content-length",
    "content-type",
    "cookie",
    "dify-hook-url",
    "forwarded",
    "host",
    "transfer-encoding",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-original-host",
    "x-plugin-forwarded",
    "x-real-ip",
    "x-request-id",
];

fn is_read(name: &str) -> bool {
    ONCE.contains(&name) || READ.contains(&name)
}

/// What was passed by in a header.
#[derive(Default)]
pub(super) struct Passed<'h> {
    /// The first of its lines.
    pub(super) content_length: Option<&'h HeaderValue>,
    /// There is one.
    pub(super) via: bool,
}

/// Refuses fields that can be read in two ways, and says what else it has seen.
///
/// # Errors
/// The rejection to answer with.
pub(super) fn fields(headers: &HeaderMap) -> Result<Passed<'_>, Rejection> {
    let (mut seen, mut passed) = (0_u8, Passed::default());
    for (name, value) in headers {
        let name = name.as_str();
        match name.len() {
            // Nearly every name is told apart by its length.
            3 => passed.via |= name == "via",
            14 if name == "content-length" => {
                passed.content_length.get_or_insert(value);
            }
            9 | 11 | 13 | 26 => {
                if let Some(at) = ONCE.iter().position(|once| *once == name) {
                    let bit = 1 << at;
                    if seen & bit != 0 {
                        return Err(bad_header(format!("{name} stands there twice")));
                    }
                    seen |= bit;
                }
            }
            10 if name == "connection" => nominated(value.as_bytes())?,
            _ => {}
        }
        if name.contains('_') && is_read(&name.replace('_', "-")) {
            let what = format!("{name} is read as {} by some", name.replace('_', "-"));
            return Err(bad_header(what));
        }
    }
    Ok(passed)
}

/// What `Connection` names is taken out before a node sees the request (RFC 9110, section 7.6.1).
fn nominated(value: &[u8]) -> Result<(), Rejection> {
    for token in value.split(|byte| *byte == b',') {
        let token = token.trim_ascii();
        if [&b"close"[..], b"keep-alive"]
            .iter()
            .any(|word| token.eq_ignore_ascii_case(word))
        {
            continue;
        }
        let name = String::from_utf8_lossy(token).to_ascii_lowercase();
        if is_read(&name) {
            return Err(bad_header(format!("Connection names {name}")));
        }
    }
    Ok(())
}

fn bad_header(what: String) -> Rejection {
    Rejection::new(Reason::BadHeader, what)
}

/// Refuses a path that can be read in two ways. Nodes route on the path with its percent-encoding
/// undone, and we on the path as it came; so nothing may be encoded that decides about routes.
/// Below a hook (`/e/ID/`), the path is the plugin's own.
///
/// # Errors
/// The rejection to answer with.
pub(super) fn path(path: &str) -> Result<(), Rejection> {
    // Nearly every path is told by the two signs that could matter.
    let may = memchr::memchr2(b'%', b'.', path.as_bytes()).is_some();
    if !may || (!path.contains('%') && !path.contains("/.")) {
        return Ok(());
    }
    let hook = path.starts_with("/e/");
    let rest = path.strip_prefix('/').unwrap_or(path);
    for (at, segment) in rest.split('/').enumerate() {
        let own = hook && at >= 2;
        segment_is_sound(segment, own).map_err(|what| Rejection::new(Reason::BadPath, what))?;
    }
    Ok(())
}

fn segment_is_sound(segment: &str, own: bool) -> Result<(), &'static str> {
    let bytes = segment.as_bytes();
    let (mut at, mut length, mut dots) = (0, 0, 0);
    while at < bytes.len() {
        let mut byte = bytes[at];
        at += 1;
        if byte == b'%' {
            let digits = bytes.get(at..at + 2);
            let decoded = digits.and_then(|digits| {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()
            });
            byte = decoded.ok_or("the path holds a `%` without two hexadecimal digits")?;
            at += 2;
            if byte.is_ascii_control() {
                return Err("the path holds an encoded control character");
            }
            let plain = byte.is_ascii_alphanumeric() || b"-_~/\\".contains(&byte);
            if plain && !own {
                return Err("the path encodes what decides where it leads");
            }
        }
        length += 1;
        dots += usize::from(byte == b'.');
    }
    if dots == length && (1..=2).contains(&length) {
        return Err("the path holds `.` or `..`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;
    use proptest::prelude::*;

    fn with(pairs: &[(&str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::try_from(*name).unwrap();
            headers.append(name, HeaderValue::try_from(*value).unwrap());
        }
        fields(&headers).is_ok()
    }

    #[test]
    fn fields_that_are_read_stand_there_once_and_by_their_names() {
        for name in ONCE {
            assert!(with(&[(name, "a")]));
            assert!(!with(&[(name, "a"), (name, "a")]), "{name} twice");
            assert!(
                !with(&[("Connection", &format!("close, {name}"))]),
                "{name} nominated"
            );
        }
        for name in ONCE.iter().chain(&READ) {
            let alias = name.replace('-', "_");
            assert_eq!(with(&[(&alias, "a")]), !alias.contains('_'), "{alias}");
            assert!(!with(&[("Connection", &name.to_uppercase())]), "{name}");
        }
        let fine = [
            ("Connection", "keep-alive, Upgrade, X-Other"),
            ("x_other", "1"),
            ("Accept", "a"),
        ];
        assert!(with(&fine));
        assert!(with(&[("Accept", "a"), ("Accept", "b")]));
    }

    #[test]
    fn paths_that_can_be_read_in_two_ways_are_refused() {
        for bad in [
            "/plugin/%2e%2e/x",
            "/plugin/../x",
            "/a/./b",
            "/e/h/%2E./x",
            "/..",
            "/.",
            "/e/..",
            "/%61dmin",
            "/plugin%2fx",
            "/plugin/t/dispatch%2Fllm%2finvoke",
            "/a%00",
            "/e/h/%0d%0a",
            "/a%",
            "/a%2",
            "/a%zz",
            "/e/%68",
            "/a%5cb",
            "/e/h/%7f",
        ] {
            assert!(path(bad).is_err(), "{bad}");
        }
        for good in [
            "/",
            "//",
            "/plugin//x",
            "/e/h/a%2Fb",
            "/e/h/%61",
            "/.well-known/x",
            "/a/..b",
            "/...",
            "/e/h/..;/x",
            "/a%20b",
            "/a%3Ab",
            "/%C3%A9",
            "/a%252e",
            "/e/h/a%5Cb",
        ] {
            assert!(path(good).is_ok(), "{good}");
        }
    }

    proptest! {
        #[test]
        fn a_path_that_passes_leads_where_its_decoded_form_leads(text in "(/(plugin|e|%2e|%2F|\\.|a|%61|%25){0,3}){0,5}") {
            if path(&text).is_ok() && !text.starts_with("/e/") {
                let segments = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
                let decoded: Vec<_> = segments(&text)
                    .iter()
                    .map(|segment| segment.replace("%25", "%").replace("%2e", ".").replace("%61", "a").replace("%2F", "/"))
                    .collect();
                let joined = decoded.join("/");
                prop_assert_eq!(segments(&joined).len(), segments(&text).len());
                prop_assert!(!decoded.iter().any(|segment| segment == ".." || segment == "."));
            }
        }
    }
}
