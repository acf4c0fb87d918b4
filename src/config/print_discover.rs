//! How are the sources of a pool shown again?

use super::discover::{DifyRedis, Discover, Sentinels};
use super::print::{list, maybe, path, secret, table, text, time, whole};
use super::tree::Tree;

/// The sources of one pool, without their secrets.
pub(super) fn discover(found: &Discover) -> Tree {
    let registry = found.dify_redis.as_ref();
    table([
        ("dns", found.dns.as_ref().map_or(Tree::Null, text)),
        ("file", path(found.file.as_ref())),
        ("dify_redis", registry.map_or(Tree::Null, dify_redis)),
        ("own", maybe(found.own.as_ref())),
        ("register", Tree::Flag(found.register)),
        ("refresh", time(found.refresh)),
        ("allow", list(&found.allow, |network| text(network))),
        ("damping", found.damping.map_or(text("off"), time)),
    ])
}

fn dify_redis(registry: &DifyRedis) -> Tree {
    let sentinel = |known: &Sentinels| {
        table([
            ("addresses", list(&known.addresses, |address| text(address))),
            ("service", text(&known.service)),
            ("username", known.username.as_ref().map_or(Tree::Null, text)),
            ("password", secret(known.password.as_ref())),
        ])
    };
    table([
        ("address", text(&registry.address)),
        (
            "sentinel",
            registry.sentinels.as_ref().map_or(Tree::Null, sentinel),
        ),
        (
            "username",
            registry.username.as_ref().map_or(Tree::Null, text),
        ),
        ("password", secret(registry.password.as_ref())),
        ("db", whole(registry.db)),
        ("tls", text(registry.encryption.word())),
        ("ca", path(registry.ca.as_ref())),
        ("prefix", text(&registry.prefix)),
        ("stale", time(registry.stale)),
        ("owners", Tree::Flag(registry.owners)),
    ])
}
