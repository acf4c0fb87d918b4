//! How does a problem look beside the line that it is about?

use super::problem::{Problem, Severity};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::ops::Range;

/// Words in a key whose value is never shown. A key that is a slip away from one counts too.
const SECRET: [&str; 7] = [
    "token",
    "password",
    "secret",
    "passwd",
    "auth",
    "bearer",
    "credential",
];
const MASK: &str = "***";

/// One problem with its line, a caret and the cure.
pub(super) fn render(problem: &Problem, place: &str) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(problem.what.clone());
    let mut group = match problem.source.as_deref() {
        Some(line) => {
            let span = span(line, problem.column);
            title.element(
                Snippet::source(line)
                    .path(place.to_owned())
                    .line_start(problem.line)
                    .annotation(AnnotationKind::Primary.span(span)),
            )
        }
        None => Group::with_title(title).element(Level::NOTE.message(format!("in {place}"))),
    };
    if !problem.at.is_empty() {
        group = group.element(Level::NOTE.message(format!("at {}", problem.at)));
    }
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(help.clone()));
    }
    Renderer::plain().render(&[group])
}

/// The bytes of the key or value that begins in this column (from 1, in characters).
fn span(line: &str, column: usize) -> Range<usize> {
    let start = line
        .char_indices()
        .nth(column.saturating_sub(1))
        .map_or(line.trim_end().len(), |(at, _)| at);
    let tail = &line[start..];
    let length = match tail.chars().next() {
        Some(quote @ ('"' | '\'')) => tail[1..].find(quote).map_or(tail.len(), |at| at + 2),
        _ => token(tail),
    };
    start..start + length
}

/// How long is the plain scalar at the head of this text? `${VAR}` is part of it.
fn token(tail: &str) -> usize {
    let mut inside = false;
    for (at, sign) in tail.char_indices() {
        let next = tail[at + sign.len_utf8()..].chars().next();
        match sign {
            '$' if next == Some('{') => inside = true,
            '}' if inside => inside = false,
            ':' if next.is_none_or(char::is_whitespace) => return at,
            ',' | ']' | '}' if !inside => return at.max(1),
            ' ' if next == Some('#') => return at,
            _ => {}
        }
    }
    tail.trim_end().len()
}

/// A line of the text (from 1) as it may be shown; none when it goes on with a secret that began
/// above.
pub(super) fn source(text: &str, line: usize) -> Option<String> {
    let before: Vec<_> = text.lines().take(line).collect();
    let line = before.get(line.checked_sub(1)?)?;
    let owner = before.iter().rev().find(|line| names_key(line));
    match owner {
        Some(owner) if owner != line && secret_key_end(owner).is_some() => None,
        _ => Some(mask(line)),
    }
}

/// True when a key stands in this line: a colon before a blank or at the end.
fn names_key(line: &str) -> bool {
    line.trim_end().ends_with(':') || line.contains(": ")
}

/// The line without what must not be shown: everything after a key that sounds secret, and user
/// and password of a URL. Rather too much than too little.
fn mask(line: &str) -> String {
    let mut line = line.to_owned();
    if let Some(end) = secret_key_end(&line) {
        line.truncate(end);
        line.push_str(": ");
        line.push_str(MASK);
    }
    if let (Some(start), Some(end)) = (line.find("://"), line.rfind('@'))
        && start + 3 < end
    {
        line.replace_range(start + 3..end, MASK);
    }
    line
}

/// Where the first key that sounds secret ends, if the line has one.
fn secret_key_end(line: &str) -> Option<usize> {
    line.match_indices(':').map(|(at, _)| at).find(|&at| {
        let head = &line[..at];
        let word = head
            .rsplit(|sign: char| !sign.is_alphanumeric())
            .find(|word| !word.is_empty());
        word.is_some_and(|word| sounds_secret(&word.to_lowercase()))
    })
}

fn sounds_secret(word: &str) -> bool {
    SECRET.iter().any(|secret| {
        word.contains(secret) || strsim::damerau_levenshtein(word, secret) <= secret.len() / 3
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_covers_the_key_or_the_value() {
        for (line, column, expected) in [
            ("  weight: 0 # none", 3, "weight"),
            ("  weight: 0 # none", 11, "0"),
            ("  - {a: 1, weight: \"x y\"}", 20, "\"x y\""),
            ("  - ${HOST}:5002", 5, "${HOST}:5002"),
            ("nodes: [10.0.0.1:5002, b]", 9, "10.0.0.1:5002"),
            ("größe: ünï", 8, "ünï"),
            ("key:", 9, ""),
        ] {
            assert_eq!(&line[span(line, column)], expected, "{line}");
        }
    }

    #[test]
    fn a_secret_that_goes_on_below_its_key_is_not_shown() {
        let text = "a: 1\nadmin:\n  token:\n    12345\n  listen: x\n- y\n";
        let shown: Vec<_> = (0..8).map(|line| source(text, line)).collect();
        let expected = [
            None,
            Some("a: 1"),
            Some("admin:"),
            Some("  token: ***"),
            None,
            Some("  listen: x"),
            Some("- y"),
            None,
        ];
        assert_eq!(shown, expected.map(|line| line.map(str::to_owned)));
    }

    #[test]
    fn secrets_are_not_shown() {
        for (line, expected) in [
            ("  token: hunter2", "  token: ***"),
            ("  tokn: hunter2", "  tokn: ***"),
            (
                "admin: {\"token\": hunter2, listn: x}",
                "admin: {\"token\": ***",
            ),
            ("  admin_password: a:b", "  admin_password: ***"),
            (
                "  address: http://me:hunter2@host:5002",
                "  address: http://***@host:5002",
            ),
            ("  weight: 0", "  weight: 0"),
        ] {
            assert_eq!(mask(line), expected);
        }
    }
}
