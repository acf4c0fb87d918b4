//! What `conf/reference.yaml` says of each key, read as an operator reads it: from the comment above.

/// One key of the reference.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// `health.interval`, `pools[].nodes[].weight`.
    pub(super) path: String,
    /// As it is written there; empty where a table stands.
    pub(super) default: String,
    /// The lines above it, without their `# `.
    pub(super) said: Vec<String>,
}

/// A key under which the next lines may stand.
struct Level {
    indent: usize,
    name: String,
    /// A list stands under it.
    list: bool,
}

/// Every key, in the order of the file.
pub(super) fn entries(reference: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut levels: Vec<Level> = Vec::new();
    let mut said = Vec::new();
    for line in reference.lines() {
        let rest = line.trim_start();
        let mut indent = line.len() - rest.len();
        if rest.is_empty() {
            said.clear();
        } else if let Some(comment) = rest.strip_prefix('#') {
            said.push(comment.strip_prefix(' ').unwrap_or(comment).to_owned());
        } else {
            let item = rest.strip_prefix("- ");
            indent += if item.is_some() { 2 } else { 0 };
            let Some((name, value)) = key(item.unwrap_or(rest)) else {
                let last = entries.last_mut().expect("a list stands under a key");
                last.default = appended(&last.default, item.expect("an item of a list"));
                continue;
            };
            while levels.last().is_some_and(|level| level.indent >= indent) {
                levels.pop();
            }
            if let (Some(parent), true) = (levels.last_mut(), item.is_some()) {
                parent.list = true;
            }
            levels.push(Level {
                indent,
                name: name.to_owned(),
                list: false,
            });
            entries.push(Entry {
                path: path(&levels),
                default: value.to_owned(),
                said: std::mem::take(&mut said),
            });
        }
    }
    entries
}

fn key(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once(':')?;
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    (plain && (value.is_empty() || value.starts_with(' '))).then(|| (name, value.trim()))
}

/// `[a, b]`, when `[a]` or nothing stood there.
fn appended(list: &str, item: &str) -> String {
    match list.strip_suffix(']') {
        Some(before) => format!("{before}, {item}]"),
        None => format!("[{item}]"),
    }
}

fn path(levels: &[Level]) -> String {
    let mut path = String::new();
    for level in levels {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(&level.name);
        if level.list {
            path.push_str("[]");
        }
    }
    // The list under the last one begins only behind it.
    path
}

/// The comment as paragraphs and examples: an example's lines are indented, or follow one that is.
pub(super) fn parts(said: &[String]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for line in said {
        let example = line.starts_with("  ");
        match (parts.last_mut(), example) {
            (Some(Part::Example(lines)), true) => lines.push(line[2..].to_owned()),
            (Some(Part::Text(text)), false) => {
                text.push(' ');
                text.push_str(line);
            }
            (_, true) => parts.push(Part::Example(vec![line[2..].to_owned()])),
            (_, false) => parts.push(Part::Text(line.clone())),
        }
    }
    parts
}

/// A piece of a comment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A paragraph, on one line.
    Text(String),
    /// Lines of YAML.
    Example(Vec<String>),
}

#[test]
fn the_comment_above_a_key_is_the_keys() {
    let text = "# The file.\n\n# A list. For example:\n#   - x: 1\n#     y: 2\npools:\n  - name: main\n    \
                # Asked.\n    nodes:\n      # Where.\n      - at: a:1\n    on: true\n\
                # Plain.\nlisten:\n  - 1.2.3.4:5\n  - b:c\n";
    let all = entries(text);
    let seen: Vec<_> = all
        .iter()
        .map(|entry| (entry.path.as_str(), entry.default.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            ("pools", ""),
            ("pools[].name", "main"),
            ("pools[].nodes", ""),
            ("pools[].nodes[].at", "a:1"),
            ("pools[].on", "true"),
            ("listen", "[1.2.3.4:5, b:c]"),
        ]
    );
    assert_eq!(all[2].said, ["Asked."]);
    assert_eq!(
        parts(&all[0].said),
        [
            Part::Text("A list. For example:".to_owned()),
            Part::Example(vec!["- x: 1".to_owned(), "  y: 2".to_owned()]),
        ]
    );
}
