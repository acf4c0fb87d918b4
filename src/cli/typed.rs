//! Which commands and flags are there?

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The edge gateway for Dify plugin daemons: short calls never wait behind long ones.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true)]
pub(super) struct Typed {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) from: From,
}

/// Where the configuration comes from.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct From {
    /// The configuration file [default: conf/twolane.yaml, then /etc/twolane/twolane.yaml, then
    /// the environment: PLUGIN_DAEMON_URL or TWOLANE_NODES]
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "TWOLANE_CONFIG",
        global = true
    )]
    pub(super) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serve (the default)
    Run {
        /// Take the listeners over from the program that started this one; SIGQUIT does it
        #[arg(long)]
        upgrade: bool,
    },
    /// Read the configuration, print every problem, serve nothing
    Check {
        /// Print the effective configuration; secrets are masked
        #[arg(long)]
        print: bool,
        /// Also dial every node and Redis
        #[arg(long)]
        online: bool,
    },
    /// Watch it work: three strategies on the same calls, a burst, a killed node, a scoreboard
    Demo(Demo),
    /// Run one stand-in plugin daemon by hand
    Node(Node),
    /// Send a node nothing new; what runs there ends in peace
    Drain(Operate),
    /// Send a node requests again
    Undrain(Operate),
    /// Take a node out: it is not expected to work
    Maint(Operate),
    /// What would the running gateway do with a request? Asks it; sends nothing to any node
    Explain(Explain),
    /// How is the running gateway? Once, for people or (-o json) for programs
    Status(Status),
    /// The same, second by second, in the whole terminal
    #[cfg(feature = "tui")]
    Top(Admin),
    /// Do the plugins that pools expect run on every node? Exit code 0 when all do, else 1
    Plugins(Plugins),
    /// Is the running gateway well? Exit code 0 or 1, for Docker's HEALTHCHECK
    Health(Health),
    /// Have the running gateway read its configuration again, and say what changed
    Reload(Admin),
    /// Put the gateway in front of a Dify: writes an override for Compose and a configuration
    Init(Init),
    /// Find the classic mistakes in the configuration, a Dify and Kubernetes manifests
    Doctor(Doctor),
    /// Print the JSON schema of the configuration, for editors
    Schema,
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual, as roff
    Man,
}

/// Where the running gateway is.
#[derive(Debug, Args)]
pub(super) struct Admin {
    /// The gateway's admin listener [default: admin.listen of the configuration]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) admin: Option<SocketAddr>,
}

/// The expected plugins.
#[derive(Debug, Args)]
pub(super) struct Plugins {
    /// How it is written
    #[arg(short, long, value_enum, default_value_t = Style::Text)]
    pub(super) output: Style,
    /// Return only when all of them run
    #[arg(long)]
    pub(super) wait: bool,
    /// The gateway's admin listener [default: admin.listen of the configuration]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) admin: Option<SocketAddr>,
}

/// What counts as well.
#[derive(Debug, Args)]
pub(super) struct Health {
    /// Well is who can serve, not who is alive: a node is healthy, and no end was announced
    #[arg(long)]
    pub(super) ready: bool,
    /// The gateway's admin listener [default: admin.listen of the configuration]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) admin: Option<SocketAddr>,
}

/// A Dify to be put behind the gateway.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// What it is
    #[arg(value_parser = ["dify"])]
    pub(super) what: String,
    /// The folder of its Compose file (dify/docker), or the file
    pub(super) path: PathBuf,
    /// So many plugin daemons
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub(super) replicas: u64,
    /// The gateway's image
    #[arg(long, default_value = concat!("twolane:", env!("CARGO_PKG_VERSION")))]
    pub(super) image: String,
    /// Show what would be written, and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// What the doctor looks at.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// A Dify on Compose: the folder of its Compose file, or the file
    #[arg(long, value_name = "PATH")]
    pub(super) dify: Option<PathBuf>,
    /// Kubernetes manifests, as `helm template` or `kubectl kustomize` print them
    #[arg(long, value_name = "FILE")]
    pub(super) manifests: Option<PathBuf>,
}

/// A stand-in plugin daemon.
#[derive(Debug, Args)]
pub(super) struct Node {
    /// Where it listens
    #[arg(long, default_value = "127.0.0.1:6001")]
    pub(super) listen: SocketAddr,
    /// Its name
    #[arg(long, default_value = "node-1")]
    pub(super) id: String,
    /// Plugins it runs, as author/name; none = any
    #[arg(long, value_delimiter = ',')]
    pub(super) plugins: Vec<String>,
    /// Plugins whose process does one call at a time
    #[arg(long, value_delimiter = ',')]
    pub(super) blocking: Vec<String>,
    /// The key it demands in X-Api-Key
    #[arg(long)]
    pub(super) api_key: Option<String>,
}

/// What is done to a node of a running gateway.
#[derive(Debug, Args)]
pub(super) struct Operate {
    /// The node's name
    pub(super) node: String,
    /// Return only when nothing runs there any more
    #[arg(long)]
    pub(super) wait: bool,
    /// The gateway's admin listener [default: admin.listen of the configuration]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) admin: Option<SocketAddr>,
}

/// A request that is not sent.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// Its method
    pub(super) method: String,
    /// Its path, such as /plugin/TENANT/dispatch/tool/invoke
    pub(super) path: String,
    /// A header, such as 'X-Plugin-ID: langgenius/openai'; may be repeated
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    pub(super) headers: Vec<String>,
    /// A file with its body; only the length and the first 4 KiB are looked at
    #[arg(long, value_name = "FILE")]
    pub(super) body: Option<PathBuf>,
    /// Print the whole answer as JSON
    #[arg(long)]
    pub(super) json: bool,
    /// The gateway's admin listener [default: admin.listen of the configuration]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) admin: Option<SocketAddr>,
}

/// One look.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// How it is written
    #[arg(short, long, value_enum, default_value_t = Style::Text)]
    pub(super) output: Style,
    /// The gateway's admin listener [default: admin.listen of the configuration]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) admin: Option<SocketAddr>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Style {
    /// For people
    Text,
    /// The overview of the admin API, whole
    Json,
}

/// What may stand after `demo`.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Seconds of arriving calls
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(super) seconds: u64,
    /// Repeats a run
    #[arg(long, default_value_t = 42)]
    pub(super) seed: u64,
    /// Print only the summary, as JSON
    #[arg(long)]
    pub(super) json: bool,
    /// A line a second, where a terminal would get a whole screen
    #[arg(long)]
    pub(super) plain: bool,
    /// Keep the summary in this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) save: Option<PathBuf>,
}
