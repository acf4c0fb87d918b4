//! What do `${VAR}`, `${VAR:-default}` and `${file:/path}` stand for?
//!
//! They are replaced in values only, after the YAML was parsed: a variable cannot add keys, and
//! lines stay where they are. `$${` is a plain `${`.

use super::finding::Findings;
use super::tree::{Path, Tree};
use std::fs::File;
use std::io::Read;

/// A secret is not larger than this; `${file:/dev/zero}` ends.
const LARGEST_FILE: u64 = 64 << 10;

/// Looks up a variable of the environment.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces every reference in the values of a tree.
pub(super) fn resolve(tree: &mut Tree, path: &Path, env: Env<'_>, findings: &Findings) {
    match tree {
        Tree::Text(text) if text.contains("${") => match expand(text, env) {
            Ok(expanded) => {
                findings.substitute(path, text);
                *text = expanded;
            }
            Err((what, help)) => {
                findings.value(path, what, help);
                // Unset, so that nothing else is said about it.
                *tree = Tree::Null;
            }
        },
        Tree::List(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                resolve(item, &path.index(at), env, findings);
            }
        }
        Tree::Table(entries) => {
            for (key, value) in entries {
                resolve(value, &path.key(key), env, findings);
            }
        }
        _ => {}
    }
}

/// What is wrong, and the cure.
type Wrong = (String, String);

fn expand(text: &str, env: Env<'_>) -> Result<String, Wrong> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, reference) = (&rest[..at], &rest[at + 2..]);
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = reference;
            continue;
        }
        out.push_str(before);
        let Some(end) = reference.find('}') else {
            return Err((
                "`${` without its `}`".to_owned(),
                "write ${VAR}, or $${ for a plain ${".to_owned(),
            ));
        };
        out.push_str(&meaning(&reference[..end], env)?);
        rest = &reference[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn meaning(reference: &str, env: Env<'_>) -> Result<String, Wrong> {
    if let Some(place) = reference.strip_prefix("file:") {
        return read(place);
    }
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(plain) {
        return Err((
            "not the name of a variable".to_owned(),
            "write ${VAR}, ${VAR:-default} or ${file:/path}".to_owned(),
        ));
    }
    match (env(name), default) {
        (Some(value), None) => Ok(value),
        // As in a shell: `:-` also stands in for a variable that is empty.
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err((
            format!("the variable {name} is not set"),
            format!("set it, or write ${{{name}:-default}}"),
        )),
    }
}

fn read(place: &str) -> Result<String, Wrong> {
    let wrong = |error: &dyn std::fmt::Display| {
        (
            format!(
                "the file of ${{file:{}}} cannot be read",
                place.escape_debug()
            ),
            error.to_string(),
        )
    };
    let mut text = String::new();
    let file = File::open(place).map_err(|error| wrong(&error))?;
    let length = file
        .take(LARGEST_FILE + 1)
        .read_to_string(&mut text)
        .map_err(|error| wrong(&error))?;
    if length as u64 > LARGEST_FILE {
        return Err(wrong(&"it is larger than 64 KiB"));
    }
    // Editors and `echo` end a file with a line break; a secret has none.
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("10.0.0.1".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn variables_and_defaults_are_put_in() {
        for (text, expected) in [
            ("${HOST}:5002", "10.0.0.1:5002"),
            ("${NONE:-x}${EMPTY:-y}${EMPTY}", "xy"),
            ("$${HOST} $5", "${HOST} $5"),
            ("${HOST}-${HOST}", "10.0.0.1-10.0.0.1"),
        ] {
            assert_eq!(expand(text, &env), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_put_in_is_said() {
        for (text, expected) in [
            ("${NONE}", "the variable NONE is not set"),
            ("${HOST", "`${` without its `}`"),
            ("${a b}", "not the name of a variable"),
            (
                "${file:/does/not/exist}",
                "the file of ${file:/does/not/exist} cannot be read",
            ),
            (
                "${file:/dev/zero}",
                "the file of ${file:/dev/zero} cannot be read",
            ),
        ] {
            let (what, _) = expand(text, &env).expect_err(text);
            assert_eq!(what, expected, "{text}");
        }
    }

    #[test]
    fn a_file_is_put_in_without_its_last_line_break() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "s3cret\n").expect("written");
        let text = format!("${{file:{}}}", file.path().display());
        assert_eq!(expand(&text, &env), Ok("s3cret".to_owned()));
    }
}
