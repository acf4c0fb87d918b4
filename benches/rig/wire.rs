//! What stands on the wire, as far as the callers and the tiny daemons must know.

/// A daemon's answer to the gateway's question whether it is well.
pub(crate) const HEALTH: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 69\r\n\r\n\
    {\"status\":\"ok\",\"active_requests\":0,\"active_dispatch_requests\":0     }";

/// The length of header and body, once both are there.
pub(crate) fn whole(bytes: &[u8]) -> Option<usize> {
    let header = bytes.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..header]).ok()?;
    let body = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0);
    (bytes.len() >= header + body).then_some(header + body)
}
