//! How does the operator want it done?

use crate::model::Class;
use std::time::Duration;

/// How durations are learned, and when one is long. The words of `learn:` in the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
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

impl Default for Rules {
    fn default() -> Self {
        Self {
            long_threshold: Threshold::Fixed(Duration::from_secs(5)),
            exit_ratio: 0.7,
            score: Score::Decayed,
            window: 5,
            min_samples: 3,
            unknown: Unknown::Prior,
            max_keys: 4096,
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
    /// What this kind of operation usually is.
    Prior,
    /// Always the same.
    Always(Class),
}

/// An operation whose class the operator decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// A key, or a coarser part of one; `*` stands for any run of characters.
    pub operation: String,
    /// Its class; `None` leaves it to learning although a later pin matches.
    pub class: Option<Class>,
}
