//! How does the command line ask a running gateway?

use crate::model::Secret;
use crate::upstream::{Bounds, Errands};
use http::Method;
use pingora::http::RequestHeader;
use std::net::SocketAddr;
use std::time::Duration;

/// A gateway that does not answer its operator within this is in trouble.
const BOUNDS: Bounds = Bounds {
    timeout: Duration::from_secs(5),
    longest: 64 << 20,
    idle: Duration::ZERO,
};

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
    let request = request(method, path, token).map_err(|error| error.to_string())?;
    let body = body.to_owned().into();
    let answer = Errands::new().run(admin, request, body, BOUNDS).await;
    let (status, body) = answer.map_err(|error| error.to_string())?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

fn request(method: Method, path: &str, token: Option<&Secret>) -> pingora::Result<RequestHeader> {
    let mut request = RequestHeader::build(method, path.as_bytes(), None)?;
    if let Some(token) = token {
        request.insert_header("Authorization", format!("Bearer {}", token.expose()))?;
    }
    Ok(request)
}
