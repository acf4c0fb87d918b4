//! What does a node's error answer mean, and did anything run?
//!
//! A daemon answers plugin failures with status 200 and says so inside; a 4xx or 5xx of a dispatch
//! route comes from the daemon's own middleware, before the plugin is called
//! (`internal/server/middleware.go`). So most of them mean *not executed*, and the request may go
//! to another node whatever its method.

use super::envelope::{NO_NODE_START, NOT_INSTALLED, RUNTIME_VANISHED};

/// The meaning of an error answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// 404 `no available node`: the plugin's runtime is not on this node.
    NotHere,
    /// 404 `plugin not found`: not installed for the tenant, by the database all nodes share.
    NotInstalled,
    /// 404 `not_found`: this daemon's version has no such route.
    NoRoute,
    /// 401: the node holds another key.
    WrongKey,
    /// 400 and every other 4xx: the request itself is wrong.
    Invalid,
    /// 500 `failed to get plugin runtime`: gone between look-up and use.
    RuntimeVanished,
    /// 500 `redirect request failed`, and the owner could not be dialled.
    OwnerGone,
    /// 429 or 503: the node, or what stands before it, is overloaded.
    Overloaded,
    /// An asset whose file is not on this node: the daemon answers 200 and nothing.
    Empty,
    /// Another 500 in the daemon's own words: its Redis or database is down.
    Dependency,
    /// Anything else; whether it ran is unknown.
    Other,
}

/// How the daemon says that a redirect to the owner of a debug plugin failed.
const REDIRECT_FAILED: &str = "redirect request failed";
/// What Go says when a connection was never made.
const NOT_DIALLED: [&str; 4] = [
    "connection refused",
    "no route to host",
    "i/o timeout",
    "no such host",
];

impl Refusal {
    /// Reads an error answer; `body` is its beginning, 2 KiB suffice. `None` below 400.
    #[must_use]
    pub fn read(status: u16, body: &[u8]) -> Option<Self> {
        let says = |phrase: &str| contains(body, phrase.as_bytes());
        Some(match status {
            0..400 => return None,
            400 => Self::Invalid,
            401 => Self::WrongKey,
            // Up to 0.4 the daemon said "no available node, plugin not found", and other nodes might
            // know better: so this comes first.
            404 if says(NO_NODE_START) => Self::NotHere,
            404 if says(NOT_INSTALLED) => Self::NotInstalled,
            404 if says("\"not_found\"") || says("404 page not found") => Self::NoRoute,
            429 | 503 => Self::Overloaded,
            402..500 => Self::Invalid,
            500 if says(RUNTIME_VANISHED) => Self::RuntimeVanished,
            500 if says(REDIRECT_FAILED) && NOT_DIALLED.iter().any(|why| says(why)) => {
                Self::OwnerGone
            }
            500 if says(REDIRECT_FAILED) => Self::Other,
            500 if says("PluginDaemonInternalServerError") => Self::Dependency,
            _ => Self::Other,
        })
    }

    /// Whether the request certainly did not run. True is no leave to repeat it: whether another
    /// node would do better is decided in `admit`.
    #[must_use]
    pub const fn is_unexecuted(self) -> bool {
        !matches!(self, Self::Other)
    }

    /// The word in logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotHere => "not_here",
            Self::NotInstalled => "not_installed",
            Self::NoRoute => "no_route",
            Self::WrongKey => "wrong_key",
            Self::Invalid => "invalid",
            Self::RuntimeVanished => "runtime_vanished",
            Self::OwnerGone => "owner_gone",
            Self::Overloaded => "overloaded",
            Self::Empty => "empty",
            Self::Dependency => "dependency",
            Self::Other => "other",
        }
    }
}

fn contains(body: &[u8], phrase: &[u8]) -> bool {
    body.windows(phrase.len()).any(|part| part == phrase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Refusal::{
        Dependency, Invalid, NoRoute, NotHere, NotInstalled, Other, Overloaded, OwnerGone,
        RuntimeVanished, WrongKey,
    };

    /// The answers of daemons 0.4 to 0.6, as they stand on the wire.
    const ANSWERS: [(u16, &str, Refusal); 16] = [
        (
            404,
            r#"{"code":-500,"message":"{\"message\":\"no available node, plugin runtime not found\",\"error_type\":\"PluginDaemonInternalServerError\",\"args\":null}","data":null}"#,
            NotHere,
        ),
        (
            404,
            r#"{"code":-404,"message":"{\"message\":\"plugin not found\",\"error_type\":\"PluginNotFoundError\",\"args\":null}","data":null}"#,
            NotInstalled,
        ),
        (
            404,
            r#"{"code":-500,"message":"{\"message\":\"no available node, plugin not found\"}"}"#,
            NotHere,
        ),
        (
            404,
            r#"{"code":"not_found","message":"route not found"}"#,
            NoRoute,
        ),
        (404, "404 page not found", NoRoute),
        (413, "too large", Invalid),
        (404, "<h1>nginx</h1>", Invalid),
        (401, r#"{"code":-401}"#, WrongKey),
        (400, r#"{"code":-400}"#, Invalid),
        (
            500,
            r#"{"code":-500,"message":"{\"message\":\"failed to get plugin runtime\"}"}"#,
            RuntimeVanished,
        ),
        (
            500,
            r#"{"code":-500,"message":"redirect request failed: Post \"http://10.0.0.9:5002/\": dial tcp 10.0.0.9:5002: connect: connection refused"}"#,
            OwnerGone,
        ),
        (
            500,
            r#"{"code":-500,"message":"redirect request failed: unexpected EOF"}"#,
            Other,
        ),
        (
            500,
            r#"{"code":-500,"message":"{\"message\":\"redis: connection pool timeout\",\"error_type\":\"PluginDaemonInternalServerError\"}"}"#,
            Dependency,
        ),
        (503, "", Overloaded),
        (429, "slow down", Overloaded),
        (502, "<html>", Other),
    ];

    #[test]
    fn every_known_answer_is_read_as_what_it_means() {
        for (status, body, expected) in ANSWERS {
            assert_eq!(
                Refusal::read(status, body.as_bytes()),
                Some(expected),
                "{status} {body}"
            );
        }
        assert_eq!(Refusal::read(200, b"no available node"), None);
        assert_eq!(Refusal::read(302, b""), None);
    }
}
