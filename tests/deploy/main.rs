//! Do the files of `deploy/` fit each other and the program, and does `init` fit Dify?
//!
//! What needs a Docker engine or a cluster is not here; each folder's README names it.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod compose;
mod docs;
mod doctor;
mod files;
mod helm;
mod kubernetes;
mod machine;
mod schemas;
mod stopping;
mod typed;
mod upgrade;
mod verify;

use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use twolane::config::read_foreign;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The only document of a file of the project.
fn yaml(name: &str) -> Value {
    let mut documents = documents(name);
    assert_eq!(documents.len(), 1, "{name} has one document");
    documents.remove(0)
}

fn documents(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(root().join(name)).unwrap();
    read_foreign(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A copy of one of the Difys beside this file, to be written into.
fn dify(version: &str) -> (TempDir, PathBuf) {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &to);
            } else {
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let docker = folder.path().join("docker");
    copy(&root().join("tests/deploy").join(version), &docker);
    (folder, docker)
}

/// Writes one line of a file anew.
fn change(file: &Path, old: &str, new: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(old), "{}: {old:?} is there", file.display());
    std::fs::write(file, text.replace(old, new)).unwrap();
}
