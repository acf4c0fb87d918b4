//! `init dify`: what it writes, and what Compose makes of it.

use super::support::program::{command, errors, output, said};
use super::{change, dify, root, yaml};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;
use twolane::adopt::Dify;
use twolane::config::{self, Known, OwnWords};

async fn init(docker: &Path, more: &[&str]) -> Output {
    let path = docker.to_string_lossy().into_owned();
    let mut arguments = vec!["init", "dify", path.as_str()];
    arguments.extend(more);
    output(command(docker.parent().unwrap(), &arguments)).await
}

/// For each service, where it finds its daemon.
fn callers(dify: &Dify) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for service in dify.merged.services() {
        let environment = dify.environment(service);
        for variable in ["PLUGIN_DAEMON_URL", "DIFY_AGENT_PLUGIN_DAEMON_URL"] {
            if let Some(url) = environment.get(variable) {
                all.insert(service.name.to_owned(), format!("{variable}={url}"));
            }
        }
    }
    all
}

fn expect_callers(dify: &Dify, expected: &[(&str, &str)]) {
    let expected: BTreeMap<_, _> = expected
        .iter()
        .map(|(name, url)| ((*name).to_owned(), (*url).to_owned()))
        .collect();
    assert_eq!(callers(dify), expected, "who is led where");
}

const OURS: &str = "PLUGIN_DAEMON_URL=http://twolane:5002";
const AGENTS: &str = "DIFY_AGENT_PLUGIN_DAEMON_URL=http://twolane:5002";
const DAEMONS: &str = "PLUGIN_DAEMON_URL=http://plugin_daemon:5002";

#[tokio::test]
async fn init_puts_the_gateway_in_front_of_dify_1_13() {
    let (_folder, docker) = dify("dify-1.13");
    let ran = init(&docker, &["--image", "twolane:0.1.0"]).await;
    assert!(ran.status.success(), "{}", errors(&ran));
    let dify = Dify::read(&docker).unwrap();
    expect_callers(
        &dify,
        &[
            ("api", OURS),
            ("worker", OURS),
            ("worker_beat", OURS),
            ("plugin_daemon", DAEMONS),
        ],
    );
    let daemon = dify.merged.service("plugin_daemon").unwrap();
    assert_eq!(daemon.replicas(), 2);
    assert!(dify.ports(daemon).is_empty(), "two cannot have one port");
    let environment = dify.environment(daemon);
    assert_eq!(environment["PLUGIN_WORKING_PATH"], "/app/cwd");
    assert_eq!(environment["SERVER_KEY"], "a key of our own # with a hash");
    let gateway = dify.merged.service("twolane").unwrap();
    assert_eq!(dify.ports(gateway), ["15003:5003"], "the operator's port");
    let api = dify.merged.service("api").unwrap();
    let environment = dify.environment(api);
    assert_eq!(environment["MODE"], "api", "everything else is as it was");
    assert_eq!(api.networks(), ["ssrf_proxy_network", "default"]);
}

#[tokio::test]
async fn init_puts_the_gateway_in_front_of_dify_1_17() {
    let (_folder, docker) = dify("dify-1.17");
    let ran = init(&docker, &["--replicas", "3"]).await;
    assert!(ran.status.success(), "{}", errors(&ran));
    let dify = Dify::read(&docker).unwrap();
    expect_callers(
        &dify,
        &[
            ("api", OURS),
            ("api_websocket", OURS),
            ("worker", OURS),
            ("worker_beat", OURS),
            ("agent_backend", AGENTS),
            ("plugin_daemon", DAEMONS),
        ],
    );
    let daemon = dify.merged.service("plugin_daemon").unwrap();
    assert_eq!(daemon.replicas(), 3);
    let gateway = dify.merged.service("twolane").unwrap();
    assert_eq!(
        gateway.networks(),
        ["ssrf_proxy_network", "default"],
        "where the daemons are, is the gateway"
    );
    assert_eq!(
        gateway.text("stop_grace_period").as_deref(),
        Some("2460s"),
        "a call of 2400 s is not cut by a stop"
    );
}

/// The words of the configuration, as the program knows them.
fn known() -> Known {
    Known {
        strategies: &["adaptive"],
        own: OwnWords::NONE,
    }
}

#[tokio::test]
async fn what_nginx_says_of_callers_is_taken_and_nobody_outside_reaches_the_port() {
    let (_folder, docker) = dify("dify-1.13");
    assert!(init(&docker, &[]).await.status.success());
    let text = std::fs::read_to_string(docker.join("twolane.yaml")).unwrap();
    let config = config::load(&text, "twolane.yaml", &known(), &|_| None).unwrap();
    for container in ["172.18.0.5", "192.168.16.2"] {
        assert!(config.trusts(container.parse().unwrap()), "{container}");
    }
    assert!(!config.trusts("203.0.113.9".parse().unwrap()), "the world");
    let merged = Dify::read(&docker).unwrap();
    let gateway = merged.merged.service("twolane").unwrap();
    let ports = merged.ports(gateway);
    assert!(
        ports.iter().all(|port| port.ends_with(":5003")),
        "{ports:?}"
    );
    change(
        &docker.join("docker-compose.yaml"),
        "  nginx:\n",
        "  proxy:\n",
    );
    assert!(init(&docker, &[]).await.status.success());
    let text = std::fs::read_to_string(docker.join("twolane.yaml")).unwrap();
    assert!(
        !text.contains("trusted_proxies"),
        "nobody is there to be taken at his word"
    );
}

#[tokio::test]
async fn f246_the_configuration_that_is_written_waits_longer_than_a_plugin_may_run() {
    let (_folder, docker) = dify("dify-1.17");
    assert!(init(&docker, &[]).await.status.success());
    let text = std::fs::read_to_string(docker.join("twolane.yaml")).unwrap();
    let config = config::load(&text, "twolane.yaml", &known(), &|_| None).unwrap();
    assert_eq!(config.timeouts.read.as_secs(), 2460);
    assert_eq!(config.shutdown.deadline.as_secs(), 2430);
    assert!(config.tcp.listen.is_some(), "plugins in development");
}

#[tokio::test]
async fn the_shipped_overrides_are_what_init_writes() {
    for version in ["dify-1.13", "dify-1.17"] {
        let (_folder, docker) = dify(version);
        // What is shipped is for a Dify whose `.env` was not touched.
        let _ = std::fs::remove_file(docker.join(".env"));
        let ran = init(&docker, &["--image", "twolane:0.1.0"]).await;
        assert!(ran.status.success(), "{}", errors(&ran));
        for name in ["docker-compose.override.yaml", "twolane.yaml"] {
            let written = std::fs::read_to_string(docker.join(name)).unwrap();
            let shipped = root().join("deploy/compose").join(version).join(name);
            if std::env::var_os("TWOLANE_WRITE_SHIPPED").is_some() {
                std::fs::write(&shipped, &written).unwrap();
            }
            let shipped = std::fs::read_to_string(shipped).unwrap();
            assert_eq!(shipped, written, "{version}/{name}");
        }
    }
}

#[tokio::test]
async fn init_shows_a_diff_writes_twice_the_same_and_touches_nothing_else() {
    let (_folder, docker) = dify("dify-1.13");
    let base = std::fs::read_to_string(docker.join("docker-compose.yaml")).unwrap();
    let dry = init(&docker, &["--dry-run"]).await;
    assert!(said(&dry).contains("+  twolane:"), "{}", said(&dry));
    assert!(!docker.join("twolane.yaml").exists(), "nothing was written");

    assert!(init(&docker, &[]).await.status.success());
    let again = said(&init(&docker, &[]).await);
    assert!(again.contains("twolane.yaml: as it is"), "{again}");
    let more = said(&init(&docker, &["--replicas", "4"]).await);
    let lines: Vec<_> = more.lines().collect();
    assert!(lines.contains(&"-    deploy: { replicas: 2 }"), "{more}");
    assert!(lines.contains(&"+    deploy: { replicas: 4 }"), "{more}");
    assert_eq!(
        std::fs::read_to_string(docker.join("docker-compose.yaml")).unwrap(),
        base,
        "Dify's own file is as it was"
    );
}

#[tokio::test]
async fn init_refuses_somebody_elses_override_and_a_folder_without_dify() {
    let (folder, docker) = dify("dify-1.13");
    let theirs = docker.join("docker-compose.override.yaml");
    std::fs::write(&theirs, "services: {}\n").unwrap();
    let ran = init(&docker, &[]).await;
    assert_eq!(ran.status.code(), Some(1));
    assert!(
        errors(&ran).contains("not of our making"),
        "{}",
        errors(&ran)
    );
    assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "services: {}\n");
    assert!(
        !docker.join("twolane.yaml").exists(),
        "nothing half written"
    );

    let empty = init(&folder.path().join("nowhere"), &[]).await;
    assert_eq!(empty.status.code(), Some(1));
    assert!(errors(&empty).contains("no Compose file here"));

    std::fs::remove_file(&theirs).unwrap();
    change(
        &docker.join("docker-compose.yaml"),
        "langgenius/dify-plugin-daemon:0.5.3-local",
        "redis:7",
    );
    change(
        &docker.join("docker-compose.yaml"),
        "plugin_daemon:\n",
        "other:\n",
    );
    let none = init(&docker, &[]).await;
    assert!(errors(&none).contains("no plugin daemon in it"));
}

#[test]
fn f112_the_development_stack_is_three_nodes_one_redis_and_two_gateways() {
    let stack = yaml("deploy/compose/development/compose.yaml");
    let services = stack["services"].as_object().unwrap();
    let names: Vec<_> = services.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "node-1",
            "node-2",
            "node-3",
            "redis",
            "twolane",
            "twolane-2"
        ]
    );
    let text = std::fs::read_to_string(root().join("deploy/compose/development/twolane.yaml"));
    let env = |name: &str| (name == "TWOLANE_ADMIN_TOKEN").then(|| "t".to_owned());
    let config = config::load(&text.unwrap(), "twolane.yaml", &known(), &env).unwrap();
    for node in &config.pools[0].nodes {
        assert!(
            services.contains_key(&node.address.host),
            "{} is a service of the stack",
            node.address
        );
    }
}
