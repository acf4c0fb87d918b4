//! May this request pass?

use super::honest;
use crate::config::Loops;
use crate::model::Rejection;
use crate::model::rejection::Reason;
use http::HeaderMap;

/// What is known of a request before anything is done for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arrival<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its path, as it came.
    pub path: &'a str,
    /// Its header; none where only the rest is asked about.
    pub headers: Option<&'a HeaderMap>,
    /// `Content-Length`, where one was sent.
    pub content_length: Option<u64>,
    /// The `Via` header as it came (RFC 9110, section 7.6.3); several are joined by commas.
    pub via: Option<&'a str>,
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
    arrival.headers.map_or(Ok(()), honest::fields)?;
    if let Some(via) = arrival.via {
        check_loop(via, own_pseudonym, loops)?;
    }
    match arrival.content_length {
        Some(length) if length > body_limit => Err(too_large(body_limit)),
        _ => Ok(()),
    }
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

    const LIMIT: u64 = 10;
    const LOOPS: Loops = Loops {
        marks: true,
        max_hops: 2,
    };

    fn reason(arrival: &Arrival<'_>) -> Option<Reason> {
        admit(arrival, "twolane-1", LIMIT, &LOOPS)
            .err()
            .map(|rejection| rejection.reason)
    }

    #[test]
    fn a_body_at_the_limit_passes_and_one_over_it_does_not() {
        let of = |length| Arrival {
            content_length: Some(length),
            ..Arrival::default()
        };
        assert_eq!(reason(&of(10)), None);
        assert_eq!(reason(&of(11)), Some(Reason::BodyTooLarge));
    }

    #[test]
    fn f055_our_own_mark_is_a_loop_and_other_proxies_are_not() {
        let of = |via| Arrival {
            via: Some(via),
            ..Arrival::default()
        };
        assert_eq!(reason(&of("1.1 nginx, 1.1 fastly")), None);
        assert_eq!(reason(&of("1.1 nginx, 1.1 twolane-1")), Some(Reason::Loop));
        assert_eq!(
            reason(&of("1.1 twolane-2")),
            None,
            "a chain of two is allowed"
        );
        assert_eq!(
            reason(&of("1.1 twolane-2,1.1 twolane-3")),
            Some(Reason::Loop)
        );
        assert_eq!(
            reason(&of(",,  , x")),
            None,
            "a mangled header is nobody's loop"
        );
    }
}
