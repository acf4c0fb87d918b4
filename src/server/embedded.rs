//! How does a gateway live inside another program? On the caller's runtime, on ports it can ask
//! for; otherwise like the real one.

use super::reload::{Reloader, Written};
use super::tls::Credentials;
use super::{Options, assemble, chores, services};
use crate::admin::{Admin, Hands, Validate};
use crate::config::{Config, Loaded};
use crate::upstream::Live;
use pingora::server::{Fds, ListenFds};
use pingora::services::Service;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A gateway that runs until it is dropped.
#[derive(Debug)]
pub struct Embedded {
    live: Arc<Live>,
    reloader: Arc<Reloader>,
    data: Vec<SocketAddr>,
    tls: Vec<SocketAddr>,
    admin: SocketAddr,
    tcp: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    services: Vec<JoinHandle<()>>,
}

impl Embedded {
    /// Starts a gateway. Port 0 in the configuration means any free port.
    ///
    /// # Errors
    /// When a port cannot be opened or the configuration cannot be compiled.
    pub async fn start(config: Config, options: Options) -> io::Result<Self> {
        Self::start_from(config, Written::default(), options).await
    }

    /// Starts a gateway from a file that was loaded; it follows the file's changes.
    ///
    /// # Errors
    /// When a port cannot be opened or the configuration cannot be compiled.
    pub async fn start_file(file: PathBuf, loaded: Loaded, options: Options) -> io::Result<Self> {
        let written = Written {
            file: Some(file),
            text: Some(loaded.text),
            origins: loaded.origins,
        };
        Self::start_from(loaded.config, written, options).await
    }

    async fn start_from(config: Config, written: Written, options: Options) -> io::Result<Self> {
        let mut fds = Fds::new();
        let mut data = Vec::new();
        for &address in &config.listen {
            data.push(bind(address, &mut fds)?);
        }
        let mut tls = Vec::new();
        for &address in &config.tls.listen {
            tls.push(bind(address, &mut fds)?);
        }
        let admin = bind(config.admin.listen, &mut fds)?;
        let tcp = config.tcp.listen;
        let tcp = tcp.map(|address| bind(address, &mut fds)).transpose()?;
        let fds: ListenFds = Arc::new(fds.into());
        let conf = Arc::new(services::server_conf(&config));
        let known = options.known();
        let live = assemble::assemble(config, options)
            .await
            .map_err(io::Error::other)?;
        let credentials = Arc::<Credentials>::default();
        let reloader = Reloader::new(Arc::clone(&live), &credentials, written, known);
        let reloader = Arc::new(reloader.map_err(io::Error::other)?);
        let (stop, stopped) = watch::channel(false);
        live.parts.checks.round().await;
        live.lifecycle.note_ready();
        chores::spawn(&live, &reloader, &stopped);

        let data_service = services::data(&conf, &live, &credentials, (&data, &tls));
        let hands: Arc<dyn Hands> = Arc::clone(&reloader) as _;
        let mut admin_service = services::admin(Admin::new(Arc::clone(&live), hands));
        admin_service.add_tcp(&admin.to_string());
        let mut services = vec![
            spawn(data_service, &fds, &stopped),
            spawn(admin_service, &fds, &stopped),
        ];
        if let Some(address) = tcp {
            let mut service = services::tcp(&live);
            service.add_tcp(&address.to_string());
            services.push(spawn(service, &fds, &stopped));
        }
        Ok(Self {
            live,
            reloader,
            data,
            tls,
            admin,
            tcp,
            stop,
            services,
        })
    }

    /// Where clients connect: without TLS, if that can be.
    #[must_use]
    pub fn data(&self) -> SocketAddr {
        *self.data.first().unwrap_or_else(|| &self.tls[0])
    }

    /// Where clients connect with TLS, if they can.
    #[must_use]
    pub fn tls(&self) -> Option<SocketAddr> {
        self.tls.first().copied()
    }

    /// Where the operator looks.
    #[must_use]
    pub const fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Where plugins in development connect, if there is such a listener.
    #[must_use]
    pub const fn tcp(&self) -> Option<SocketAddr> {
        self.tcp
    }

    /// What is live.
    #[must_use]
    pub const fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Reads the configuration again.
    ///
    /// # Errors
    /// When it was refused: every problem.
    pub async fn reload(&self) -> Result<Vec<String>, String> {
        let taken = self.reloader.reload(Validate::No).await?;
        Ok(taken.changes)
    }

    /// Closes the listeners and waits until nobody is inside.
    pub async fn stop(mut self) {
        self.live.lifecycle.begin_drain();
        self.stop.send_replace(true);
        self.live.lifecycle.emptied().await;
        self.live.fleet.state.leave().await;
        for service in self.services.drain(..) {
            // A service that panicked has said so.
            let _ = service.await;
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.services.iter().for_each(JoinHandle::abort);
    }
}

fn bind(address: SocketAddr, fds: &mut Fds) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let bound = listener.local_addr()?;
    fds.add(bound.to_string(), listener.into_raw_fd());
    Ok(bound)
}

fn spawn<S: Service + 'static>(
    mut service: S,
    fds: &ListenFds,
    stop: &watch::Receiver<bool>,
) -> JoinHandle<()> {
    let (fds, stop) = (Arc::clone(fds), stop.clone());
    tokio::spawn(async move { service.start_service(Some(fds), stop, 1).await })
}
