//! What do Kubernetes manifests say of the daemons?

use super::dify::Trouble;
use crate::config::read_foreign;
use serde_json::Value;
use std::path::Path;

/// Documents of one rendered file.
#[derive(Debug, Default)]
pub struct Manifests {
    documents: Vec<Value>,
}

impl Manifests {
    /// Reads a file of manifests, as `kubectl get -o yaml`, `helm template` or `kubectl kustomize`
    /// write them.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(file: &Path) -> Result<Self, Trouble> {
        let trouble = |what: String| Trouble {
            place: file.to_owned(),
            what,
            cure: "name a file of manifests in YAML, such as the output of helm template",
        };
        let text = std::fs::read_to_string(file).map_err(|error| trouble(error.to_string()))?;
        let mut documents = read_foreign(&text).map_err(trouble)?;
        let lists: Vec<_> = documents
            .iter_mut()
            .filter_map(|document| document.get_mut("items")?.as_array_mut())
            .flat_map(std::mem::take)
            .collect();
        documents.extend(lists);
        Ok(Self { documents })
    }

    fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.documents.iter().filter(move |one| one["kind"] == kind)
    }

    /// Deployments that run several daemons on a volume only one machine can have: name, claim.
    #[must_use]
    pub fn crowded_volumes(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for deployment in self.of_kind("Deployment").filter(|one| runs_daemons(one)) {
            if deployment["spec"]["replicas"].as_u64().unwrap_or(1) < 2 {
                continue;
            }
            for claim in claims(deployment).filter(|claim| self.is_for_one(claim)) {
                found.push((name(deployment), claim.to_owned()));
            }
        }
        found
    }

    fn is_for_one(&self, claim: &str) -> bool {
        self.of_kind("PersistentVolumeClaim")
            .filter(|one| name(one) == claim)
            .filter_map(|one| one["spec"]["accessModes"].as_array())
            .any(|modes| modes.iter().all(|mode| mode == "ReadWriteOnce"))
    }

    /// Probes of daemons that ask for a path the daemon does not have: workload, path.
    #[must_use]
    pub fn wrong_probes(&self) -> Vec<(String, String)> {
        let workloads = self.documents.iter().filter(|one| runs_daemons(one));
        let mut found = Vec::new();
        for workload in workloads {
            for container in containers(workload).filter(|one| is_daemon(one)) {
                for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                    let path = container[probe]["httpGet"]["path"].as_str();
                    if let Some(path) = path.filter(|path| *path == "/health") {
                        found.push((name(workload), path.to_owned()));
                    }
                }
            }
        }
        found
    }
}

fn name(document: &Value) -> String {
    let name = document["metadata"]["name"].as_str();
    name.unwrap_or_default().to_owned()
}

fn pod(workload: &Value) -> &Value {
    &workload["spec"]["template"]["spec"]
}

fn containers(workload: &Value) -> impl Iterator<Item = &Value> {
    pod(workload)["containers"].as_array().into_iter().flatten()
}

fn is_daemon(container: &Value) -> bool {
    let image = container["image"].as_str();
    image.is_some_and(|image| image.contains("plugin-daemon"))
}

fn runs_daemons(workload: &Value) -> bool {
    containers(workload).any(is_daemon)
}

fn claims(workload: &Value) -> impl Iterator<Item = &str> {
    let volumes = pod(workload)["volumes"].as_array().into_iter().flatten();
    volumes.filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str())
}
