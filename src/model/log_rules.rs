//! Which requests are written into the access log, and in which form?

use std::fmt;
use std::time::Duration;

/// The rules of the access log; what a request was is known at its end, and judged then.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRules {
    /// How a line looks.
    pub format: LogFormat,
    /// What is always written.
    pub always: Vec<Notable>,
    /// Of the other requests this share, 0 to 1.
    pub sample: f64,
    /// A request that took so long is slow.
    pub slow: Duration,
    /// A request whose body, or whose answer, has more bytes is large.
    pub large: u64,
}

/// How a line of the access log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object.
    Json,
    /// The combined format of Apache and nginx, with our own fields behind it.
    Text,
}

impl LogFormat {
    /// Every one, by its word in the configuration.
    pub const WORDS: [(&'static str, Self); 2] = [("json", Self::Json), ("text", Self::Text)];
}

/// What makes a request worth a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notable {
    /// It took at least `slow`.
    Slow,
    /// More than `large` bytes came or went.
    Large,
    /// It waited for a place.
    Waited,
    /// More than one node was asked.
    Retried,
    /// It was answered in our own name.
    Rejected,
    /// The client left first.
    ClientGone,
    /// The answer broke off in the middle.
    Broken,
    /// Its answer had this status.
    Status(u16),
    /// Its answer had a status of this hundred: 4 is 400 to 499.
    Hundred(u16),
}

impl Notable {
    /// Those that are words.
    pub const WORDS: [(&'static str, Self); 7] = [
        ("slow", Self::Slow),
        ("large", Self::Large),
        ("waited", Self::Waited),
        ("retried", Self::Retried),
        ("rejected", Self::Rejected),
        ("client_gone", Self::ClientGone),
        ("broken", Self::Broken),
    ];

    /// Reads a word, a status (`429`), or a hundred of them (`5xx`).
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        if let Some((_, found)) = Self::WORDS.iter().find(|(word, _)| *word == text) {
            return Some(*found);
        }
        let hundred = text.strip_suffix("xx").filter(|digit| digit.len() == 1);
        if let Some(digit) = hundred {
            let digit = digit.parse().ok()?;
            return (1..=5).contains(&digit).then_some(Self::Hundred(digit));
        }
        let status = text.parse().ok().filter(|_| text.len() == 3)?;
        (100..=599)
            .contains(&status)
            .then_some(Self::Status(status))
    }
}

impl fmt::Display for Notable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::Hundred(hundred) => write!(f, "{hundred}xx"),
            word => {
                let row = Self::WORDS.iter().find(|(_, each)| each == word);
                f.write_str(row.map_or("", |(word, _)| word))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_notable_is_read_as_it_is_written() {
        for text in ["slow", "client_gone", "429", "5xx", "4xx"] {
            let read = Notable::read(text).expect(text);
            assert_eq!(read.to_string(), text);
        }
        for text in ["", "slo", "6xx", "xx", "42", "4290", "099", "600", "+29"] {
            assert_eq!(Notable::read(text), None, "{text}");
        }
    }
}
