//! How is a JSON text read that comes in pieces?

/// The bytes of one JSON string between its quotes, decoded one by one. It keeps the first
/// [`Literal::LONGEST`] bytes and allocates nothing.
#[derive(Clone, Debug)]
pub(super) struct Literal {
    bytes: [u8; Self::LONGEST],
    length: usize,
    escape: Escape,
    /// The first half of a pair of `\u` escapes.
    half: Option<u16>,
}

/// The bytes of the longest character.
const LONGEST_CHARACTER: usize = 4;

/// Which bytes of a text stand for themselves.
static PLAIN: [bool; 256] = {
    let mut table = [true; 256];
    let mut at = 0;
    while at < 0x20 {
        table[at] = false;
        at += 1;
    }
    table[b'"' as usize] = false;
    table[b'\\' as usize] = false;
    table
};

/// How many bytes that stand for themselves come first.
fn plain(bytes: &[u8]) -> usize {
    let end = bytes.iter().position(|&byte| !PLAIN[usize::from(byte)]);
    end.unwrap_or(bytes.len())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    None,
    Begun,
    /// `\u` and so many of its four digits.
    Unicode {
        digits: u8,
        value: u16,
    },
}

/// What a byte did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The text goes on.
    More,
    /// That was the closing quote.
    End,
    /// This is no JSON.
    Bad,
}

impl Literal {
    /// Longer texts are cut: no plugin has a tool of such a name.
    pub(super) const LONGEST: usize = 128;

    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; Self::LONGEST],
            length: 0,
            escape: Escape::None,
            half: None,
        }
    }

    /// Forgets the text for the next one.
    pub(super) fn clear(&mut self) {
        self.length = 0;
        self.escape = Escape::None;
        self.half = None;
    }

    /// The text that `bytes` begin with, where nothing of it came before and it stands there as it
    /// is: its closing quote is among them, and no escape before it. None so long that [`Self::text`]
    /// would forgive a broken last character.
    pub(super) fn whole<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        if self.length != 0 || self.is_midway() {
            return None;
        }
        let head = &bytes[..bytes.len().min(Self::LONGEST - LONGEST_CHARACTER)];
        let end = plain(head);
        (head.get(end) == Some(&b'"')).then(|| &head[..end])
    }

    /// Takes the plain characters that `bytes` begin with, all at once; how many bytes they are.
    /// The byte behind them is for [`Literal::take`].
    pub(super) fn take_plain(&mut self, bytes: &[u8]) -> usize {
        if self.is_midway() {
            return 0;
        }
        let count = plain(bytes);
        self.keep(&bytes[..count]);
        count
    }

    /// Takes the next byte after the opening quote.
    pub(super) fn take(&mut self, byte: u8) -> Step {
        match self.escape {
            Escape::None => self.plain(byte),
            Escape::Begun => self.escaped(byte),
            Escape::Unicode { digits, value } => self.digit(byte, digits, value),
        }
    }

    /// In the middle of a character that is written as an escape.
    fn is_midway(&self) -> bool {
        self.escape != Escape::None || self.half.is_some()
    }

    /// What was read, cut wherever it was too long.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// What was read, cut between two characters. `None` when it is no UTF-8.
    pub(super) fn text(&self) -> Option<&str> {
        let bytes = self.bytes();
        match std::str::from_utf8(bytes) {
            Ok(text) => Some(text),
            // The cut may have gone through the last character.
            Err(error)
                if error.error_len().is_none()
                    && self.length + LONGEST_CHARACTER > Self::LONGEST =>
            {
                std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()
            }
            Err(_) => None,
        }
    }

    fn plain(&mut self, byte: u8) -> Step {
        match byte {
            b'\\' => {
                self.escape = Escape::Begun;
                return Step::More;
            }
            _ if self.half.is_some() => return Step::Bad,
            b'"' => return Step::End,
            0..0x20 => return Step::Bad,
            _ => self.keep(&[byte]),
        }
        Step::More
    }

    fn escaped(&mut self, byte: u8) -> Step {
        if self.half.is_some() && byte != b'u' {
            return Step::Bad;
        }
        self.escape = Escape::None;
        let meant = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                self.escape = Escape::Unicode {
                    digits: 0,
                    value: 0,
                };
                return Step::More;
            }
            _ => return Step::Bad,
        };
        self.keep(&[meant]);
        Step::More
    }

    fn digit(&mut self, byte: u8, digits: u8, value: u16) -> Step {
        let Some(digit) = char::from(byte).to_digit(16) else {
            return Step::Bad;
        };
        let value = (value << 4) | digit as u16;
        if digits < 3 {
            self.escape = Escape::Unicode {
                digits: digits + 1,
                value,
            };
            return Step::More;
        }
        self.escape = Escape::None;
        let units = match self.half.take() {
            Some(half) => [half, value],
            None if (0xd800..0xdc00).contains(&value) => {
                self.half = Some(value);
                return Step::More;
            }
            None => [value, 0],
        };
        match char::decode_utf16(units).next() {
            Some(Ok(character)) => {
                self.keep(character.encode_utf8(&mut [0; 4]).as_bytes());
                Step::More
            }
            _ => Step::Bad,
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = &mut self.bytes[self.length..];
        let count = bytes.len().min(room.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.length += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(quoted: &str) -> Option<String> {
        let mut literal = Literal::new();
        for &byte in quoted.as_bytes() {
            match literal.take(byte) {
                Step::More => {}
                Step::End => return literal.text().map(str::to_owned),
                Step::Bad => return None,
            }
        }
        None
    }

    #[test]
    fn escapes_are_resolved() {
        assert_eq!(
            read(r#"a\"\\\/\b\f\n\r\t\u00fc\uD83D\uDE00z""#).unwrap(),
            "a\"\\/\u{8}\u{c}\n\r\tü😀z"
        );
        for bad in [
            r#"\x""#,
            r#"\uD83D""#,
            r#"\uD83Dx""#,
            r#"\uD83D\n""#,
            r#"\uDE00""#,
            r#"\u00g0""#,
            "\n\"",
            "abc",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let long = format!("x{}\"", "😀".repeat(100));
        assert_eq!(read(&long).unwrap(), format!("x{}", "😀".repeat(31)));
        assert_eq!(
            read(&format!("{}\"", "a".repeat(500))).unwrap().len(),
            Literal::LONGEST
        );
    }
}
