//! Who is behind a balancer that passes connections on unread? Whom it announces before their first
//! byte, by the PROXY protocol.

use super::way::{Coming, Life, Station};
use crate::upstream::Live;
use bytes::BytesMut;
use pingora::protocols::l4::socket::SocketAddr as PingoraAddr;
use pingora::protocols::l4::stream::Stream as Plain;
use pingora::protocols::{GetSocketDigest, SocketDigest, Stream};
use ppp::{HeaderResult, PartialResult, v1, v2};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

/// How the two versions begin.
const TEXT: &[u8] = b"PROXY ";
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest line of version 1.
const LINE: usize = 107;
/// Version 2 may bring more than addresses, and nobody brings as much.
const MOST: usize = 4096;

/// An announcement: its length, and the client, which there is none of when a balancer asks for
/// itself.
type Announcement = (usize, Option<SocketAddr>);

/// Stands before everything that needs to know the client.
pub struct Announced<A> {
    behind: A,
    live: Arc<Live>,
}

impl<A> Announced<A> {
    /// What is behind sees the announced client as the one who connected.
    #[must_use]
    pub const fn new(behind: A, live: Arc<Live>) -> Self {
        Self { behind, live }
    }

    async fn announced(&self, stream: Stream, balancer: IpAddr) -> Option<Stream> {
        let within = self.live.snapshot().config.timeouts.client_header;
        // It is what Pingora's listener made; no other kind comes here.
        let mut plain = stream.into_any().downcast::<Plain>().ok()?;
        let read = timeout(within, read(&mut plain)).await;
        match read.unwrap_or(Err("it took too long")) {
            Ok(client) => {
                if let Some(client) = client {
                    let digest = SocketDigest::from_raw_fd(plain.as_raw_fd());
                    // A digest that was just made has no address yet.
                    let _ = digest.peer_addr.set(Some(PingoraAddr::Inet(client)));
                    plain.set_socket_digest(digest);
                }
                Some(plain)
            }
            Err(why) => {
                self.live.parts.metrics.door.turned_away("proxy_protocol");
                log::warn!("no PROXY header, connection closed balancer={balancer} why={why}");
                None
            }
        }
    }
}

/// Reads the announcement, and puts back what follows it.
async fn read(stream: &mut Plain) -> Result<Option<SocketAddr>, &'static str> {
    let mut came = BytesMut::with_capacity(256);
    loop {
        match stream.read_buf(&mut came).await {
            Ok(1..) => {}
            _ => return Err("it left"),
        }
        if let Some((end, client)) = parse(&came)? {
            stream.rewind(&came[end..]);
            return Ok(client);
        }
    }
}

/// None while it is not complete.
fn parse(came: &[u8]) -> Result<Option<Announcement>, &'static str> {
    let may_be = |sign: &[u8]| came.iter().zip(sign).all(|(one, other)| one == other);
    if !may_be(TEXT) && !may_be(BINARY) {
        return Err("it begins otherwise");
    }
    if may_be(TEXT) {
        // Cut anywhere else, a line is malformed to its reader.
        match came.iter().take(LINE).position(|byte| *byte == b'\n') {
            None if came.len() < LINE => return Ok(None),
            None => return Err("its line has no end"),
            Some(_) => {}
        }
    } else if came.len() > MOST {
        return Err("it is too long");
    }
    match HeaderResult::parse(came) {
        HeaderResult::V1(Ok(header)) => {
            let client = match header.addresses {
                v1::Addresses::Unknown => None,
                v1::Addresses::Tcp4(of) => Some((of.source_address, of.source_port).into()),
                v1::Addresses::Tcp6(of) => Some((of.source_address, of.source_port).into()),
            };
            Ok(Some((header.header.len(), client)))
        }
        HeaderResult::V2(Ok(header)) => {
            let client = match (header.command, header.addresses) {
                (v2::Command::Proxy, v2::Addresses::IPv4(of)) => {
                    Some((of.source_address, of.source_port).into())
                }
                (v2::Command::Proxy, v2::Addresses::IPv6(of)) => {
                    Some((of.source_address, of.source_port).into())
                }
                _ => None,
            };
            Ok(Some((header.len(), client)))
        }
        HeaderResult::V2(error) if error.is_incomplete() => Ok(None),
        _ => Err("it is malformed"),
    }
}

impl<A: Station> Station for Announced<A> {
    fn enter(&self, coming: Coming) -> Life<'_> {
        let peer = super::seats::address(&coming.stream);
        let balancer = peer.filter(|peer| self.live.snapshot().config.announces(*peer));
        match balancer {
            None => self.behind.enter(coming),
            Some(balancer) => Box::pin(async move {
                // Boxed: it is large as a future, and over soon.
                if let Some(stream) = Box::pin(self.announced(coming.stream, balancer)).await {
                    self.behind.enter(Coming { stream, ..coming }).await;
                }
            }),
        }
    }
}

impl<A> fmt::Debug for Announced<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announced").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Version 2 with this command, family, and what they bring.
    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let size = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [BINARY, &[0x20 | command, family], &size, rest].concat()
    }

    fn four() -> Vec<u8> {
        let addresses = [203, 0, 113, 9, 10, 0, 0, 1, 0xdd, 0xd5, 0x13, 0x8a];
        [&addresses[..], &[0x04, 0, 2, 7, 7]].concat()
    }

    #[test]
    fn what_is_announced_is_the_client_and_what_follows_is_its_own() {
        let client = Some("203.0.113.9:56789".parse().unwrap());
        let six: [u8; 36] = std::array::from_fn(|at| u8::from(at == 15 || at == 31));
        for (header, client) in [
            (
                b"PROXY TCP4 203.0.113.9 10.0.0.1 56789 5002\r\n".to_vec(),
                client,
            ),
            (
                b"PROXY TCP6 ::1 ::1 7 5002\r\n".to_vec(),
                Some("[::1]:7".parse().unwrap()),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (binary(1, 0x11, &four()), client),
            (binary(1, 0x21, &six), Some("[::1]:0".parse().unwrap())),
            (binary(0, 0x00, &[]), None),
        ] {
            let all = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
            assert_eq!(parse(&all), Ok(Some((header.len(), client))), "{header:?}");
            for cut in 0..header.len() {
                assert_eq!(parse(&header[..cut]), Ok(None), "{cut} of {header:?}");
            }
        }
    }

    #[test]
    fn what_is_no_announcement_is_refused_as_soon_as_that_is_known() {
        let long = [&b"PROXY TCP4 "[..], &[b'1'; 120]].concat();
        let much = binary(1, 0x11, &[0; 5000]);
        for wrong in [
            &b"G"[..],
            b"PROXZ",
            b"\x16\x03\x01",
            b"PROXY TCP4 203.0.113.9 10.0.0.1 56789\r\n",
            b"PROXY TCP4 203.0.113.900 10.0.0.1 56789 5002\r\n",
            b"PROXY TCP4 ::1 10.0.0.1 56789 5002\r\n",
            b"PROXY TCP4 203.0.113.9 10.0.0.1 56789 70000\r\n",
            b"PROXY UDP4 203.0.113.9 10.0.0.1 56789 5002\r\n",
            &long,
            &much[..4097],
            &binary(7, 0x11, &four()),
            &binary(1, 0x11, &[1, 2]),
        ] {
            assert!(parse(wrong).is_err(), "{}", String::from_utf8_lossy(wrong));
        }
    }
}
