//! How much HTTP is needed? Whole requests with a length, and answers in chunks.

use tokio::io::{AsyncRead, AsyncReadExt};

/// The header of an answer that is streamed.
pub(crate) const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Transfer-Encoding: chunked\r\n\r\n";
/// One event of 64 bytes, as a chunk.
pub(crate) const EVENT: &str =
    "40\r\ndata: {\"code\":0,\"message\":\"success\",\"data\":\"abcdefghijklm\"}\n\n\n\n\n\r\n";
/// Behind the last event.
pub(crate) const END: &str = "0\r\n\r\n";

pub(crate) fn plain(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// The value of a header; `name` is in small letters.
pub(crate) fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let lines = message
        .split("\r\n")
        .skip(1)
        .take_while(|line| !line.is_empty());
    let mut pairs = lines.filter_map(|line| line.split_once(':'));
    let (_, value) = pairs.find(|(own, _)| own.eq_ignore_ascii_case(name))?;
    Some(value.trim())
}

/// One more piece; none at the end of the connection.
async fn more(stream: &mut (impl AsyncRead + Unpin), held: &mut Vec<u8>) -> Option<()> {
    let read = stream.read_buf(held).await.ok()?;
    (read > 0).then_some(())
}

fn head(held: &[u8]) -> Option<usize> {
    Some(held.windows(4).position(|it| it == b"\r\n\r\n")? + 4)
}

/// The header of the next message, and its length on the wire.
async fn begin(
    stream: &mut (impl AsyncRead + Unpin),
    held: &mut Vec<u8>,
) -> Option<(String, usize)> {
    loop {
        if let Some(length) = head(held) {
            let text = String::from_utf8(held[..length].to_vec()).ok()?;
            return Some((text, length));
        }
        more(stream, held).await?;
    }
}

async fn counted(
    stream: &mut (impl AsyncRead + Unpin),
    held: &mut Vec<u8>,
    length: usize,
) -> Option<()> {
    while held.len() < length {
        more(stream, held).await?;
    }
    held.drain(..length);
    Some(())
}

/// The next request's header; its body is read and dropped.
pub(crate) async fn request(
    stream: &mut (impl AsyncRead + Unpin),
    held: &mut Vec<u8>,
) -> Option<String> {
    let (text, length) = begin(stream, held).await?;
    if let Some(body) = header(&text, "content-length") {
        counted(stream, held, length + body.parse::<usize>().ok()?).await?;
    } else if header(&text, "transfer-encoding").is_some() {
        chunked(stream, held, length).await?;
    } else {
        held.drain(..length);
    }
    Some(text)
}

/// Our own bodies hold no such sequence but at their end.
async fn chunked(
    stream: &mut (impl AsyncRead + Unpin),
    held: &mut Vec<u8>,
    length: usize,
) -> Option<()> {
    let end = b"\r\n0\r\n\r\n";
    let from = length - 2;
    loop {
        let found = held[from..].windows(end.len()).position(|it| it == end);
        if let Some(at) = found {
            held.drain(..from + at + end.len());
            return Some(());
        }
        more(stream, held).await?;
    }
}

/// A whole answer: its header.
pub(crate) async fn answer(
    stream: &mut (impl AsyncRead + Unpin),
    held: &mut Vec<u8>,
) -> Option<String> {
    request(stream, held).await
}
