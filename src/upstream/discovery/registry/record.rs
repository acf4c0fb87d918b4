//! What do the two hashes say? The daemon's JSON, as far as we need it.

use crate::model::is_debug_plugin;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A daemon has a handful of addresses; what has more is no daemon.
const MOST_ADDRESSES: usize = 32;

/// A field of the hash of nodes: one run of one daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NodeRecord {
    /// Its addresses, the likeliest first.
    pub(super) addresses: Vec<SocketAddr>,
    /// When it last wrote, by its own clock, in seconds.
    pub(super) beat: i64,
}

#[derive(Deserialize)]
struct Node {
    #[serde(default)]
    ips: Option<Vec<Place>>,
    last_ping_at: i64,
}

#[derive(Deserialize)]
struct Place {
    ip: IpAddr,
    port: u16,
    #[serde(default)]
    vote: Option<Vec<Vote>>,
}

#[derive(Deserialize)]
struct Vote {
    #[serde(default)]
    failed: bool,
}

impl NodeRecord {
    /// Reads a field's value; none for what is not a node's.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let node: Node = serde_json::from_slice(text).ok()?;
        let mut places = node.ips.unwrap_or_default();
        places.truncate(MOST_ADDRESSES);
        // The daemon ranks by the number of votes, whatever they say.
        places.sort_by_key(|place| match place.vote.as_deref() {
            Some(votes) if votes.iter().any(|vote| !vote.failed) => 0,
            None | Some([]) => 1,
            Some(_all_failed) => 2,
        });
        let address = |place: &Place| SocketAddr::new(place.ip, place.port);
        Some(Self {
            addresses: places.iter().map(address).collect(),
            beat: node.last_ping_at,
        })
    }

    /// What changes with each beat.
    pub(super) fn token(&self) -> String {
        self.beat.to_string()
    }

    /// Whether it wrote not long before `at`, in seconds of Redis's clock.
    pub(super) fn is_fresh(&self, at: i64, stale: Duration) -> bool {
        at.abs_diff(self.beat) <= stale.as_secs()
    }
}

/// A field of `plugin_state`: a plugin on one run of one daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StateRecord {
    /// The run it is on.
    pub(super) run: String,
    /// `<tenant>/name`, the `X-Plugin-ID` of a debug plugin.
    pub(super) plugin: String,
    scheduled: String,
    /// The same in milliseconds, where it can be read.
    pub(super) at: Option<i64>,
}

#[derive(Deserialize)]
struct State {
    identity: String,
    scheduled_at: Option<String>,
}

impl StateRecord {
    /// Reads a field; none for what is not a debug plugin's. Daemons before 0.5 write every plugin.
    pub(super) fn read(field: &str, text: &[u8]) -> Option<Self> {
        let (run, _digest) = field.rsplit_once(':')?;
        let state: State = serde_json::from_slice(text).ok()?;
        let (plugin, _version) = state.identity.split_once(':')?;
        let scheduled = state.scheduled_at?;
        if !is_debug_plugin(plugin) || plugin.len() > 256 || scheduled.len() > 64 {
            return None;
        }
        Some(Self {
            run: run.to_owned(),
            plugin: plugin.to_owned(),
            at: millis(&scheduled),
            scheduled,
        })
    }

    /// What changes with each beat.
    pub(super) fn token(&self) -> String {
        self.scheduled.clone()
    }

    /// Whether it was written not long before `at`, in seconds of Redis's clock.
    pub(super) fn is_fresh(&self, at: i64, stale: Duration) -> bool {
        let age = self.at.map(|written| at.abs_diff(written / 1000));
        age.is_some_and(|age| age <= stale.as_secs())
    }
}

/// A time as Go writes it, `2026-08-21T08:00:00.5Z` or with an offset, in milliseconds since 1970.
fn millis(text: &str) -> Option<i64> {
    let (plain, offset) = match text.strip_suffix('Z') {
        Some(plain) => (plain, 0),
        None => {
            let (plain, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
            let east = offset.strip_prefix('+').map(|offset| (offset, 60_000));
            let west = || offset.strip_prefix('-').map(|offset| (offset, -60_000));
            let (offset, minute) = east.or_else(west)?;
            let (hours, minutes) = offset.split_once(':')?;
            let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
            (plain, minutes * minute)
        }
    };
    let time: SystemTime = humantime::parse_rfc3339(&format!("{plain}Z")).ok()?;
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    Some(i64::try_from(since.as_millis()).ok()? - offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALE: Duration = Duration::from_secs(15);

    #[test]
    fn a_nodes_addresses_are_ranked_by_what_the_votes_say() {
        let text = br#"{"ips":[
            {"ip":"172.17.0.1","port":5002,"vote":[{"node_id":"x","voted_at":1,"failed":true},
                                                   {"node_id":"y","voted_at":1,"failed":true}]},
            {"ip":"10.42.1.16","port":5002,"vote":null},
            {"ip":"10.42.1.17","port":5002,"vote":[{"node_id":"x","voted_at":1,"failed":false}]}],
            "last_ping_at":1787300012,"more":1}"#;
        let node = NodeRecord::read(text).expect("a node");
        let ips: Vec<_> = node.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(
            ips,
            ["10.42.1.17:5002", "10.42.1.16:5002", "172.17.0.1:5002"]
        );
        assert!(node.is_fresh(1_787_300_027, STALE) && !node.is_fresh(1_787_300_028, STALE));
        let bare = NodeRecord::read(br#"{"ips":null,"last_ping_at":1}"#).expect("a node");
        assert!(bare.addresses.is_empty());
        for wrong in [
            "",
            "{}",
            "[]",
            "{\"ips\":[{\"ip\":\"x\",\"port\":1}],\"last_ping_at\":1}",
        ] {
            assert_eq!(NodeRecord::read(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn of_the_plugins_only_those_in_development_have_an_owner() {
        let tenant = "8d6c1f0e-2b4a-4c1d-9e3f-0a1b2c3d4e5f";
        let read = |identity: &str, at: &str| {
            let text = format!(r#"{{"identity":"{identity}","scheduled_at":"{at}","logs":[]}}"#);
            StateRecord::read("4f1e-22:dad7", text.as_bytes())
        };
        let at = "2026-08-21T08:00:01.5Z";
        let state = read(&format!("{tenant}/my_tool:0.0.1@aa"), at).expect("a debug plugin");
        assert_eq!(
            (state.run.as_str(), state.at),
            ("4f1e-22", Some(1_787_299_201_500))
        );
        assert_eq!(state.plugin, format!("{tenant}/my_tool"));
        assert!(state.is_fresh(1_787_299_216, STALE) && !state.is_fresh(1_787_299_217, STALE));
        assert_eq!(read("langgenius/openai:0.0.9@aa", at), None);
        assert_eq!(read("", at), None);
    }

    #[test]
    fn times_are_read_as_go_writes_them() {
        let expected = millis("2026-08-21T08:00:00.5Z");
        assert!(expected.is_some());
        assert_eq!(millis("2026-08-21T16:00:00.500000001+08:00"), expected);
        assert_eq!(millis("2026-08-21T03:30:00.5-04:30"), expected);
        for wrong in [
            "",
            "Z",
            "now",
            "2026-08-21T08:00:00",
            "2026-08-21T08:00:00*08:00",
            "ééé",
        ] {
            assert_eq!(millis(wrong), None, "{wrong}");
        }
    }
}
