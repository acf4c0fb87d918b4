//! Redis moves: the sentinels name another server, or its name leads to another address.

use crate::faults::Scene;
use crate::redis::{Server, free_port};
use crate::rig::{all_elsewhere, daemons, hold, member};
use crate::support::eventually;
use crate::support::gateway::yaml;
use crate::support::program::{Program, Serving, command};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use twolane::model::clock;

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failover_all_meet_at_another_address_and_all_is_exact() {
    let first = Server::start().await;
    let primary = ["--replicaof", "127.0.0.1", &first.port.to_string()];
    let second = Server::with(&primary).await;
    eventually("the replica follows", async || {
        first.cli(&["INFO", "replication"]).contains("state=online")
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let file = folder.path().join("sentinel.conf");
    let text = format!(
        "port {port}\nbind 127.0.0.1\nsentinel monitor mymaster 127.0.0.1 {} 1\n\
         sentinel down-after-milliseconds mymaster 500\n\
         sentinel failover-timeout mymaster 2000\n",
        first.port
    );
    std::fs::write(&file, text).unwrap();
    let mut sentinel = Command::new("redis-server");
    sentinel
        .arg(&file)
        .arg("--sentinel")
        .current_dir(folder.path())
        .stdout(Stdio::null());
    let _sentinel = Program::spawn(sentinel);
    let asked = |question: &[&str]| {
        let output = Command::new("redis-cli")
            .args(["-p", &port.to_string(), "--raw", "SENTINEL"])
            .args(question)
            .stderr(Stdio::null())
            .output()
            .expect("redis-cli is installed: make setup");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let other = second.port.to_string();
    eventually("the sentinel knows the replica", async || {
        asked(&["replicas", "mymaster"]).contains(&other)
    })
    .await;
    let share = format!(
        "share:\n  redis: redis://127.0.0.1:{port}\n  interval: 100ms\n  sentinel: {{ name: mymaster }}\n"
    );
    let mut scene = Scene::around(first, &share).await;
    let begin = async |scene: &mut Scene| scene.redis.kill();
    let end = async |_: &mut Scene| {
        eventually("the sentinel names the other one", async || {
            let named = asked(&["get-master-addr-by-name", "mymaster"]);
            named.lines().nth(1) == Some(other.as_str())
        })
        .await;
        eventually("which takes writes", async || {
            second.cli(&["SET", "probe", "1"]) == "OK"
        })
        .await;
    };
    scene
        .play("failover to another address", true, begin, end)
        .await;
    let nothing = async |_: &mut Scene| {};
    scene.play("afterwards", false, nothing, nothing).await;
    assert_eq!(second.cli(&["EXISTS", "twolane:fleet:gateways"]), "1");
}

/// The library through which a process reads its names from a file of ours.
fn names() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap();
    let files = folders.map(|it| it.unwrap().path().join("libnss_wrapper.so"));
    let mut found = files.filter(|file| file.exists());
    found
        .next()
        .expect("libnss-wrapper is installed: make setup")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_elsewhere_is_asked_anew() {
    let mut old = Server::start().await;
    let new = Server::at("127.0.0.2", || old.port, &[]).await;
    let nodes = daemons(1).await;
    let folder = tempfile::tempdir().unwrap();
    let (hosts, file) = (folder.path().join("hosts"), folder.path().join("g.yaml"));
    std::fs::write(&hosts, "127.0.0.1 redis.test\n").unwrap();
    let places: Vec<_> = nodes
        .iter()
        .map(|node| (node.id().to_owned(), node.addr()))
        .collect();
    let share = format!(
        "share: {{ redis: \"redis://redis.test:{}/0\", interval: 100ms }}\n",
        old.port
    );
    std::fs::write(&file, yaml(&places, &share)).unwrap();
    let mut command = command(folder.path(), &["--config", &file.display().to_string()]);
    command
        .env("LD_PRELOAD", names())
        .env("NSS_WRAPPER_HOSTS", &hosts);
    let a = Serving::start(command).await;
    a.program.line("fleet reached").await;
    let b = member(&nodes, &new.url(), "").await;
    let _held = hold(&a.dify()).await;
    // The name changes first and nothing breaks; then the old address is gone.
    let moved = hosts.with_extension("new");
    std::fs::write(&moved, "127.0.0.2 redis.test\n").unwrap();
    std::fs::rename(&moved, &hosts).unwrap();
    assert_eq!(
        all_elsewhere(&b.embedded),
        0,
        "a kept connection stays where it is"
    );
    old.kill();
    let killed = clock::now();
    eventually("both meet at the new address", async || {
        all_elsewhere(&b.embedded) == 1
    })
    .await;
    println!(
        "a name that changed was followed after {:?}",
        killed.elapsed()
    );
}
