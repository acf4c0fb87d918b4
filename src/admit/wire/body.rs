//! Where does its body end?

use super::fields::{is_token, is_value};
use super::{Fault, Framing};
use std::ops::Range;

/// The end of a body in chunks, and all of one with nothing in it.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Extensions of chunks mean nothing to anybody; more than this per body, or in a chunk of an answer, is an
/// attack.
const EXTENSIONS: u32 = 4 * 1024;
/// Fields behind a body are dropped; more than this is not worth reading.
const TRAILERS: u32 = 8 * 1024;
/// Hexadecimal digits of a chunk's size: no chunk is larger than a petabyte.
const DIGITS: u8 = 12;

/// What of a body is still to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    #[default]
    Done,
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunks(Chunks),
}

/// How far a body in chunks is read (RFC 9112, section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunks {
    at: At,
    /// Bytes of extensions so far.
    extensions: u32,
    /// Bytes of trailers so far.
    trailers: u32,
    /// Of an answer: what nodes write oddly is taken.
    lenient: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In a chunk's size, with its value and digits so far.
    Size(u64, u8),
    /// In blanks behind a size.
    Blank(u64),
    /// In an extension of a chunk of this size.
    Extension(u64),
    /// Before the LF behind a size.
    SizeEnd(u64),
    /// In a chunk, with so many bytes to come.
    Data(u64),
    /// Before the CR behind a chunk.
    DataCr,
    /// Before the LF behind a chunk.
    DataLf,
    /// At the start of a trailer's line, or of the empty one that ends them.
    Line,
    /// In a trailer's name.
    Name,
    /// In a trailer's value.
    Value,
    /// Before the LF behind a trailer.
    LineLf,
    /// Before the very last LF.
    EndLf,
    End,
}

const BAD_SIZE: Fault = Fault::framing("a chunk's size is not a number and CR LF");
const BAD_END: Fault = Fault::framing("a chunk is not as long as it says");
const BAD_EXTENSION: Fault = Fault::framing("a chunk's extension is not text, or is too long");
const BAD_TRAILER: Fault = Fault::framing("what follows the last chunk is not a field");

impl Body {
    /// The body of a head that was read.
    #[must_use]
    pub const fn of(framing: Framing) -> Self {
        match framing {
            Framing::None | Framing::Length(0) => Self::Done,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunks(Chunks::new()),
        }
    }

    /// Whether nothing is to come.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Reads on. Returns how many of these bytes belong to the body; what follows is somebody
    /// else's.
    ///
    /// # Errors
    /// When they can be read in two ways.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        match self {
            Self::Done => Ok(0),
            Self::Length(left) => {
                let taken = left_of(*left, bytes);
                *left -= taken as u64;
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok(taken)
            }
            Self::Chunks(chunks) => {
                let taken = chunks.feed(bytes)?;
                if chunks.is_done() {
                    *self = Self::Done;
                }
                Ok(taken)
            }
        }
    }
}

fn left_of(left: u64, bytes: &[u8]) -> usize {
    usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()))
}

impl Chunks {
    /// None of a request's were read.
    const fn new() -> Self {
        Self {
            at: At::Size(0, 0),
            extensions: 0,
            trailers: 0,
            lenient: false,
        }
    }

    /// None of an answer's were read. Of a node more is taken than of a client: blanks behind a size,
    /// and extensions of each chunk. It is for [`peel`](Self::peel), which hands on none of them.
    #[must_use]
    pub const fn of_answer() -> Self {
        let mut chunks = Self::new();
        chunks.lenient = true;
        chunks
    }

    /// Whether all was read, and what may follow the last of them.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.at == At::End
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let mut read = 0;
        while read < bytes.len() && !self.is_done() {
            read += self.advance(&bytes[read..])?.0;
        }
        Ok(read)
    }

    /// Reads on, and moves together what is of the body itself: where that is, and how many of these
    /// bytes were read; or the fault behind it.
    pub fn peel(&mut self, bytes: &mut [u8]) -> (Range<usize>, Result<usize, Fault>) {
        let (mut data, mut read) = (0..0, 0);
        while read < bytes.len() && !self.is_done() {
            match self.advance(&bytes[read..]) {
                Ok((size, true)) if data.is_empty() => {
                    data = read..read + size;
                    read += size;
                }
                Ok((size, true)) => {
                    bytes.copy_within(read..read + size, data.end);
                    data.end += size;
                    read += size;
                }
                Ok((size, false)) => read += size,
                Err(fault) => return (data, Err(fault)),
            }
        }
        (data, Ok(read))
    }

    /// Reads all that is there of a chunk, or one byte between two: how many bytes, and whether they are
    /// of the body itself.
    fn advance(&mut self, bytes: &[u8]) -> Result<(usize, bool), Fault> {
        let At::Data(left) = self.at else {
            self.at = self.step(bytes[0])?;
            return Ok((1, false));
        };
        let taken = left_of(left, bytes);
        let left = left - taken as u64;
        self.at = if left == 0 {
            At::DataCr
        } else {
            At::Data(left)
        };
        Ok((taken, true))
    }

    /// As many are read of a size.
    const fn digits(&self) -> u8 {
        if self.lenient { 16 } else { DIGITS }
    }

    fn step(&mut self, byte: u8) -> Result<At, Fault> {
        match (self.at, byte) {
            (At::Size(size, 1..) | At::Blank(size), b' ' | b'\t') if self.lenient => {
                Ok(At::Blank(size))
            }
            (At::Size(size, digits), _) => sized(size, digits, self.digits(), byte),
            (At::Blank(size), _) => sized(size, self.digits(), self.digits(), byte),
            (At::Extension(size), b'\r') => Ok(At::SizeEnd(size)),
            (At::Extension(size), _) => {
                self.extensions += 1;
                let sound = is_value(byte) && self.extensions <= EXTENSIONS;
                sound.then_some(At::Extension(size)).ok_or(BAD_EXTENSION)
            }
            (At::SizeEnd(0), b'\n') => Ok(At::Line),
            (At::SizeEnd(size), b'\n') => Ok(At::Data(size)),
            (At::SizeEnd(_), _) => Err(BAD_SIZE),
            (At::DataCr, b'\r') => Ok(At::DataLf),
            (At::DataLf, b'\n') => {
                if self.lenient {
                    self.extensions = 0;
                }
                Ok(At::Size(0, 0))
            }
            (At::DataCr | At::DataLf, _) => Err(BAD_END),
            _ => self.trailer(byte),
        }
    }

    fn trailer(&mut self, byte: u8) -> Result<At, Fault> {
        self.trailers += 1;
        if self.trailers > TRAILERS {
            return Err(BAD_TRAILER);
        }
        match (self.at, byte) {
            (At::Line, b'\r') => Ok(At::EndLf),
            (At::Line | At::Name, _) if is_token(byte) => Ok(At::Name),
            (At::Name, b':') => Ok(At::Value),
            (At::Value, b'\r') => Ok(At::LineLf),
            (At::Value, _) if is_value(byte) => Ok(At::Value),
            (At::LineLf, b'\n') => Ok(At::Line),
            (At::EndLf, b'\n') => Ok(At::End),
            _ => Err(BAD_TRAILER),
        }
    }
}

fn sized(size: u64, digits: u8, most: u8, byte: u8) -> Result<At, Fault> {
    match byte {
        b'\r' if digits > 0 => Ok(At::SizeEnd(size)),
        b';' if digits > 0 => Ok(At::Extension(size)),
        _ => {
            let digit = char::from(byte).to_digit(16).filter(|_| digits < most);
            let digit = digit.ok_or(BAD_SIZE)?;
            Ok(At::Size(size << 4 | u64::from(digit), digits + 1))
        }
    }
}
