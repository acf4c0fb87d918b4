//! Does a node that is written somewhere answer as it should, now?

use super::errand::{Bounds, Errands};
use super::secure::{Trust, plain_or_secure};
use crate::config::{Config, NodeEntry, Pool, PoolKind};
use crate::dify::health::{judge, judge_plain};
use bytes::Bytes;
use pingora::http::RequestHeader;
use std::net::SocketAddr;
use std::time::Duration;

/// An answer longer than this is no health answer.
const LONGEST: usize = 64 << 10;

/// Looks a node's name up, connects, and asks for its health, as the gateway's checks would.
/// Returns a line for people.
///
/// # Errors
/// The first of these that failed, as a line for people.
pub async fn dial(
    config: &Config,
    pool: &Pool,
    node: &NodeEntry,
    errands: &Errands,
) -> Result<String, String> {
    let (host, port) = (node.address.host.as_str(), node.address.port);
    let found = tokio::net::lookup_host((host, port)).await;
    let mut found = found.map_err(|error| format!("{host}: {error}"))?;
    let address = found.next().ok_or("the name leads nowhere")?;
    let connecting = tokio::net::TcpStream::connect(address);
    match tokio::time::timeout(config.timeouts.connect, connecting).await {
        Ok(Ok(_connected)) => {}
        Ok(Err(error)) => return Err(format!("{address}: {}", plainly(&error))),
        Err(_elapsed) => return Err(format!("{address}: no connection in time")),
    }
    if !config.health.enabled {
        return Ok(format!("{address} connects"));
    }
    let path = pool.health_path.as_deref().or(pool.kind.health_path());
    let plain = path.is_some() && pool.kind != PoolKind::PluginDaemon;
    let path = path.unwrap_or(&config.health.path);
    let (status, body) = fetch(config, node, (address, path), errands).await?;
    let judged = if plain {
        judge_plain(status, &body)
    } else {
        judge(status, &body)
    };
    let report = judged.map_err(|why| format!("{address}{path}: {why}"))?;
    Ok(match report.version {
        Some(version) => format!("{address} version {version}"),
        None => format!("{address} is well"),
    })
}

async fn fetch(
    config: &Config,
    node: &NodeEntry,
    (address, path): (SocketAddr, &str),
    errands: &Errands,
) -> Result<(u16, Vec<u8>), String> {
    let trust = Trust::read(&config.node_tls)?;
    let mut peer = plain_or_secure(address, node.certified_as(), &trust);
    peer.options.total_connection_timeout = Some(config.health.timeout);
    let bounds = Bounds {
        timeout: config.health.timeout,
        longest: LONGEST,
        idle: Duration::ZERO,
    };
    let told = |error| format!("{address}{path}: {error}");
    let request = RequestHeader::build("GET", path.as_bytes(), None).map_err(told)?;
    let answer = errands.within(peer, request, Bytes::new(), bounds).await;
    answer.map_err(told)
}

fn plainly(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        _ => error.to_string(),
    }
}
