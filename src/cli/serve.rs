//! How is the gateway started from the command line, or only its configuration read?

use super::typed::From;
use super::{BAD_CONFIGURATION, out};
use crate::config::{self, Loaded};
use crate::server::Builder;
use std::path::PathBuf;
use std::process::ExitCode;

pub(super) fn load(from: &From, builder: &Builder) -> Result<(Loaded, Option<PathBuf>), String> {
    let known = builder.known();
    let file = from.config.clone().or_else(config::find);
    let loaded = match &file {
        Some(file) => config::load_file(file, &known),
        None => config::examine("", "the environment", &known, &|name| {
            std::env::var(name).ok()
        }),
    };
    loaded
        .map(|loaded| (loaded, file))
        .map_err(|problems| problems.render())
}

/// Of Pingora only what went wrong, and which nodes came back. That a successor has to wait for the
/// listeners is no error.
const LOG: &str =
    "info,pingora=warn,pingora_load_balancing=info,pingora_core::server::transfer_fd=off";
/// And each stage of each request.
const DEBUG: &str = "info,pingora=warn,pingora_load_balancing=info,twolane=debug";

/// What seed 000's debug variable did.
fn filter() -> &'static str {
    let wish = std::env::var("TWOLANE_DEBUG").unwrap_or_default();
    match wish.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => DEBUG,
        _ => LOG,
    }
}

pub(super) fn run(from: &From, builder: Builder) -> ExitCode {
    let (loaded, file) = match load(from, &builder) {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(&problems),
    };
    crate::observe::init_log(filter(), loaded.config.log.format);
    if !loaded.warnings.list.is_empty() {
        log::warn!("{}", loaded.warnings);
    }
    if let Some(variable) = loaded.nodes_from {
        log::info!("nodes taken from the environment variable={variable}");
    }
    if let Some(variable) = loaded.share_from {
        log::info!("gateways meet in the environment's Redis variable={variable}");
    }
    match builder.run(loaded, file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("twolane: {error}");
            ExitCode::FAILURE
        }
    }
}

pub(super) fn check(from: &From, builder: &Builder, print: bool, online: bool) -> ExitCode {
    let (loaded, file) = match load(from, builder) {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(&problems),
    };
    if !loaded.warnings.list.is_empty() {
        eprintln!("{}", loaded.warnings);
    }
    if print {
        out(&config::masked(&loaded.config));
        return ExitCode::SUCCESS;
    }
    let place = file.map_or_else(
        || "the environment".to_owned(),
        |file| file.display().to_string(),
    );
    let pools = &loaded.config.pools;
    let nodes: usize = pools.iter().map(|pool| pool.nodes.len()).sum();
    let strategies: Vec<_> = pools.iter().map(|pool| pool.strategy.as_str()).collect();
    let sources: Vec<_> = pools
        .iter()
        .filter_map(|pool| pool.discover.as_ref())
        .flat_map(config::Discover::sources)
        .collect();
    let mut told = format!("{nodes} nodes");
    if !sources.is_empty() {
        told.push_str(&format!(", more by {}", sources.join(", ")));
    }
    if let Some(variable) = loaded.nodes_from {
        told.push_str(&format!(", from {variable}"));
    }
    if let Some(variable) = loaded.share_from {
        told.push_str(&format!(", fleet by {variable}"));
    }
    out(&format!(
        "{place}: ok ({told}, strategy {})\n",
        strategies.join(", ")
    ));
    if online {
        return super::online::online(&loaded.config);
    }
    ExitCode::SUCCESS
}

pub(super) fn refuse(problems: &str) -> ExitCode {
    eprintln!("{problems}");
    ExitCode::from(BAD_CONFIGURATION)
}
