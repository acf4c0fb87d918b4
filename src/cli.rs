//! What was typed?

use crate::config::{self, Loaded};
use crate::demo;
use crate::demo::daemon::{Plugin, Settings};
use crate::server::{self, Options, known};
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Bad configuration (`EX_CONFIG` of sysexits; systemd's `RestartPreventExitStatus=78` ends the
/// crash loop it would otherwise be).
const BAD_CONFIGURATION: u8 = 78;

/// The edge gateway for Dify plugin daemons: short calls never wait behind long ones.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true)]
struct Typed {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    from: From,
}

/// Where the configuration comes from.
#[derive(Clone, Debug, Default, Args)]
struct From {
    /// The configuration file [default: conf/twolane.yaml, then /etc/twolane/twolane.yaml, then
    /// the environment: PLUGIN_DAEMON_URL or TWOLANE_NODES]
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "TWOLANE_CONFIG",
        global = true
    )]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve (the default)
    Run,
    /// Read the configuration, print every problem, serve nothing
    Check {
        /// Print the effective configuration; secrets are masked
        #[arg(long)]
        print: bool,
    },
    /// Watch it work: stand-in plugin daemons, a mix of short and long calls, a scoreboard
    Demo {
        /// Seconds of arriving calls
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
        seconds: u64,
        /// Repeats a run
        #[arg(long, default_value_t = 42)]
        seed: u64,
        /// Print only the summary, as JSON
        #[arg(long)]
        json: bool,
    },
    /// Run one stand-in plugin daemon by hand
    Node {
        /// Where it listens
        #[arg(long, default_value = "127.0.0.1:6001")]
        listen: SocketAddr,
        /// Its name
        #[arg(long, default_value = "node-1")]
        id: String,
        /// Plugins it runs, as author/name; none = any
        #[arg(long, value_delimiter = ',')]
        plugins: Vec<String>,
        /// Plugins whose process does one call at a time
        #[arg(long, value_delimiter = ',')]
        blocking: Vec<String>,
        /// The key it demands in X-Api-Key
        #[arg(long)]
        api_key: Option<String>,
    },
}

/// Does what was typed.
#[must_use]
pub fn main() -> ExitCode {
    let typed = Typed::parse();
    match typed.command.unwrap_or(Command::Run) {
        Command::Run => run(&typed.from),
        Command::Check { print } => check(&typed.from, print),
        Command::Demo {
            seconds,
            seed,
            json,
        } => watch(demo::Wish {
            seed,
            seconds,
            json,
        }),
        Command::Node {
            listen,
            id,
            plugins,
            blocking,
            api_key,
        } => stand_in(listen, id, plugins, blocking, api_key),
    }
}

fn load(from: &From) -> Result<(Loaded, Option<PathBuf>), String> {
    let file = from.config.clone().or_else(config::find);
    let loaded = match &file {
        Some(file) => config::load_file(file, &known()),
        None => config::examine("", "the environment", &known(), &|name| {
            std::env::var(name).ok()
        }),
    };
    loaded
        .map(|loaded| (loaded, file))
        .map_err(|problems| problems.render())
}

fn run(from: &From) -> ExitCode {
    crate::observe::init_log("info,pingora=warn,pingora_core=warn,pingora_proxy=warn");
    let (loaded, file) = match load(from) {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(&problems),
    };
    if !loaded.warnings.list.is_empty() {
        log::warn!("{}", loaded.warnings);
    }
    match server::run(loaded, file, Options::default()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("twolane: {error}");
            ExitCode::FAILURE
        }
    }
}

fn check(from: &From, print: bool) -> ExitCode {
    let (loaded, file) = match load(from) {
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
    out(&format!(
        "{place}: ok ({nodes} nodes, strategy {})\n",
        strategies.join(", ")
    ));
    ExitCode::SUCCESS
}

fn refuse(problems: &str) -> ExitCode {
    eprintln!("{problems}");
    ExitCode::from(BAD_CONFIGURATION)
}

fn watch(wish: demo::Wish) -> ExitCode {
    crate::observe::init_log("error");
    let quiet = wish.json;
    let report = on_runtime(demo::run(wish, |line| {
        if !quiet {
            out(&format!("{line}\n"));
        }
    }));
    match report {
        Ok(report) => {
            if quiet {
                out(&format!(
                    "{}\n",
                    serde_json::to_string_pretty(&report).unwrap_or_default()
                ));
            }
            if report.is_flawless() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("twolane: the demo could not run: {error}");
            ExitCode::FAILURE
        }
    }
}

fn stand_in(
    listen: SocketAddr,
    id: String,
    plugins: Vec<String>,
    blocking: Vec<String>,
    api_key: Option<String>,
) -> ExitCode {
    crate::observe::init_log("info");
    let accept_all_plugins = plugins.is_empty();
    let plugins = plugins.iter().map(|id| Plugin::running(id));
    let settings = Settings {
        id,
        listen,
        api_key,
        accept_all_plugins,
        plugins: plugins
            .chain(blocking.iter().map(|id| Plugin::blocking(id)))
            .collect(),
        ..Settings::default()
    };
    match on_runtime(demo::daemon::run_by_hand(settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("twolane: the stand-in cannot run on {listen}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn on_runtime<T>(work: impl Future<Output = std::io::Result<T>>) -> std::io::Result<T> {
    tokio::runtime::Runtime::new()?.block_on(work)
}

/// To standard output. A reader that has gone (`| head`) is no error.
fn out(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}
