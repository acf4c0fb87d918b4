//! Which request? What a client calls it, or a number of our own.

use super::digits;
use std::fmt;

/// A request's name in the last decisions and in the debug headers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RequestId {
    /// The client gave none that can be used.
    Own {
        /// Tells this gateway from others, new with every start.
        gateway: u32,
        /// Counts its requests.
        number: u64,
    },
    /// The client's own.
    Given(GivenId),
}

/// At most 64 letters, digits, dots, dashes and underscores.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct GivenId {
    length: u8,
    bytes: [u8; Self::LONGEST],
}

impl GivenId {
    const LONGEST: usize = 64;

    /// A client's id, if it is one: other signs could forge a line of a log.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if text.is_empty() || text.len() > Self::LONGEST || !text.bytes().all(sign) {
            return None;
        }
        let mut bytes = [0; Self::LONGEST];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Some(Self {
            length: u8::try_from(text.len()).ok()?,
            bytes,
        })
    }

    /// As it was given, in ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // What was taken in is ASCII.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl RequestId {
    /// As it is written. Every request's answer says it, so no formatter is asked.
    #[must_use]
    #[inline(never)]
    pub fn text(&self) -> GivenId {
        let (gateway, number) = match self {
            Self::Given(given) => return *given,
            Self::Own { gateway, number } => (*gateway, *number),
        };
        let mut bytes = [0; GivenId::LONGEST];
        bytes[..8].copy_from_slice(&digits::hex(gateway));
        bytes[8] = b'-';
        let digits = digits::write(number, &mut bytes[9..]);
        GivenId {
            length: 9 + digits as u8,
            bytes,
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Debug for GivenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_id_is_taken_only_when_it_cannot_forge_anything() {
        let long = "x".repeat(64);
        for good in ["a", "8d6c1f0e-2b4a", "A.b_C-9", long.as_str()] {
            let id = GivenId::new(good).expect(good);
            assert_eq!(RequestId::Given(id).to_string(), good);
        }
        let longer = "x".repeat(65);
        for bad in ["", "a b", "a\nb", "ü", "a/b", "a=b", longer.as_str()] {
            assert!(GivenId::new(bad).is_none(), "{bad:?} was taken");
        }
        let own = RequestId::Own {
            gateway: 0xab,
            number: 17,
        };
        assert_eq!(own.to_string(), "000000ab-17");
        let long = [99_999_999, 100_000_000, 10_u64.pow(16), u64::MAX];
        for number in [0, 9, 10].into_iter().chain(long) {
            let gateway = 0xfedc_ba98;
            let own = RequestId::Own { gateway, number };
            assert_eq!(own.to_string(), format!("fedcba98-{number}"));
        }
    }
}
