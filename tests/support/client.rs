//! The client double: reads a plugin daemon exactly as Dify's api and worker do.
//!
//! Keep-alive pool with 5 s expiry, no retries, no redirects, status ignored on dispatch, lines
//! parsed one by one, and the errors Dify makes of what it reads.

use super::stream::{Pool, Response, Stream, Wire};
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use twolane::model::clock;

/// httpx's `keepalive_expiry`.
const POOL_EXPIRY: Duration = Duration::from_secs(5);

/// What Dify makes of an answer that is not a success.
#[derive(Debug, Clone, PartialEq)]
pub enum DifyError {
    /// The plugin raised (`PluginInvokeError`).
    Plugin { error_type: String, message: String },
    /// `PluginDaemonInternalServerError`.
    DaemonInternal(String),
    /// Retryable: the message says `no available node` or `plugin runtime not found`.
    Unavailable(String),
    /// Any other error of the daemon: unauthorized, bad request, not found.
    Refused {
        code: i64,
        error_type: String,
        message: String,
    },
    /// A line that is not the daemon's JSON.
    ValueError(String),
    /// The connection broke.
    InnerError(String),
    /// A stream that ended without one event: Dify takes it for an empty success.
    SilentEmptySuccess,
}

/// The events of a call that must have worked.
pub fn expect_events(result: Result<Vec<Value>, DifyError>) -> Vec<Value> {
    match result {
        Ok(events) => events,
        Err(DifyError::SilentEmptySuccess) => {
            panic!("the stream ended without an event, and Dify would show an empty success")
        }
        Err(error) => panic!("the call should have worked, and Dify would show {error:?}"),
    }
}

/// One Dify worker. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Dify {
    addr: SocketAddr,
    key: Option<String>,
    /// Sent with every dispatch, after Dify's own.
    pub headers: Vec<(String, String)>,
    pool: Pool,
}

impl Dify {
    pub fn new(addr: SocketAddr, key: Option<&str>) -> Self {
        let key = key.map(str::to_owned);
        Self {
            addr,
            key,
            headers: Vec::new(),
            pool: Pool::default(),
        }
    }

    /// Adds a header to every dispatch.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Reads all events, as Dify does for streams.
    pub async fn all(&self, op: &str, plugin: &str, data: Value) -> Result<Vec<Value>, DifyError> {
        let mut stream = self.open(op, plugin, data).await?;
        let mut events = Vec::new();
        while let Some(event) = stream.next().await? {
            events.push(event);
        }
        if events.is_empty() {
            Err(DifyError::SilentEmptySuccess)
        } else {
            Ok(events)
        }
    }

    /// Reads the first event and closes the socket, as Dify does for single results.
    pub async fn first(&self, op: &str, plugin: &str, data: Value) -> Result<Value, DifyError> {
        let mut stream = self.open(op, plugin, data).await?;
        let event = stream.next().await?.ok_or(DifyError::SilentEmptySuccess)?;
        stream.abort();
        Ok(event)
    }

    /// Sends a dispatch and returns before anything is answered.
    pub async fn open(&self, op: &str, plugin: &str, data: Value) -> Result<Stream, DifyError> {
        let target = format!("/plugin/tenant/dispatch/{op}");
        let body = serde_json::json!({"user_id": "user", "data": data}).to_string();
        let mut headers = vec![
            ("Content-Type", "application/json"),
            ("X-Plugin-ID", plugin),
        ];
        headers.extend(
            self.headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        self.open_raw("POST", &target, &headers, body.as_bytes())
            .await
            .map_err(broken)
    }

    /// Sends any request and returns before anything is answered.
    pub async fn open_raw(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Stream> {
        let mut wire = self.connection().await?;
        let head = self.head(method, target, headers, body.len());
        wire.write_all(&[head.as_bytes(), body].concat()).await?;
        Ok(Stream::new(wire, Arc::clone(&self.pool), method))
    }

    /// Sends any request and reads its whole answer.
    pub async fn raw(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        self.open_raw(method, target, headers, body)
            .await?
            .whole()
            .await
    }

    pub async fn get(&self, target: &str) -> Response {
        self.raw("GET", target, &[], b"")
            .await
            .expect("the GET should be answered")
    }

    pub async fn post(&self, target: &str, body: &Value) -> Response {
        let json = [("Content-Type", "application/json")];
        let answer = self
            .raw("POST", target, &json, body.to_string().as_bytes())
            .await;
        answer.expect("the POST should be answered")
    }

    /// Connections in the pool, expired ones included.
    pub fn pooled(&self) -> usize {
        self.pool
            .lock()
            .expect("no test panics with the pool")
            .len()
    }

    fn head(&self, method: &str, target: &str, headers: &[(&str, &str)], len: usize) -> String {
        let given = |name: &str| {
            headers
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(name))
        };
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        let host = self.addr.to_string();
        let mut line = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
        for (name, value) in [
            ("Host", host.as_str()),
            ("Accept", "*/*"),
            ("Accept-Encoding", "gzip, deflate, br"),
            ("Connection", "keep-alive"),
            ("User-Agent", "python-httpx/0.28.1"),
        ] {
            if !given(name) {
                line(name, value);
            }
        }
        if let Some(key) = self.key.as_deref().filter(|_| !given("X-Api-Key")) {
            line("X-Api-Key", key);
        }
        for (name, value) in headers {
            line(name, value);
        }
        let framed = given("Content-Length") || given("Transfer-Encoding");
        if (len > 0 || ["POST", "PUT", "PATCH"].contains(&method)) && !framed {
            line("Content-Length", &len.to_string());
        }
        head.push_str("\r\n");
        head
    }

    /// A pooled connection that is neither expired nor closed by the server, else a new one.
    async fn connection(&self) -> io::Result<Wire> {
        while let Some((wire, since)) = self.pop() {
            let fresh = clock::now().duration_since(since) < POOL_EXPIRY;
            if fresh && is_quiet(wire.get_ref()) {
                return Ok(wire);
            }
        }
        let stream = TcpStream::connect(self.addr).await?;
        stream.set_nodelay(true)?;
        Ok(BufReader::new(stream))
    }

    fn pop(&self) -> Option<(Wire, Instant)> {
        self.pool
            .lock()
            .expect("no test panics with the pool")
            .pop()
    }
}

/// httpcore looks whether an idle connection is readable; nothing good can be there. Asks the
/// kernel, because tokio may not have been told yet.
fn is_quiet(stream: &TcpStream) -> bool {
    let Ok(twin) = stream.as_fd().try_clone_to_owned() else {
        return false;
    };
    let peeked = std::net::TcpStream::from(twin).peek(&mut [0]);
    peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// One line as Dify's `PluginDaemonBasicResponse`, and the error it raises for it.
pub(super) fn parse(line: &str) -> Result<Value, DifyError> {
    // Python shows the line, not what was wrong with it.
    let value_error = || DifyError::ValueError(line.to_owned());
    let envelope: Value = serde_json::from_str(line).ok().ok_or_else(value_error)?;
    let code = envelope
        .get("code")
        .and_then(Value::as_i64)
        .ok_or_else(value_error)?;
    let message = envelope
        .get("message")
        .and_then(Value::as_str)
        .ok_or_else(value_error)?;
    if code == 0 {
        return Ok(envelope["data"].clone());
    }
    let inner: Value = serde_json::from_str(message).ok().ok_or_else(value_error)?;
    let field = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let (error_type, message) = (field(&inner, "error_type"), field(&inner, "message"));
    Err(match error_type.as_str() {
        "PluginInvokeError" => {
            let raised: Value = serde_json::from_str(&message).unwrap_or_default();
            let (error_type, message) = (field(&raised, "error_type"), field(&raised, "message"));
            DifyError::Plugin {
                error_type,
                message,
            }
        }
        "PluginDaemonInternalServerError" if is_retryable(&message) => {
            DifyError::Unavailable(message)
        }
        "PluginDaemonInternalServerError" => DifyError::DaemonInternal(message),
        _ => DifyError::Refused {
            code,
            error_type,
            message,
        },
    })
}

fn is_retryable(message: &str) -> bool {
    let message = message.to_lowercase();
    [
        "plugin runtime not found",
        "no available node",
        "request to plugin daemon service failed",
    ]
    .iter()
    .any(|words| message.contains(words))
}

pub(super) fn broken(error: io::Error) -> DifyError {
    DifyError::InnerError(error.to_string())
}
