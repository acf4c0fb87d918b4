//! The least that Pingora can be: round robin over the same daemons, and nothing else.

use async_trait::async_trait;
use pingora::Result;
use pingora::modules::http::HttpModules;
use pingora::protocols::TcpKeepalive;
use pingora::server::configuration::{Opt, ServerConf};
use pingora::server::{RunArgs, Server};
use pingora::upstreams::peer::HttpPeer;
use pingora_load_balancing::{LoadBalancer, selection::RoundRobin};
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};
use std::net::SocketAddr;
use std::time::Duration;

struct Bare {
    daemons: LoadBalancer<RoundRobin>,
    /// Also bounds how long a client may take, as the gateway does: the price of that alone.
    timed: bool,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, _ctx: &mut ()) -> Result<()> {
        if self.timed {
            session.set_read_timeout(Some(Duration::from_secs(60)));
            session.set_write_timeout(Some(Duration::from_secs(660)));
            session.set_keepalive(Some(75));
        }
        Ok(())
    }

    async fn upstream_peer(&self, _: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        let daemon = self.daemons.select(b"", 1).expect("there are daemons");
        let mut peer = HttpPeer::new(daemon, false, String::new());
        // As the gateway does by default.
        let options = &mut peer.options;
        options.connection_timeout = Some(Duration::from_secs(1));
        options.total_connection_timeout = Some(Duration::from_secs(1));
        options.read_timeout = Some(Duration::from_secs(660));
        options.write_timeout = Some(Duration::from_secs(60));
        options.idle_timeout = Some(Duration::from_secs(75));
        options.tcp_keepalive = Some(TcpKeepalive {
            idle: Duration::from_secs(30),
            interval: Duration::from_secs(10),
            count: 3,
            #[cfg(target_os = "linux")]
            user_timeout: Duration::ZERO,
        });
        Ok(Box::new(peer))
    }
}

/// Serves until the process ends: as Pingora comes; `timed`; or `single`, with the gateway's choice of
/// a runtime for one thread.
pub(crate) fn run(listen: SocketAddr, daemons: &[SocketAddr], lane: &str) {
    let timed = lane == "timed";
    twolane::observe::init_log("off", twolane::model::EventFormat::Text);
    let conf = ServerConf {
        threads: 1,
        work_stealing: lane != "single",
        upstream_keepalive_pool_size: 512,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(Some(Opt::default()), conf);
    server.bootstrap();
    let daemons = LoadBalancer::try_from_iter(daemons).expect("addresses need no look-up");
    let mut service = http_proxy_service(&server.configuration, Bare { daemons, timed });
    service.add_tcp(&listen.to_string());
    server.add_service(service);
    server.run(RunArgs::default());
}
