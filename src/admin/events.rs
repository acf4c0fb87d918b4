//! What is new? A stream of events, for as long as somebody reads.
//!
//! Server-sent events: `overview` every second, `decisions` and `notices` as they come. Whoever
//! reads too slowly misses nothing but time: the next overview is the newest.

use super::{Admin, decisions, overview, reply};
use crate::model::clock;
use http::Version;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use serde::Serialize;
use serde_json::json;
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(1);
/// So many may watch at once; the listener has one thread.
const MOST: usize = 32;
/// A burst of decisions is cut to so many; the page shows fewer.
const LATEST: usize = 50;
/// A reader that takes nothing for so long is gone.
const STUCK: Duration = Duration::from_secs(20);

/// One open stream, counted until it ends.
struct Watching<'a>(&'a AtomicUsize);

impl<'a> Watching<'a> {
    fn begin(count: &'a AtomicUsize) -> Option<Self> {
        let before = count.fetch_add(1, Ordering::Relaxed);
        let watching = Self(count);
        (before < MOST).then_some(watching)
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sends events until the client leaves or the gateway ends.
pub(super) async fn stream(
    admin: &Admin,
    session: &mut ServerSession,
    mut shutdown: ShutdownWatch,
) -> pingora::Result<()> {
    let Some(_watching) = Watching::begin(&admin.watching) else {
        let what = format!("{MOST} streams of events are open already\n");
        let (head, body) = reply::text(503, what).into_parts();
        session.write_response_header(Box::new(head.into())).await?;
        return session.write_response_body(body.into(), true).await;
    };
    session.set_write_timeout(Some(STUCK));
    let mut head = ResponseHeader::build(200, None)?;
    head.insert_header("Content-Type", "text/event-stream; charset=utf-8")?;
    head.insert_header("Cache-Control", "no-store")?;
    if session.req_header().version == Version::HTTP_11 {
        // Otherwise the end of the connection is the end of the stream.
        head.insert_header("Transfer-Encoding", "chunked")?;
    }
    session.write_response_header(Box::new(head)).await?;
    let mut news = News::new(admin);
    loop {
        let piece = news.piece(admin);
        session.write_response_body(piece.into(), false).await?;
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = shutdown.changed() => break,
            // Only its end can come from there.
            _left = session.read_body_or_idle(true) => return Ok(()),
        }
    }
    session.write_response_body(bytes::Bytes::new(), true).await
}

/// What this stream has told.
struct News {
    /// The newest decision.
    decided: Instant,
    /// The newest notice.
    noticed: u64,
}

impl News {
    /// What is there already is read from the pages; only what comes is told.
    fn new(admin: &Admin) -> Self {
        let newest = admin.live.decisions.last(1);
        let last = admin.live.history.notices(0);
        Self {
            decided: newest.first().map_or_else(clock::now, |newest| newest.at),
            noticed: last.last().map_or(0, |last| last.number),
        }
    }

    fn piece(&mut self, admin: &Admin) -> String {
        let live = &admin.live;
        let mut text = String::new();
        event(&mut text, "overview", &overview::of(live));
        let latest = live.decisions.last(LATEST);
        let new: Vec<_> = latest
            .iter()
            .take_while(|decision| decision.at > self.decided)
            .collect();
        if let Some(newest) = new.first() {
            self.decided = newest.at;
            let rows: Vec<_> = new.into_iter().map(decisions::row).collect();
            event(&mut text, "decisions", &json!({ "decisions": rows }));
        }
        let notices = live.history.notices(self.noticed);
        if let Some(last) = notices.last() {
            self.noticed = last.number;
            event(&mut text, "notices", &json!({ "notices": notices }));
        }
        text
    }
}

fn event(to: &mut String, name: &str, data: &impl Serialize) {
    // JSON in one line has no line break.
    let data = serde_json::to_string(data).unwrap_or_default();
    let _into_memory = write!(to, "event: {name}\ndata: {data}\n\n");
}
