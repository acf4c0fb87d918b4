//! By what are requests spread over a ring, and what does the ring look like?

use super::print::{list, table, text, whole};
use super::tree::Tree;

/// What a request is hashed by: the first of these that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashBy {
    /// In their order.
    pub parts: Vec<HashPart>,
    /// True: a request that has none of them is refused. False: it goes where least is done.
    pub required: bool,
}

/// One thing that a request can be hashed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashPart {
    /// The user's id, wherever it is.
    User,
    /// The tenant in the path.
    Tenant,
    /// The plugin that is called; the hook's id under `/e/`.
    Plugin,
    /// The application whose key the request carries.
    Application,
    /// The address that the client connected from.
    Address,
    /// A header's first value; its name in small letters.
    Header(String),
}

impl HashPart {
    /// The words of those that are a word alone.
    pub(super) const WORDS: [(&str, Self); 5] = [
        ("user", Self::User),
        ("tenant", Self::Tenant),
        ("plugin", Self::Plugin),
        ("application", Self::Application),
        ("address", Self::Address),
    ];

    /// As it is written.
    #[must_use]
    pub fn written(&self) -> String {
        let word = Self::WORDS.iter().find(|(_, part)| part == self);
        match self {
            Self::Header(name) => format!("header:{name}"),
            _ => word.map_or_else(String::new, |(word, _)| (*word).to_owned()),
        }
    }
}

impl Default for HashBy {
    /// A user's requests share a conversation; where there is no user, a tenant's share what its
    /// plugins keep in their processes.
    fn default() -> Self {
        Self {
            parts: vec![HashPart::User, HashPart::Tenant],
            required: false,
        }
    }
}

impl HashBy {
    /// How an operator would write it.
    pub(super) fn tree(&self) -> Tree {
        let parts = list(&self.parts, |part| text(part.written()));
        if self.required {
            table([("by", parts), ("required", Tree::Flag(true))])
        } else {
            parts
        }
    }
}

/// With what the points of a ring, and the keys on it, are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashAlgorithm {
    /// CRC-32 of zlib, its bits mixed: bare, its rings are uneven.
    Crc32,
    /// MD5 (RFC 1321), as seed 002 has it.
    Md5,
    /// SHA-1 (RFC 3174).
    Sha1,
    /// XXH3 with 128 bits: the fastest.
    Xxh3,
    /// The ring that nginx builds for `hash ... consistent`, from the addresses of the nodes.
    Ketama,
}

impl HashAlgorithm {
    /// Every algorithm and its word.
    pub const WORDS: [(&str, Self); 5] = [
        ("crc32", Self::Crc32),
        ("md5", Self::Md5),
        ("sha1", Self::Sha1),
        ("xxh3", Self::Xxh3),
        ("ketama", Self::Ketama),
    ];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        let found = Self::WORDS.iter().find(|(_, it)| *it == self);
        found.map_or("", |(word, _)| word)
    }
}

/// The parameters of `consistent_hash`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RingRules {
    /// How points and keys are computed.
    pub algorithm: HashAlgorithm,
    /// How often a node of weight 1 is on the ring. `ketama` has its own number.
    pub virtual_nodes: u16,
    /// A node that has this many times its share of the requests in flight passes the next one on;
    /// none = a key stays where it is, however much is done there.
    pub bound: Option<f64>,
}

impl Default for RingRules {
    fn default() -> Self {
        Self {
            algorithm: HashAlgorithm::Xxh3,
            // Seed 002's. With it, the busiest of ten nodes has less than 1.15 of its share.
            virtual_nodes: 150,
            // "Consistent hashing with bounded loads" (Mirrokni, Thorup, Zadimoghaddam, 2016).
            bound: Some(1.25),
        }
    }
}

impl RingRules {
    /// How an operator would write it.
    pub(super) fn tree(&self) -> Tree {
        table([
            ("algorithm", text(self.algorithm.word())),
            ("virtual_nodes", whole(self.virtual_nodes)),
            ("bound", self.bound.map_or(text("off"), Tree::Number)),
        ])
    }
}
