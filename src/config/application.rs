//! Whose requests are these, and where is a user's id?

use super::print::{list, table, text};
use super::tree::Tree;
use super::unit::write_size;
use crate::model::Secret;

/// Whoever holds one of these keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Its name; unique.
    pub name: String,
    /// What its clients send as `Authorization: Bearer` or `X-Api-Key`; each is one application's.
    pub keys: Vec<Secret>,
    /// The name of the pool that its requests go to.
    pub pool: String,
}

impl Application {
    /// How an operator would write it, its keys masked.
    pub(super) fn tree(&self) -> Tree {
        table([
            ("name", text(&self.name)),
            ("keys", list(&self.keys, |_| text("***"))),
            ("pool", text(&self.pool)),
        ])
    }
}

/// Where a user's id is looked for, where anything goes by users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Users {
    /// The first that holds one decides.
    pub sources: Vec<UserSource>,
    /// A body up to so many bytes is looked through; of a larger one only the first piece is.
    pub look: u64,
}

/// One place of a user's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserSource {
    /// A header; its name in small letters.
    Header(String),
    /// A field of the query.
    Query(String),
    /// A cookie.
    Cookie(String),
    /// A text or a number at the top of a JSON body.
    Json(String),
    /// A field of a form, of either kind.
    Form(String),
}

impl UserSource {
    /// As it is written: the word of the place and the name in it.
    #[must_use]
    pub fn written(&self) -> (&'static str, &str) {
        match self {
            Self::Header(name) => ("header", name),
            Self::Query(name) => ("query", name),
            Self::Cookie(name) => ("cookie", name),
            Self::Json(name) => ("json", name),
            Self::Form(name) => ("form", name),
        }
    }
}

impl Default for Users {
    /// Seed 002's five places in its order, and the daemon's own.
    fn default() -> Self {
        Self {
            sources: vec![
                UserSource::Header("x-user-id".to_owned()),
                UserSource::Query("user_id".to_owned()),
                UserSource::Cookie("user_id".to_owned()),
                UserSource::Json("user".to_owned()),
                UserSource::Form("user".to_owned()),
                UserSource::Json("user_id".to_owned()),
            ],
            // Seed 002's, and nginx's buffer there.
            look: 1 << 20,
        }
    }
}

impl Users {
    /// How an operator would write it.
    pub(super) fn tree(&self) -> Tree {
        let source = |source: &UserSource| {
            let (place, name) = source.written();
            text(format!("{place}:{name}"))
        };
        table([
            ("sources", list(&self.sources, source)),
            ("look", text(write_size(self.look))),
        ])
    }
}

/// What the nodes of a pool are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolKind {
    /// Plugin daemons.
    #[default]
    PluginDaemon,
    /// Dify's own API, `/v1/*`: no plugins run there, keys are sent as `Authorization: Bearer`.
    DifyApi,
}

impl PoolKind {
    /// Every kind and its word.
    pub const WORDS: [(&str, Self); 2] = [
        ("plugin_daemon", Self::PluginDaemon),
        ("dify_api", Self::DifyApi),
    ];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::PluginDaemon => "plugin_daemon",
            Self::DifyApi => "dify_api",
        }
    }

    /// The route that says whether such a node is well, where it is not the daemon's.
    #[must_use]
    pub const fn health_path(self) -> Option<&'static str> {
        match self {
            Self::PluginDaemon => None,
            Self::DifyApi => Some("/health"),
        }
    }
}
