//! The Helm chart: rendered by helm, or by its SDK (`deploy/setup.sh helm`), and compared with what
//! `kubectl kustomize` makes of `deploy/kubernetes`.

use super::{documents, root, yaml};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output};
use twolane::config::{self, read_foreign};
use twolane::server::known;

const CHART: &str = "deploy/helm/twolane";

/// helm, or what stands for it; none where neither is there.
fn helm() -> Option<Command> {
    let python = root().join(".tools/helm/bin/helm-sdk");
    if Command::new("helm").arg("version").output().is_ok() {
        return Some(Command::new("helm"));
    }
    if python.exists() {
        let mut command = Command::new(python);
        command.arg(root().join("deploy/helm/helm.py"));
        return Some(command);
    }
    // Said aloud: what is only read is still checked.
    eprintln!("helm is not there: the chart was not rendered; sh deploy/setup.sh helm");
    None
}

fn ran(words: &[&str], values: &Value) -> Option<Output> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "{values}").unwrap();
    let mut command = helm()?;
    command.args(words).arg(root().join(CHART));
    let output = command.arg("--values").arg(file.path()).output();
    Some(output.unwrap())
}

/// The manifests of a release called twolane, with these values.
pub(super) fn rendered(values: &Value) -> Option<Vec<Value>> {
    let output = ran(&["template", "twolane"], values)?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{values}: {said}");
    let text = String::from_utf8_lossy(&output.stdout);
    let documents = read_foreign(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    Some(documents.into_iter().filter(|one| !one.is_null()).collect())
}

fn find<'a>(documents: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let mut all = documents.iter();
    all.find(|one| one["kind"] == kind && one["metadata"]["name"] == name)
        .unwrap_or_else(|| panic!("there is a {kind} {name}"))
}

/// Without what only one of the two ways has: the release, and what Helm leaves to the autoscaler.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let own = |key: &str| {
                ["app.kubernetes.io/instance", "imagePullPolicy", "replicas"].contains(&key)
            };
            let kept = map.iter().filter(|(key, _)| !own(key));
            let kept = kept.map(|(key, value)| (key.clone(), plain(value)));
            let mut kept: serde_json::Map<_, _> = kept.collect();
            if kept
                .get("annotations")
                .is_some_and(|all| all.get("twolane/restart").is_some())
            {
                kept.remove("annotations");
            }
            if kept.get("type") == Some(&json!("ClusterIP")) {
                kept.remove("type");
            }
            Value::Object(kept)
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        // kustomize folds long expressions anew.
        Value::String(text) => text.split_whitespace().collect::<Vec<_>>().join(" ").into(),
        other => other.clone(),
    }
}

#[test]
fn f245_the_chart_says_what_kustomize_says() {
    let all_of_it = json!({ "monitoring": {
        "serviceMonitor": { "enabled": true }, "rules": { "enabled": true },
        "dashboard": { "enabled": true } } });
    let Some(chart) = rendered(&all_of_it) else {
        return;
    };
    let mut compared = 0;
    for folder in ["deploy/kubernetes/base", "deploy/kubernetes/monitoring"] {
        let kustomized = Command::new("kubectl")
            .args([
                "kustomize",
                folder,
                "--load-restrictor=LoadRestrictionsNone",
            ])
            .current_dir(root())
            .output();
        let Ok(kustomized) = kustomized else {
            eprintln!("kubectl is not there: the chart was compared with nothing");
            return;
        };
        let text = String::from_utf8_lossy(&kustomized.stdout);
        for theirs in read_foreign(&text).unwrap() {
            let (kind, name) = (&theirs["kind"], &theirs["metadata"]["name"]);
            let ours = find(&chart, kind.as_str().unwrap(), name.as_str().unwrap());
            assert_eq!(
                plain(&ours["spec"]),
                plain(&theirs["spec"]),
                "{kind} {name}"
            );
            if kind == "ConfigMap" {
                let read = |map: &Value, key: &str| {
                    let text = map["data"][key].as_str().unwrap_or_default().to_owned();
                    read_foreign(&text).unwrap()
                };
                for key in ["twolane.yaml", "twolane.json"] {
                    assert_eq!(read(ours, key), read(&theirs, key), "{key}");
                }
            }
            compared += 1;
        }
    }
    assert!(compared >= 10, "only {compared} were compared");
}

#[test]
fn helm_lints_the_chart_and_its_schema_refuses_wrong_values() {
    let Some(linted) = ran(&["lint"], &json!({})) else {
        return;
    };
    let said = String::from_utf8_lossy(&linted.stdout);
    assert!(linted.status.success(), "{said}");
    for (values, what) in [
        (json!({ "replicas": 0 }), "replicas"),
        (json!({ "replica": 2 }), "replica"),
        (json!({ "service": { "type": "ClusterIp" } }), "type"),
        (
            json!({ "nodes": { "selector": { "app.kubernetes.io/component": null } } }),
            "selector",
        ),
        // The configuration is checked by the program's own schema.
        (json!({ "config": { "lern": {} } }), "lern"),
        (json!({ "config": { "learn": { "window": 65 } } }), "window"),
        (json!({ "config": { "strategy": "adaptiv" } }), "strategy"),
    ] {
        let refused = ran(&["template", "twolane"], &values).unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success(), "{values} is refused");
        assert!(said.contains(what), "{values}: {said}");
    }
}

#[test]
fn values_reach_what_they_are_for_and_only_restart_keys_replace_pods() {
    let hash = |values: &Value| {
        let all = rendered(values)?;
        let pod = &find(&all, "Deployment", "twolane")["spec"]["template"]["metadata"];
        Some(
            pod["annotations"]["twolane/restart"]
                .as_str()
                .unwrap()
                .to_owned(),
        )
    };
    let Some(usual) = hash(&json!({})) else {
        return;
    };
    let live = json!({ "config": { "learn": { "window": 9 }, "health": { "interval": "5s" } } });
    assert_eq!(hash(&live), Some(usual.clone()), "taken by running pods");
    for key in [
        json!({ "threads": 2 }),
        json!({ "listen": 5004 }),
        json!({ "tcp": { "listen": "0.0.0.0:5004" } }),
    ] {
        assert_ne!(
            hash(&json!({ "config": key })),
            Some(usual.clone()),
            "{key}"
        );
    }
    let all = rendered(&json!({
        "autoscaling": { "enabled": false }, "disruption": { "enabled": false },
        "network": { "enabled": false }, "nodes": { "create": false }, "replicas": 5,
        "secret": { "name": "mine" }, "image": { "tag": "9.9" },
        "env": [{ "name": "RUST_LOG", "value": "debug" }], "nodeSelector": { "disk": "fast" },
    }))
    .unwrap();
    let kinds: Vec<_> = all.iter().filter_map(|one| one["kind"].as_str()).collect();
    assert_eq!(
        kinds,
        ["ConfigMap", "Deployment", "ServiceAccount", "Service"]
    );
    let spec = &find(&all, "Deployment", "twolane")["spec"];
    let pod = &spec["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(spec["replicas"], 5);
    assert_eq!(pod["nodeSelector"]["disk"], "fast");
    assert_eq!(container["image"], "twolane:9.9");
    let token = &container["env"][0]["valueFrom"]["secretKeyRef"];
    assert_eq!(token["name"], "mine");
    assert_eq!(container["env"][2]["name"], "RUST_LOG");
    let random = rendered(&json!({})).unwrap();
    let token = &find(&random, "Secret", "twolane")["stringData"]["admin-token"];
    assert_eq!(token.as_str().map(str::len), Some(32), "one of its own");
}

#[test]
fn the_chart_is_of_this_version_and_its_configuration_is_sound() {
    let chart = yaml(&format!("{CHART}/Chart.yaml"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    let values = documents(&format!("{CHART}/values.yaml")).remove(0);
    let config = values["config"].to_string();
    let env = |name: &str| (name == "TWOLANE_ADMIN_TOKEN").then(|| "t".to_owned());
    let config = config::load(&config, "values.yaml", &known(), &env).unwrap();
    let grace = values["terminationGracePeriodSeconds"].as_u64().unwrap();
    let needed = config.shutdown.pre_stop_delay + config.shutdown.deadline;
    assert!(grace > needed.as_secs(), "{grace} s are enough for a stop");
    let schema: Value = serde_json::from_slice(&read("values.schema.json")).unwrap();
    for key in values.as_object().unwrap().keys() {
        assert!(
            schema["properties"].get(key).is_some(),
            "{key} has a schema"
        );
    }
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(root().join(CHART).join(name)).unwrap()
}

/// A chart may not read what lies beside it, so that it has copies; `make docs` writes them.
#[test]
fn what_the_chart_copies_is_what_it_copies() {
    let text = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    let mut schema: Value = serde_json::from_slice(&read("values.schema.json")).unwrap();
    let own: Value = serde_json::from_str(&text(root().join("conf/schema.json"))).unwrap();
    let mut config = own.clone();
    for key in ["$schema", "$defs", "title"] {
        config.as_object_mut().unwrap().remove(key);
    }
    schema["properties"]["config"] = config;
    schema["$defs"] = own["$defs"].clone();
    for (name, content) in [
        (
            "files/rules.yml",
            text(root().join("deploy/prometheus/rules.yml")),
        ),
        (
            "files/dashboard.json",
            text(root().join("deploy/grafana/twolane.json")),
        ),
        ("values.schema.json", format!("{schema:#}\n")),
    ] {
        let file = root().join(CHART).join(name);
        if std::env::var_os("TWOLANE_WRITE_DOCS").is_some() {
            std::fs::write(&file, &content).unwrap();
        }
        assert!(text(file) == content, "{name} is old: make docs");
    }
}
