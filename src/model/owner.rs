//! Which node holds a debug plugin's connection?

use super::NodeId;
use std::net::SocketAddr;

/// The node to which the developer of a debug plugin is connected: the only one that can run it
/// without asking another daemon, which would hold back the events of a stream on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// By name, as an operator writes it.
    Node(NodeId),
    /// By the address of its HTTP port, as daemons tell each other.
    At(SocketAddr),
}

impl Owner {
    /// Whether it is this node. A name also stands for all nodes `name@address` that its host name
    /// led to: one of them holds the connection.
    #[must_use]
    pub fn is(&self, id: &NodeId, address: SocketAddr) -> bool {
        match self {
            Self::Node(name) => id
                .as_str()
                .strip_prefix(name.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('@')),
            Self::At(own) => *own == address,
        }
    }
}

/// Whether `author/name` is a debug plugin: its author is then a tenant's id, a UUID as the daemon
/// writes it. No published plugin can have such an author.
#[must_use]
pub fn is_debug_plugin(plugin: &str) -> bool {
    const DASHES: [usize; 4] = [8, 13, 18, 23];
    let Some((author, name)) = plugin.split_once('/') else {
        return false;
    };
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let fits = |(at, byte)| {
        if DASHES.contains(&at) {
            byte == b'-'
        } else {
            digit(byte)
        }
    };
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    author.len() == 36
        && author.bytes().enumerate().all(fits)
        && !name.is_empty()
        && name.bytes().all(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debug_plugin_is_told_by_its_author() {
        assert!(is_debug_plugin("8d6c1f0e-2b4a-4c1d-9e3f-0a1b2c3d4e5f/tool"));
        for other in [
            "langgenius/openai",
            "8d6c1f0e-2b4a-4c1d-9e3f-0a1b2c3d4e5f",
            "8d6c1f0e-2b4a-4c1d-9e3f-0a1b2c3d4e5f/",
            "8d6c1f0e-2b4a-4c1d-9e3f-0a1b2c3d4e5f/tool:0.0.1",
            "8d6c1f0e-2b4a-4c1d-9e3f-0a1b2c3d4e5f/a/b",
            "8D6C1F0E-2b4a-4c1d-9e3f-0a1b2c3d4e5f/tool",
            "8d6c1f0e2b4a-4c1d-9e3f-0a1b2c3d4e5f0/tool",
            "8d6c1f0e-2b4a-4c1d-9e3f-0a1b2c3d4e5/tool",
            "/tool",
            "",
        ] {
            assert!(!is_debug_plugin(other), "{other}");
        }
    }

    #[test]
    fn an_owner_is_known_by_name_or_by_address() {
        let at = |port| SocketAddr::from(([10, 0, 0, 1], port));
        let named = Owner::Node("n2".into());
        assert!(named.is(&"n2".into(), at(1)));
        assert!(named.is(&"n2@10.0.0.7".into(), at(1)));
        assert!(!named.is(&"n21".into(), at(1)) && !named.is(&"n".into(), at(1)));
        let placed = Owner::At(at(2));
        assert!(placed.is(&"whatever".into(), at(2)) && !placed.is(&"whatever".into(), at(1)));
    }
}
