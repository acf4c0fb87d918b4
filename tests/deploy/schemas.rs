//! Do the manifests say what Kubernetes understands? Each is checked against the schemas of its API,
//! unknown fields refused.

use super::{helm, kubernetes, root};
use serde_json::{Value, json};
use std::process::Command;

/// A program of `deploy/setup.sh linters`; none where that could not be.
pub(super) fn linter(name: &str) -> Option<Command> {
    let own = root().join(".tools/linters/bin").join(name);
    let program = if own.exists() { own } else { name.into() };
    if Command::new(&program).arg("--version").output().is_ok() {
        return Some(Command::new(program));
    }
    // Said aloud: what is only read is still checked.
    eprintln!("{name} is not there, what it checks was only read: sh deploy/setup.sh linters");
    None
}

/// Kinds that an operator brings have no schema there.
fn is_kubernetes_own(manifest: &Value) -> bool {
    let group = manifest["apiVersion"].as_str().unwrap_or_default();
    !group.starts_with("monitoring.coreos.com/")
}

/// What is wrong with manifests, if anything is.
fn refused(manifests: &[Value]) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut command = linter("kubernetes-validate")?;
    command.args(["--strict", "--quiet"]);
    for (at, manifest) in manifests.iter().enumerate() {
        let file = folder.path().join(format!("{at}.yaml"));
        std::fs::write(&file, manifest.to_string()).unwrap();
        command.arg(file);
    }
    let ran = command.output().unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    (!ran.status.success()).then(|| String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn f245_every_manifest_is_one_of_kubernetes_own() {
    let mut all = Vec::new();
    for overlay in kubernetes::OVERLAYS {
        all.extend(kubernetes::rendered(overlay).unwrap_or_default());
    }
    let monitoring = json!({ "monitoring": { "dashboard": { "enabled": true } } });
    for values in [
        json!({}),
        monitoring,
        json!({ "nodes": { "create": false } }),
    ] {
        all.extend(helm::rendered(&values).unwrap_or_default());
    }
    all.retain(is_kubernetes_own);
    if all.is_empty() {
        return;
    }
    assert!(all.len() > 20, "only {} were seen", all.len());
    assert_eq!(refused(&all), None);

    // And it would have said so.
    let deployment = all.iter().find(|one| one["kind"] == "Deployment").unwrap();
    let mut broken = deployment.clone();
    broken["spec"]["replica"] = 2.into();
    if linter("kubernetes-validate").is_some() {
        let said = refused(&[broken]).expect("it is told");
        assert!(said.contains("replica"), "{said}");
    }
}
