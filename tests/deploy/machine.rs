//! What does the program make of the machine it is put on, without being told?

use super::support::eventually;
use super::support::gateway::yaml;
use super::support::program::{Program, Serving, command};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use twolane::demo::daemon::{Daemon, Settings};

const PLUGIN: &str = "langgenius/openai";

async fn node() -> Daemon {
    Daemon::start(Settings::default()).await.unwrap()
}

/// A gateway before one node, started by a shell that was told `first`.
async fn serving(folder: &Path, first: &str, more: &str) -> (Daemon, Serving) {
    let node = node().await;
    let text = yaml(&[(node.id().to_owned(), node.addr())], more);
    std::fs::write(folder.join("gateway.yaml"), text).unwrap();
    let plain = command(folder, &["--config", "gateway.yaml"]);
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("{first}; exec \"$0\" \"$@\""))
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(folder);
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    (node, Serving::of(Program::spawn(shell)).await)
}

fn proc(serving: &Serving, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{}/{file}", serving.program.id())).unwrap()
}

/// The threads of a service, and the cores that each may run on.
fn threads(serving: &Serving, name: &str) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", serving.program.id())).unwrap();
    let mut cores = Vec::new();
    for task in tasks.flatten() {
        let is_named = std::fs::read_to_string(task.path().join("comm"))
            .is_ok_and(|comm| comm.trim_end().to_lowercase().contains(name));
        if is_named {
            let status = std::fs::read_to_string(task.path().join("status")).unwrap();
            let line = status
                .lines()
                .find(|line| line.starts_with("Cpus_allowed_list:"));
            cores.push(line.unwrap().to_owned());
        }
    }
    cores
}

#[tokio::test(flavor = "multi_thread")]
async fn f221_it_takes_the_cores_and_the_descriptors_that_are_there_and_pins_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (_node, all) = serving(folder.path(), "ulimit -Sn 512", "").await;
    let limits = proc(&all, "limits");
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let figures: Vec<_> = files.unwrap().split_whitespace().skip(3).collect();
    assert_eq!(figures[0], figures[1], "the soft limit is the hard one");

    let cores = std::thread::available_parallelism().unwrap().get();
    eventually("there is a thread for each core", async || {
        threads(&all, "data").len() == cores
    })
    .await;
    let mine = std::fs::read_to_string("/proc/self/status").unwrap();
    for allowed in threads(&all, "data") {
        assert!(mine.contains(&allowed), "each may run on every core");
    }
    let (_node, three) = serving(folder.path(), ":", "threads: 3\n").await;
    eventually("there are as many as the file says", async || {
        threads(&three, "data").len() == 3
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f221_a_crowd_that_comes_while_it_stands_still_is_served() {
    // More than the 128 that a listener of the standard library lets wait, fewer than Debian's limit.
    const CROWD: usize = 400;
    let folder = tempfile::tempdir().unwrap();
    let (_node, serving) = serving(folder.path(), ":", "").await;
    serving.program.signal("STOP");
    let mut crowd = tokio::task::JoinSet::new();
    let mut waiting = Vec::new();
    for _ in 0..CROWD {
        let connected = tokio::net::TcpStream::connect(serving.data);
        waiting.push(super::support::within("a place in the queue", connected).await);
    }
    serving.program.signal("CONT");
    for stream in waiting {
        crowd.spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let mut stream = stream.unwrap();
            let asked = b"GET /health/check HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n";
            stream.write_all(asked).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        });
    }
    while let Some(one) = super::support::within("all are answered", crowd.join_next()).await {
        one.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f223_what_happens_is_on_every_page_as_soon_as_it_has_happened() {
    let folder = tempfile::tempdir().unwrap();
    let (_node, serving) = serving(folder.path(), ":", "").await;
    for page in ["/livez", "/readyz", "/health"] {
        let answer = serving.ask(page).await.unwrap();
        assert_eq!(answer.status, 200, "{page}");
    }
    let dify = serving.dify();
    for calls in 1_u64..=3 {
        let data = serde_json::json!({"provider": "demo", "tool": "t", "tool_parameters": {}});
        dify.all("tool/invoke", PLUGIN, data).await.unwrap();
        let json = async |page: &str| {
            let answer = serving.ask(page).await.unwrap();
            serde_json::from_str::<Value>(answer.text()).unwrap()
        };
        eventually("the pages count it", async || {
            let page = serving.ask("/metrics").await.unwrap();
            let page = page.text();
            let counted = page
                .lines()
                .filter(|line| line.starts_with("twolane_requests_total{"));
            let sum: f64 = counted
                .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
                .sum();
            let status = json("/status").await;
            let total = status.pointer("/applications/main/total_requests");
            let nodes = json("/cluster/nodes").await;
            sum >= calls as f64
                && total == Some(&calls.into())
                && nodes.to_string().contains(&format!("\"served\":{calls}"))
        })
        .await;
    }
}
