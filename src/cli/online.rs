//! Does what the configuration names answer?

use super::{on_runtime, out};
use crate::config::{Config, NodeEntry};
use crate::dify::health::judge;
use crate::share;
use crate::upstream::{Bounds, Errands};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

/// One line of the table: what was asked, and how it answered.
type Line = (String, Result<String, String>);

/// Dials every node and Redis. Exit code 1 when one of them does not answer as it should.
pub(super) fn online(config: &Config) -> ExitCode {
    let lines = match on_runtime(async { Ok(ask_all(config).await) }) {
        Ok(lines) => lines,
        Err(error) => {
            eprintln!("twolane: {error}");
            return ExitCode::FAILURE;
        }
    };
    let widest = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, answer) in &lines {
        let told = match answer {
            Ok(told) => format!("ok    {told}"),
            Err(told) => format!("fails {told}"),
        };
        out(&format!("{name:widest$}  {told}\n"));
    }
    if lines.iter().all(|(_, answer)| answer.is_ok()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn ask_all(config: &Config) -> Vec<Line> {
    let errands = Errands::new();
    let mut lines = Vec::new();
    for pool in &config.pools {
        for node in &pool.nodes {
            lines.push((
                format!("node {}", node.id),
                ask_node(config, &errands, node).await,
            ));
        }
        for source in pool.discover.iter().flat_map(|discover| discover.sources()) {
            let told = "asked by the running gateway alone: see /cluster/nodes".to_owned();
            lines.push((format!("discover {source}"), Ok(told)));
        }
    }
    if config.share.is_on() {
        lines.push(("redis".to_owned(), ask_redis(config).await));
    }
    lines
}

async fn ask_node(config: &Config, errands: &Errands, node: &NodeEntry) -> Result<String, String> {
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
    let (path, timeout) = (&config.health.path, config.health.timeout);
    let (status, body) = fetch(errands, address, path, timeout).await?;
    let report = judge(status, &body).map_err(|why| format!("{address}{path}: {why}"))?;
    let version = report.version.unwrap_or_else(|| "unknown".to_owned());
    Ok(format!("{address} version {version}"))
}

async fn fetch(
    errands: &Errands,
    address: SocketAddr,
    path: &str,
    timeout: Duration,
) -> Result<(u16, Vec<u8>), String> {
    let bounds = Bounds {
        timeout,
        longest: 64 << 10,
        idle: Duration::ZERO,
    };
    let answer = errands.get(address, path, bounds).await;
    answer.map_err(|error| format!("{address}{path}: {error}"))
}

fn plainly(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        _ => error.to_string(),
    }
}

async fn ask_redis(config: &Config) -> Result<String, String> {
    let mut link = share::Link::new(&config.share)?;
    link.greet().await.map_err(|error| error.what)?;
    Ok("answers, and takes the script".to_owned())
}
