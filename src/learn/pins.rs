//! What did the operator decide himself?

use crate::model::{Class, Operation, Pin};

/// The class that a pin gives to an operation. The first pin that matches any level of the key
/// decides, even if it decides to let learning decide.
pub(super) fn pinned(pins: &[Pin], operation: &Operation) -> Option<Class> {
    pins.iter()
        .find(|pin| operation.levels().any(|key| matches(&pin.operation, key)))
        .and_then(|pin| pin.class)
}

/// Does a pattern describe the whole text? `*` stands for any run of characters, `|` and `/`
/// included; everything else for itself.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    // The leftmost place for each piece leaves most room for the next ones.
    for piece in pieces {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_run_of_characters() {
        for (pattern, text) in [
            ("tool/invoke", "tool/invoke"),
            ("*", ""),
            ("*", "a|b"),
            ("tool/*", "tool/invoke|a/b"),
            ("*|a/*", "tool/invoke|a/b"),
            ("*b*", "abc"),
            ("a**c", "abc"),
            ("*ab*ab", "abxab"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("tool", "tool/invoke"),
            ("", "a"),
            ("a*a", "a"),
            ("*ab*ab", "xab"),
            ("tool/*x", "tool/invoke"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    /// The definition, without regard to time.
    fn slowly(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|at| slowly(rest, &text[at..])),
            Some((byte, rest)) => text.first() == Some(byte) && slowly(rest, &text[1..]),
        }
    }

    proptest::proptest! {
        #[test]
        fn it_agrees_with_the_definition(pattern in "[ab*]{0,7}", text in "[ab]{0,9}") {
            proptest::prop_assert_eq!(matches(&pattern, &text), slowly(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
