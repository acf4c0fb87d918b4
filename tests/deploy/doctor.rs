//! `doctor`: each mistake is planted, and found by its word.

use super::support::program::{command, output, said};
use super::{change, dify};
use std::path::Path;
use std::process::Output;

async fn doctor(folder: &Path, arguments: &[&str]) -> Output {
    let mut all = vec!["doctor"];
    all.extend(arguments);
    output(command(folder, &all)).await
}

/// A Dify behind the gateway, as `init` leaves it.
async fn adopted(version: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let (folder, docker) = dify(version);
    let path = docker.to_string_lossy().into_owned();
    let ran = output(command(folder.path(), &["init", "dify", &path])).await;
    assert!(ran.status.success(), "init works");
    (folder, docker)
}

async fn complaints(docker: &Path) -> (Option<i32>, String) {
    let path = docker.to_string_lossy().into_owned();
    let ran = doctor(docker, &["--dify", &path]).await;
    (ran.status.code(), said(&ran))
}

#[tokio::test]
async fn what_init_leaves_behind_has_no_error() {
    for version in ["dify-1.13", "dify-1.17"] {
        let (_folder, docker) = adopted(version).await;
        let (code, told) = complaints(&docker).await;
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("0 errors"), "{told}");
    }
}

/// A mistake of a Dify: its word, the file, what stands there and what is made of it.
const OF_DIFY: &[(&str, &str, &str, &str)] = &[
    (
        "caller_not_redirected",
        "docker-compose.override.yaml",
        "  worker:\n    environment: { PLUGIN_DAEMON_URL: \"http://twolane:5002\" }\n",
        "",
    ),
    (
        "agent_not_redirected",
        "docker-compose.override.yaml",
        "DIFY_AGENT_PLUGIN_DAEMON_URL: \"http://twolane:5002\"",
        "OTHER: \"1\"",
    ),
    (
        "shared_cwd",
        "docker-compose.override.yaml",
        "PLUGIN_WORKING_PATH: /app/cwd",
        "PLUGIN_WORKING_PATH: /app/storage/cwd",
    ),
    (
        "one_port_for_many",
        "docker-compose.override.yaml",
        "    ports: !reset []\n",
        "",
    ),
    (
        "short_read_timeout",
        "twolane.yaml",
        "  read: 2460s\n  client_write: 2460s\n",
        "  read: 660s\n",
    ),
    (
        "short_deadline",
        "twolane.yaml",
        "  deadline: 2430s\n",
        "  deadline: 60s\n",
    ),
    (
        "health_path",
        "twolane.yaml",
        "shutdown:\n",
        "health: { path: /health }\nshutdown:\n",
    ),
    (
        "celery_database",
        "twolane.yaml",
        "shutdown:\n",
        "share: { redis: \"redis://redis:6379/1\" }\nshutdown:\n",
    ),
    (
        "debugging_closed",
        "twolane.yaml",
        "  listen: 0.0.0.0:5003\n",
        "",
    ),
];

#[tokio::test]
async fn each_planted_mistake_is_found_and_no_other() {
    let (_folder, sound) = adopted("dify-1.17").await;
    let (_, before) = complaints(&sound).await;
    for (word, file, old, new) in OF_DIFY {
        let (_folder, docker) = adopted("dify-1.17").await;
        change(&docker.join(file), old, new);
        let (code, told) = complaints(&docker).await;
        let mark = format!("[{word}]");
        assert!(!before.contains(&mark), "{word} is not there before");
        assert!(told.contains(&mark), "{word}: {told}");
        let found = told.matches("= help:").count();
        assert_eq!(
            found,
            before.matches("= help:").count() + 1,
            "{word} alone is new, with its cure: {told}"
        );
        let failed = told.contains(&format!("error{mark}"));
        assert_eq!(code, Some(i32::from(failed)), "{told}");
    }
}

#[tokio::test]
async fn a_public_key_and_webhooks_that_pass_by_are_told() {
    let (_folder, docker) = adopted("dify-1.13").await;
    let (_, told) = complaints(&docker).await;
    assert!(told.contains("warning[webhooks_pass_by]"), "{told}");
    assert!(!told.contains("public_key"), "it has a key of its own");
    std::fs::remove_file(docker.join(".env")).unwrap();
    let (_, told) = complaints(&docker).await;
    assert!(told.contains("warning[public_key]"), "{told}");
    assert!(!told.contains("lYki"), "the key itself is not shown");
    change(
        &docker.join("nginx/conf.d/default.conf.template"),
        "http://plugin_daemon:5002",
        "http://twolane:5002",
    );
    let (_, told) = complaints(&docker).await;
    assert!(!told.contains("webhooks_pass_by"), "{told}");
}

const MANIFESTS: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: daemons }
spec:
  replicas: 2
  template:
    spec:
      containers:
        - name: d
          image: langgenius/dify-plugin-daemon:0.6.10-local
          livenessProbe: { httpGet: { path: /health, port: 5002 } }
      volumes: [{ name: s, persistentVolumeClaim: { claimName: storage } }]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: storage }
spec: { accessModes: [ReadWriteOnce] }
";

#[tokio::test]
async fn f247_manifests_with_one_volume_for_many_and_a_wrong_probe_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("daemons.yaml");
    std::fs::write(&file, MANIFESTS).unwrap();
    let nodes = folder.path().join("twolane.yaml");
    std::fs::write(&nodes, "nodes: [10.0.0.11:5002]\n").unwrap();
    let arguments = ["--config", "twolane.yaml", "--manifests", "daemons.yaml"];
    let ran = doctor(folder.path(), &arguments).await;
    assert_eq!(ran.status.code(), Some(1));
    assert!(said(&ran).contains("error[one_volume_for_many]: daemons"));
    assert!(said(&ran).contains("error[wrong_probe]: daemons"));

    let sound = MANIFESTS
        .replace("/health,", "/health/check,")
        .replace("ReadWriteOnce", "ReadWriteMany");
    std::fs::write(&file, sound).unwrap();
    let ran = doctor(folder.path(), &arguments).await;
    assert_eq!(ran.status.code(), Some(0), "{}", said(&ran));
}
