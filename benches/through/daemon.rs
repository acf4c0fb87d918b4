//! Three plugin daemons that cost next to nothing: every request is answered at once with the
//! same bytes, so that what is measured is the proxy.

use super::wire::{HEALTH, whole};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 66\r\n\r\n\
    {\"code\":0,\"message\":\"success\",\"data\":{\"text\":\"found it at once\"}} ";

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
        // A small answer must not wait for an acknowledgement.
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
        let Some(length) = whole(&buffer[..held]) else {
            continue;
        };
        assert!(length == held, "requests come one after the other");
        let health = buffer.starts_with(b"GET /health");
        held = 0;
        stream
            .write_all(if health { HEALTH } else { ANSWER })
            .await
            .ok()?;
    }
}
