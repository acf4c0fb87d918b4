//! `deploy/verify.sh` against a running gateway.

use super::root;
use super::support::gateway::yaml;
use super::support::program::{Serving, output, said};
use std::process::Command;
use twolane::demo::daemon::{Daemon, Settings};

const CALL: &str =
    r#"{"user_id": "u", "data": {"provider": "demo", "tool": "t", "tool_parameters": {}}}"#;

fn verify(serving: &Serving, plugin: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .arg(root().join("deploy/verify.sh"))
        .arg(format!("http://{}", serving.data))
        .arg(format!("http://{}", serving.admin))
        .env("PLUGIN", plugin)
        .env("BODY", CALL);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn f114_a_healthy_gateway_passes_and_one_without_nodes_does_not() {
    let node = Daemon::start(Settings::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = yaml(
        &[(node.id().to_owned(), node.addr())],
        "health: { interval: 100ms }\n",
    );
    let serving = Serving::with_file(folder.path(), &text).await;
    let ran = output(verify(&serving, "langgenius/openai")).await;
    let told = said(&ran);
    assert!(ran.status.success(), "{told}");
    assert_eq!(
        told.lines().filter(|line| line.starts_with("ok")).count(),
        6
    );

    drop(node);
    super::support::eventually("the node is seen to be gone", async || {
        let page = serving.ask("/cluster/nodes").await.unwrap();
        String::from_utf8_lossy(&page.body).contains("\"down\"")
    })
    .await;
    let ran = output(verify(&serving, "")).await;
    assert_eq!(ran.status.code(), Some(1));
    assert!(said(&ran).contains("no   no node is up"), "{}", said(&ran));
}
