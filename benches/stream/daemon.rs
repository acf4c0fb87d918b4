//! A plugin daemon whose plugin is a model: each call is a stream of events.

use super::event;
use super::wire::{HEALTH, whole};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

const HEADER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Transfer-Encoding: chunked\r\n\r\n";
/// Between two events, in the mean.
pub(crate) const GAP: Duration = Duration::from_millis(5);
/// How many events the caller wants, and the seed of the pauses between them.
pub(crate) const WISH: &str = "x-wish";

/// Serves until the process ends.
pub(crate) fn run(listen: &[SocketAddr]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        for &address in listen {
            let listener = TcpListener::bind(address).await.expect("the port is free");
            tokio::spawn(accept(listener));
        }
        std::future::pending::<()>().await;
    });
}

async fn accept(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        // An event must not wait for an acknowledgement.
        let _ = stream.set_nodelay(true);
        tokio::spawn(serve(stream));
    }
}

/// One connection. Requests come one after the other, never two at once.
async fn serve(mut stream: TcpStream) -> Option<()> {
    let mut buffer = vec![0; 16 * 1024];
    let mut held = 0;
    loop {
        let read = stream.read(&mut buffer[held..]).await.ok()?;
        held += read;
        if read == 0 {
            return None;
        }
        if whole(&buffer[..held]).is_none() {
            continue;
        }
        if buffer.starts_with(b"GET /health") {
            stream.write_all(HEALTH).await.ok()?;
        } else {
            let (events, seed) = wish(&buffer[..held]).expect("a caller of ours");
            answer(&mut stream, events, seed).await?;
        }
        held = 0;
    }
}

fn wish(request: &[u8]) -> Option<(usize, u64)> {
    let text = std::str::from_utf8(request).ok()?;
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(WISH))?;
    let (events, seed) = value.trim().split_once(' ')?;
    Some((events.parse().ok()?, seed.parse().ok()?))
}

/// Pauses are drawn evenly, so that the streams are not in step with each other.
async fn answer(stream: &mut TcpStream, events: usize, seed: u64) -> Option<()> {
    let mut dice = fastrand::Rng::with_seed(seed);
    for n in 0..events {
        sleep(GAP.mul_f64(2.0 * dice.f64())).await;
        // The header leaves with the first event, as a daemon's does.
        let mut bytes = if n == 0 { HEADER.to_vec() } else { Vec::new() };
        bytes.extend(event::chunk());
        stream.write_all(&bytes).await.ok()?;
    }
    stream.write_all(b"0\r\n\r\n").await.ok()
}
