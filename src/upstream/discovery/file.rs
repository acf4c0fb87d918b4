//! Nodes in a file of their own, which another program may write.

use super::{Discovery, DiscoveryError, Fixed, Names};
use crate::config::{self, NodeEntry};
use crate::nodes::Entry;
use async_trait::async_trait;
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::AsyncReadExt;

/// A file larger than this is not a list of nodes.
const LARGEST: u64 = 1 << 20;

/// A list of nodes, read again whenever its content changes.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    names: Arc<Names>,
    /// The content that was read last, and what it said.
    read: Mutex<Option<(u64, Listed)>>,
}

/// What a content says.
type Listed = Result<Vec<NodeEntry>, DiscoveryError>;

impl File {
    pub(super) fn new(path: PathBuf, names: Arc<Names>) -> Self {
        Self {
            path,
            names,
            read: Mutex::default(),
        }
    }

    async fn text(&self) -> std::io::Result<String> {
        let file = tokio::fs::File::open(&self.path).await?;
        let mut text = String::new();
        file.take(LARGEST + 1).read_to_string(&mut text).await?;
        Ok(text)
    }

    /// The nodes of the file; a broken one is told with its lines.
    async fn listed(&self) -> Listed {
        let place = self.path.display().to_string();
        let text = self.text().await;
        let text = text.map_err(|error| DiscoveryError(format!("{place}: {error}")))?;
        if text.len() as u64 > LARGEST {
            return Err(DiscoveryError(format!("{place}: larger than 1 MiB")));
        }
        let hash = config::content_hash(&text);
        let mut read = self.read.lock();
        if let Some((_, known)) = read.as_ref().filter(|(known, _)| *known == hash) {
            return known.clone();
        }
        let nodes = config::read_nodes(&text, &place)
            .map_err(|problems| DiscoveryError(problems.to_string()));
        *read = Some((hash, nodes.clone()));
        nodes
    }
}

#[async_trait]
impl Discovery for File {
    async fn discover(&self) -> Result<Vec<Entry>, DiscoveryError> {
        let nodes = self.listed().await?;
        if nodes.is_empty() {
            // It says so itself: that is certain.
            return Ok(Vec::new());
        }
        Fixed::new(nodes, Arc::clone(&self.names)).discover().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn reads(file: &File, text: &str) -> Result<Vec<String>, String> {
        std::fs::write(&file.path, text).expect("written");
        let entries = file.discover().await.map_err(|error| error.to_string())?;
        let row = |entry: &Entry| format!("{} {} {}", entry.id, entry.address, entry.role);
        Ok(entries.iter().map(row).collect())
    }

    #[tokio::test]
    async fn a_list_is_read_in_yaml_and_in_json_and_a_broken_one_is_told_with_its_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = File::new(folder.path().join("nodes.yaml"), Arc::default());
        let missing = file.discover().await.expect_err("no file");
        assert!(missing.0.contains("nodes.yaml: "), "{missing}");
        let yaml = "- 10.0.0.1\n- { id: b, address: \"10.0.0.2:5003\", role: backup }\n";
        let rows = reads(&file, yaml).await;
        let expected = [
            "10.0.0.1:5002 10.0.0.1:5002 secondary",
            "b 10.0.0.2:5003 backup",
        ];
        assert_eq!(rows.expect("sound"), expected);
        let json = r#"{"nodes": [{"address": "[fd00::1]:5002"}]}"#;
        let rows = reads(&file, json).await.expect("sound");
        assert_eq!(rows, ["fd00::1:5002 [fd00::1]:5002 secondary"]);
        assert_eq!(
            reads(&file, "[]").await,
            Ok(Vec::new()),
            "nobody, for certain"
        );
        for (text, place) in [
            ("", "nodes.yaml"),
            ("- 10.0.0.1\n- 10.0.0.2:x\n", "nodes.yaml:2:3"),
            ("- 10.0.0.1\n- {id: a}\n", "nodes.yaml:2:"),
            (
                "- 10.0.0.1\n- {id: \"a\\nb\", address: b}\n",
                "nodes.yaml:2:",
            ),
            ("- 10.0.0.1\n- 10.0.0.1\n", "nodes.yaml:2:3"),
            ("nodes: [\n", "nodes.yaml:"),
            ("more: 1\n", "nodes.yaml:1:1"),
        ] {
            let told = reads(&file, text).await.expect_err(text);
            assert!(told.contains(place), "{text:?}: {told}");
        }
    }
}
