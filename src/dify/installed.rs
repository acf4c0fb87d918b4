//! Which plugins does a request install?

use super::operation::identified;
use serde_json::Value;

/// The daemon takes 64 plugins at most, of some hundred bytes each. What is longer is not looked at.
pub const LONGEST: usize = 16 * 1024;

/// Whether a request makes a node begin to run plugins that it names in its body.
#[must_use]
pub fn names_plugins(method: &str, path: &str) -> bool {
    // Most calls are told by the first letter of their method or the last of their path.
    let action = || path.split_once("/management/install/");
    let may = method == "POST" && (path.ends_with("/identifiers") || path.ends_with("/upgrade"));
    may && action().is_some_and(|(_, rest)| matches!(rest, "identifiers" | "upgrade"))
}

/// The plugins that such a body names, as `author/name`. None of a body that is no JSON: then the node
/// refuses it too.
#[must_use]
pub fn installed(body: &[u8]) -> Vec<String> {
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
        return Vec::new();
    };
    let many = body
        .get("plugin_unique_identifiers")
        .and_then(Value::as_array);
    let one = body.get("new_plugin_unique_identifier");
    let all = many.into_iter().flatten().chain(one);
    all.filter_map(|identifier| identified(identifier.as_str()?).0.map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_install_and_an_upgrade_name_what_they_bring() {
        for (path, is) in [
            ("/plugin/t/management/install/identifiers", true),
            ("/plugin/t/management/install/upgrade", true),
            ("/plugin/t/management/install/tasks", false),
            ("/plugin/t/management/install/upload/package", false),
            ("/e/hook/management/install/identifiersx", false),
        ] {
            assert_eq!(names_plugins("POST", path), is, "{path}");
            assert!(!names_plugins("GET", path));
        }
        let install =
            br#"{"plugin_unique_identifiers":["a/one:0.1@ff","b/two:1.0@ee"],"source":"x"}"#;
        assert_eq!(installed(install), ["a/one", "b/two"]);
        let upgrade = br#"{"original_plugin_unique_identifier":"a/old:0.1@ff","new_plugin_unique_identifier":"a/one:0.2@ee"}"#;
        assert_eq!(installed(upgrade), ["a/one"]);
        for nothing in [
            &b""[..],
            b"[]",
            b"{}",
            br#"{"plugin_unique_identifiers":[1,null,""]}"#,
        ] {
            assert_eq!(installed(nothing), [""; 0]);
        }
    }
}
