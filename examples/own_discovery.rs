//! A gateway that finds its nodes in a file of its operator's, a line for each: `name address`.
//!
//! ```text
//! cargo run --example own_discovery -- run --config gateway.yaml
//! ```
//!
//! where the file says `discovery: hosts` in place of `nodes`. It is asked every 5 s; while it
//! fails, the last known nodes stay.

use async_trait::async_trait;
use std::path::PathBuf;
use std::process::ExitCode;
use twolane::cli;
use twolane::nodes::Entry;
use twolane::server::{Builder, Gateway};
use twolane::upstream::discovery::{Discovery, DiscoveryError};

#[derive(Debug)]
struct Hosts {
    file: PathBuf,
}

#[async_trait]
impl Discovery for Hosts {
    async fn discover(&self) -> Result<Vec<Entry>, DiscoveryError> {
        let wrong = |what: String| DiscoveryError(format!("{}: {what}", self.file.display()));
        let text = tokio::fs::read_to_string(&self.file).await;
        let text = text.map_err(|error| wrong(error.to_string()))?;
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let entry = |line: &str| {
            let (name, address) = line.trim().split_once(' ')?;
            Some(Entry::at(name, address.trim().parse().ok()?))
        };
        lines
            .map(|line| entry(line).ok_or_else(|| wrong(format!("not `name address`: {line}"))))
            .collect()
    }
}

/// The gateway with what this program brings.
pub fn gateway(file: PathBuf) -> Builder {
    Gateway::builder().discovery("hosts", move |_pool| Hosts { file: file.clone() })
}

fn main() -> ExitCode {
    let file = std::env::var_os("HOSTS_FILE").unwrap_or_else(|| "hosts".into());
    cli::main_with(gateway(file.into()))
}
