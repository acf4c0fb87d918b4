//! Whoever types what the documents say, in their order, gets what they promise: every line of a
//! block of shell is run against the built program, real stand-in daemons and a Dify's folder.

use super::support::page::documents;
use super::support::program::{Program, Serving, command, errors, free, output, said};
use super::{dify, root};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// What is not run, by its beginning, and why.
const LEFT_OUT: [(&str, &str); 11] = [
    (
        "make demo",
        "`process` runs the demo; this would build it again",
    ),
    ("make test", "it runs this"),
    (
        "make deb",
        "it builds the program as it is shipped, for minutes",
    ),
    (
        "cargo install",
        "the same; what it builds is what `make clean-root` runs",
    ),
    ("docker ", "there is no Docker engine"),
    (
        "kubectl ",
        "there is no cluster; kubernetes.rs renders what it is given",
    ),
    ("helm ", "there is no cluster; helm.rs renders the chart"),
    (
        "install ",
        "it writes into the system; `make clean-root` installs a package",
    ),
    ("apt ", "the same"),
    ("systemctl ", "there is no systemd"),
    ("redis-cli ", "`fleet` runs each against a real Redis"),
];

/// A reader's machine.
struct World {
    folder: TempDir,
    /// Where the reader types: Dify's folder, and the program's.
    place: PathBuf,
    nodes: [SocketAddr; 2],
    ports: [SocketAddr; 2],
    serving: Option<Serving>,
    _nodes: [Program; 2],
}

fn script(file: &Path, text: &str) {
    std::fs::write(file, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

impl World {
    async fn new() -> Self {
        let (folder, place) = dify("dify-1.17");
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        std::fs::create_dir(place.join("conf")).unwrap();
        symlink(env!("CARGO_BIN_EXE_twolane"), bin.join("twolane")).unwrap();
        // A page that is not there is no success.
        script(&bin.join("curl"), "exec /usr/bin/curl --fail \"$@\"");
        std::fs::write(place.join("call.json"), CALL).unwrap();
        let nodes = [free(), free()];
        let start = |at: usize| {
            let (address, id) = (nodes[at].to_string(), format!("n{at}"));
            let words = ["node", "--listen", &address, "--id", &id];
            Program::spawn(command(folder.path(), &words))
        };
        let started = [start(0), start(1)];
        let world = Self {
            folder,
            place,
            nodes,
            ports: [free(), free()],
            serving: None,
            _nodes: started,
        };
        for node in nodes {
            super::support::eventually("a stand-in daemon listens", async || {
                tokio::net::TcpStream::connect(node).await.is_ok()
            })
            .await;
        }
        world.configure("nodes:\n  - 10.0.0.11:5002\n  - 10.0.0.12:5002\n");
        world
    }

    /// The reader's words where ours must be others: nothing else is changed in a line.
    fn here(&self, text: &str) -> String {
        let admin = self.ports[1].to_string();
        text.replace("10.0.0.11:5002", &self.nodes[0].to_string())
            .replace("10.0.0.12:5002", &self.nodes[1].to_string())
            .replace("localhost:5012", &admin)
            .replace("NODE", &self.nodes[0].to_string())
            .replace("drain n1", &format!("drain {}", self.nodes[0]))
    }

    fn configure(&self, text: &str) {
        let [data, admin] = self.ports;
        let text = format!(
            "{}listen: {data}\nadmin: {{ listen: \"{admin}\" }}\nhealth: {{ interval: 100ms }}\n\
             access_log: {{ to: ./access.log, slow: 1ms }}\n",
            self.here(text)
        );
        std::fs::write(self.place.join("conf/twolane.yaml"), text).unwrap();
    }

    async fn serve(&mut self) {
        if self.serving.is_none() {
            let serving = Serving::start(command(&self.place, &["run"])).await;
            // One request by the name that documents give it.
            let path = "/plugin/TENANT/dispatch/tool/invoke";
            let headers = [
                ("X-Request-Id", "REQUEST"),
                ("X-Plugin-ID", "langgenius/openai"),
                ("Content-Type", "application/json"),
            ];
            let dify = serving.dify();
            let answer = dify.raw("POST", path, &headers, CALL.as_bytes()).await;
            assert_eq!(answer.unwrap().status, 200);
            self.serving = Some(serving);
        }
    }

    /// Types a line; says what is wrong with it.
    async fn types(&mut self, line: &str) -> Option<String> {
        let words: Vec<_> = line.split_whitespace().collect();
        if words.starts_with(&["twolane", "run"]) {
            self.serve().await;
            return None;
        }
        // What needs no gateway must do without one.
        let offline = ["init", "doctor", "check", "schema"];
        if !offline.iter().any(|word| words.contains(word)) {
            self.serve().await;
        }
        let reads = words[0] == "jq";
        if reads {
            let log = self.place.join("access.log");
            super::support::eventually("the access log has its line", async || {
                std::fs::read_to_string(&log).is_ok_and(|text| text.ends_with('\n'))
            })
            .await;
        }
        let mut shell = Command::new("sh");
        shell
            .arg("-euc")
            .arg(self.here(line))
            .current_dir(&self.place);
        let path = std::env::var("PATH").unwrap();
        shell.env(
            "PATH",
            format!("{}/bin:{path}", self.folder.path().display()),
        );
        shell
            .env_remove("TWOLANE_CONFIG")
            .env_remove("TWOLANE_NODES");
        let ran = output(shell).await;
        // A reader's question has an answer: it is there to find something.
        let silent = reads && said(&ran).trim().is_empty();
        (silent || !ran.status.success())
            .then(|| format!("{}\n{}{}", ran.status, said(&ran), errors(&ran)))
    }
}

/// It takes longer than what the access log calls slow here.
const CALL: &str = r#"{"user_id": "u", "data": {"provider": "demo", "tool": "t",
    "tool_parameters": {"__sim": {"ttfb_ms": 20}}}}"#;

/// The lines of a block, each command on one, without comments.
fn lines(block: &str) -> Vec<String> {
    let joined = block.replace("\\\n", " ");
    let lines = joined.lines().map(|line| match line.split_once(" #") {
        Some((line, _)) => line.trim().to_owned(),
        None => line.trim().to_owned(),
    });
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

/// Blocks of a page in their order, each with its language.
fn steps(page: &str) -> Vec<(&str, &str)> {
    let blocks = page.split("```").skip(1).step_by(2);
    blocks.filter_map(|block| block.split_once('\n')).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn f226_every_command_in_a_document_works_when_it_is_typed() {
    let (mut run, mut used) = (0, Vec::new());
    for name in documents(root()) {
        let page = std::fs::read_to_string(root().join(&name)).unwrap();
        if !page.contains("```sh\n") {
            continue;
        }
        let mut world = World::new().await;
        for (language, block) in steps(&page) {
            if let Some(rest) = block.strip_prefix("# conf/twolane.yaml\n") {
                world.configure(rest);
            }
            for line in lines(if language == "sh" { block } else { "" }) {
                let left_out = LEFT_OUT.iter().find(|(begin, _)| line.starts_with(begin));
                if let Some((begin, _)) = left_out {
                    used.push(*begin);
                } else if let Some(wrong) = world.types(&line).await {
                    panic!("{name}: {line}\n{wrong}");
                } else {
                    run += 1;
                }
            }
        }
    }
    assert!(run > 25, "only {run} were run");
    for (begin, why) in LEFT_OUT {
        assert!(used.contains(&begin), "nobody writes {begin:?} ({why})");
    }
}

#[test]
fn commands_stand_in_blocks_of_shell() {
    let programs = [
        "twolane ", "curl ", "make ", "docker ", "kubectl ", "helm ", "cargo ",
    ];
    for name in documents(root()) {
        let page = std::fs::read_to_string(root().join(&name)).unwrap();
        for (_, block) in steps(&page)
            .iter()
            .filter(|(language, _)| *language != "sh")
        {
            let first = block.lines().find(|line| !line.starts_with('#'));
            let first = first.unwrap_or_default();
            let typed = programs.iter().any(|one| first.starts_with(one));
            assert!(!typed, "{name}: write ```sh before {first:?}");
        }
    }
}
