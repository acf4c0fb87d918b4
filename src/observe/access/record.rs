//! What is known of a request when it is over?

use crate::model::{RequestId, Verdict};
use crate::observe::Ending;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// One request that is over. It has no room for a body, a query, a cookie or a key.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// What is judged and counted.
    pub facts: Facts,
    /// What was said, and how things are called.
    pub texts: Texts<'a>,
}

/// What a record has of its own.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// When it ended.
    pub ended: SystemTime,
    /// What it is called.
    pub id: Option<RequestId>,
    /// Who asked, and from which port.
    pub client: Option<(IpAddr, Option<u16>)>,
    /// The version of HTTP, as in a request line.
    pub protocol: &'static str,
    /// How it ended.
    pub ending: Ending,
    /// The status that the client saw; none = none.
    pub status: Option<u16>,
    /// The status of the last node that answered.
    pub node_status: Option<u16>,
    /// Bytes of its body that came,
    pub bytes_in: u64,
    /// and of the answer's that went.
    pub bytes_out: u64,
    /// From its header to its end.
    pub took: Duration,
    /// Of which it waited for a place.
    pub waited: Duration,
    /// From its header to the first byte of a node's answer.
    pub first_byte: Option<Duration>,
    /// How many nodes were asked.
    pub attempts: usize,
    /// The class and its ground; none when it was turned away before.
    pub verdict: Option<Verdict>,
    /// Why the last node was chosen.
    pub why: Option<&'static str>,
    /// Why it was answered in our own name.
    pub rejection: Option<&'static str>,
}

/// What a record only looks at.
#[derive(Clone, Copy, Debug)]
pub struct Texts<'a> {
    /// What the client was told about earlier clients: `X-Forwarded-For` as it came.
    pub forwarded_for: Option<&'a [u8]>,
    /// The request's method.
    pub method: &'a str,
    /// Its path, without the query.
    pub path: &'a str,
    /// The version of TLS, where there is any.
    pub tls: Option<&'a str>,
    /// The client's `User-Agent`.
    pub user_agent: Option<&'a [u8]>,
    /// Its trace: `traceparent`, where it is one.
    pub trace: Option<&'a [u8]>,
    /// The last node that was asked.
    pub node: Option<&'a str>,
    /// The pool that it went to; this and what follows are none when it was turned away before.
    pub pool: Option<&'a str>,
    /// What was asked, as it is learned; or the word of its kind.
    pub operation: Option<&'a str>,
    /// The plugin that was asked, where one was.
    pub plugin: Option<&'a str>,
}

impl Facts {
    /// Its ending in one word; the status stands beside it.
    pub(super) fn ended_how(&self) -> &'static str {
        match self.ending {
            Ending::Answered(_) => "answered",
            other => other.word(),
        }
    }
}
