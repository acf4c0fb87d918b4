//! What does `${NAME:-default}` of a Compose file stand for?
//!
//! Compose's own rules: `$$` is a dollar, `:` counts an empty variable as none, what cannot be
//! understood stays as it is.

/// Replaces every variable of a text by what `env` says.
pub(super) fn interpolate(text: &str, env: &dyn Fn(&str) -> Option<String>) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        whole.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            whole.push('$');
            rest = after;
        } else if let Some((inside, after)) = braces(rest) {
            whole.push_str(&value(inside, env));
            rest = after;
        } else {
            let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
            if end == 0 {
                whole.push('$');
            } else {
                whole.push_str(&env(&rest[..end]).unwrap_or_default());
            }
            rest = &rest[end..];
        }
    }
    whole + rest
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// What stands in the braces that the text begins with, and what follows them. Braces nest: a default
/// may name a variable.
fn braces(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('{')?;
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&text[..at], &text[at + 1..]));
        }
    }
    None
}

fn value(inside: &str, env: &dyn Fn(&str) -> Option<String>) -> String {
    let end = inside.find(|c: char| !is_name(c)).unwrap_or(inside.len());
    let (name, rest) = inside.split_at(end);
    let (rest, empty_is_none) = match rest.strip_prefix(':') {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let found = env(name).filter(|value| !(empty_is_none && value.is_empty()));
    let (operator, word) = rest.split_at(usize::from(!rest.is_empty()));
    match (operator, found) {
        ("+", found) => found.map(|_| interpolate(word, env)).unwrap_or_default(),
        (_, Some(value)) => value,
        ("-", None) => interpolate(word, env),
        // `${NAME:?sentence}`: Compose would stop here and say so itself.
        (_, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn composes_own_forms_are_understood() {
        let env = |name: &str| match name {
            "SET" => Some("x".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        for (text, meant) in [
            ("plain", "plain"),
            ("$SET-$SET", "x-x"),
            ("${SET}", "x"),
            ("a${NONE}b", "ab"),
            ("${NONE:-y}", "y"),
            ("${NONE-y}", "y"),
            ("${EMPTY:-y}", "y"),
            ("${EMPTY-y}", ""),
            ("${SET:+y}", "y"),
            ("${NONE:+y}", ""),
            ("${NONE:-${SET}}:${NONE:-{1}}", "x:{1}"),
            ("${NONE:?say so}", ""),
            ("cost: $$5, $ 5", "cost: $5, $ 5"),
            ("${open", "${open"),
        ] {
            assert_eq!(interpolate(text, &env), meant, "{text}");
        }
    }
}
