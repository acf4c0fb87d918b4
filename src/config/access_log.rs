//! Where is written who asked for what? The section `access_log`.

use super::print::{list, table, text, time, whole};
use super::tree::Tree;
use super::unit::write_size;
use crate::model::{LogFormat, LogRules, Notable};
use std::path::PathBuf;
use std::time::Duration;

/// The access log.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessLog {
    /// Where its lines go; none = there is no such log.
    pub to: Option<LogTarget>,
    /// Which lines there are.
    pub rules: LogRules,
    /// So many lines may wait for the disk; beyond them they are lost, and counted.
    pub queue: usize,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// A file, to which they are appended.
    File(PathBuf),
}

/// A second is what seed 002 warned about.
const SLOW: Duration = Duration::from_secs(1);
/// The same: 10 MiB.
const LARGE: u64 = 10 << 20;
/// Some ten MiB at the most, and a second's lines of a busy gateway.
const QUEUE: usize = 8192;
/// What somebody will ask about.
const ALWAYS: [Notable; 7] = [
    Notable::Slow,
    Notable::Large,
    Notable::Retried,
    Notable::Rejected,
    Notable::ClientGone,
    Notable::Broken,
    Notable::Hundred(5),
];

impl Default for AccessLog {
    fn default() -> Self {
        Self {
            to: None,
            rules: LogRules {
                format: LogFormat::Json,
                always: ALWAYS.to_vec(),
                sample: 1.0,
                slow: SLOW,
                large: LARGE,
            },
            queue: QUEUE,
        }
    }
}

impl AccessLog {
    /// How an operator would write it, with every key.
    pub(super) fn tree(&self) -> Tree {
        let LogRules {
            format,
            always,
            sample,
            slow,
            large,
        } = &self.rules;
        let to = match &self.to {
            None => text("off"),
            Some(LogTarget::Stdout) => text("stdout"),
            Some(LogTarget::File(file)) => text(file.display()),
        };
        let word = LogFormat::WORDS.iter().find(|(_, each)| each == format);
        table([
            ("to", to),
            ("format", word.map_or(Tree::Null, |(word, _)| text(word))),
            ("always", list(always, |each| text(each))),
            ("sample", Tree::Number(*sample)),
            ("slow", time(*slow)),
            ("large", text(write_size(*large))),
            ("queue", whole(self.queue)),
        ])
    }
}
