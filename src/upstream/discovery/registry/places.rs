//! Which address of which run is meant? Daemons write every address they see on themselves, those
//! of Docker's bridge included, which every host has.

use super::record::NodeRecord;
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;

/// Two beats: who lags behind another by more has probably ended.
const LAG: i64 = 10;

/// One run of a daemon, and where it may be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The name of the run.
    pub(super) run: String,
    /// Its addresses that may be used, the likeliest first.
    pub(super) addresses: Vec<SocketAddr>,
}

/// The living runs with their addresses. Of several runs with the same addresses the last one to
/// beat is meant: it was restarted, and nobody took the old one out. An address that several claim
/// is nobody's.
pub(super) fn places(
    living: &[(&str, &NodeRecord)],
    may: impl Fn(SocketAddr) -> bool,
) -> Vec<Place> {
    let mut latest: HashMap<BTreeSet<SocketAddr>, (&str, &NodeRecord)> = HashMap::new();
    for &(run, record) in living {
        let here: BTreeSet<_> = record.addresses.iter().copied().collect();
        let known = latest.entry(here).or_insert((run, record));
        if record.beat > known.1.beat {
            *known = (run, record);
        }
    }
    let mut latest: Vec<_> = latest.into_values().collect();
    latest.sort_by_key(|(run, _)| *run);
    let is_shared = |address: &SocketAddr, own: (&str, &NodeRecord)| {
        latest.iter().any(|(run, record)| {
            *run != own.0
                && record.addresses.contains(address)
                && own.1.beat.saturating_sub(record.beat) < LAG
        })
    };
    latest
        .iter()
        .map(|&(run, record)| Place {
            run: run.to_owned(),
            addresses: record
                .addresses
                .iter()
                .copied()
                .filter(|address| !is_shared(address, (run, record)) && may(*address))
                .collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(beat: i64, addresses: &[&str]) -> NodeRecord {
        let address = |ip: &&str| format!("{ip}:5002").parse().expect("an address");
        NodeRecord {
            addresses: addresses.iter().map(address).collect(),
            beat,
        }
    }

    fn shown(living: &[(&str, NodeRecord)]) -> Vec<String> {
        let living: Vec<_> = living.iter().map(|(run, record)| (*run, record)).collect();
        let allowed = |address: SocketAddr| !address.ip().to_string().starts_with("192.");
        let found = places(&living, allowed);
        let ips = |place: &Place| {
            let ips: Vec<_> = place
                .addresses
                .iter()
                .map(|at| at.ip().to_string())
                .collect();
            format!("{} {}", place.run, ips.join(" "))
        };
        found.iter().map(ips).collect()
    }

    #[test]
    fn what_every_host_has_is_nobodys() {
        let living = [
            ("a", record(100, &["172.17.0.1", "10.0.0.1"])),
            ("b", record(98, &["10.0.0.2", "172.17.0.1", "192.168.0.2"])),
        ];
        assert_eq!(shown(&living), ["a 10.0.0.1", "b 10.0.0.2"]);
    }

    #[test]
    fn the_last_run_to_beat_at_a_place_is_meant() {
        let living = [
            ("new", record(103, &["10.0.0.1", "172.17.0.1"])),
            ("old", record(99, &["172.17.0.1", "10.0.0.1"])),
        ];
        assert_eq!(shown(&living), ["new 10.0.0.1 172.17.0.1"]);
    }

    #[test]
    fn who_lags_has_no_claim_any_more() {
        let living = [
            ("new", record(110, &["10.0.0.1"])),
            ("old", record(100, &["10.0.0.1", "10.0.0.9"])),
        ];
        assert_eq!(shown(&living), ["new 10.0.0.1", "old 10.0.0.9"]);
    }
}
