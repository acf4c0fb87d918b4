//! Does what the configuration names answer?

use super::{on_runtime, out};
use crate::config::Config;
use crate::share;
use crate::upstream::{Errands, dial};
use std::process::ExitCode;

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
                dial(config, pool, node, &errands).await,
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

async fn ask_redis(config: &Config) -> Result<String, String> {
    let mut link = share::Link::new(&config.share)?;
    link.greet().await.map_err(|error| error.what)?;
    Ok("answers, and takes the script".to_owned())
}
