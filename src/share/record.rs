//! What does the fleet know of one operation, as one line of text?
//!
//! `ends;long;most;base;origin=total ...;origin:ns ...`. Text and not JSON, because a script reads
//! it for every sample that arrives. `ends` are the ends of the key's levels; `base` is what
//! gateways took that are long gone; the samples are the latest of all, oldest first.

use std::fmt::Write;

/// One operation, as all gateways together know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Where each level of the key ends.
    pub ends: Vec<u16>,
    /// Did the last gateway that took samples call it long?
    pub long: bool,
    /// The longest sample in nanoseconds.
    pub most: u64,
    /// Samples of gateways that are gone.
    pub base: u64,
    /// Samples ever taken, by who took them.
    pub totals: Vec<(String, u64)>,
    /// The latest samples and who took them, oldest first.
    pub latest: Vec<(String, u64)>,
}

impl Record {
    /// So many of the latest samples are kept.
    pub const LATEST: usize = 64;

    /// Reads what [`Record::to_text`] or the script wrote; `None` for anything else.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.split(';');
        let mut next = || parts.next();
        let ends = next()?.split('.').map(str::parse).collect::<Result<_, _>>();
        let record = Self {
            ends: ends.ok()?,
            long: next()? == "1",
            most: next()?.parse().ok()?,
            base: next()?.parse().ok()?,
            totals: pairs(next()?, '=')?,
            latest: pairs(next()?, ':')?,
        };
        parts.next().is_none().then_some(record)
    }

    /// One line.
    #[must_use]
    pub fn to_text(&self) -> String {
        let ends: Vec<_> = self.ends.iter().map(u16::to_string).collect();
        let mut text = format!(
            "{};{};{};{};",
            ends.join("."),
            u8::from(self.long),
            self.most,
            self.base
        );
        write_pairs(&mut text, &self.totals, '=');
        text.push(';');
        write_pairs(&mut text, &self.latest, ':');
        text
    }

    /// Samples ever taken by anyone.
    #[must_use]
    pub fn count(&self) -> u64 {
        let totals = self.totals.iter().map(|(_, total)| total);
        totals.fold(self.base, |sum, &total| sum.saturating_add(total))
    }
}

fn pairs(text: &str, between: char) -> Option<Vec<(String, u64)>> {
    text.split_ascii_whitespace()
        .map(|pair| {
            let (name, number) = pair.split_once(between)?;
            Some((name.to_owned(), number.parse().ok()?))
        })
        .collect()
}

fn write_pairs(text: &mut String, pairs: &[(String, u64)], between: char) {
    for (at, (name, number)) in pairs.iter().enumerate() {
        let blank = if at == 0 { "" } else { " " };
        write!(text, "{blank}{name}{between}{number}").expect("a string takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read_and_nothing_else() {
        let pair = |name: &str, number| (name.to_owned(), number);
        let record = Record {
            ends: vec![11, 40],
            long: true,
            most: 86_400_000_000_000,
            base: 7,
            totals: vec![pair("a", 3), pair("b~2", 4)],
            latest: vec![pair("b~2", 1), pair("a", 2)],
        };
        let text = record.to_text();
        assert_eq!(text, "11.40;1;86400000000000;7;a=3 b~2=4;b~2:1 a:2");
        assert_eq!(Record::from_text(&text), Some(record.clone()));
        assert_eq!(record.count(), 14);
        for garbage in [
            "",
            "x",
            "1;0;0;0;",
            "1;0;0;0;a;",
            "1;0;0;-1;;",
            "1;0;0;0;;;",
            "1;0;0;0;a=b;",
        ] {
            assert_eq!(Record::from_text(garbage), None, "{garbage:?}");
        }
    }
}
