//! How is the place of a node or of a listener written?

use super::defaults;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// Host and port. The host may be a name; names are resolved in the background.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// An IP address without brackets, or a DNS name.
    pub host: String,
    /// The port; 5002 when none is written.
    pub port: u16,
    /// It is reached by TLS: `https://` is written before it.
    pub tls: bool,
}

/// Why a text is no address. It does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAddress {
    /// What is wrong.
    pub what: &'static str,
    /// The cure.
    pub help: &'static str,
}

impl fmt::Display for BadAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.what, self.help)
    }
}

impl std::error::Error for BadAddress {}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tls {
            f.write_str("https://")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

const FORM: BadAddress = BadAddress {
    what: "not an address",
    help: "write host:port, such as 10.0.0.11:5002 or plugin_daemon:5002",
};
const PORT_FORM: BadAddress = BadAddress {
    what: "not a port",
    help: "write a number from 1 to 65535 after the colon",
};
const URL_PORT: BadAddress = BadAddress {
    what: "no port in the URL",
    help: "write the port: a URL without one means 80 or 443, a daemon listens on 5002",
};
const URL_PATH: BadAddress = BadAddress {
    what: "an address has no path, query or user",
    help: "write http://host:5002 or host:5002",
};
const SCHEMELESS: BadAddress = BadAddress {
    what: "an address of this kind has no scheme",
    help: "write host:port",
};
const SCHEME: BadAddress = BadAddress {
    what: "not an http address",
    help: "write host:5002, http://host:5002 or https://host:5002",
};

impl Address {
    /// Host and port, without the scheme.
    #[must_use]
    pub fn place(&self) -> String {
        let tls = false;
        Self {
            tls,
            ..self.clone()
        }
        .to_string()
    }

    /// Reads `host` or `host:port`; the port is `usual` when none is written.
    pub(super) fn with_port(text: &str, usual: u16) -> Result<Self, BadAddress> {
        if text.contains("://") {
            return Err(SCHEMELESS);
        }
        authority(text, false, usual)
    }
}

/// `host`, `host:port`, `[v6]:port` or `http://host:port`.
impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        match text.split_once("://") {
            Some(("http", rest)) => {
                authority(rest.strip_suffix('/').unwrap_or(rest), true, defaults::PORT)
            }
            Some(("https", rest)) => {
                let rest = rest.strip_suffix('/').unwrap_or(rest);
                let tls = true;
                authority(rest, true, defaults::PORT).map(|address| Self { tls, ..address })
            }
            Some(_) => Err(SCHEME),
            None => authority(text, false, defaults::PORT),
        }
    }
}

fn authority(text: &str, url: bool, usual: u16) -> Result<Address, BadAddress> {
    if text.contains(['/', '?', '#', '@']) {
        return Err(URL_PATH);
    }
    let (host, port) = split(text)?;
    let port = match port {
        Some(digits) => port_number(digits)?,
        None if url => return Err(URL_PORT),
        None => usual,
    };
    Ok(Address {
        host: host.to_owned(),
        port,
        tls: false,
    })
}

/// Host without brackets, and what follows its colon.
fn split(text: &str) -> Result<(&str, Option<&str>), BadAddress> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or(FORM)?;
        let v6 = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6());
        return match (v6, port.strip_prefix(':'), port.is_empty()) {
            (true, port @ Some(_), _) => Ok((host, port)),
            (true, None, true) => Ok((host, None)),
            _ => Err(FORM),
        };
    }
    if text.parse::<IpAddr>().is_ok() {
        return Ok((text, None));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    // Compose names may hold an underscore, although DNS names may not.
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let digits_only = host
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let name = !host.is_empty() && host.len() <= 253 && host.bytes().all(sign);
    if !name || (digits_only && host.parse::<IpAddr>().is_err()) {
        return Err(FORM);
    }
    Ok((host, port))
}

fn port_number(digits: &str) -> Result<u16, BadAddress> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse::<u16>() {
        Ok(port) if port > 0 && plain => Ok(port),
        _ => Err(PORT_FORM),
    }
}

/// Where we listen: `ip:port`, or a port alone for every interface. Port 0 is any free port, which
/// the log then tells.
pub(super) fn listen(text: &str) -> Result<SocketAddr, BadAddress> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let port = port_number(text)?;
        return Ok(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port));
    }
    match text.parse::<SocketAddr>() {
        Ok(address) => Ok(address),
        Err(_) => Err(BadAddress {
            what: "not an address to listen on",
            help: "write ip:port, such as 0.0.0.0:5002, or a port alone; names are not looked up",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for (text, expected) in [
            ("10.0.0.11:5003", "10.0.0.11:5003"),
            ("10.0.0.11", "10.0.0.11:5002"),
            ("plugin_daemon:80", "plugin_daemon:80"),
            ("http://daemon-1.svc:5002/", "daemon-1.svc:5002"),
            ("https://daemon-1:5443/", "https://daemon-1:5443"),
            ("[::1]:5003", "[::1]:5003"),
            ("[fe80::1]", "[fe80::1]:5002"),
            ("::1", "[::1]:5002"),
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.to_string(), expected);
            assert_eq!(address.to_string().parse(), Ok(address));
        }
    }

    #[test]
    fn what_is_no_address_says_what_to_write() {
        for (text, expected) in [
            ("", FORM),
            ("a b:1", FORM),
            ("10.0.0:5002", FORM),
            ("5002", FORM),
            ("[::1", FORM),
            ("[10.0.0.1]:5002", FORM),
            ("host:", PORT_FORM),
            ("host:0", PORT_FORM),
            ("host:+80", PORT_FORM),
            ("host:70000", PORT_FORM),
            ("http://host", URL_PORT),
            ("http://host:5002/plugin", URL_PATH),
            ("http://me:pw@host:5002", URL_PATH),
            ("https://host", URL_PORT),
            ("redis://host:6379", SCHEME),
        ] {
            assert_eq!(text.parse::<Address>(), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_port_alone_listens_everywhere() {
        assert_eq!(listen("5002"), Ok(defaults::LISTEN));
        assert_eq!(listen("[::]:5002").map(|address| address.port()), Ok(5002));
        for wrong in ["", "0", "70000", "localhost:5002"] {
            assert!(listen(wrong).is_err(), "{wrong}");
        }
    }
}
