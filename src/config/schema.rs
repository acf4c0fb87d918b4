//! What does an editor know of the keys? A JSON schema (draft 7), `conf/schema.json`.
//!
//! Its structure is written by hand, its descriptions and defaults by `make docs` from the reference.

use super::load::{Known, OwnWords};
use serde_json::Value;

const WRITTEN: &str = include_str!("../../conf/schema.json");

/// The schema, with the words that the embedding program adds.
#[must_use]
pub fn schema(known: &Known) -> String {
    let OwnWords {
        strategies,
        classifiers,
        discoveries,
    } = &known.own;
    if strategies.is_empty() && classifiers.is_empty() && discoveries.is_empty() {
        return WRITTEN.to_owned();
    }
    let mut schema: Value = serde_json::from_str(WRITTEN).expect("a test reads it");
    for (name, own) in [
        ("strategy", strategies),
        ("classifier", classifiers),
        ("discovery", discoveries),
    ] {
        let words = schema.pointer_mut(&format!("/$defs/{name}/anyOf/0/enum"));
        let words = words.and_then(Value::as_array_mut);
        words
            .expect("a test looks")
            .extend(own.iter().map(|word| word.as_str().into()));
    }
    format!("{schema:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_ones_own_are_words_of_the_schema() {
        let own = |word: &str| vec![word.to_owned()];
        let known = Known {
            strategies: &[],
            own: OwnWords {
                strategies: own("sticky"),
                classifiers: own("wise"),
                discoveries: own("hosts"),
            },
        };
        let schema = schema(&known);
        for word in ["sticky", "wise", "hosts", "adaptive"] {
            assert!(schema.contains(&format!("\"{word}\"")), "{word}");
        }
    }
}
