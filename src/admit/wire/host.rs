//! Whom is it for?

/// A host's name or address and, behind a colon, a port; nothing else, and no list.
pub(super) fn is_host(value: &[u8]) -> bool {
    let (host, port) = match value {
        [b'[', rest @ ..] => {
            let Some(end) = rest.iter().position(|byte| *byte == b']') else {
                return false;
            };
            let (address, rest) = rest.split_at(end);
            let text = std::str::from_utf8(address).unwrap_or_default();
            if text.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            (address, &rest[1..])
        }
        _ => {
            let end = value.iter().position(|byte| *byte == b':');
            value.split_at(end.unwrap_or(value.len()))
        }
    };
    let named = value.first() == Some(&b'[') || host.iter().copied().all(is_name);
    !host.is_empty() && named && (port.is_empty() || is_port(port))
}

// Docker gives names with `_`; RFC 3986 allows more, which no host is called.
const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn is_port(text: &[u8]) -> bool {
    let [b':', digits @ ..] = text else {
        return false;
    };
    let value = digits.iter().try_fold(0_u32, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
        Some(sum * 10 + digit).filter(|sum| *sum <= 65_535)
    });
    !digits.is_empty() && value.is_some_and(|port| port > 0)
}
