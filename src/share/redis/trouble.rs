//! What went wrong, in one word, and is the connection still good?

use crate::share::ShareError;
use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Answers after which another server may be behind the same address, or this one will not have us:
/// the connection is given up. Redis' own words.
const GIVE_UP: [&str; 6] = [
    "noauth",
    "wrongpass",
    "readonly",
    "loading",
    "masterdown",
    "moved",
];
/// Answers that will pass, or that another connection would get too.
const STAY: [&str; 8] = [
    "noperm",
    "busy",
    "oom",
    "misconf",
    "wrongtype",
    "clusterdown",
    "tryagain",
    "noreplicas",
];

/// An error of the crate in our words, and whether the connection must go.
pub(super) fn understood(error: &RedisError) -> (ShareError, bool) {
    let (cause, lost) = cause(error);
    let what = error.to_string();
    (ShareError { cause, what }, lost)
}

fn cause(error: &RedisError) -> (&'static str, bool) {
    if error.is_timeout() {
        return ("timeout", false);
    }
    if error.is_connection_refusal() {
        return ("refused", true);
    }
    if error.is_io_error() || error.is_connection_dropped() {
        return ("closed", true);
    }
    if let Some(found) = code(error) {
        return found;
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => ("wrongpass", true),
        ErrorKind::Server(ServerErrorKind::BusyLoading) => ("loading", true),
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => ("garbage", true),
        _ => ("other", true),
    }
}

/// The error's own first word. A script's error carries it in its text, in words that differ from
/// one version of Redis to the next.
fn code(error: &RedisError) -> Option<(&'static str, bool)> {
    let first = error.code().unwrap_or_default().to_lowercase();
    let known = GIVE_UP.iter().map(|&word| (word, true));
    let mut known = known.chain(STAY.iter().map(|&word| (word, false)));
    if let Some(found) = known.clone().find(|(word, _)| *word == first) {
        return Some(found);
    }
    let text = error.to_string().to_lowercase();
    known.find(|(word, _)| {
        let mut tokens = text.split(|c: char| !c.is_ascii_alphabetic());
        tokens.any(|token| token == *word)
    })
}

/// An answer that is none.
pub(super) fn garbage(what: &str) -> ShareError {
    ShareError {
        cause: "garbage",
        what: what.to_owned(),
    }
}
