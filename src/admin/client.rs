//! How does the command line ask a running gateway?

use crate::model::Secret;
use http::Method;
use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use pingora::upstreams::peer::HttpPeer;
use std::net::SocketAddr;
use std::time::Duration;

/// A gateway that does not answer its operator within this is in trouble.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends one request to the admin listener and returns status and body.
///
/// # Errors
/// When nobody answers there.
pub async fn ask(
    admin: SocketAddr,
    token: Option<&Secret>,
    method: Method,
    path: &str,
    body: &str,
) -> Result<(u16, String), String> {
    let exchange = exchange(admin, token, method, path, body);
    match tokio::time::timeout(PATIENCE, exchange).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_late) => Err(format!("no answer within {PATIENCE:?}")),
    }
}

async fn exchange(
    admin: SocketAddr,
    token: Option<&Secret>,
    method: Method,
    path: &str,
    body: &str,
) -> pingora::Result<(u16, String)> {
    let mut request = RequestHeader::build(method, path.as_bytes(), None)?;
    request.insert_header("Host", admin.to_string())?;
    request.insert_header("Content-Length", body.len())?;
    if let Some(token) = token {
        request.insert_header("Authorization", format!("Bearer {}", token.expose()))?;
    }
    let peer = HttpPeer::new(admin, false, String::new());
    let (mut session, _) = Connector::new(None).get_http_session(&peer).await?;
    session.write_request_header(Box::new(request)).await?;
    session
        .write_request_body(body.to_owned().into(), true)
        .await?;
    session.finish_request_body().await?;
    session.read_response_header().await?;
    let status = session
        .response_header()
        .map_or(0, |header| header.status.as_u16());
    let mut answer = Vec::new();
    while let Some(piece) = session.read_response_body().await? {
        answer.extend_from_slice(&piece);
    }
    Ok((status, String::from_utf8_lossy(&answer).into_owned()))
}
