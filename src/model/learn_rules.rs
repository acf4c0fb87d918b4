//! How does the operator want operations to be learned?

use super::Class;
use std::time::Duration;

/// Seed 000's `LongRequestThreshold`.
const LONG_THRESHOLD: Duration = Duration::from_secs(5);
/// Enough below the threshold that noise does not flip a class back and forth.
const EXIT_RATIO: f64 = 0.7;
/// Seed 000's `StatisticsWindowSize`.
const WINDOW: usize = 5;
/// One slow start must not make an operation long.
const MIN_SAMPLES: u32 = 3;
/// Far more than plugins times tools, far less than a client could invent.
const MAX_KEYS: usize = 4096;

/// How durations are learned, and when one is long: `learn:` in the configuration, without `key`.
#[derive(Clone, Debug, PartialEq)]
pub struct LearnRules {
    /// From here on a duration is long.
    pub long_threshold: Threshold,
    /// A long operation is short again when its score is below this share of the threshold.
    pub exit_ratio: f64,
    /// How a score is made of samples.
    pub score: Score,
    /// The last so many samples are kept per key, 1 to 64; `Mean` and `Median` are taken of them.
    pub window: usize,
    /// A key with fewer samples leaves the decision to the coarser key.
    pub min_samples: u32,
    /// The class of an operation nobody has seen.
    pub unknown: Unknown,
    /// So many keys are remembered; the least recently used go first.
    pub max_keys: usize,
    /// Operations whose class the operator decides. The first that matches wins.
    pub pins: Vec<Pin>,
}

impl Default for LearnRules {
    fn default() -> Self {
        Self {
            long_threshold: Threshold::Fixed(LONG_THRESHOLD),
            exit_ratio: EXIT_RATIO,
            score: Score::Decayed,
            window: WINDOW,
            min_samples: MIN_SAMPLES,
            unknown: Unknown::Prior,
            max_keys: MAX_KEYS,
            pins: Vec::new(),
        }
    }
}

/// When is a duration long?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// At this duration.
    Fixed(Duration),
    /// Where 70 % of all work lies above, between 0.5 s and 30 s; 5 s until enough was seen.
    Auto,
}

/// How a score is made of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// A mean in which old samples fade, shrunk towards the mean of everything.
    Decayed,
    /// The median of the window; of an even number the lower one, so that one of two is no
    /// majority.
    Median,
    /// The mean of the window: seed 000's rule.
    Mean,
}

/// The class of an operation nobody has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// What this kind of operation usually is: agents, tools and models long, look-ups short.
    Prior,
    /// Always the same.
    Always(Class),
}

/// An operation whose class the operator decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// A key as `/cluster/stats` shows it, or a coarser part of one; `*` stands for any run of
    /// characters.
    pub operation: String,
    /// Its class; `None` (`auto` in YAML) leaves it to learning although a later pin matches.
    pub class: Option<Class>,
}
