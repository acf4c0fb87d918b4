//! A gateway that follows a file, as in production.

use super::client::Dify;
use super::gateway::Gateway;
use super::stream::Response;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use twolane::config;
use twolane::server::{Embedded, Options, known};

/// A running gateway and the file it was started from.
pub struct Filed {
    pub gateway: Gateway,
    pub file: PathBuf,
    folder: TempDir,
}

impl Filed {
    /// Writes the file and starts a gateway from it.
    pub async fn start(yaml: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("twolane.yaml");
        replace(&file, yaml);
        Self::start_in(folder, file).await
    }

    /// Starts a gateway from a file that is there.
    pub async fn start_in(folder: TempDir, file: PathBuf) -> Self {
        let loaded = match config::load_file(&file, &known()) {
            Ok(loaded) => loaded,
            Err(problems) => panic!("{}", problems.render()),
        };
        let embedded = Embedded::start_file(file.clone(), loaded, Options::default())
            .await
            .expect("the gateway starts");
        Self {
            gateway: Gateway { embedded },
            file,
            folder,
        }
    }

    /// Where the file is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Another content for the file; nobody is told.
    pub fn write(&self, yaml: &str) {
        replace(&self.file, yaml);
    }

    /// Another content, and the admin API's word about it.
    pub async fn reload(&self, yaml: &str) -> Response {
        self.write(yaml);
        self.post("/-/reload").await
    }

    /// Another content that must be taken: what changed.
    pub async fn take(&self, yaml: &str) -> Vec<String> {
        let answer = self.reload(yaml).await;
        assert_eq!(
            answer.status,
            200,
            "a good file is taken, and this one was not: {}",
            answer.text()
        );
        let answer = answer.json();
        let changes = answer["changes"].as_array().expect("a list of changes");
        changes
            .iter()
            .map(|change| change.as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Posts nothing to the admin listener.
    pub async fn post(&self, target: &str) -> Response {
        let admin = Dify::new(self.gateway.embedded.admin(), None);
        admin
            .raw("POST", target, &[], b"")
            .await
            .expect("the admin listener answers")
    }

    /// How often a configuration was taken, the first included.
    pub fn version(&self) -> u64 {
        self.gateway.embedded.live().snapshot().version
    }
}

/// Renames a new file over the old one, as editors do: no reader sees half of it.
fn replace(file: &Path, text: &str) {
    let beside = file.with_extension("new");
    std::fs::write(&beside, text).expect("a temporary file can be written");
    std::fs::rename(&beside, file).expect("and be renamed");
}
