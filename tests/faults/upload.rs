//! A package of 60 MiB passes through: what does the gateway hold of it?

use crate::alone;
use crate::strangers::{MIB, resident};
use crate::support::gateway::{Gateway, parse, yaml};
use crate::support::{eventually, within};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

const SIZE: usize = 60 * MIB;

/// A node that counts what it reads and keeps none of it. It reads the first piece, and the rest when
/// the door is open; then it answers.
async fn sink(listener: TcpListener, counted: Arc<AtomicUsize>, door: Arc<Semaphore>) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut piece = vec![0; 64 * 1024];
    while counted.load(Ordering::Acquire) < SIZE {
        let read = stream.read(&mut piece).await.unwrap();
        assert!(read > 0, "the upload is whole");
        // The header is counted too, which is less than what is looked at below.
        counted.fetch_add(read, Ordering::AcqRel);
        let _open = door.acquire().await.unwrap();
    }
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    stream.write_all(answer).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_sixty_mebibytes_is_streamed_and_not_kept() {
    let _alone = alone().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let rules = "health: { enabled: false }\n";
    let gateway = Gateway::start(parse(&yaml(&[("n1".to_owned(), at)], rules))).await;
    let (counted, door) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let node = tokio::spawn(sink(listener, Arc::clone(&counted), Arc::clone(&door)));
    let mut client = TcpStream::connect(gateway.embedded.data()).await.unwrap();
    let piece = vec![b'x'; MIB];
    let head = format!(
        "POST /plugin/t/management/install/upload/package HTTP/1.1\r\nHost: x\r\n\
         Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {SIZE}\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let before = resident();
    within("the first piece is taken", client.write_all(&piece))
        .await
        .unwrap();
    eventually("the first bytes are there before the last", async || {
        counted.load(Ordering::Acquire) > 0
    })
    .await;
    door.add_permits(1);
    let mut peak = 0;
    for _ in 1..SIZE / MIB {
        within("the next piece is taken", client.write_all(&piece))
            .await
            .unwrap();
        peak = peak.max(resident().saturating_sub(before));
    }
    let mut answer = [0; 15];
    let read = client.read_exact(&mut answer);
    within("an answer", read).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    node.await.unwrap();
    println!("60 MiB: the process grew by {} KiB at most", peak / 1024);
    assert!(peak <= 32 * MIB, "{peak} bytes more");
}
