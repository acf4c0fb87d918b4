//! What becomes of those who connect in the very moment in which the gateway is told to stop?

use super::support::eventually;
use super::support::gate::Gate;
use super::support::program::{Serving, command, free};
use super::upgrade::{Successor, pids};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const CALL: &str = r#"{"user_id":"u","data":{"x":1}}"#;

/// How one call ended.
#[derive(Debug)]
enum End {
    Answered,
    /// Nobody was there: its client asks the next gateway.
    Refused,
    /// It connected, and this came instead of an answer.
    Lost(String),
}

/// One call on a connection of its own, which is silent for a while first.
async fn call(gateway: SocketAddr, silence: Duration) -> End {
    let Ok(mut stream) = TcpStream::connect(gateway).await else {
        return End::Refused;
    };
    tokio::time::sleep(silence).await;
    let head = format!(
        "POST /plugin/t/dispatch/tool/invoke HTTP/1.1\r\nHost: g\r\nX-Plugin-ID: a/b\r\n\
         Content-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{CALL}",
        CALL.len()
    );
    if let Err(error) = stream.write_all(head.as_bytes()).await {
        return End::Lost(format!("not written: {error}"));
    }
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer).await {
        return End::Lost(format!("not read: {error}"));
    }
    let answer = String::from_utf8_lossy(&answer);
    if answer.starts_with("HTTP/1.1 200") && answer.ends_with("0\r\n\r\n") {
        End::Answered
    } else {
        End::Lost(answer.into_owned())
    }
}

/// Calls until nobody is there; each caller with a silence of its own.
fn callers(gateway: SocketAddr, answered: &Arc<AtomicUsize>) -> JoinSet<Vec<String>> {
    let mut callers = JoinSet::new();
    for caller in 0..24_u64 {
        let answered = Arc::clone(answered);
        callers.spawn(async move {
            let mut lost = Vec::new();
            loop {
                // Two of three say at once what they want.
                let silence = [0, 0, caller * 10][usize::try_from(caller % 3).unwrap()];
                match call(gateway, Duration::from_millis(silence)).await {
                    End::Answered => answered.fetch_add(1, Ordering::AcqRel),
                    End::Refused => return lost,
                    End::Lost(why) => {
                        lost.push(format!("after {silence} ms: {why}"));
                        0
                    }
                };
            }
        });
    }
    callers
}

async fn serving(folder: &Path, gate: &Gate, delay: &str) -> Serving {
    let (data, admin, node) = (free(), free(), gate.addr);
    let text = format!(
        "listen: {data}\nadmin: {{ listen: \"{admin}\" }}\nnodes: [\"{node}\"]\n\
         shutdown: {{ pre_stop_delay: {delay}, upgrade_socket: {} }}\n",
        folder.join("upgrade.sock").display()
    );
    std::fs::write(folder.join("gateway.yaml"), text).unwrap();
    Serving::start(command(folder, &["--config", "gateway.yaml"])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_connected_before_sigterm_or_beside_it_is_answered() {
    let (folder, gate) = (tempfile::tempdir().unwrap(), Gate::start("g1").await);
    for round in 0..6 {
        let delay = ["0s", "200ms"][round % 2];
        let mut serving = serving(folder.path(), &gate, delay).await;
        let answered = Arc::<AtomicUsize>::default();
        let mut callers = callers(serving.data, &answered);
        eventually("calls are answered", async || {
            answered.load(Ordering::Acquire) > 100
        })
        .await;
        serving.program.signal("TERM");
        assert!(serving.program.exit().await.success());
        while let Some(lost) = callers.join_next().await {
            assert_eq!(
                lost.unwrap(),
                Vec::<String>::new(),
                "round {round}, {delay}"
            );
        }
    }
}

/// It has its listeners from another program.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_connected_to_a_successor_before_its_sigterm_is_answered() {
    let (folder, gate) = (tempfile::tempdir().unwrap(), Gate::start("g1").await);
    let mut serving = serving(folder.path(), &gate, "0s").await;
    let answered = Arc::<AtomicUsize>::default();
    let mut callers = callers(serving.data, &answered);
    serving.program.signal("QUIT");
    assert!(serving.program.exit().await.success(), "it has a successor");
    // Dropped, it is told to end.
    drop(Successor(pids(&serving.program.log()).remove(1)));
    while let Some(lost) = callers.join_next().await {
        assert_eq!(lost.unwrap(), Vec::<String>::new());
    }
    assert!(
        answered.load(Ordering::Acquire) > 100,
        "calls were answered"
    );
}
