//! What may a strategy know about a request?

use super::Class;

/// A plugin's place in the per-node tables of runtimes. Handed out by `nodes::Plugins`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PluginPlace {
    /// The position.
    pub index: u16,
    /// Tells the plugins apart that hold the same position one after another.
    pub generation: u16,
}

impl PluginPlace {
    /// Of requests that name no plugin; they share it.
    pub const NONE: Self = Self {
        index: 0,
        generation: 0,
    };
}

/// All that a strategy may know about a request: no headers, no body, no socket.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Request {
    /// Short or long, as classified.
    pub class: Class,
    /// The plugin whose runtime will serve it. Requests without one share a place.
    pub plugin: PluginPlace,
    /// 1 for the first attempt.
    pub attempt: u8,
    /// Where on a ring of hashes it lies; none when it has nothing to be hashed by.
    pub key: Option<u32>,
}

impl Request {
    /// A request's first attempt.
    #[must_use]
    pub const fn new(class: Class, plugin: PluginPlace) -> Self {
        Self {
            class,
            plugin,
            attempt: 1,
            key: None,
        }
    }

    /// The same request, with a place on a ring.
    #[must_use]
    pub const fn keyed(self, key: Option<u32>) -> Self {
        Self { key, ..self }
    }

    /// The same request, tried again.
    #[must_use]
    pub const fn attempt(self, attempt: u8) -> Self {
        Self { attempt, ..self }
    }
}
