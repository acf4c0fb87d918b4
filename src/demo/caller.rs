//! How does a call of the demo go through the gateway? As Dify's would: posted, then read event by
//! event to the end.

use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use pingora::upstreams::peer::HttpPeer;
use serde_json::Value;
use std::fmt;
use std::net::SocketAddr;

/// Calls one gateway; connections are kept and used again.
pub(super) struct Caller {
    connector: Connector,
    peer: HttpPeer,
}

/// What came back.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The node that served it, by the gateway's debug header.
    pub(super) node: String,
    /// The class the gateway gave it.
    pub(super) class: String,
}

impl Caller {
    pub(super) fn new(gateway: SocketAddr) -> Self {
        Self {
            connector: Connector::new(None),
            peer: HttpPeer::new(gateway, false, String::new()),
        }
    }

    /// Posts a body to a dispatch route; an answer without an event, or with a failed one, is a
    /// failure, whatever its status.
    pub(super) async fn call(
        &self,
        op: &str,
        plugin: &str,
        body: &Value,
    ) -> Result<Answer, String> {
        let text = |error: pingora::BError| error.to_string();
        let body = serde_json::to_vec(body).map_err(|error| error.to_string())?;
        let path = format!("/plugin/demo-tenant/dispatch/{op}");
        let mut request = RequestHeader::build("POST", path.as_bytes(), None).map_err(text)?;
        let headers = [
            ("Host", "twolane-demo".to_owned()),
            ("X-Plugin-ID", plugin.to_owned()),
            ("Content-Type", "application/json".to_owned()),
            ("Content-Length", body.len().to_string()),
        ];
        for (name, value) in headers {
            request.insert_header(name, value).map_err(text)?;
        }
        let (mut session, _) = self
            .connector
            .get_http_session(&self.peer)
            .await
            .map_err(text)?;
        session
            .write_request_header(Box::new(request))
            .await
            .map_err(text)?;
        session
            .write_request_body(body.into(), true)
            .await
            .map_err(text)?;
        session.finish_request_body().await.map_err(text)?;
        session.read_response_header().await.map_err(text)?;
        let header = |name| {
            let header = session.response_header()?.headers.get(name)?;
            Some(header.to_str().ok()?.to_owned())
        };
        let answer = Answer {
            node: header("x-twolane-node").unwrap_or_default(),
            class: header("x-twolane-class").unwrap_or_default(),
        };
        let mut received = Vec::new();
        while let Some(piece) = session.read_response_body().await.map_err(text)? {
            received.extend_from_slice(&piece);
        }
        self.connector
            .release_http_session(session, &self.peer, None)
            .await;
        judge(&received)?;
        Ok(answer)
    }
}

fn judge(received: &[u8]) -> Result<(), String> {
    let received = String::from_utf8_lossy(received);
    let mut events = 0;
    for line in received.lines().filter(|line| !line.is_empty()) {
        let event = line.strip_prefix("data:").unwrap_or(line);
        let event: Value = serde_json::from_str(event).map_err(|error| error.to_string())?;
        if event["code"] != 0 {
            return Err(event["message"].to_string());
        }
        events += 1;
    }
    if events == 0 {
        return Err("an answer without an event".to_owned());
    }
    Ok(())
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
