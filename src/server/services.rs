//! Which listeners are there?

use super::descriptors;
use super::handshakes::Handshakes;
use super::tls::Credentials;
use crate::admin::Admin;
use crate::config::Config;
use crate::proxy::{Announced, Coming, Door, Hooked, Proxy, Seats};
use crate::upstream::{Lending, Live, Tcp};
use pingora::apps::HttpServerOptions;
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::server::configuration::ServerConf;
use pingora::services::listening::Service;
use pingora_proxy::ProxyServiceBuilder;
use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;

/// Attempts are limited per request by `retry.attempts`, which can be reloaded; Pingora's own limit
/// is fixed at start and only has to be larger.
const CEILING: usize = 32;
/// Idle connections to nodes with TLS; `upstream/idle.rs` keeps the others.
const IDLE_CONNECTIONS: usize = 512;

/// Pingora's settings, from ours.
pub(super) fn server_conf(config: &Config) -> ServerConf {
    let threads = match config.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    ServerConf {
        threads,
        // A thread that is alone has nobody to steal from, and a runtime made for one spares each
        // request an eighth of its processor time and more (`benches/HISTORY.md`).
        work_stealing: threads > 1,
        max_retries: CEILING,
        upstream_keepalive_pool_size: IDLE_CONNECTIONS,
        grace_period_seconds: Some(config.shutdown.deadline.as_secs() + 5),
        graceful_shutdown_timeout_seconds: Some(1),
        upgrade_sock: config
            .shutdown
            .upgrade_socket
            .to_string_lossy()
            .into_owned(),
        ..ServerConf::default()
    }
}

/// The data listeners' service, for clients without TLS and with it. What comes passes seats, the
/// word of balancers and TLS where that is spoken, before it is Pingora's.
pub(super) fn data(
    conf: &Arc<ServerConf>,
    live: &Arc<Live>,
    credentials: &Arc<Credentials>,
    (plain, tls): (&[SocketAddr], &[SocketAddr]),
) -> Service<Hooked> {
    let mut options = HttpServerOptions::default();
    // Plain HTTP/2 detection reads 24 bytes before it knows anything, and a shorter request
    // would hang there.
    options.h2c = false;
    // Pingora keeps a silent HTTP/2 connection for ever.
    options.h2_idle_timeout = Some(live.snapshot().config.timeouts.client_idle);
    // Every connection is handed to us as one of another protocol: so the door stands before Pingora.
    options.force_custom = true;
    let door = Door::new(Arc::clone(live));
    let credentials = Arc::clone(credentials);
    let door = Handshakes::new(door, Arc::clone(live), credentials, tls.to_vec());
    let door = Announced::new(door, Arc::clone(live));
    let door = Seats::new(door, Arc::clone(live), descriptors::connections());
    let mut service = ProxyServiceBuilder::new(conf, Proxy::new(Arc::clone(live)))
        .name("data")
        .server_options(options)
        .custom(
            Lending,
            Arc::new(move |proxy, stream, closing| {
                let closing = closing.clone();
                door.enter(Coming {
                    stream,
                    closing,
                    proxy,
                });
                Box::pin(ready(None))
            }),
        )
        .build();
    let plain = plain.iter().map(|&address| listener(address, false));
    let tls = tls.iter().map(|&address| listener(address, true));
    plain.chain(tls).for_each(|one| service.add_listener(one));
    service
}

/// A data listener. [`Door`] reads each head into a buffer of its own and bodies are read in large
/// pieces, and it gathers what is written, so Pingora's buffers below (64 KiB and 1.4, for every
/// connection) only cost memory and a copy; TLS reads in small ones, and writes a record at a time.
fn listener(address: SocketAddr, tls: bool) -> ListenerConfig {
    let buffer = if tls {
        L4BufferSettings::default().read(16 * 1024)
    } else {
        L4BufferSettings::unbuffered()
    };
    ListenerConfig::tcp(address.to_string()).l4_buffer(buffer)
}

/// The admin listener's service, without an address yet. One thread: it answers when the data
/// plane is busy.
pub(super) fn admin(admin: Admin) -> Service<Admin> {
    let mut service = Service::new("admin".to_owned(), admin);
    service.threads = Some(1);
    service
}

/// The plain TCP listener's service, without an address yet. One thread: it only copies.
pub(super) fn tcp(live: &Arc<Live>) -> Service<Tcp> {
    let mut service = Service::new("tcp".to_owned(), Tcp::new(Arc::clone(live)));
    service.threads = Some(1);
    service
}
