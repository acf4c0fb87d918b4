//! May a flood use up the files a process may open? Row 63 of the fault matrix.

use crate::rig::Witness;
use crate::support::program::{Serving, command};
use crate::support::{eventually, within};
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Files that the gateway may open.
const FILES: usize = 400;
/// Connections it then has seats for: half of what its own needs leave.
const SEATS: usize = (FILES - 256) / 2;

/// A gateway that may open few files, before this node.
async fn cramped(witness: &Witness, folder: &Path) -> Serving {
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nnodes: [\"{}\"]\n\
         health: {{ enabled: false, on_connect: false }}\n",
        witness.addr
    );
    std::fs::write(folder.join("few.yaml"), text).unwrap();
    let plain = command(folder, &[]);
    let program = plain.get_program().to_string_lossy().into_owned();
    let mut cramped = Command::new("sh");
    cramped
        .arg("-c")
        .arg(format!(
            "ulimit -n {FILES}; exec {program} --config few.yaml"
        ))
        .current_dir(folder);
    for (name, _) in plain.get_envs() {
        cramped.env_remove(name);
    }
    Serving::start(cramped).await
}

async fn get(stream: &mut TcpStream) -> bool {
    let asked = stream
        .write_all(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    let mut space = [0; 4096];
    asked.is_ok()
        && matches!(stream.read(&mut space).await, Ok(1..) if space.starts_with(b"HTTP/1.1 200"))
}

fn is_open(stream: &TcpStream) -> bool {
    let heard = stream.try_read(&mut [0; 1]);
    heard.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[tokio::test(flavor = "multi_thread")]
async fn row_63_a_flood_finds_seats_or_the_door_and_accept_never_fails() {
    let witness = Witness::start().await;
    let folder = tempfile::tempdir().unwrap();
    let serving = cramped(&witness, folder.path()).await;
    let mut established = TcpStream::connect(serving.data).await.unwrap();
    assert!(within("the first one is served", get(&mut established)).await);
    let mut flood = Vec::new();
    for _ in 0..5 * SEATS {
        flood.push(TcpStream::connect(serving.data).await.unwrap());
    }
    let open = || flood.iter().filter(|stream| is_open(stream)).count();
    eventually("who has no seat is turned away", async || open() < SEATS).await;
    println!("{} of {} found a seat", open(), flood.len());
    assert!(open() > SEATS / 2, "and who has one keeps it");
    assert!(within("an established one goes on", get(&mut established)).await);
    drop(flood);
    // Back at once: a failed `accept` would have put the listener to sleep.
    let served = async || match TcpStream::connect(serving.data).await {
        Ok(mut stream) => get(&mut stream).await,
        Err(_) => false,
    };
    eventually("a new one is served", served).await;
    let log = serving.program.log();
    assert!(!log.contains("Accept() failed"), "{log}");
    let page = serving.ask("/metrics").await.unwrap();
    let told = page
        .text()
        .lines()
        .any(|line| line.starts_with(r#"twolane_connections_turned_away_total{why="gateway"}"#));
    assert!(told, "{}", page.text());
}
