//! What may be a node at all? Whoever can write into a source must not be able to point the
//! gateway at itself, at this machine, or at a cloud's metadata service.

use ipnet::IpNet;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Refusals are told once each, and only so many of them.
const TOLD: usize = 256;
/// Metadata services that are not link-local: Alibaba's, and Amazon's over IPv6.
const METADATA: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254)),
];

/// The addresses that a pool's sources may bring.
#[derive(Debug, Default)]
pub(super) struct Fence {
    /// Our own listeners.
    own: Vec<SocketAddr>,
    /// Networks; none = any, but loopback.
    allow: Vec<IpNet>,
    told: Mutex<HashSet<SocketAddr>>,
}

impl Fence {
    /// A fence around these networks, with our own listeners outside.
    pub(super) fn new(own: Vec<SocketAddr>, allow: Vec<IpNet>) -> Self {
        Self {
            own,
            allow,
            told: Mutex::default(),
        }
    }

    /// Whether an address may be a node; a refusal goes to the log, once.
    pub(super) fn admits(&self, address: SocketAddr) -> bool {
        let Some(why) = self.refusal(address) else {
            return true;
        };
        let mut told = self.told.lock();
        if told.len() < TOLD && told.insert(address) {
            log::warn!("discovered address refused address={address} why={why:?}");
        }
        false
    }

    /// Whether it is in a network that was named; without any, whether it may be a node at all.
    pub(super) fn allows(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        if self.allow.is_empty() {
            !ip.is_loopback()
        } else {
            self.allow.iter().any(|network| network.contains(&ip))
        }
    }

    /// Why an address may not be a node.
    pub(super) fn refusal(&self, address: SocketAddr) -> Option<&'static str> {
        let ip = address.ip().to_canonical();
        if address.port() == 0 {
            return Some("port 0 is none");
        }
        if is_special(ip) {
            return Some("link-local, metadata, multicast or unspecified addresses are no nodes");
        }
        if self.own.iter().any(|own| is_own(*own, ip, address.port())) {
            return Some("this is the gateway's own address");
        }
        if !self.allows(ip) {
            return Some(if self.allow.is_empty() {
                "a loopback address must be allowed by discover.allow"
            } else {
                "not in discover.allow"
            });
        }
        None
    }
}

fn is_special(ip: IpAddr) -> bool {
    let special = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast() || ip.octets()[0] == 0,
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    special || ip.is_unspecified() || ip.is_multicast() || METADATA.contains(&ip)
}

fn is_own(own: SocketAddr, ip: IpAddr, port: u16) -> bool {
    own.port() == port
        && (own.ip().to_canonical() == ip || (own.ip().is_unspecified() && is_this_machine(ip)))
}

/// Only an address of this machine can be bound. Nothing is sent, and nothing waits.
fn is_this_machine(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn what_is_never_a_node_is_refused_whatever_is_allowed() {
        let all = ["0.0.0.0/0", "::/0"].map(|net| net.parse().expect("a network"));
        let fence = Fence::new(vec![at("0.0.0.0:5002"), at("127.0.0.1:5012")], all.into());
        for refused in [
            "169.254.169.254:80",
            "100.100.100.200:80",
            "[fd00:ec2::254]:80",
            "[fe80::1]:5002",
            "[::ffff:169.254.169.254]:80",
            "0.0.0.0:5002",
            "0.1.2.3:5002",
            "255.255.255.255:5002",
            "224.0.0.1:5002",
            "[::]:5002",
            "10.0.0.1:0",
            "127.0.0.1:5002",
            "127.0.0.9:5002",
            "127.0.0.1:5012",
            "[::ffff:127.0.0.1]:5012",
        ] {
            assert!(fence.refusal(at(refused)).is_some(), "{refused}");
        }
        for fine in [
            "127.0.0.1:5003",
            "127.0.0.9:5012",
            "8.8.8.8:5002",
            "[fd00::1]:5002",
        ] {
            assert_eq!(fence.refusal(at(fine)), None, "{fine}");
        }
    }

    #[test]
    fn only_what_is_allowed_passes() {
        let nets = vec!["10.1.0.0/16".parse().expect("a network")];
        let fence = Fence::new(Vec::new(), nets);
        assert!(fence.admits(at("10.1.2.3:5002")));
        assert!(!fence.admits(at("10.2.2.3:5002")));
        assert!(!fence.admits(at("127.0.0.1:5002")));
        let open = Fence::default();
        assert!(open.admits(at("10.2.2.3:5002")));
        assert!(!open.admits(at("127.0.0.1:5002")), "it wants to be allowed");
    }
}
