//! Do the alerts, the dashboard and the examples in `deploy/` fit the gateway, and do Prometheus'
//! own tools accept them?
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::client::expect_events;
use support::gateway::Gateway;
use support::{eventually, within};
use twolane::demo::daemon::{Daemon, Plugin, Settings, World};

const PLUGIN: &str = "langgenius/openai";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Runs one of Prometheus' tools, which `deploy/setup.sh promtool amtool` brings.
fn accept(tool: &str, arguments: &[&str]) {
    let unpacked = root().join(".tools/usr/bin").join(tool);
    let program = if unpacked.exists() {
        unpacked
    } else {
        PathBuf::from(tool)
    };
    let ran = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output();
    let ran = ran.unwrap_or_else(|error| {
        panic!("{tool} is needed: run `sh deploy/setup.sh {tool}` ({error})")
    });
    assert!(
        ran.status.success(),
        "{tool} {arguments:?} refuses:\n{}{}",
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr)
    );
}

fn rules() -> Vec<serde_yaml::Value> {
    let file: serde_yaml::Value =
        serde_yaml::from_str(&text("deploy/prometheus/rules.yml")).unwrap();
    let groups = file["groups"].as_sequence().unwrap().iter();
    let rules: Vec<_> = groups
        .flat_map(|group| group["rules"].as_sequence().unwrap().clone())
        .collect();
    assert!(rules.len() > 10, "only {} rules were read", rules.len());
    rules
}

fn alerts() -> Vec<serde_yaml::Value> {
    let is_alert = |rule: &serde_yaml::Value| rule.get("alert").is_some();
    rules().into_iter().filter(is_alert).collect()
}

fn word<'a>(value: &'a serde_yaml::Value, key: &str) -> &'a str {
    let found = value.get(key).and_then(serde_yaml::Value::as_str);
    found.unwrap_or_else(|| panic!("no {key} in {value:?}"))
}

#[test]
fn f151_f254_f255_promtool_accepts_the_rules_and_each_alert_fires_when_it_should() {
    accept(
        "promtool",
        &["check", "rules", "deploy/prometheus/rules.yml"],
    );
    accept(
        "promtool",
        &["test", "rules", "deploy/prometheus/rules_test.yml"],
    );
    accept(
        "promtool",
        &["check", "config", "deploy/prometheus/prometheus.yml"],
    );
}

#[test]
fn f257_amtool_accepts_the_example_for_alertmanager() {
    let file = "deploy/alertmanager/alertmanager.yml";
    accept("amtool", &["check-config", file]);
    let config: serde_yaml::Value = serde_yaml::from_str(&text(file)).unwrap();
    let route = &config["route"];
    assert_eq!(word(route, "receiver"), "slack-notify");
    assert_eq!(
        route["group_by"],
        serde_yaml::from_str::<serde_yaml::Value>("[alertname, cluster]").unwrap()
    );
    let slack = &config["receivers"][0]["slack_configs"][0];
    assert_eq!(word(slack, "channel"), "#ai-ops");
    assert_eq!(slack["send_resolved"].as_bool(), Some(true));
    let title = "Plugin Daemon Alert: {{ .CommonAnnotations.summary }}";
    assert_eq!(word(slack, "title"), title);
}

#[test]
fn every_alert_has_a_severity_a_runbook_and_a_test_in_which_it_fires_and_one_in_which_not() {
    let runbooks = text("docs/runbooks.md");
    let tests: serde_yaml::Value =
        serde_yaml::from_str(&text("deploy/prometheus/rules_test.yml")).unwrap();
    let cases: Vec<_> = tests["tests"]
        .as_sequence()
        .unwrap()
        .iter()
        .flat_map(|test| test["alert_rule_test"].as_sequence().unwrap())
        .collect();
    for alert in alerts() {
        let name = word(&alert, "alert");
        let severity = word(&alert["labels"], "severity");
        assert!(
            ["critical", "warning", "info"].contains(&severity),
            "{name} is {severity}"
        );
        for told in ["summary", "description"] {
            word(&alert["annotations"], told);
        }
        let anchor = format!("docs/runbooks.md#{}", name.to_lowercase());
        assert_eq!(word(&alert["annotations"], "runbook_url"), anchor);
        assert!(
            runbooks.contains(&format!("\n## {name}\n")),
            "no runbook for {name}"
        );
        let fires = |wanted: bool| {
            cases.iter().any(|case| {
                let alerts = case["exp_alerts"].as_sequence().unwrap();
                word(case, "alertname") == name && alerts.is_empty() != wanted
            })
        };
        assert!(fires(true), "no test shows that {name} fires");
        assert!(fires(false), "no test shows that {name} can be quiet");
    }
}

/// Metrics of the daemon itself (0.6, `pkg/utils/metrics`) that the rules ask for.
const DAEMONS: [&str; 2] = [
    "plugin_installations_total",
    "plugin_installation_duration_seconds",
];

/// Every metric that an expression names.
fn metrics_in(expression: &str) -> BTreeSet<String> {
    let sign = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut bare = String::new();
    // What stands in braces are labels and their values.
    let mut depth = 0;
    for c in expression.chars() {
        depth += i32::from(c == '{');
        bare.push(if depth > 0 { ' ' } else { c });
        depth -= i32::from(c == '}');
    }
    bare.split(|c| !sign(c))
        .filter(|name| {
            ["twolane", "plugin", "process"]
                .iter()
                .any(|start| name.starts_with(start))
        })
        .map(|name| {
            let ends = ["_bucket", "_sum", "_count"].iter();
            let base = ends.filter_map(|end| name.strip_suffix(end)).next();
            base.unwrap_or(name).to_owned()
        })
        .collect()
}

fn expressions_of(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if key == "expr" || key == "query" => {
                        into.push(text.clone());
                    }
                    value => expressions_of(value, into),
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|value| expressions_of(value, into)),
        _ => {}
    }
}

/// A gateway that has seen a bit of everything.
async fn busy_gateway() -> (Vec<Daemon>, tempfile::TempDir, Gateway) {
    let world = World::default();
    let mut nodes = Vec::new();
    for n in 1..=3 {
        let settings = Settings::named(&format!("n{n}"), &world);
        nodes.push(Daemon::start(settings).await.unwrap());
    }
    nodes[0].put_plugin(Plugin::absent(PLUGIN));
    let folder = tempfile::tempdir().unwrap();
    let listed: Vec<_> = nodes
        .iter()
        .map(|node| format!("- {{ id: {}, address: \"{}\" }}\n", node.id(), node.addr()))
        .collect();
    let file = folder.path().join("nodes.yaml");
    fs::write(&file, listed.concat()).unwrap();
    let yaml = format!(
        "nodes: []\ndiscover: {{ file: \"{}\", allow: [127.0.0.0/8] }}\nmax_in_flight: 20\n\
         shadow: round_robin\nlearn: {{ min_samples: 1 }}\n\
         expects: {{ plugins: [{PLUGIN}] }}\n",
        file.display()
    );
    let gateway = Gateway::before(&[], &yaml).await;
    let dify = gateway.dify();
    for _ in 0..20 {
        let data = json!({"provider": "demo", "tool": "t", "tool_parameters": {"__sim": {}}});
        expect_events(within("an answer", dify.all("tool/invoke", PLUGIN, data)).await);
    }
    (nodes, folder, gateway)
}

#[tokio::test(flavor = "multi_thread")]
async fn f232_every_metric_of_the_rules_and_of_the_dashboard_is_on_the_live_page() {
    let dashboard: Value = serde_json::from_str(&text("deploy/grafana/twolane.json")).unwrap();
    let mut expressions = Vec::new();
    expressions_of(&dashboard, &mut expressions);
    assert!(expressions.len() > 30, "the dashboard asks for something");
    expressions.extend(rules().iter().map(|rule| word(rule, "expr").to_owned()));
    let wanted: BTreeSet<_> = expressions
        .iter()
        .flat_map(|text| metrics_in(text))
        .collect();
    assert!(wanted.len() > 30, "only {wanted:?}");
    let recorded: BTreeSet<_> = rules()
        .iter()
        .filter_map(|rule| Some(rule.get("record")?.as_str()?.to_owned()))
        .collect();
    let (_nodes, _folder, gateway) = busy_gateway().await;
    let missing = async || {
        let answer = gateway.admin("/metrics").await;
        let page = answer.text();
        let there: BTreeSet<_> = page
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
            .collect();
        let wanted = wanted.iter().filter(|name| {
            !there.contains(name.as_str())
                && !recorded.contains(*name)
                && !DAEMONS.contains(&name.as_str())
        });
        wanted.cloned().collect::<Vec<_>>()
    };
    // What was counted last is on the page a moment after its client has the last byte.
    eventually("every metric is there", async || {
        let missing = missing().await;
        if !missing.is_empty() {
            eprintln!("not on the page (yet): {missing:?}");
        }
        missing.is_empty()
    })
    .await;
}

#[test]
fn the_dashboard_is_whole() {
    let dashboard: Value = serde_json::from_str(&text("deploy/grafana/twolane.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(
            ids.insert(panel["id"].as_u64().unwrap()),
            "an id stands twice"
        );
        let place = &panel["gridPos"];
        assert!(place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap() <= 24);
        if panel["type"] != "row" {
            assert!(
                panel["description"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{} does not say what it shows",
                panel["title"]
            );
        }
    }
}
