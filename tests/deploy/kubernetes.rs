//! The manifests: rendered where `kubectl` is there, read in any case, and compared with the program.

use super::{documents, root, yaml};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use twolane::config::{self, Known, OwnWords, read_foreign};

pub(super) const OVERLAYS: [&str; 3] = ["plain", "borispolonsky", "douban"];

pub(super) fn rendered(overlay: &str) -> Option<Vec<Value>> {
    let folder = root().join("deploy/kubernetes/overlays").join(overlay);
    let ran = Command::new("kubectl")
        .arg("kustomize")
        .arg(&folder)
        .output();
    let Ok(ran) = ran else {
        // Said aloud: the rest of the checks still holds.
        eprintln!("kubectl is not there: {overlay} was not rendered");
        return None;
    };
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{overlay}: {said}");
    Some(read_foreign(&String::from_utf8_lossy(&ran.stdout)).unwrap())
}

fn find<'a>(documents: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let mut all = documents.iter();
    all.find(|one| one["kind"] == kind && one["metadata"]["name"] == name)
        .unwrap_or_else(|| panic!("there is a {kind} {name}"))
}

#[test]
fn f245_every_overlay_renders_with_everything_that_belongs_together() {
    for overlay in OVERLAYS {
        let Some(all) = rendered(overlay) else {
            continue;
        };
        let deployment = find(&all, "Deployment", "twolane");
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        for (kind, path) in [
            ("Service", "/spec/selector"),
            ("PodDisruptionBudget", "/spec/selector/matchLabels"),
            ("NetworkPolicy", "/spec/podSelector/matchLabels"),
        ] {
            let selector = find(&all, kind, "twolane").pointer(path);
            assert_eq!(selector, Some(labels), "{overlay}: {kind} finds the pods");
        }
        let nodes = find(&all, "Service", "plugin-daemon-nodes");
        assert_eq!(nodes["spec"]["clusterIP"], "None", "headless");
        let config = find(&all, "ConfigMap", "twolane");
        let text = config["data"]["twolane.yaml"].as_str().unwrap();
        assert!(text.contains("dns: plugin-daemon-nodes:5002"));
    }
}

#[test]
fn f244_f245_the_example_daemons_are_what_the_headless_service_finds() {
    let daemons = yaml("deploy/kubernetes/overlays/plain/daemons.yaml");
    assert_eq!(daemons["kind"], "StatefulSet");
    assert_eq!(daemons["spec"]["serviceName"], "plugin-daemon-nodes");
    let labels = &daemons["spec"]["template"]["metadata"]["labels"];
    let Some(all) = rendered("plain") else {
        return;
    };
    let nodes = find(&all, "Service", "plugin-daemon-nodes");
    assert_eq!(&nodes["spec"]["selector"], labels);
    let container = &daemons["spec"]["template"]["spec"]["containers"][0];
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        assert_eq!(container[probe]["httpGet"]["path"], "/health/check");
    }
}

#[test]
fn the_configuration_of_the_base_is_sound_and_fits_the_deployment() {
    let text = std::fs::read_to_string(root().join("deploy/kubernetes/base/twolane.yaml"));
    let known = Known {
        strategies: &["adaptive"],
        own: OwnWords::NONE,
    };
    let env = |name: &str| (name == "TWOLANE_ADMIN_TOKEN").then(|| "t".to_owned());
    let config = config::load(&text.unwrap(), "twolane.yaml", &known, &env).unwrap();
    let deployment = yaml("deploy/kubernetes/base/deployment.yaml");
    let pod = &deployment["spec"]["template"]["spec"];
    let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
    let needed = config.shutdown.pre_stop_delay + config.shutdown.deadline;
    assert!(grace > needed.as_secs(), "{grace} s are enough for a stop");

    let container = &pod["containers"][0];
    let port = |name: &str| {
        let ports = container["ports"].as_array().unwrap();
        let found = ports.iter().find(|one| one["name"] == name).unwrap();
        found["containerPort"].as_u64().unwrap()
    };
    assert_eq!(port("http"), u64::from(config.listen[0].port()));
    assert_eq!(port("admin"), u64::from(config.admin.listen.port()));
    let tcp = config.tcp.listen.expect("plugins in development");
    assert_eq!(port("debugging"), u64::from(tcp.port()));
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/livez");
    let safe = &container["securityContext"];
    assert_eq!(safe["readOnlyRootFilesystem"], true);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
}

#[test]
fn the_operators_rules_are_prometheus_own_and_its_monitor_finds_the_service() {
    let rules = yaml("deploy/kubernetes/monitoring/rules.yaml");
    let own = yaml("deploy/prometheus/rules.yml");
    assert_eq!(rules["spec"]["groups"], own["groups"]);
    let monitor = yaml("deploy/kubernetes/monitoring/servicemonitor.yaml");
    let service = yaml("deploy/kubernetes/base/service.yaml");
    let labels = &service["metadata"]["labels"];
    assert_eq!(&monitor["spec"]["selector"]["matchLabels"], labels);
    let port = monitor["spec"]["endpoints"][0]["port"].as_str().unwrap();
    let ports = service["spec"]["ports"].as_array().unwrap();
    assert!(ports.iter().any(|one| one["name"] == port), "{port}");
}

#[test]
fn every_manifest_is_named_by_its_kustomization() {
    let mut seen = 0;
    let folders = [
        "base",
        "overlays/plain",
        "overlays/borispolonsky",
        "overlays/douban",
        "monitoring",
    ];
    for folder in folders {
        let place = Path::new("deploy/kubernetes").join(folder);
        let file = place.join("kustomization.yaml");
        let kustomization = &documents(&file.to_string_lossy())[0];
        let mut named: Vec<String> = Vec::new();
        for key in ["/resources", "/configMapGenerator/0/files"] {
            let list = kustomization.pointer(key).and_then(Value::as_array);
            let names = list.into_iter().flatten().filter_map(Value::as_str);
            named.extend(names.map(str::to_owned));
        }
        for entry in std::fs::read_dir(root().join(&place)).unwrap() {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            if name != "kustomization.yaml" {
                assert!(named.contains(&name), "{folder}: {name} is used");
                seen += 1;
            }
        }
    }
    assert!(seen > 7, "only {seen} manifests were seen");
}
