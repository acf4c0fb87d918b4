//! Where is Dify's own Redis, by the variables that its api and its daemons read?

use super::env::Variables;
use crate::config::address::Address;
use crate::config::defaults;
use crate::config::discover::{DifyRedis, Encryption, Sentinels};
use crate::config::finding::Findings;
use crate::config::resolve::Env;
use crate::config::share::{Sentinel, Share};
use crate::model::Secret;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::path::PathBuf;

const HOST: &str = "REDIS_HOST";
const SENTINELS: &str = "REDIS_SENTINELS";
const CLUSTERS: &str = "REDIS_CLUSTERS";
const USE_CLUSTERS: &str = "REDIS_USE_CLUSTERS";

/// The variable that says where it is.
pub(super) const fn variable(sentinels: bool) -> &'static str {
    if sentinels { SENTINELS } else { HOST }
}

/// Where a compose file of Dify's has it.
pub(super) fn usual() -> Address {
    Address {
        host: "redis".to_owned(),
        port: defaults::REDIS_PORT,
        tls: false,
    }
}

/// The Redis in which daemons write themselves down.
pub(super) fn registry(findings: &Findings, env: Env<'_>) -> Option<DifyRedis> {
    let names = Variables { findings, env };
    let found = named(&names)?;
    if names.flag(USE_CLUSTERS) {
        findings.outside(
            USE_CLUSTERS,
            "the registry is not read where Redis is split over several servers",
            "set TWOLANE_NODES, or write `nodes` or `discover: { dns: ... }`",
        );
        return None;
    }
    Some(found)
}

/// The same Redis as a place where gateways meet, and the variable that names it.
pub(super) fn meeting(findings: &Findings, env: Env<'_>) -> Option<(Share, &'static str)> {
    let names = Variables { findings, env };
    if names.flag(USE_CLUSTERS) {
        let list = names.filled(CLUSTERS)?;
        let password = names.filled("REDIS_CLUSTERS_PASSWORD").map(Secret::new);
        let (encryption, ca) = encryption(&names);
        let servers = addresses(&names, CLUSTERS, &list, defaults::REDIS_PORT);
        let login = (None, password.as_ref());
        let servers = servers.iter().map(|at| url(at, login, 0, encryption));
        let share = Share {
            urls: servers.collect(),
            sharded: true,
            ca,
            ..Share::default()
        };
        return Some((share, CLUSTERS));
    }
    let found = named(&names)?;
    let login = (found.username.as_deref(), found.password.as_ref());
    let share = match &found.sentinels {
        None => Share {
            urls: vec![url(&found.address, login, found.db, found.encryption)],
            ..Share::default()
        },
        Some(sentinels) => {
            let login = (sentinels.username.as_deref(), sentinels.password.as_ref());
            let servers = sentinels.addresses.iter();
            Share {
                urls: servers
                    .map(|at| url(at, login, 0, Encryption::Off))
                    .collect(),
                sentinel: Sentinel {
                    name: Some(sentinels.service.clone()),
                    username: found.username.clone(),
                    password: found.password.clone(),
                    database: i64::from(found.db),
                    tls: found.encryption != Encryption::Off,
                },
                ..Share::default()
            }
        }
    };
    let ca = found.ca;
    Some((Share { ca, ..share }, variable(found.sentinels.is_some())))
}

/// A URL that holds all of it; user and password may be of any bytes.
fn url(
    at: &Address,
    (user, password): (Option<&str>, Option<&Secret>),
    db: u8,
    encryption: Encryption,
) -> Secret {
    let scheme = if encryption == Encryption::Off {
        "redis"
    } else {
        "rediss"
    };
    let coded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let user = user.map(coded).unwrap_or_default();
    let login = match password {
        Some(password) => format!("{user}:{}@", coded(password.expose())),
        None if user.is_empty() => String::new(),
        None => format!("{user}@"),
    };
    let unverified = encryption == Encryption::Unverified;
    let end = if unverified { "#insecure" } else { "" };
    Secret::new(format!("{scheme}://{login}{at}/{db}{end}"))
}

fn addresses(names: &Variables<'_>, variable: &str, list: &str, port: u16) -> Vec<Address> {
    let texts = list.split(',').map(str::trim);
    let texts = texts.filter(|text| !text.is_empty());
    texts
        .filter_map(|text| names.address(variable, text, port))
        .collect()
}

fn encryption(names: &Variables<'_>) -> (Encryption, Option<PathBuf>) {
    let kind = match (
        names.flag("REDIS_USE_SSL"),
        names.filled("REDIS_SSL_CERT_REQS").as_deref(),
    ) {
        (false, _) => Encryption::Off,
        (true, Some("CERT_NONE")) => Encryption::Unverified,
        (true, _) => Encryption::Verified,
    };
    (kind, names.filled("REDIS_SSL_CA_CERTS").map(PathBuf::from))
}

fn named(names: &Variables<'_>) -> Option<DifyRedis> {
    let sentinels = names.flag("REDIS_USE_SENTINEL").then(|| {
        let list = names.filled(SENTINELS).unwrap_or_default();
        Sentinels {
            addresses: addresses(names, SENTINELS, &list, defaults::SENTINEL_PORT),
            service: names
                .filled("REDIS_SENTINEL_SERVICE_NAME")
                .unwrap_or_default(),
            username: names.filled("REDIS_SENTINEL_USERNAME"),
            password: names.filled("REDIS_SENTINEL_PASSWORD").map(Secret::new),
        }
    });
    let host = names.filled(HOST);
    let known = sentinels.as_ref().map_or(host.is_some(), |sentinels| {
        !sentinels.addresses.is_empty() && !sentinels.service.is_empty()
    });
    if !known {
        return None;
    }
    let port = names.number("REDIS_PORT", defaults::REDIS_PORT);
    let (encryption, ca) = encryption(names);
    let default = match host {
        Some(host) => DifyRedis::at(names.address(HOST, &host, port)?),
        None => DifyRedis::at(usual()),
    };
    Some(DifyRedis {
        sentinels,
        username: names.filled("REDIS_USERNAME"),
        password: names.filled("REDIS_PASSWORD").map(Secret::new),
        db: names.number("REDIS_DB", default.db),
        encryption,
        ca,
        prefix: names
            .filled("REDIS_KEY_PREFIX")
            .unwrap_or(default.prefix.clone()),
        ..default
    })
}

#[cfg(test)]
mod tests {
    use crate::config::{Known, Loaded, OwnWords, Problems, Share, examine, masked};

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Problems> {
        let known = Known {
            strategies: &["adaptive"],
            own: OwnWords::NONE,
        };
        let env = |asked: &str| {
            let found = variables.iter().find(|(name, _)| *name == asked);
            found.map(|(_, value)| (*value).to_owned())
        };
        examine(text, "test.yaml", &known, &env)
    }

    fn share(text: &str, variables: &[(&str, &str)]) -> Share {
        let loaded = read(text, variables).unwrap_or_else(|problems| panic!("{problems}"));
        loaded.config.share
    }

    fn urls(share: &Share) -> Vec<&str> {
        share.urls.iter().map(|url| url.expose()).collect()
    }

    #[test]
    fn f096_difys_variables_say_where_gateways_meet_unless_the_file_does() {
        let full = [
            ("REDIS_HOST", "r"),
            ("REDIS_PORT", "6380"),
            ("REDIS_USERNAME", "u"),
            ("REDIS_PASSWORD", "p@ss/w:ä"),
            ("REDIS_DB", "3"),
        ];
        let found = share("nodes: [a]\n", &full);
        assert_eq!(urls(&found), ["redis://u:p%40ss%2Fw%3A%C3%A4@r:6380/3"]);
        assert_eq!(found.prefix, "twolane:", "and not among the daemons' keys");
        let own = "nodes: [a]\nshare: {interval: 100ms}\n";
        assert_eq!(share(own, &full).urls, found.urls, "no address is written");
        let written = "nodes: [a]\nshare: {redis: 'redis://own'}\n";
        assert_eq!(urls(&share(written, &full)), ["redis://own"]);
        assert!(!share("nodes: [a]\nshare: {redis: []}\n", &full).is_on());
        assert!(!share("nodes: [a]\n", &full[1..]).is_on(), "no host");
        let loaded = read("nodes: [a]\n", &full).unwrap();
        assert_eq!(
            (loaded.nodes_from, loaded.share_from),
            (None, Some("REDIS_HOST"))
        );
        assert!(!masked(&loaded.config).contains("p%40ss"));
        let rows = loaded.origins.rows(&loaded.config);
        let row = rows.iter().find(|row| row.key.starts_with("share.redis"));
        assert!(format!("{:?}", row.unwrap().origin).contains("REDIS_HOST"));
    }

    #[test]
    fn f096_tls_sentinels_and_a_sharded_redis_are_understood_too() {
        let tls = [
            ("REDIS_HOST", "r"),
            ("REDIS_PASSWORD", "p"),
            ("REDIS_USE_SSL", "true"),
        ];
        assert_eq!(urls(&share("nodes: [a]\n", &tls)), ["rediss://:p@r:6379/0"]);
        let blind = [&tls[..], &[("REDIS_SSL_CERT_REQS", "CERT_NONE")]].concat();
        let blind = share("nodes: [a]\n", &blind);
        assert_eq!(urls(&blind), ["rediss://:p@r:6379/0#insecure"]);
        let sentinels = [
            ("REDIS_USE_SENTINEL", "true"),
            ("REDIS_SENTINELS", "s1:26379, s2"),
            ("REDIS_SENTINEL_SERVICE_NAME", "dify"),
            ("REDIS_SENTINEL_PASSWORD", "sp"),
            ("REDIS_PASSWORD", "p"),
        ];
        let found = share("nodes: [a]\n", &sentinels);
        assert_eq!(
            urls(&found),
            ["redis://:sp@s1:26379/0", "redis://:sp@s2:26379/0"]
        );
        assert_eq!(found.sentinel.name.as_deref(), Some("dify"));
        assert_eq!(
            found.sentinel.password.map(|it| it.expose().to_owned()),
            Some("p".into())
        );
        let clusters = [
            ("REDIS_HOST", "r"),
            ("REDIS_USE_CLUSTERS", "true"),
            ("REDIS_CLUSTERS", "c1:7000,c2:7001"),
            ("REDIS_CLUSTERS_PASSWORD", "cp"),
        ];
        let found = share("nodes: [a]\n", &clusters);
        assert_eq!(
            urls(&found),
            ["redis://:cp@c1:7000/0", "redis://:cp@c2:7001/0"]
        );
        assert!(found.sharded);
        let wrong = [("REDIS_HOST", "r"), ("REDIS_PORT", "tcp://10.0.0.1:6379")];
        for text in ["nodes: [a]\n", "", "discover: {dify_redis: env}\n"] {
            let problems = read(text, &wrong).unwrap_err();
            assert_eq!(problems.list.len(), 1, "told once: {problems}");
            assert!(problems.to_string().contains("REDIS_PORT"), "{problems}");
        }
    }
}
