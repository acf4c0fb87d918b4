//! The program itself, which finds its nodes by Dify's own variables.

use crate::redis::{Daemons, Redis, at};
use crate::rig::sim;
use crate::support::client::{Dify, expect_events};
use crate::support::eventually;
use crate::support::program::{Serving, command, output, said};
use ::redis::AsyncCommands;
use serde_json::json;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use twolane::demo::daemon::{Daemon, Settings};

const PASSWORD: &str = "difyai123456";

/// An address of this machine that is not loopback: a daemon writes no other into the registry.
/// Nothing is sent.
fn own_address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let outside = socket.connect("198.51.100.1:9");
    outside.expect("this machine has an address besides loopback");
    socket.local_addr().unwrap().ip()
}

/// A folder as an operator has it who wrote nothing: the file that comes with the project.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("conf")).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/twolane.yaml");
    std::fs::copy(file, folder.path().join("conf/twolane.yaml")).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn f096_difys_own_variables_are_enough_to_find_nodes_and_fleet() {
    let redis = Redis::with(Some(PASSWORD)).await;
    let listen = SocketAddr::new(own_address(), 0);
    let node = Daemon::start(Settings {
        listen,
        ..Settings::default()
    });
    let node = node.await.unwrap();
    let registry = Daemons::under(&redis, "their_own");
    registry.beat("run-1", vec![at(node.addr())]);
    let folder = folder();
    let port = redis.port.to_string();
    let variables = [
        ("TWOLANE_LISTEN", "127.0.0.1:0"),
        ("TWOLANE_ADMIN", "127.0.0.1:0"),
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", &port),
        ("REDIS_PASSWORD", PASSWORD),
        ("REDIS_DB", "0"),
        ("REDIS_USE_SSL", "false"),
        ("REDIS_KEY_PREFIX", "their_own"),
    ];
    let mut check = command(folder.path(), &["check"]);
    check.envs(variables);
    let told = said(&output(check).await);
    assert!(
        told.contains("dify_redis") && told.contains("REDIS_HOST"),
        "{told}"
    );

    let mut run = command(folder.path(), &["run"]);
    run.envs(variables);
    let serving = Serving::start(run).await;
    serving
        .program
        .line("nodes taken from the environment variable=REDIS_HOST")
        .await;
    let joined = format!("+{}", node.addr());
    serving.program.line(&joined).await;
    eventually("it is ready", async || {
        serving
            .ask("/readyz")
            .await
            .is_some_and(|answer| answer.status == 200)
    })
    .await;
    // The gateways meet there as well, and not among the daemons' keys.
    serving
        .program
        .line("gateways meet in the environment's Redis variable=REDIS_HOST")
        .await;
    eventually("it is connected", async || {
        let page = serving.ask("/status").await;
        page.is_some_and(|page| page.json()["redis"] == "up")
    })
    .await;
    let mut wire = redis.connection().await.unwrap();
    let keys: Vec<String> = wire.keys("*:fleet:gateways").await.unwrap();
    assert_eq!(keys, ["twolane:fleet:gateways"]);
    let dify = Dify::new(serving.data, None);
    let answer = dify.all("tool/invoke", "langgenius/openai", sim(json!({})));
    expect_events(answer.await);
    assert!(!serving.program.log().contains(PASSWORD));
}
