//! How does an exchange look on its way? A [`Letter`] goes there, an [`Answer`] comes back.
//!
//! Both are plain data, so that tests can carry them late, twice, or not at all, and so that a test
//! can play the script's part and be compared with it.

use super::{About, Granted, Held, Profile, Rest, Seen, Views};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What one gateway sends. Its JSON is the script's argument.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Letter {
    /// Who writes.
    pub id: String,
    /// One more for each letter: an older one never replaces what a newer one said.
    pub seq: u64,
    /// What the gateway holds; read by gateways only.
    pub body: String,
    /// True: it ends, and wants to be forgotten.
    pub leave: bool,
    /// The state this gateway has been talking to; empty before the first answer. A state that was
    /// lost and begun anew has another.
    pub epoch: String,
    /// Names the state, should it begin with this letter; another one in each letter, or a state that
    /// was lost and begun anew by the same gateway would pass for the old one.
    pub nonce: String,
    /// The last letter of ours that was taken; a state that knows only older ones has lost something.
    pub taken: u64,
    /// The highest version ever heard of: no new one may be below it, whatever was lost.
    pub floor: u64,
    /// Up to which version we have heard what was learned.
    pub cursor: u64,
    /// At most so many operations come back.
    pub limit: usize,
    /// At most so many operations are kept.
    pub most: u64,
    /// So many samples are shown to operators.
    pub window: usize,
    /// What was learned and not yet told.
    pub learned: Vec<Entry>,
    /// Operators' wishes: number, matter, word. Each number counts once.
    pub wishes: Vec<(u64, About, String)>,
    /// What was wished as we know it, with its versions: for a fleet that has lost it.
    pub restore: Vec<(About, String, u64)>,
    /// A digest of all wishes that we have heard: they need not be told again.
    pub heard: String,
    /// Turns wanted: round and number.
    pub turns: Vec<(String, u64)>,
    /// How this gateway would lead; none = it does not want to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lead: Option<Lead>,
    /// What a leader does beside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chores: Option<Chores>,
}

/// How a gateway would lead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lead {
    /// Random, so that nobody is taken for somebody else.
    pub token: String,
    /// Without being renewed, its word holds for so many milliseconds.
    pub ms: u64,
}

/// What a leader does beside. Whoever is not the leader of this term any more does nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Chores {
    /// The term in which it was elected.
    pub fence: u64,
    /// True: what is old is swept away.
    pub sweep: bool,
    /// Gateways that are gone for good, with the number of the last letter we know of: whoever has
    /// written since is not.
    pub bury: Vec<(String, u64)>,
    /// An operation unseen for so many milliseconds is forgotten.
    pub unseen_ms: u64,
    /// The operators' views; none = as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub views: Option<Views>,
}

/// Samples of one operation by one gateway, in absolute numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The operation's key.
    pub key: String,
    /// Where its levels end.
    pub ends: Vec<u16>,
    /// Under which name the samples count.
    pub origin: String,
    /// How many there are under it.
    pub total: u64,
    /// Does the gateway call the operation long?
    pub long: bool,
    /// The latest of them in nanoseconds, oldest first.
    pub samples: Vec<u64>,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Which state this is.
    pub epoch: String,
    /// Its version.
    pub version: u64,
    /// Redis' clock, in milliseconds.
    pub time: u64,
    /// Were we taken for gone? Then nothing in the letter was taken, and nothing under this name ever
    /// will be.
    pub gone: bool,
    /// Up to which version the operations below reach.
    pub cursor: u64,
    /// Leader, token and term; none = nobody.
    pub leader: Option<(String, String, u64)>,
    /// How long its word still holds.
    pub lasting: Duration,
    /// Every gateway that is not forgotten.
    pub rows: Vec<Row>,
    /// Operations that changed since the cursor: key and record.
    pub records: Vec<(String, String)>,
    /// A digest of all wishes. If it is the letter's, none of them follow.
    pub digest: String,
    /// All that operators wished: matter, version, word.
    pub wishes: Vec<(About, u64, String)>,
    /// The first turn of each round that was asked for, in the same order.
    pub turns: Vec<u64>,
    /// Were the chores done?
    pub done: bool,
}

/// What a gateway last said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub id: String,
    /// How long ago, in milliseconds of the one clock of Redis.
    pub age: i64,
    /// The letter's number.
    pub seq: u64,
    /// What it holds.
    pub body: String,
}

/// What a gateway tells the others about itself.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Body {
    #[serde(default)]
    pub(super) profile: Profile,
    #[serde(default)]
    pub(super) leases: Vec<Held>,
    #[serde(default)]
    pub(super) rests: Vec<Rest>,
    /// When it was written, by Redis' clock in milliseconds, or a moment before; none = that is not
    /// known, and nothing was seen at a known time either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) seen: Vec<Seen>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) custom: Vec<(String, f64)>,
}

impl Letter {
    /// The script's argument.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers and text always become JSON")
    }

    /// Rounds asked for and their first turns, together.
    pub(super) fn granted(&self, answer: &Answer) -> Vec<Granted> {
        let asked = self.turns.iter().zip(&answer.turns);
        asked
            .map(|((name, many), first)| Granted {
                name: name.clone(),
                first: *first,
                many: *many,
            })
            .collect()
    }
}
