//! Which plugins should run on every node of a pool? The key `expects`.

use super::print::{list, maybe, secret, table, text, time};
use super::tree::Tree;
use crate::model::Secret;
use std::time::Duration;

/// What the operator expects of every node of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expects {
    /// At least one; each once.
    pub plugins: Vec<Expected>,
    /// Each node is asked this often; sooner where something is missing.
    pub every: Duration,
    /// What nodes want in `X-Api-Key`, where their metrics page does not say enough.
    pub key: Option<Secret>,
    /// In whose name a plugin is asked for then, unless it is written with its version.
    pub tenant: Option<String>,
}

/// One plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// `author/name`.
    pub plugin: String,
    /// The whole identifier, `author/name:version@checksum`, where it is written.
    pub identifier: Option<String>,
}

impl Expects {
    /// Half a minute: an operator who is told sooner can do nothing sooner.
    pub(super) const EVERY: Duration = Duration::from_secs(30);

    /// How an operator would write it.
    pub(super) fn tree(&self) -> Tree {
        table([
            ("plugins", list(&self.plugins, |one| text(one.written()))),
            ("every", time(self.every)),
            ("key", secret(self.key.as_ref())),
            ("tenant", maybe(self.tenant.as_ref())),
        ])
    }
}

impl Expected {
    /// Reads `author/name`, or a whole identifier.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (plugin, version) = text.split_once(':').unzip();
        let plugin = plugin.unwrap_or(text);
        let sign =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        let word = |word: &str| !word.is_empty() && word.bytes().all(sign);
        let (author, name) = plugin.split_once('/')?;
        let whole = version.is_none_or(|rest| {
            let ends = rest.split_once('@');
            let filled = |(version, sum): (&str, &str)| !version.is_empty() && !sum.is_empty();
            ends.is_some_and(filled) && rest.bytes().all(|byte| byte.is_ascii_graphic())
        });
        (word(author) && word(name) && whole && text.len() <= 256).then(|| Self {
            plugin: plugin.to_owned(),
            identifier: version.map(|_| text.to_owned()),
        })
    }

    fn written(&self) -> &str {
        self.identifier.as_ref().unwrap_or(&self.plugin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_an_identifier_are_read_and_nothing_else() {
        let plain = Expected::read("langgenius/openai").expect("a name");
        assert_eq!(plain.identifier, None);
        let whole = Expected::read("langgenius/open-ai_2:0.0.7@abc").expect("an identifier");
        assert_eq!(whole.plugin, "langgenius/open-ai_2");
        assert_eq!(whole.written(), "langgenius/open-ai_2:0.0.7@abc");
        for wrong in [
            "", "openai", "/openai", "a/", "a/b/c", "A/b", "a/b:1", "a/b:@x", "a/b:1@", "a/*",
        ] {
            assert_eq!(Expected::read(wrong), None, "{wrong}");
        }
    }
}
