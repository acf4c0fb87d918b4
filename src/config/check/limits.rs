//! Limits: what of a client is too large, too slow, too many and too often; and whose word is taken.

use super::discover::networks;
use crate::config::limits::{Limits, Rate, RateBy, RateEntry};
use crate::config::pool::Pool;
use crate::config::table::{Table, Value};
use ipnet::IpNet;

/// What may be a header's size: Pingora reads up to a MiB.
const HEADER: std::ops::RangeInclusive<u64> = 1024..=1_000_000;

pub(super) fn limits(root: &Table<'_>, pools: &[Pool]) -> Limits {
    let default = Limits::default();
    let section = &root.section("limits");
    let many =
        |value: &Value<'_>| value.whole(1..=10_000_000, "to allow all, write a large number");
    let bytes = |value: &Value<'_>| {
        let size = value.size()?;
        if !HEADER.contains(&size) {
            value.wrong("must be from 1KiB to 1MB", "64KiB is plenty");
            return None;
        }
        usize::try_from(size).ok()
    };
    let limits = Limits {
        body: section.or("body", default.body, Value::size),
        header: section.or("header", default.header, bytes),
        header_fields: section.or("header_fields", default.header_fields, |value| {
            // Pingora's own limit is 256.
            value.whole(8..=256, "128 is plenty")
        }),
        target: section.or("target", default.target, bytes),
        client_rate: section.or("client_rate", default.client_rate, |value| {
            value.whole(0..=1_000_000_000, "0 lets clients be as slow as they like")
        }),
        client_grace: section.or("client_grace", default.client_grace, Value::delay),
        connections: section.or("connections", default.connections, many),
        connections_per_address: section.or(
            "connections_per_address",
            default.connections_per_address,
            many,
        ),
        connection_requests: section.or("connection_requests", default.connection_requests, many),
        rates: rates(section, pools),
        rate_keys: section.or("rate_keys", default.rate_keys, |value| {
            value.whole(16..=1_000_000, "each takes about 100 bytes")
        }),
        trusted_proxies: networks_of(root, "trusted_proxies"),
        proxy_protocol: networks_of(root, "proxy_protocol"),
    };
    let target = section.path.key("target");
    if limits.target >= limits.header && section.findings.sound(&target) {
        let what = "not below limits.header, of which it is a part";
        section.findings.value(&target, what, "write 16KiB");
    }
    limits
}

fn rates(section: &Table<'_>, pools: &[Pool]) -> Vec<RateEntry> {
    let names: Vec<_> = pools.iter().map(|pool| pool.name.as_str()).collect();
    let pools: Vec<_> = names.iter().map(|name| (*name, *name)).collect();
    let list = section.value("rates").and_then(|value| value.list());
    let tables = list.into_iter().flatten();
    let entries = tables.filter_map(|item| entry(&item.table()?, &pools));
    let entries: Vec<_> = entries.collect();
    if entries.len() > RateEntry::MOST {
        let what = format!("more than {} entries", RateEntry::MOST);
        let help = "each is asked for every request; keep those that matter";
        section
            .findings
            .value(&section.path.key("rates"), what, help);
    }
    entries
}

fn entry(table: &Table<'_>, pools: &[(&str, &str)]) -> Option<RateEntry> {
    let key = table.value("by");
    if key.is_none() {
        table.lacks(
            "by",
            "write address, tenant, application, user or `header:X-Team`",
        );
    }
    let count = |value: &Value<'_>| value.whole(1..=1_000_000_000, "at least one must pass");
    let rate = table.value("rate");
    let burst = table.value("burst");
    if rate.is_none()
        && let Some(burst) = &burst
    {
        burst.wrong("`burst` without `rate`", "write `rate: 50/s` beside it");
    }
    let at_once = table.value("at_once");
    if rate.is_none() && at_once.is_none() {
        table.lacks("rate", "write `rate: 50/s`, or `at_once: 20`, or both");
    }
    let rate = rate.as_ref().and_then(read_rate);
    let pool = table
        .value("pool")
        .and_then(|value| value.word("pool", pools));
    let default_burst = rate.map_or(1, |rate: Rate| rate.count);
    Some(RateEntry {
        burst: burst
            .and_then(|value| count(&value))
            .unwrap_or(default_burst),
        by: read_key(&key?)?,
        rate,
        at_once: at_once.and_then(|value| count(&value)),
        pool: pool.map(str::to_owned),
    })
}

fn read_key(value: &Value<'_>) -> Option<RateBy> {
    let typed = value.typed()?;
    if let Some(name) = typed.strip_prefix("header:") {
        let name = name.trim();
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            value.wrong("not the name of a header", "write `header:X-Team`");
            return None;
        }
        return Some(RateBy::Header(name.to_owned()));
    }
    let mut words = [
        RateBy::Address,
        RateBy::Tenant,
        RateBy::Application,
        RateBy::User,
    ]
    .into_iter();
    let found = words.find(|by| by.word() == typed);
    if found.is_none() {
        let help = value.suggest(&["address", "tenant", "application", "user", "header:X-Team"]);
        value.wrong(format!("unknown key {}", value.shown()), help);
    }
    found
}

fn read_rate(value: &Value<'_>) -> Option<Rate> {
    let rate = Rate::read(value.typed()?.trim());
    if rate.is_none() {
        value.wrong("not a rate", "write 50/s, 20/m or 5/h");
    }
    rate
}

fn networks_of(root: &Table<'_>, key: &'static str) -> Vec<IpNet> {
    let value = root.value(key);
    value.as_ref().map(networks).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Known, Loaded, OwnWords, Problems, examine};
    use std::time::Duration;

    fn read(text: &str) -> Result<Loaded, Problems> {
        let known = Known {
            strategies: &["adaptive"],
            own: OwnWords::NONE,
        };
        examine(&format!("nodes: [a]\n{text}"), "test.yaml", &known, &|_| {
            None
        })
    }

    #[test]
    fn entries_are_read_with_their_defaults() {
        let text = "limits:\n  rates:\n  - {by: address, rate: 20/m}\n  \
                    - {by: 'header: X-Team', rate: 2/s, burst: 5, at_once: 3, pool: main}\n\
                    trusted_proxies: [10.1.2.3/8, '::1']\n";
        let config = read(text)
            .unwrap_or_else(|problems| panic!("{problems}"))
            .config;
        let [first, second] = <[RateEntry; 2]>::try_from(config.limits.rates.clone()).expect("two");
        let per = Duration::from_secs(60);
        assert_eq!(first.rate, Some(Rate { count: 20, per }));
        assert_eq!((first.burst, first.at_once, first.pool), (20, None, None));
        assert_eq!(second.by, RateBy::Header("X-Team".to_owned()));
        assert_eq!((second.burst, second.at_once), (5, Some(3)));
        let nets: Vec<_> = config
            .limits
            .trusted_proxies
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(nets, ["10.0.0.0/8", "::1/128"]);
    }

    /// Text, place, message.
    const WRONG: [(&str, &str, &str); 18] = [
        (
            "limits: {rates: [{rate: 1/s}]}",
            "limits.rates[0]",
            "`by` is missing",
        ),
        (
            "limits: {rates: [{by: adress, rate: 1/s}]}",
            "limits.rates[0].by",
            "address",
        ),
        (
            "limits: {rates: [{by: address}]}",
            "limits.rates[0]",
            "`rate` is missing",
        ),
        (
            "limits: {rates: [{by: address, rate: 5}]}",
            "limits.rates[0].rate",
            "not a rate",
        ),
        (
            "limits: {rates: [{by: address, rate: 0/s}]}",
            "limits.rates[0].rate",
            "not a rate",
        ),
        (
            "limits: {rates: [{by: tenant, rate: 1/s, burst: 0}]}",
            "limits.rates[0].burst",
            "from 1",
        ),
        (
            "limits: {rates: [{by: tenant, at_once: 1, burst: 2}]}",
            "limits.rates[0].burst",
            "without `rate`",
        ),
        (
            "limits: {rates: [{by: tenant, at_once: 0}]}",
            "limits.rates[0].at_once",
            "from 1",
        ),
        (
            "limits: {rates: [{by: tenant, rate: 1/s, pool: x}]}",
            "limits.rates[0].pool",
            "unknown pool",
        ),
        (
            "limits: {rates: [{by: 'header:a b', rate: 1/s}]}",
            "limits.rates[0].by",
            "name of a header",
        ),
        (
            "limits: {rates: [{by: tenant, rate: 1/s, per: 1}]}",
            "limits.rates[0].per",
            "unknown",
        ),
        ("limits: {header: 10}", "limits.header", "1KiB"),
        (
            "limits: {header: 2KiB, target: 4KiB}",
            "limits.target",
            "not below",
        ),
        (
            "limits: {header_fields: 1000}",
            "limits.header_fields",
            "256",
        ),
        ("limits: {connections: 0}", "limits.connections", "from 1"),
        ("limits: {client_rate: -1}", "limits.client_rate", "from 0"),
        (
            "trusted_proxies: [x]",
            "trusted_proxies[0]",
            "not a network",
        ),
        (
            "timeouts: {client_header: 0s}",
            "timeouts.client_header",
            "above 0",
        ),
    ];

    #[test]
    fn every_mistake_is_told_with_its_place_and_cure() {
        for (text, place, what) in WRONG {
            let problems = read(text).expect_err(text).to_string();
            assert!(
                problems.contains(place) && problems.contains(what),
                "{text}: {problems}"
            );
        }
        let nine = ["{by: address, rate: 1/s}"; 9].join(", ");
        let problems = read(&format!("limits: {{rates: [{nine}]}}"))
            .expect_err("nine")
            .to_string();
        assert!(problems.contains("more than 8"), "{problems}");
    }
}
