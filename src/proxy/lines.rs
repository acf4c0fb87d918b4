//! How is written down what a node is told beside the client's own fields? As lines, which go out behind
//! those as they are.
//!
//! A field that is put into a map is hashed, moved when the map grows, and written out again: for the eight
//! of a request that cost more than to choose its node.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::ops::Range;

/// What those of most requests fit into.
const ROOM: usize = 448;

/// Fields, each a name, a colon, a value and a line's end. They may hold a key: they do not print themselves.
pub(super) struct Lines(Vec<u8>);

impl Default for Lines {
    fn default() -> Self {
        Self(Vec::with_capacity(ROOM))
    }
}

impl Lines {
    /// Writes a field that begins with a name, a colon and a blank. The value must not hold a line's end; no
    /// [`HeaderValue`] does.
    #[inline(never)]
    pub(super) fn tell(&mut self, begin: &'static str, value: &[u8]) {
        self.write(begin, |into| into.extend_from_slice(value));
    }

    /// The same for a value that is written here; where it stands.
    pub(super) fn write(
        &mut self,
        begin: &'static str,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Range<usize> {
        self.0.extend_from_slice(begin.as_bytes());
        let first = self.0.len();
        write(&mut self.0);
        let end = self.0.len();
        self.0.extend_from_slice(b"\r\n");
        first..end
    }

    /// The same for a field that is configured.
    pub(super) fn field(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.add(name.as_str().as_bytes());
        self.tell(": ", value.as_bytes());
    }

    /// Takes in lines that were made before.
    pub(super) fn add(&mut self, lines: &[u8]) {
        self.0.extend_from_slice(lines);
    }

    /// As they go out.
    pub(super) fn into_bytes(self) -> Bytes {
        self.0.into()
    }

    /// Puts them behind what is in a map, for connections that Pingora writes to.
    pub(super) fn put_into(&self, headers: &mut HeaderMap) {
        for line in self.0.split(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let Some(colon) = memchr::memchr(b':', line) else {
                continue;
            };
            let name = HeaderName::from_bytes(&line[..colon]);
            let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii_start());
            if let (Ok(name), Ok(mut value)) = (name, value) {
                // One may be a key, and Pingora logs what it sends.
                value.set_sensitive(true);
                headers.append(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Dice, RequestId, begin_trace, digits};
    use proptest::prelude::*;
    use std::net::IpAddr;

    proptest! {
        #[test]
        fn each_value_is_what_it_is_alone(
            peer: Option<IpAddr>, number: Option<u64>, gateway: u32, begun: Option<u64>
        ) {
            let id = number.map(|number| RequestId::Own { gateway, number });
            let begun = begun.map(|seed| begin_trace(&mut Dice::with_seed(seed)));
            let mut lines = Lines::default();
            if let Some(peer) = peer {
                lines.write("X-Real-Ip: ", |into| digits::address(peer, into));
            }
            if let Some(id) = &id {
                lines.tell("X-Request-Id: ", id.text().as_bytes());
            }
            if let Some(begun) = &begun {
                lines.tell("Traceparent: ", begun);
            }
            let mut map = HeaderMap::new();
            lines.put_into(&mut map);
            let text = |name| map.get(name).map(|it| it.as_bytes().to_vec());
            prop_assert_eq!(text("x-real-ip"), peer.map(|it| it.to_string().into_bytes()));
            prop_assert_eq!(text("x-request-id"), id.map(|it| it.to_string().into_bytes()));
            prop_assert_eq!(text("traceparent"), begun.map(|it| it.to_vec()));
        }
    }

    #[test]
    fn a_map_is_told_the_same_as_a_connection() {
        let mut lines = Lines::default();
        let address = lines.write("X-Real-Ip: ", |into| into.extend_from_slice(b"::1"));
        lines.write("X-Forwarded-For: ", |into| into.extend_from_within(address));
        lines.tell("X-Forwarded-Host: ", b"host:80");
        lines.add(b"X-Plugin-Forwarded: true\r\n");
        let key = HeaderValue::from_static("a key: of two  words");
        lines.field(&HeaderName::from_static("x-api-key"), &key);
        let mut map = HeaderMap::new();
        map.insert("via", HeaderValue::from_static("another"));
        lines.tell("Via: ", b"us");
        lines.put_into(&mut map);
        assert!(map["x-api-key"].is_sensitive(), "it is not logged");
        let mut told: Vec<_> = map
            .iter()
            .map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()))
            .collect();
        let written = String::from_utf8(lines.into_bytes().to_vec()).unwrap();
        let mut wanted: Vec<_> = written.split_inclusive('\n').map(split_name).collect();
        wanted.insert(0, "via: another\r\n".to_owned());
        told.sort();
        wanted.sort();
        assert_eq!(told, wanted);
    }

    /// The line, with its name in small letters.
    fn split_name(line: &str) -> String {
        let (name, rest) = line.split_once(':').unwrap();
        format!("{}:{rest}", name.to_lowercase())
    }
}
