//! Which sockets do we listen on, and how do they close so that nobody who came is lost?
//!
//! A listening socket that closes resets everybody in its queue, and whose handshake is half done:
//! with a request sent, for all that they know. nginx, HAProxy and Pingora close theirs like that. So
//! the sockets are ours and Pingora is lent copies; before they close, the kernel is told to begin no
//! new handshake, and Pingora takes who is there. Who comes then is not refused but not heard: its
//! kernel asks again a second later, and finds nobody, or who came after us.

use super::StartError;
use crate::config::Config;
use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::Service;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use socket2::{Domain, SockFilter, Socket, Type};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Handshakes that had begun end within this, or their clients are further away than anybody's
/// gateway from its Dify.
const HANDSHAKES: Duration = Duration::from_millis(100);
/// A queue that is not empty by then is not being emptied.
const QUEUE: Duration = Duration::from_secs(1);
/// Who runs and was asked for its listeners gives them at once.
const GIVES: Duration = Duration::from_secs(10);
/// So many listeners, and so many bytes of their names, are given at once: Pingora's own limits.
const MOST: usize = 32;
const NAMES: usize = 2048;

/// What the kernel may hold for a client beside what is on its way to it (TCP(7) of Linux,
/// TCP_NOTSENT_LOWAT; connections have what their listener has). Without it a client that reads
/// nothing is taken megabytes of an answer from us, and looks like a fast one.
const UNSENT: u32 = 128 << 10;

/// Drops what begins a connection (SYN without ACK), for the kernel's filter of a socket, which
/// sees segments from their TCP header on.
const NO_MORE: [SockFilter; 5] = [
    // The byte of the flags,
    SockFilter::new(0x30, 0, 0, 13),
    // of them SYN and ACK:
    SockFilter::new(0x54, 0, 0, 0x12),
    // SYN alone
    SockFilter::new(0x15, 0, 1, 0x02),
    // is dropped, and everything else is let in.
    SockFilter::new(0x06, 0, 0, 0),
    SockFilter::new(0x06, 0, 0, u32::MAX),
];

/// Our listening sockets by their addresses, beside the copies that Pingora accepts from.
#[derive(Debug)]
pub(super) struct Listeners(Mutex<Vec<(String, Socket)>>);

impl Listeners {
    /// Takes every port of the configuration. Pingora does that in a task, and would wait half a
    /// minute for a taken one; an operator wants to know at once. Port 0 becomes the port that was
    /// free. Nobody is let in yet.
    pub(super) fn open(config: &mut Config) -> Result<Self, StartError> {
        let admin = [&mut config.admin.listen];
        let all = config.listen.iter_mut().chain(&mut config.tls.listen);
        let all = all.chain(admin).chain(&mut config.tcp.listen);
        let mut sockets = Vec::new();
        for address in all {
            let (bound, socket) =
                take(*address).map_err(|why| StartError::Listen(*address, why))?;
            *address = bound;
            sockets.push((bound.to_string(), socket));
        }
        Ok(Self(Mutex::new(sockets)))
    }

    /// Asks who runs for its listeners, at this path.
    ///
    /// # Errors
    /// When nobody gives them.
    pub(super) fn inherit(path: &Path) -> io::Result<Self> {
        let _ = std::fs::remove_file(path);
        let asking = UnixListener::bind(path)?;
        let given = given(&asking);
        let _ = std::fs::remove_file(path);
        let sockets = given?;
        for (_, socket) in &sockets {
            socket.set_tcp_notsent_lowat(UNSENT)?;
        }
        Ok(Self(Mutex::new(sockets)))
    }

    /// Gives Pingora a copy of what it is about to open.
    fn lend(&self, to: &ListenFds, wanted: &[String]) {
        for (address, socket) in self.0.lock().iter() {
            if wanted.contains(address) {
                match socket.try_clone() {
                    Ok(copy) => to.lock().add(address.clone(), copy.into_raw_fd()),
                    Err(error) => log::error!("cannot copy the listener {address} error={error}"),
                }
            }
        }
    }

    /// Lets nobody else come, and returns when all who came were taken.
    pub(super) async fn settle(&self) {
        for (address, socket) in self.0.lock().iter() {
            if let Err(error) = socket.attach_filter(&NO_MORE) {
                log::warn!("who connects just now may be lost listener={address} error={error}");
            }
        }
        sleep(HANDSHAKES).await;
        let emptied = async {
            while self.somebody_waits() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        // Whoever is left then is reset, as it would have been at once.
        let _ = timeout(QUEUE, emptied).await;
        self.close();
    }

    /// From now on only Pingora's copies keep them open.
    pub(super) fn close(&self) {
        self.0.lock().clear();
    }

    fn somebody_waits(&self) -> bool {
        let sockets = self.0.lock();
        let mut all: Vec<_> = sockets
            .iter()
            .map(|(_, socket)| PollFd::new(socket, PollFlags::IN))
            .collect();
        poll(&mut all, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }
}

/// A port, which is ours and refuses everybody until Pingora listens.
fn take(address: SocketAddr) -> io::Result<(SocketAddr, Socket)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_notsent_lowat(UNSENT)?;
    socket.bind(&address.into())?;
    let bound = socket.local_addr()?.as_socket();
    Ok((bound.unwrap_or(address), socket))
}

/// What whoever connects to `asking` gives: names, and the sockets in their order.
fn given(asking: &UnixListener) -> io::Result<Vec<(String, Socket)>> {
    let patience = Timespec::try_from(GIVES).map_err(io::Error::other)?;
    if poll(&mut [PollFd::new(asking, PollFlags::IN)], Some(&patience))? == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let (giver, _) = asking.accept()?;
    giver.set_read_timeout(Some(GIVES))?;
    let mut names = [0; NAMES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut space = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(&mut names)];
    // No program that we start has them.
    let came = recvmsg(&giver, &mut into, &mut space, RecvFlags::CMSG_CLOEXEC)?;
    let sockets = space.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(sockets) => sockets.collect::<Vec<OwnedFd>>(),
        _ => Vec::new(),
    });
    let names = String::from_utf8_lossy(&names[..came.bytes]).into_owned();
    let names = names.split_ascii_whitespace().map(str::to_owned);
    Ok(names.zip(sockets.map(Socket::from)).collect())
}

/// One of Pingora's services, on sockets of ours.
pub(super) struct Lent<S> {
    service: S,
    listeners: Arc<Listeners>,
}

impl<S> Lent<S> {
    pub(super) fn new(service: S, listeners: &Arc<Listeners>) -> Self {
        let listeners = Arc::clone(listeners);
        Self { service, listeners }
    }
}

#[async_trait]
impl<S: Service> Service for Lent<S> {
    async fn start_service(&mut self, to: Option<ListenFds>, closing: ShutdownWatch, each: usize) {
        if let (Some(to), Some(wanted)) = (&to, self.service.listen_addresses()) {
            self.listeners.lend(to, &wanted);
        }
        self.service.start_service(to, closing, each).await;
    }

    fn name(&self) -> &str {
        self.service.name()
    }

    fn threads(&self) -> Option<usize> {
        self.service.threads()
    }

    fn listen_addresses(&self) -> Option<Vec<String>> {
        self.service.listen_addresses()
    }
}
