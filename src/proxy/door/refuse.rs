//! How is somebody turned away before Pingora knows of them?

use super::stream::Guarded;
use crate::admit::wire::Fault;
use crate::dify::envelope;
use crate::model::rejection::Reason;
use pingora::protocols::Stream;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What is allowed, for an answer that says that something is not (RFC 9110, section 15.5.6).
pub(in crate::proxy) const ALLOWED: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
/// Whoever is turned away is listened to for so long and so much, so that the answer is not lost
/// to a reset: a connection that is closed over unread bytes is reset.
const LINGER: Duration = Duration::from_secs(1);
const MOST: usize = 256 * 1024;

/// Answers in our own name and closes.
pub(super) async fn refuse(mut guarded: Box<Guarded>, fault: Fault) {
    let rejection = fault.rejection();
    let row = rejection.reason.row();
    let body = if guarded.came.starts_with(b"HEAD ") {
        String::new()
    } else {
        envelope::envelope(&rejection)
    };
    let phrase = http::StatusCode::from_u16(row.status)
        .map_or("", |status| status.canonical_reason().unwrap_or_default());
    let allow = match row.reason {
        Reason::MethodNotAllowed => format!("Allow: {ALLOWED}\r\n"),
        _ => String::new(),
    };
    let answer = format!(
        "HTTP/1.1 {} {phrase}\r\nX-Twolane-Error: {}\r\n{allow}Content-Type: {}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        row.status,
        row.word,
        envelope::CONTENT_TYPE,
        body.len(),
    );
    let say = async {
        guarded.write_all(answer.as_bytes()).await?;
        AsyncWriteExt::shutdown(&mut guarded).await?;
        linger(&mut guarded.inner).await;
        std::io::Result::Ok(())
    };
    // A client that does not want the answer has left.
    let _ = tokio::time::timeout(LINGER, say).await;
}

async fn linger(stream: &mut Stream) {
    let mut space = [0; 4096];
    let mut read = 0;
    while read < MOST {
        match stream.read(&mut space).await {
            Ok(0) | Err(_) => return,
            Ok(more) => read += more,
        }
    }
}
