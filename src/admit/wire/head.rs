//! Is this a request's head, and what follows it?

use super::Fault;
use super::fields::{all, field, is_token, list};
use super::host::is_host;
use crate::model::rejection::Reason;

/// How large a head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadRules {
    /// All of it, in bytes.
    pub bytes: usize,
    /// Its fields.
    pub fields: usize,
    /// The target of its first line, in bytes.
    pub target: usize,
}

/// How the end of a body is found (RFC 9112, section 6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    #[default]
    None,
    /// It has so many bytes.
    Length(u64),
    /// It comes in chunks.
    Chunked,
}

/// The longest method there is has 17 letters, and nobody asks a daemon to UPDATEREDIRECTREF.
const METHOD: usize = 16;
/// Behind method and target: `HTTP/1.1` and two blanks.
const VERSION: usize = 10;

/// A head that is read line by line, as it comes.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// Where the line begins that is not complete yet.
    line: usize,
    /// Up to where no end of line is.
    seen: usize,
    lines: usize,
    old: bool,
    upgrade: bool,
    length: Option<u64>,
    chunked: bool,
    host: Option<(usize, usize)>,
    /// The authority of an absolute target.
    authority: Option<(usize, usize)>,
}

impl Head {
    /// Reads on in what came so far, which begins with the head. Returns where it ends, once that
    /// has come.
    ///
    /// # Errors
    /// At the first line that is none of a head.
    pub fn read(&mut self, bytes: &[u8], rules: &HeadRules) -> Result<Option<usize>, Fault> {
        loop {
            let from = self.seen.min(bytes.len());
            let Some(at) = memchr::memchr(b'\n', &bytes[from..]) else {
                self.seen = bytes.len();
                self.check_size(bytes, bytes.len(), rules)?;
                return Ok(None);
            };
            let end = from + at;
            self.seen = end + 1;
            self.check_size(bytes, end + 1, rules)?;
            let line = match &bytes[self.line..end] {
                [line @ .., b'\r'] => line,
                _ => return Err(Fault::framing("a line does not end with CR LF")),
            };
            let start = std::mem::replace(&mut self.line, end + 1);
            if line.is_empty() && self.lines > 0 {
                self.finish(bytes)?;
                return Ok(Some(end + 1));
            }
            self.take(line, start)?;
            self.lines += 1;
            if self.lines > rules.fields + 1 {
                return Err(Fault::new(
                    Reason::HeadTooLarge,
                    "the request has too many header fields",
                ));
            }
        }
    }

    /// How its body ends.
    #[must_use]
    pub const fn framing(&self) -> Framing {
        match (self.chunked, self.length) {
            (true, _) => Framing::Chunked,
            (false, Some(length @ 1..)) => Framing::Length(length),
            _ => Framing::None,
        }
    }

    /// Whether it asks for another protocol on its connection.
    #[must_use]
    pub const fn asks_for_upgrade(&self) -> bool {
        self.upgrade
    }

    fn check_size(&self, bytes: &[u8], end: usize, rules: &HeadRules) -> Result<(), Fault> {
        if self.lines == 0 && end > METHOD + rules.target + VERSION + 2 {
            let method = bytes.iter().take(METHOD + 1);
            return Err(if method.into_iter().all(|byte| is_token(*byte)) {
                Fault::head("the method is too long")
            } else {
                Fault::new(Reason::TargetTooLong, "the request's target is too long")
            });
        }
        if end > rules.bytes {
            let text = "the request's header is too large";
            return Err(Fault::new(Reason::HeadTooLarge, text));
        }
        Ok(())
    }

    fn take(&mut self, line: &[u8], start: usize) -> Result<(), Fault> {
        if self.lines == 0 {
            return self.request_line(line, start);
        }
        let (name, value) = field(line)?;
        // The lengths of the few names that matter; every other is passed by at one comparison.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.host(line, value, start),
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.upgrade = true;
                Ok(())
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => self.length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.coding(value),
            _ => Ok(()),
        }
    }

    fn request_line(&mut self, line: &[u8], start: usize) -> Result<(), Fault> {
        let Some((method, target, version)) = three(line) else {
            return Err(Fault::head(
                "the first line is not a method, a target and a version, one blank apart",
            ));
        };
        if method.is_empty() || !method.iter().copied().all(is_token) {
            return Err(Fault::head("the method is not a word"));
        }
        if method.len() > METHOD {
            return Err(Fault::head("the method is too long"));
        }
        self.old = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                return Err(Fault::new(
                    Reason::VersionUnknown,
                    "only HTTP/1.1 and HTTP/1.0 are spoken here",
                ));
            }
            _ => return Err(Fault::head("the first line does not end with a version")),
        };
        if matches!(method, b"CONNECT" | b"TRACE" | b"TRACK") {
            let text = "this method is not allowed here";
            return Err(Fault::new(Reason::MethodNotAllowed, text));
        }
        self.target(method, target, start)
    }

    fn target(&mut self, method: &[u8], target: &[u8], start: usize) -> Result<(), Fault> {
        // A fragment is cut off by some and kept by others.
        if !all(target, |byte| byte.is_ascii_graphic() & (byte != b'#')) {
            return Err(Fault::new(
                Reason::BadPath,
                "the target holds what must be percent-encoded",
            ));
        }
        match target {
            [b'/', ..] => return Ok(()),
            b"*" if method == b"OPTIONS" => return Ok(()),
            _ => {}
        }
        let scheme = ["http://", "https://"].into_iter().find(|scheme| {
            let begin = target.get(..scheme.len());
            begin.is_some_and(|begin| begin.eq_ignore_ascii_case(scheme.as_bytes()))
        });
        let Some(scheme) = scheme else {
            return Err(Fault::head("the target is neither a path nor a URL"));
        };
        let rest = &target[scheme.len()..];
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?'));
        let from = start + method.len() + 1 + scheme.len();
        self.authority = Some((from, from + end.unwrap_or(rest.len())));
        Ok(())
    }

    fn host(&mut self, line: &[u8], value: &[u8], start: usize) -> Result<(), Fault> {
        if self.host.is_some() {
            return Err(Fault::head("there are two Host fields"));
        }
        if !is_host(value) {
            return Err(Fault::head("the Host field is not one host"));
        }
        // Where the value stands: only blanks surround it.
        let blanks = line[5..]
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace());
        let from = start + 5 + blanks.count();
        self.host = Some((from, from + value.len()));
        Ok(())
    }

    fn length(&mut self, value: &[u8]) -> Result<(), Fault> {
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let text = std::str::from_utf8(value).ok().filter(|_| digits);
        let Some(length) = text.and_then(|text| text.parse().ok()) else {
            return Err(Fault::framing("Content-Length is not one number"));
        };
        if self.length.replace(length).is_some() {
            return Err(Fault::framing("there are two Content-Length fields"));
        }
        Ok(())
    }

    fn coding(&mut self, value: &[u8]) -> Result<(), Fault> {
        if self.chunked {
            return Err(Fault::framing("there are two Transfer-Encoding fields"));
        }
        if value.eq_ignore_ascii_case(b"chunked") {
            self.chunked = true;
            return Ok(());
        }
        let known = [
            &b"gzip"[..],
            b"x-gzip",
            b"deflate",
            b"compress",
            b"x-compress",
        ];
        let is_known = |coding: &[u8]| known.iter().any(|word| word.eq_ignore_ascii_case(coding));
        // Codings that exist and that we do not speak, before an honest `chunked`.
        let mut codings = list(value);
        if codings.next().is_some_and(is_known) {
            return Err(Fault::new(
                Reason::CodingUnknown,
                "of transfer codings only chunked is spoken here",
            ));
        }
        Err(Fault::framing("Transfer-Encoding is not chunked alone"))
    }

    fn finish(&self, bytes: &[u8]) -> Result<(), Fault> {
        if self.chunked && self.length.is_some() {
            return Err(Fault::framing(
                "there are both Content-Length and Transfer-Encoding",
            ));
        }
        if self.chunked && self.old {
            return Err(Fault::framing("HTTP/1.0 has no Transfer-Encoding"));
        }
        let named = |(from, to): (usize, usize)| &bytes[from..to];
        match (self.host, self.authority) {
            (None, _) if !self.old => Err(Fault::head("there is no Host field")),
            (Some(host), Some(authority))
                if !named(host).eq_ignore_ascii_case(named(authority)) =>
            {
                Err(Fault::head(
                    "the target names another host than the Host field",
                ))
            }
            (None, Some(authority)) if !is_host(named(authority)) => {
                Err(Fault::head("the target does not name one host"))
            }
            _ => Ok(()),
        }
    }
}

/// Three words, one blank apart.
fn three(line: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let first = memchr::memchr(b' ', line)?;
    let last = memchr::memrchr(b' ', line)?;
    let between = line.get(first + 1..last)?;
    let more = memchr::memchr(b' ', between);
    more.is_none()
        .then(|| (&line[..first], between, &line[last + 1..]))
}
