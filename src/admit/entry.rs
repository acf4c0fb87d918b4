//! May this request pass?

use super::honest;
use crate::config::Loops;
use crate::model::Rejection;
use crate::model::rejection::Reason;
use http::{HeaderMap, header};

/// What is known of a request before anything is done for it.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its path, as it came.
    pub path: &'a str,
    /// Its header.
    pub headers: &'a HeaderMap,
}

/// Our pseudonym in `Via` begins with this, so that gateways know one another.
pub const PSEUDONYM: &str = "twolane-";

/// Refuses what must not be forwarded.
///
/// A loop is told by `Via`, not by `X-Plugin-Forwarded`: that mark is for the daemons, and a client
/// that sets it itself is still served.
///
/// # Errors
/// The rejection to answer with.
pub fn admit(
    arrival: &Arrival<'_>,
    own_pseudonym: &str,
    body_limit: u64,
    loops: &Loops,
) -> Result<(), Rejection> {
    if matches!(arrival.method, "TRACE" | "TRACK") {
        let text = "this method is not allowed here";
        return Err(Rejection::new(Reason::MethodNotAllowed, text));
    }
    honest::path(arrival.path)?;
    let passed = honest::fields(arrival.headers)?;
    if passed.via {
        check_loop(&via(arrival.headers), own_pseudonym, loops)?;
    }
    let length = passed.content_length.and_then(|it| it.to_str().ok());
    match length.and_then(|length| length.parse::<u64>().ok()) {
        Some(length) if length > body_limit => Err(too_large(body_limit)),
        _ => Ok(()),
    }
}

/// The hops of `Via` as they came (RFC 9110, section 7.6.3); several lines are one list.
fn via(headers: &HeaderMap) -> String {
    let lines = headers.get_all(header::VIA).iter();
    let lines: Vec<_> = lines.filter_map(|line| line.to_str().ok()).collect();
    lines.join(",")
}

/// The rejection of a body over the limit, whether its length was told or counted.
#[must_use]
pub fn too_large(limit: u64) -> Rejection {
    Rejection::new(
        Reason::BodyTooLarge,
        format!("the request body is over the limit of {limit} bytes"),
    )
}

fn check_loop(via: &str, own_pseudonym: &str, loops: &Loops) -> Result<(), Rejection> {
    let ours = |hop: &&str| hop.starts_with(PSEUDONYM);
    let hops = || {
        via.split(',')
            .filter_map(|hop| hop.split_whitespace().nth(1))
    };
    if hops().any(|hop| hop == own_pseudonym) {
        return Err(Rejection::new(
            Reason::Loop,
            "the request passed this gateway before: a node's address leads back to it",
        ));
    }
    if hops().filter(ours).count() >= usize::from(loops.max_hops) {
        return Err(Rejection::new(
            Reason::Loop,
            format!("the request passed {} gateways", loops.max_hops),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    const LIMIT: u64 = 10;
    const LOOPS: Loops = Loops {
        marks: true,
        max_hops: 2,
    };

    fn reason(fields: &[(HeaderName, &str)]) -> Option<Reason> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        let arrival = Arrival {
            method: "POST",
            path: "/",
            headers: &headers,
        };
        admit(&arrival, "twolane-1", LIMIT, &LOOPS)
            .err()
            .map(|rejection| rejection.reason)
    }

    #[test]
    fn a_body_at_the_limit_passes_and_one_over_it_does_not() {
        let of = |length| reason(&[(header::CONTENT_LENGTH, length)]);
        assert_eq!(of("10"), None);
        assert_eq!(of("11"), Some(Reason::BodyTooLarge));
        assert_eq!(reason(&[]), None);
    }

    #[test]
    fn f055_our_own_mark_is_a_loop_and_other_proxies_are_not() {
        let of = |via| reason(&[(header::VIA, via)]);
        assert_eq!(of("1.1 nginx, 1.1 fastly"), None);
        assert_eq!(of("1.1 nginx, 1.1 twolane-1"), Some(Reason::Loop));
        assert_eq!(of("1.1 twolane-2"), None, "a chain of two is allowed");
        assert_eq!(of("1.1 twolane-2,1.1 twolane-3"), Some(Reason::Loop));
        assert_eq!(of(",,  , x"), None, "a mangled header is nobody's loop");
        let lines = ["1.1 nginx", "1.1 twolane-1"].map(|line| (header::VIA, line));
        assert_eq!(reason(&lines), Some(Reason::Loop), "in a line of its own");
    }
}
