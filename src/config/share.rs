//! Where does the fleet meet? The section `share`.

use super::print::{list, table, text, time, whole};
use super::tree::Tree;
use crate::model::Secret;
use std::path::PathBuf;
use std::time::Duration;

/// How several gateways act as one; none of it matters without `urls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// URLs of Redis, with its password: one server, or some of a sharded one, or sentinels. Empty =
    /// this gateway is alone.
    pub urls: Vec<Secret>,
    /// True: it is Redis' sharded form, and the URLs are some of its servers.
    pub sharded: bool,
    /// What the sentinels are asked for; without a name the URLs are no sentinels.
    pub sentinel: Sentinel,
    /// A file with the certificates that a server's must lead to; none = those of the system.
    pub ca: Option<PathBuf>,
    /// Every key begins with it.
    pub prefix: String,
    /// From one exchange to the next.
    pub interval: Duration,
    /// A gateway that said nothing for so long holds nothing any more.
    pub ttl: Duration,
    /// For a connection to Redis, and for each answer.
    pub timeout: Duration,
}

/// What the sentinels are asked for, and who we are to the server they name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sentinel {
    /// The name under which they watch it.
    pub name: Option<String>,
    /// The user there.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// The database.
    pub database: i64,
    /// True: the server speaks TLS.
    pub tls: bool,
}

/// Four times a second: what one gateway learns, all know well within a second.
const INTERVAL: Duration = Duration::from_millis(250);
/// Eight exchanges may be lost before a gateway counts as gone.
const TTL: Duration = Duration::from_secs(2);
/// Redis answers within a millisecond, or it is in trouble.
const TIMEOUT: Duration = Duration::from_millis(200);
/// The project's name.
const PREFIX: &str = "twolane:";

impl Default for Share {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            sharded: false,
            sentinel: Sentinel::default(),
            ca: None,
            prefix: PREFIX.to_owned(),
            interval: INTERVAL,
            ttl: TTL,
            timeout: TIMEOUT,
        }
    }
}

impl Share {
    /// Whether there is a fleet.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        !self.urls.is_empty()
    }

    /// How an operator would write it, with every key, its secrets masked.
    pub(super) fn tree(&self) -> Tree {
        let some = |value: &Option<String>| value.as_ref().map_or(Tree::Null, text);
        let sentinel = &self.sentinel;
        let password = sentinel
            .password
            .as_ref()
            .map_or(Tree::Null, |_| text("***"));
        let ca = self.ca.as_ref();
        table([
            ("redis", list(&self.urls, |url| text(masked(url)))),
            ("sharded", Tree::Flag(self.sharded)),
            (
                "sentinel",
                table([
                    ("name", some(&sentinel.name)),
                    ("username", some(&sentinel.username)),
                    ("password", password),
                    ("database", whole(sentinel.database)),
                    ("tls", Tree::Flag(sentinel.tls)),
                ]),
            ),
            ("ca", ca.map_or(Tree::Null, |file| text(file.display()))),
            ("prefix", text(&self.prefix)),
            ("interval", time(self.interval)),
            ("ttl", time(self.ttl)),
            ("timeout", time(self.timeout)),
        ])
    }
}

/// A URL for people: whatever stands before its host is `***`.
pub(super) fn masked(url: &Secret) -> String {
    let url = url.expose();
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    // A password may hold an `@` or a `/` as it should not: only the last `@` ends it.
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://***@{host}"),
        None => format!("{scheme}://{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        for (url, shown) in [
            ("redis://:s3cret@h:6379/0", "redis://***@h:6379/0"),
            ("redis://u:p@ss/word@h", "redis://***@h"),
            ("rediss://h:1", "rediss://h:1"),
            ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ] {
            assert_eq!(masked(&Secret::new(url.to_owned())), shown);
        }
    }
}
