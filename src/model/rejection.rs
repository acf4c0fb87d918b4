//! What do we answer in our own name? Every status code of the gateway is in this table.

use std::fmt;

/// Why the gateway answered itself. The reason is a closed word (header `X-Twolane-Error`, metric
/// label); `public` is what the client reads; `private` goes to the log only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The row of the table.
    pub reason: Reason,
    /// For the client: what happened, without addresses or names of nodes.
    pub public: String,
    /// For the log: the cause.
    pub private: String,
    /// `Retry-After` in seconds, where more is known than the table says.
    pub retry_after: Option<u16>,
}

/// The reasons, each with its status, error type and whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No node may serve the request, or none could be reached.
    NoNode,
    /// A node was reached and broke off before it answered.
    NodeBroke,
    /// A node did not answer in time.
    NodeTimeout,
    /// The key is missing or unknown.
    Unauthorized,
    /// The path is not open to clients.
    Denied,
    /// The request passed this gateway before.
    Loop,
    /// The body is over the limit.
    BodyTooLarge,
    /// The request cannot be understood.
    BadRequest,
    /// Every node is busy, and too many requests wait already.
    QueueFull,
    /// The gateway itself failed.
    Internal,
    /// Where the request ends can be read in two ways.
    BadFraming,
    /// The path can be read in two ways, or is none.
    BadPath,
    /// A header field that routing reads can be read in two ways.
    BadHeader,
    /// The request's header is over the limit.
    HeadTooLarge,
    /// The request's target is over the limit.
    TargetTooLong,
    /// The client was too slow.
    ClientTimeout,
    /// The method is not for a gateway.
    MethodNotAllowed,
    /// The transfer coding is not spoken here.
    CodingUnknown,
    /// The version of HTTP is not spoken here.
    VersionUnknown,
    /// The client asked too often.
    RateLimited,
    /// The client asks too much at once.
    TooManyAtOnce,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The reason.
    pub reason: Reason,
    /// The HTTP status (RFC 9110; 508 is RFC 5842).
    pub status: u16,
    /// The word in `X-Twolane-Error`, logs and metrics.
    pub word: &'static str,
    /// The daemon's envelope code: what Dify reads instead of the status.
    pub code: i16,
    /// The daemon's error type that Dify maps to an exception.
    pub error_type: &'static str,
    /// `Retry-After` in seconds, where trying again can help.
    pub retry_after: Option<u16>,
}

const INTERNAL: &str = "PluginDaemonInternalServerError";
const BAD_REQUEST: &str = "PluginDaemonBadRequestError";

/// The table.
pub const TABLE: [Row; 21] = [
    row(Reason::NoNode, 503, "no_node", -500, INTERNAL, Some(1)),
    row(Reason::NodeBroke, 502, "node_broke", -500, INTERNAL, None),
    row(
        Reason::NodeTimeout,
        504,
        "node_timeout",
        -500,
        INTERNAL,
        None,
    ),
    row(
        Reason::Unauthorized,
        401,
        "unauthorized",
        -401,
        "PluginDaemonUnauthorizedError",
        None,
    ),
    row(Reason::Denied, 404, "denied", -404, BAD_REQUEST, None),
    row(Reason::Loop, 508, "loop", -500, INTERNAL, None),
    row(
        Reason::BodyTooLarge,
        413,
        "body_too_large",
        -400,
        BAD_REQUEST,
        None,
    ),
    row(
        Reason::BadRequest,
        400,
        "bad_request",
        -400,
        BAD_REQUEST,
        None,
    ),
    row(
        Reason::QueueFull,
        503,
        "queue_full",
        -500,
        INTERNAL,
        Some(1),
    ),
    row(Reason::Internal, 500, "internal", -500, INTERNAL, None),
    row(
        Reason::BadFraming,
        400,
        "bad_framing",
        -400,
        BAD_REQUEST,
        None,
    ),
    row(Reason::BadPath, 400, "bad_path", -400, BAD_REQUEST, None),
    row(
        Reason::BadHeader,
        400,
        "bad_header",
        -400,
        BAD_REQUEST,
        None,
    ),
    row(
        Reason::HeadTooLarge,
        431,
        "header_too_large",
        -400,
        BAD_REQUEST,
        None,
    ),
    row(
        Reason::TargetTooLong,
        414,
        "target_too_long",
        -400,
        BAD_REQUEST,
        None,
    ),
    row(
        Reason::ClientTimeout,
        408,
        "client_timeout",
        -400,
        BAD_REQUEST,
        None,
    ),
    row(
        Reason::MethodNotAllowed,
        405,
        "method_not_allowed",
        -400,
        BAD_REQUEST,
        None,
    ),
    row(
        Reason::CodingUnknown,
        501,
        "coding_unknown",
        -400,
        BAD_REQUEST,
        None,
    ),
    row(
        Reason::VersionUnknown,
        505,
        "version_unknown",
        -400,
        BAD_REQUEST,
        None,
    ),
    row(
        Reason::RateLimited,
        429,
        "rate_limited",
        -500,
        INTERNAL,
        Some(1),
    ),
    row(
        Reason::TooManyAtOnce,
        429,
        "too_many_at_once",
        -500,
        INTERNAL,
        Some(1),
    ),
];

const fn row(
    reason: Reason,
    status: u16,
    word: &'static str,
    code: i16,
    error_type: &'static str,
    retry_after: Option<u16>,
) -> Row {
    Row {
        reason,
        status,
        word,
        code,
        error_type,
        retry_after,
    }
}

impl Reason {
    /// This reason's row.
    #[must_use]
    pub fn row(self) -> &'static Row {
        TABLE
            .iter()
            .find(|row| row.reason == self)
            .expect("every reason has a row: a test walks the table")
    }
}

impl Rejection {
    /// A rejection whose public text is also all there is to log.
    #[must_use]
    pub fn new(reason: Reason, public: impl Into<String>) -> Self {
        Self {
            reason,
            public: public.into(),
            private: String::new(),
            retry_after: None,
        }
    }

    /// Says after how many seconds trying again can help.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u16) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Adds what only the log may say.
    #[must_use]
    pub fn because(mut self, private: impl Into<String>) -> Self {
        self.private = private.into();
        self
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.row().word, self.public)?;
        if !self.private.is_empty() {
            write!(f, " ({})", self.private)?;
        }
        Ok(())
    }
}

impl std::error::Error for Rejection {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_one_row_and_every_row_is_an_error() {
        for (at, row) in TABLE.iter().enumerate() {
            assert_eq!(
                row.reason.row().word,
                row.word,
                "the first row of a reason is its only one"
            );
            assert!(
                (400..600).contains(&row.status),
                "{} is not an error status",
                row.status
            );
            assert!(row.code < 0, "Dify reads code 0 as success");
            assert!(
                TABLE[..at].iter().all(|other| other.word != row.word),
                "the word {} stands twice",
                row.word
            );
        }
    }
}
