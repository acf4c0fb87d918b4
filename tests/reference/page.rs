//! `docs/configuration.md`, written from the reference and the schema.

use super::comments::{Entry, Part, parts};
use super::schema::{kind, pointer};
use serde_json::Value;
use std::fmt::Write;

const HEAD: &str = "\
# Configuration

<!-- Written by `make docs` from conf/reference.yaml and conf/schema.json; a test says when it is old. -->

Every key, with its default and the reason for it. One YAML file; without one the environment names the nodes.

* Durations: `250ms`, `5s`, `10m`. Sizes: `64KiB`, `100MiB`, or a number of bytes.
* In values: `${VAR}`, `${VAR:-default}`, `${file:/run/secrets/x}`; `$${` is a plain `${`.
* An unknown key, and every other mistake, is refused, all of them at once, with their lines: `twolane check`.
* *(restart)*: a change is taken when the program is started again; everything else while it runs.
* `twolane schema` prints a JSON schema, with which editors complete and check keys. The files that come with the program name it: `# yaml-language-server: $schema=...`.

";

/// The page.
pub(super) fn written(entries: &[Entry], schema: &Value) -> String {
    let mut page = HEAD.to_owned();
    let top = entries
        .iter()
        .filter(|entry| !entry.path.contains(['.', '[']));
    let links: Vec<_> = top
        .map(|entry| format!("[{0}](#{0})", entry.path))
        .collect();
    let _ = writeln!(page, "{}", links.join(" · "));
    for entry in entries {
        if entry.path.contains(['.', '[']) {
            below(entry, schema, &mut page);
        } else {
            let _ = write!(page, "\n## {}\n\n", entry.path);
            if !entry.default.is_empty() {
                let _ = writeln!(page, "{}\n", says(entry, schema));
            }
            body(&entry.said, "", &mut page);
        }
    }
    // One blank line between two things, never two.
    while page.contains("\n\n\n") {
        page = page.replace("\n\n\n", "\n\n");
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

/// `5s`: a duration, default 5s.
fn says(entry: &Entry, schema: &Value) -> String {
    let place = pointer(schema, &entry.path).expect("every key of the reference is in the schema");
    let kind = kind(schema, &place);
    let default = match entry.default.as_str() {
        "null" => "none".to_owned(),
        written => format!("`{written}`"),
    };
    if kind.is_empty() {
        format!("default {default}")
    } else {
        format!("{kind}; default {default}")
    }
}

fn below(entry: &Entry, schema: &Value, page: &mut String) {
    if entry.default.is_empty() {
        let _ = write!(page, "\n### {}\n\n", entry.path);
        body(&entry.said, "", page);
        return;
    }
    let _ = writeln!(page, "* **`{}`**: {}", entry.path, says(entry, schema));
    if !entry.said.is_empty() {
        page.push('\n');
        body(&entry.said, "  ", page);
    }
}

fn body(said: &[String], indent: &str, page: &mut String) {
    for part in parts(said) {
        match part {
            Part::Text(text) => {
                let _ = writeln!(page, "{indent}{text}\n");
            }
            Part::Example(lines) => {
                let _ = writeln!(page, "{indent}```text");
                for line in lines {
                    let _ = writeln!(page, "{indent}{line}");
                }
                let _ = writeln!(page, "{indent}```\n");
            }
        }
    }
}
