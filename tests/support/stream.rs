//! How does an answer arrive? HTTP/1.1 read piece by piece, for the client double.

use super::client::{DifyError, broken, parse};
use serde_json::Value;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use twolane::model::clock;

pub(super) type Wire = BufReader<TcpStream>;
pub(super) type Pool = Arc<Mutex<Vec<(Wire, Instant)>>>;

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    /// In the order of the wire.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body should be text")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body should be JSON")
    }
}

fn find<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    let found = headers
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

#[derive(Debug)]
enum Body {
    Length(u64),
    Chunked,
    UntilClose,
    Done,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
}

/// One request under way.
#[derive(Debug)]
pub struct Stream {
    wire: Option<Wire>,
    pool: Pool,
    head: bool,
    answer: Option<Answer>,
    line: Vec<u8>,
}

impl Stream {
    pub(super) fn new(wire: Wire, pool: Pool, method: &str) -> Self {
        let head = method == "HEAD";
        Self {
            wire: Some(wire),
            pool,
            head,
            answer: None,
            line: Vec::new(),
        }
    }

    /// Status and headers; waits for them the first time.
    pub async fn head(&mut self) -> io::Result<(u16, &[(String, String)])> {
        if self.answer.is_none() {
            let wire = self.wire.as_mut().ok_or(io::ErrorKind::NotConnected)?;
            self.answer = Some(read_head(wire, self.head).await?);
        }
        let answer = self.answer.as_ref().expect("it was read just now");
        Ok((answer.status, &answer.headers))
    }

    /// Waits for a `100 Continue`.
    pub async fn interim(&mut self) -> io::Result<()> {
        let wire = self.wire.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let status_line = read_line(wire).await?;
        read_line(wire).await?;
        if status_line.contains(" 100") {
            Ok(())
        } else {
            Err(io::Error::other(status_line))
        }
    }

    /// Sends more of the body.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let wire = self.wire.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        wire.write_all(bytes).await
    }

    /// The next event, as Dify reads it; `None` at the end of the stream.
    pub async fn next(&mut self) -> Result<Option<Value>, DifyError> {
        loop {
            let Some(line) = self.next_line().await.map_err(broken)? else {
                return Ok(None);
            };
            let line = line.strip_prefix("data:").unwrap_or(&line).trim();
            if !line.is_empty() {
                return parse(line).map(Some);
            }
        }
    }

    async fn next_line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.line.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).trim().to_owned()));
            }
            match self.part().await? {
                Some(part) => self.line.extend(part),
                None if self.line.is_empty() => return Ok(None),
                None => {
                    let line = std::mem::take(&mut self.line);
                    return Ok(Some(String::from_utf8_lossy(&line).trim().to_owned()));
                }
            }
        }
    }

    /// The next piece of the body as it came, one chunk if it is chunked; `None` at its end.
    pub async fn part(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.head().await?;
        let (Some(wire), Some(answer)) = (self.wire.as_mut(), self.answer.as_mut()) else {
            return Ok(None);
        };
        let part = match &mut answer.body {
            Body::Done => None,
            Body::Length(left) => read_up_to(wire, left).await?,
            Body::Chunked => read_chunk(wire).await?,
            Body::UntilClose => {
                let mut rest = Vec::new();
                wire.read_to_end(&mut rest).await?;
                answer.body = Body::Done;
                return Ok((!rest.is_empty()).then_some(rest));
            }
        };
        if part.is_none() {
            answer.body = Body::Done;
            self.give_back();
        }
        Ok(part)
    }

    /// Reads the rest.
    pub async fn whole(mut self) -> io::Result<Response> {
        let mut body = Vec::new();
        while let Some(part) = self.part().await? {
            body.extend(part);
        }
        let answer = self
            .answer
            .expect("a part was asked for, so the head was read");
        Ok(Response {
            status: answer.status,
            headers: answer.headers,
            body,
        })
    }

    /// Leaves: FIN.
    pub fn abort(self) {
        drop(self);
    }

    /// Leaves: RST.
    pub fn reset(self) {
        if let Some(wire) = &self.wire {
            wire.get_ref()
                .set_zero_linger()
                .expect("the socket is open");
        }
    }

    fn give_back(&mut self) {
        let closes = self.answer.as_ref().is_none_or(|answer| {
            let connection = find(&answer.headers, "Connection");
            connection.is_some_and(|value| value.eq_ignore_ascii_case("close"))
        });
        if let Some(wire) = self.wire.take().filter(|_| !closes) {
            let mut pool = self.pool.lock().expect("no test panics with the pool");
            pool.push((wire, clock::now()));
        }
    }
}

async fn read_head(wire: &mut Wire, head: bool) -> io::Result<Answer> {
    loop {
        let status_line = read_line(wire).await?;
        let status = status_line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse::<u16>().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("not HTTP: {status_line}")))?;
        let mut headers = Vec::new();
        loop {
            let line = read_line(wire).await?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        if status >= 200 {
            let body = framing(status, &headers, head);
            return Ok(Answer {
                status,
                headers,
                body,
            });
        }
    }
}

fn framing(status: u16, headers: &[(String, String)], head: bool) -> Body {
    if head || status == 204 || status == 304 {
        return Body::Done;
    }
    if find(headers, "Transfer-Encoding").is_some() {
        return Body::Chunked;
    }
    match find(headers, "Content-Length").and_then(|length| length.parse().ok()) {
        Some(length) => Body::Length(length),
        None => Body::UntilClose,
    }
}

async fn read_line(wire: &mut Wire) -> io::Result<String> {
    let mut line = Vec::new();
    wire.read_until(b'\n', &mut line).await?;
    if line.pop() != Some(b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

async fn read_up_to(wire: &mut Wire, left: &mut u64) -> io::Result<Option<Vec<u8>>> {
    if *left == 0 {
        return Ok(None);
    }
    let mut part = vec![0; usize::try_from(*left).map_or(65_536, |left| left.min(65_536))];
    let read = wire.read(&mut part).await?;
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    part.truncate(read);
    *left -= read as u64;
    Ok(Some(part))
}

async fn read_chunk(wire: &mut Wire) -> io::Result<Option<Vec<u8>>> {
    let size = read_line(wire).await?;
    let size = usize::from_str_radix(&size, 16).map_err(io::Error::other)?;
    let mut chunk = vec![0; size];
    wire.read_exact(&mut chunk).await?;
    read_line(wire).await?;
    Ok((size > 0).then_some(chunk))
}
