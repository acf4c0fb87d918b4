//! Does the house still stand as it was drawn? Layers, sizes, words and edges, read from the
//! source itself, so that no hurried guest can put a wardrobe in the hall.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module's layer; arrows only point down, and within a layer there are none.
const LAYERS: &[(&str, u8)] = &[
    ("model", 0),
    ("config", 1),
    ("dify", 1),
    ("learn", 1),
    ("observe", 1),
    ("nodes", 2),
    ("route", 2),
    ("select", 3),
    ("admit", 3),
    ("share", 3),
    ("upstream", 4),
    ("proxy", 5),
    ("admin", 5),
    ("server", 6),
    ("demo", 6),
    ("adopt", 6),
    ("cli", 7),
];

/// The one arrow within a layer: the demo runs the production gateway.
const SIDEWAYS: &[(&str, &str)] = &[("demo", "server")];

/// Which outside crate may be spoken where (path prefixes below `src/`).
const EDGES: &[(&str, &[&str])] = &[
    (
        "pingora",
        &["upstream/", "proxy/", "admin/", "server/", "demo/"],
    ),
    ("redis", &["share/", "upstream/discovery/"]),
    ("serde_yaml", &["config/file.rs"]),
    ("x509_parser", &["config/credentials.rs"]),
    (
        "rustls",
        &["config/credentials.rs", "server/tls.rs", "upstream/"],
    ),
    ("clap", &["cli"]),
    ("crc32fast", &["route/", "select/ring.rs"]),
    ("md5", &["route/"]),
    ("sha1_smol", &["route/"]),
    ("sha2", &["route/"]),
    ("cookie", &["dify/user.rs"]),
    ("multer", &["dify/user.rs"]),
    ("xxhash_rust", &["route/"]),
    ("ratatui", &["cli/top/", "cli/watch/", "cli/snapshot.rs"]),
    ("prometheus", &["observe/"]),
    (
        "tokio",
        &[
            "upstream/",
            "proxy/",
            "admin/",
            "server/",
            "demo/",
            "share/",
            "cli",
        ],
    ),
    (
        "async_trait",
        &[
            "upstream/",
            "proxy/",
            "admin/",
            "server/",
            "demo/",
            "share/",
        ],
    ),
];

/// What we write instead is in ARCHITECTURE.md. Pingora's and the daemon's own words are spoken
/// where they are spoken to.
const WORDS: &[&str] = &[
    "backend", "backends", "cluster", "master", "slave", "manager", "util", "utils", "helper",
    "helpers", "common",
];
const WORDS_ALLOWED: &[&str] = &[
    "upstream/",
    "dify/",
    "demo/daemon/",
    "share/redis/",
    // Dify has a service of that name.
    "adopt/",
];

const FILE_LINES: usize = 400;
const TABLE_OF_CONTENTS_LINES: usize = 150;

struct Source {
    /// Below `src/`, with `/`.
    name: String,
    text: String,
    /// What stands before the unit tests.
    code: String,
}

impl Source {
    fn module(&self) -> &str {
        let first = self.name.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    fn is_tests(&self) -> bool {
        self.name.ends_with("/tests.rs") || self.name.contains("/tests/")
    }
}

fn sources() -> Vec<Source> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("src can be read") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|end| end == "rs") {
                into.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    let sources: Vec<_> = paths
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).expect("below src");
            let text = fs::read_to_string(&path).expect("a source is text");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            Source {
                name: name.to_string_lossy().replace('\\', "/"),
                code: code.to_owned(),
                text,
            }
        })
        .collect();
    assert!(
        sources.len() > 50,
        "only {} sources were read",
        sources.len()
    );
    sources
}

/// Lines of code: without comments and documentation.
fn code_lines(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    let lines = source.code.lines().enumerate();
    lines
        .map(|(at, line)| (at + 1, line.split("//").next().unwrap_or_default()))
        .filter(|(_, line)| !line.trim().is_empty())
}

fn outside_quotes(line: &str) -> String {
    line.split('"').step_by(2).collect()
}

fn complain(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn arrows_only_point_down() {
    let layers: BTreeMap<_, _> = LAYERS.iter().copied().collect();
    let mut problems = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| !["lib.rs", "main.rs"].contains(&source.name.as_str()))
    {
        let own = source.module();
        let Some(&layer) = layers.get(own) else {
            problems.push(format!("{}: {own} has no place in LAYERS", source.name));
            continue;
        };
        for (at, line) in code_lines(source) {
            for used in line.split("crate::").skip(1) {
                let used: String = used
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                let Some(&below) = layers.get(used.as_str()) else {
                    continue;
                };
                let allowed =
                    used == own || below < layer || SIDEWAYS.contains(&(own, used.as_str()));
                if !allowed {
                    problems.push(format!(
                        "{}:{at}: {own} (layer {layer}) uses {used} (layer {below})",
                        source.name
                    ));
                }
            }
        }
    }
    complain(&problems);
}

#[test]
fn outside_words_stay_at_the_edge() {
    let mut problems = Vec::new();
    for source in sources() {
        for (at, line) in code_lines(&source) {
            for (word, places) in EDGES {
                // Texts may name what code may not use.
                let line = outside_quotes(line);
                let spoken = line
                    .split(|c: char| !(c.is_alphanumeric() || c == '_'))
                    .any(|token| {
                        token == *word || (*word == "pingora" && token.starts_with("pingora_"))
                    });
                if spoken
                    && !places.iter().any(|place| source.name.starts_with(place))
                    && !source.is_tests()
                {
                    problems.push(format!(
                        "{}:{at}: {word} is spoken outside {places:?}",
                        source.name
                    ));
                }
            }
        }
    }
    complain(&problems);
}

#[test]
fn files_are_small_and_say_what_they_are_for() {
    let mut problems = Vec::new();
    for source in sources() {
        if !source.text.starts_with("//!") {
            problems.push(format!("{}: does not begin with //!", source.name));
        }
        let lines = source.code.lines().count();
        let limit = if source.name.ends_with("mod.rs") {
            TABLE_OF_CONTENTS_LINES
        } else {
            FILE_LINES
        };
        if lines > limit && !source.is_tests() {
            problems.push(format!(
                "{}: {lines} lines before its tests, over {limit}",
                source.name
            ));
        }
        let is_module = source.name.ends_with("/mod.rs") && source.name.matches('/').count() == 1;
        let first = source.text.lines().next().unwrap_or_default();
        if is_module && !first.trim_end().ends_with('?') {
            problems.push(format!(
                "{}: its first line is not the question it answers",
                source.name
            ));
        }
    }
    complain(&problems);
}

#[test]
fn one_word_for_one_thing() {
    let mut problems = Vec::new();
    for source in sources().iter().filter(|source| {
        !WORDS_ALLOWED
            .iter()
            .any(|place| source.name.starts_with(place))
    }) {
        for (at, line) in source.text.lines().enumerate() {
            // The seed's own paths and keys keep their names.
            let mut line = line.to_lowercase();
            for own in ["/cluster/master", "/cluster/", "cluster:status"] {
                line = line.replace(own, " ");
            }
            for token in line.split(|c: char| !c.is_alphabetic()) {
                if WORDS.contains(&token) {
                    problems.push(format!("{}:{}: {token}", source.name, at + 1));
                }
            }
        }
    }
    complain(&problems);
}

#[test]
fn nothing_is_left_half_done() {
    let marks = [
        "TODO",
        "FIXME",
        "XXX",
        "todo!(",
        "unimplemented!(",
        "dbg!(",
        "#[ignore",
        "thread::sleep(",
    ];
    let mut problems = Vec::new();
    for source in sources() {
        for (at, line) in source.text.lines().enumerate() {
            for mark in marks.iter().filter(|mark| line.contains(**mark)) {
                problems.push(format!("{}:{}: {mark}", source.name, at + 1));
            }
        }
    }
    complain(&problems);
}

#[test]
fn nobody_lets_go_of_a_lease_by_hand() {
    let sources = sources();
    let released: Vec<_> = sources
        .iter()
        .flat_map(|source| code_lines(source).map(move |(at, line)| (source, at, line)))
        .filter(|(_, _, line)| line.contains("fn release("))
        .map(|(source, at, _)| format!("{}:{at}: a release by hand", source.name))
        .collect();
    complain(&released);
}

#[test]
fn the_map_names_every_room() {
    let map = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let map = fs::read_to_string(map).expect("ARCHITECTURE.md is there");
    for (module, _) in LAYERS {
        assert!(
            map.contains(&format!("`{module}`")),
            "ARCHITECTURE.md does not name `{module}`"
        );
    }
    assert!(
        map.lines().count() <= 250,
        "a map longer than 250 lines is not read"
    );
}
