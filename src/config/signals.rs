//! How is written down what happens, and by which ids is a request followed? The sections `log` and
//! `tracing`.

use super::print::{table, text};
use super::tree::Tree;
use crate::model::EventFormat;

/// The event log, on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventLog {
    /// How its lines look.
    pub format: EventFormat,
}

/// Ids that follow a request through everything that it passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracing {
    /// True: the node and the client are told `X-Request-Id`: the client's, or a number of ours.
    pub request_id: bool,
    /// True: a request without a `traceparent` is given one.
    pub traceparent: bool,
}

impl Default for Tracing {
    fn default() -> Self {
        // A log line that cannot be found on the other side is worth half.
        Self {
            request_id: true,
            traceparent: true,
        }
    }
}

impl EventLog {
    /// How an operator would write it, with every key.
    pub(super) fn tree(&self) -> Tree {
        let mut words = EventFormat::WORDS.iter();
        let word = words.find(|(_, format)| *format == self.format);
        table([("format", text(word.map_or("", |(word, _)| word)))])
    }
}

impl Tracing {
    /// How an operator would write it, with every key.
    pub(super) fn tree(&self) -> Tree {
        table([
            ("request_id", Tree::Flag(self.request_id)),
            ("traceparent", Tree::Flag(self.traceparent)),
        ])
    }
}
