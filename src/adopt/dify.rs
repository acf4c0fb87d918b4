//! Which Dify is there, and how is it set up?

use super::compose::{Compose, Service, Variables};
use crate::config::read_foreign;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Compose looks for these, the first that is there.
const FILES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
];
/// And for one of these beside it.
const OVERRIDES: [&str; 4] = [
    "compose.override.yaml",
    "compose.override.yml",
    "docker-compose.override.yaml",
    "docker-compose.override.yml",
];

/// A Dify on Compose, as its files describe it.
#[derive(Debug)]
pub struct Dify {
    /// Where its files are.
    pub folder: PathBuf,
    /// Its own file.
    pub file: PathBuf,
    /// The file beside it that Compose reads too: the one that is there, else the one to write.
    pub override_file: PathBuf,
    /// Its own file alone.
    pub plain: Compose,
    /// With the other one, if there is one.
    pub merged: Compose,
    env: Variables,
}

/// Why there is no Dify to be read: what, and the cure.
#[derive(Debug)]
pub struct Trouble {
    /// The file or folder.
    pub place: PathBuf,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub cure: &'static str,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place.display();
        write!(f, "{place}: {}\n  = help: {}", self.what, self.cure)
    }
}

impl std::error::Error for Trouble {}

impl Dify {
    /// Reads a folder, or a Compose file in one.
    ///
    /// # Errors
    /// When no file of Compose is there, or it cannot be read, or has no plugin daemon.
    pub fn read(path: &Path) -> Result<Self, Trouble> {
        let file = compose_file(path)?;
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        let mut env = Variables::new();
        add_variables(&folder.join(".env"), &mut env)?;
        let plain = Compose::new(&yaml(&file)?);
        let mut merged = plain.clone();
        let beside = override_beside(&file, &folder);
        if beside.is_file() {
            merged.add(&yaml(&beside)?);
        }
        let dify = Self {
            folder,
            file,
            override_file: beside,
            plain,
            merged,
            env,
        };
        match dify.daemon_of(&dify.plain) {
            Some(_) => Ok(dify),
            None => Err(Trouble {
                place: dify.file,
                what: "no plugin daemon in it".to_owned(),
                cure: "name the folder of Dify 1.0 or later that has the service plugin_daemon \
                       (dify/docker)",
            }),
        }
    }

    /// A variable of its `.env`.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }

    /// What a service finds in its environment: `environment` beats `env_file`.
    #[must_use]
    pub fn environment(&self, service: Service<'_>) -> Variables {
        let mut all = Variables::new();
        for file in service.env_files() {
            // One that is missing is Compose's to complain about.
            let _ = add_variables(&self.folder.join(file), &mut all);
        }
        all.extend(service.own_environment(&|name| self.variable(name)));
        all
    }

    /// Ports of the host that a service takes.
    #[must_use]
    pub fn ports(&self, service: Service<'_>) -> Vec<String> {
        service.ports(&|name| self.variable(name))
    }

    /// The plugin daemon among a file's services.
    #[must_use]
    pub fn daemon_of<'a>(&self, compose: &'a Compose) -> Option<Service<'a>> {
        let named = compose.service("plugin_daemon");
        named.or_else(|| {
            let mut services = compose.services();
            services.find(|service| service.image().contains("plugin-daemon"))
        })
    }
}

/// Adds what a file of `NAME=value` lines says; a file that is not there says nothing.
fn add_variables(file: &Path, into: &mut Variables) -> Result<(), Trouble> {
    let Ok(text) = fs::read(file) else {
        return Ok(());
    };
    for pair in dotenvy::from_read_iter(text.as_slice()) {
        // The library quotes the line, which may hold a password.
        let (name, value) = pair.map_err(|_with_the_line| Trouble {
            place: file.to_owned(),
            what: "a line is not NAME=value".to_owned(),
            cure: "quote values that have spaces or #",
        })?;
        into.insert(name, value);
    }
    Ok(())
}

fn compose_file(path: &Path) -> Result<PathBuf, Trouble> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let mut names = FILES.iter().map(|name| path.join(name));
    names.find(|file| file.is_file()).ok_or_else(|| Trouble {
        place: path.to_owned(),
        what: "no Compose file here".to_owned(),
        cure: "name the folder that has Dify's docker-compose.yaml",
    })
}

/// The override that is there, or the one that fits the name of the file.
fn override_beside(file: &Path, folder: &Path) -> PathBuf {
    let mut there = OVERRIDES.iter().map(|name| folder.join(name));
    let usual = if file
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("compose."))
    {
        OVERRIDES[0]
    } else {
        OVERRIDES[2]
    };
    there
        .find(|file| file.is_file())
        .unwrap_or_else(|| folder.join(usual))
}

fn yaml(file: &Path) -> Result<serde_json::Value, Trouble> {
    let trouble = |what: String| Trouble {
        place: file.to_owned(),
        what,
        cure: "`docker compose config` says what is wrong with it",
    };
    let text = fs::read_to_string(file).map_err(|error| trouble(error.to_string()))?;
    let mut documents = read_foreign(&text).map_err(trouble)?;
    Ok(documents.pop().unwrap_or_default())
}
