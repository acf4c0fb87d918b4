//! How does the program run?

use super::listeners::{Lent, Listeners};
use super::reload::{Reloader, Written};
use super::signals::{self, Shutdown, Signals};
use super::tls::Credentials;
use super::upgrade::{self, Succession};
use super::{Options, assemble, chores, descriptors, panics, services, state, systemd};
use crate::admin::{Admin, Hands};
use crate::config::{Config, Loaded};
use crate::upstream::Live;
use parking_lot::Mutex;
use pingora::server::{RunArgs, Server};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Why the gateway could not start.
#[derive(Debug)]
pub enum StartError {
    /// A port is taken or may not be opened.
    Listen(SocketAddr, std::io::Error),
    /// Anything else.
    Other(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(address, error) => write!(
                f,
                "cannot listen on {address}: {error}; is another gateway or a plugin daemon \
                 running there? Change its address in the configuration (`listen` or `admin.listen`) or stop it"
            ),
            Self::Other(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for StartError {}

/// Runs until a signal ends it.
///
/// # Errors
/// When it cannot start.
pub fn run(loaded: Loaded, file: Option<PathBuf>, options: Options) -> Result<(), StartError> {
    panics::install();
    descriptors::raise();
    let other = |error: &dyn fmt::Display| StartError::Other(error.to_string());
    let succession = Succession::new(file.clone());
    let upgrade = options.upgrade;
    let mut config = loaded.config;
    let opened = opened(&mut config, upgrade)?;
    let mut server = Server::new_with_opt_and_conf(None, services::server_conf(&config));

    let background = background().map_err(|error| other(&error))?;
    let ports = Ports::of(&config);
    let known = options.known();
    let live = background
        .block_on(assemble::assemble(config, options))
        .map_err(StartError::Other)?;
    let written = Written {
        file,
        text: Some(loaded.text),
        origins: loaded.origins,
    };
    let credentials = Arc::<Credentials>::default();
    let reloader = Reloader::new(Arc::clone(&live), &credentials, written, known);
    let reloader = Arc::new(reloader.map_err(StartError::Other)?);
    let (closing, closed) = watch::channel(false);
    let listening = background.block_on(async { Signals::listen() });
    let Signals {
        hangup,
        reopen,
        stops,
    } = listening.map_err(|error| other(&error))?;
    background.spawn(signals::reload_on_hangup(hangup, Arc::clone(&reloader)));
    background.spawn(signals::reopen_on_usr1(reopen, Arc::clone(&live)));
    start_background(&background, &live, &reloader, closed);
    server.bootstrap();
    // Only now: whoever gives us its listeners may rely on us.
    let listeners = Arc::new(opened.map_or_else(|| inherited(&live), Ok)?);

    add_services(
        &mut server,
        &live,
        (reloader, &credentials),
        (&ports, &listeners),
    );
    log::info!(
        "serving gateway={} pid={} {ports} nodes={}",
        live.identity.name,
        std::process::id(),
        live.snapshot().nodes().len()
    );
    systemd::ready();
    let phases = server.watch_execution_phase();
    server.run(RunArgs {
        shutdown_signal: Box::new(Shutdown {
            live: Arc::clone(&live),
            stops: Mutex::new(Some(stops)),
            closing,
            listeners,
            succession,
            phases,
        }),
    });
    state::save_all(&live);
    Ok(())
}

/// Listeners of our own; none where another program will give us its own.
fn opened(config: &mut Config, upgrade: bool) -> Result<Option<Listeners>, StartError> {
    if upgrade {
        upgrade::usable(&config.shutdown.upgrade_socket).map_err(StartError::Other)?;
        return Ok(None);
    }
    Listeners::open(config).map(Some)
}

/// The listeners of the program that runs.
fn inherited(live: &Live) -> Result<Listeners, StartError> {
    let socket = &live.snapshot().config.shutdown.upgrade_socket;
    Listeners::inherit(socket).map_err(|error| {
        let socket = socket.display();
        StartError::Other(format!("nobody gave us its listeners at {socket}: {error}"))
    })
}

/// Background tasks have a thread of their own: they go on while the proxy is busy.
fn background() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("background")
        .enable_all()
        .build()
}

/// Where we listen.
struct Ports {
    data: Vec<SocketAddr>,
    tls: Vec<SocketAddr>,
    admin: SocketAddr,
    tcp: Option<SocketAddr>,
}

impl Ports {
    fn of(config: &Config) -> Self {
        Self {
            data: config.listen.clone(),
            tls: config.tls.listen.clone(),
            admin: config.admin.listen,
            tcp: config.tcp.listen,
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "listen={:?} admin={}", self.data, self.admin)?;
        if !self.tls.is_empty() {
            write!(f, " tls={:?}", self.tls)?;
        }
        match self.tcp {
            Some(tcp) => write!(f, " tcp={tcp}"),
            None => Ok(()),
        }
    }
}

fn add_services(
    server: &mut Server,
    live: &Arc<Live>,
    (reloader, credentials): (Arc<Reloader>, &Arc<Credentials>),
    (ports, listeners): (&Ports, &Arc<Listeners>),
) {
    let conf = &server.configuration;
    let addresses = (&ports.data[..], &ports.tls[..]);
    let data = services::data(conf, live, credentials, addresses);
    server.add_service(Lent::new(data, listeners));
    let hands: Arc<dyn Hands> = reloader;
    let mut admin = services::admin(Admin::new(Arc::clone(live), hands));
    admin.add_tcp(&ports.admin.to_string());
    server.add_service(Lent::new(admin, listeners));
    if let Some(address) = ports.tcp {
        let mut tcp = services::tcp(live);
        tcp.add_tcp(&address.to_string());
        server.add_service(Lent::new(tcp, listeners));
    }
}

fn start_background(
    background: &Runtime,
    live: &Arc<Live>,
    reloader: &Arc<Reloader>,
    closed: watch::Receiver<bool>,
) {
    let (never, running) = watch::channel(false);
    background.block_on(async {
        live.parts.checks.round().await;
        live.lifecycle.note_ready();
        chores::spawn(live, reloader, &running);
        tokio::spawn(systemd::watch());
    });
    let live = Arc::clone(live);
    background.spawn(async move {
        signals::drained(&live, closed).await;
        state::save_all(&live);
        live.fleet.state.leave().await;
        drop(never);
        // Pingora's main thread sleeps through its whole grace period by now.
        std::process::exit(0);
    });
}
