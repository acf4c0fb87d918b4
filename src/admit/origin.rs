//! Whose request is it? The client's address, through proxies that may be believed and strangers
//! who may not.

use std::net::{IpAddr, SocketAddr};

/// The address of the client: the last one in `X-Forwarded-For` that no proxy of ours has, read from
/// the right, because what stands to the left of it anybody may have written.
///
/// `lines` are the field's lines from the last to the first.
pub fn client<'a>(
    peer: IpAddr,
    lines: impl Iterator<Item = &'a str>,
    trusts: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    let mut client = peer.to_canonical();
    if !trusts(client) {
        return client;
    }
    for entry in lines.flat_map(|line| line.rsplit(',')) {
        let Some(before) = address(entry.trim()) else {
            return client;
        };
        client = before.to_canonical();
        if !trusts(client) {
            return client;
        }
    }
    client
}

/// With or without a port, as proxies write them.
fn address(text: &str) -> Option<IpAddr> {
    let plain = || text.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    plain().or_else(with_port).or_else(bracketed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(peer: &str, lines: &[&str]) -> String {
        let trusts = |address: IpAddr| address.to_string().starts_with("10.");
        let lines = lines.iter().rev().copied();
        client(peer.parse().unwrap(), lines, trusts).to_string()
    }

    #[test]
    fn the_right_most_stranger_is_the_client() {
        assert_eq!(
            of("1.1.1.1", &["2.2.2.2"]),
            "1.1.1.1",
            "a stranger is not believed"
        );
        assert_eq!(of("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(of("10.0.0.1", &["2.2.2.2"]), "2.2.2.2");
        assert_eq!(of("10.0.0.1", &["9.9.9.9, 2.2.2.2"]), "2.2.2.2");
        assert_eq!(of("10.0.0.1", &["9.9.9.9, 2.2.2.2, 10.0.0.2"]), "2.2.2.2");
        assert_eq!(of("10.0.0.1", &["9.9.9.9", "2.2.2.2:80", "[::1]"]), "::1");
        assert_eq!(of("10.0.0.1", &["2.2.2.2:80"]), "2.2.2.2");
        assert_eq!(of("10.0.0.1", &["9.9.9.9, nonsense, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(of("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
        assert_eq!(of("::ffff:10.0.0.1", &["2.2.2.2"]), "2.2.2.2");
    }

    proptest! {
        #[test]
        fn nothing_a_client_writes_hides_its_address(claims in "[0-9a-z.,: \\[\\]]{0,60}") {
            // The one trusted proxy appends whom it sees.
            let line = format!("{claims}, 2.2.2.2");
            prop_assert_eq!(of("10.0.0.1", &[&line]), "2.2.2.2");
            prop_assert_eq!(of("2.2.2.2", &[&line]), "2.2.2.2");
        }
    }
}
