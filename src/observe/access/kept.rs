//! What is kept of a record until its line is made?
//!
//! A request only has its record copied. The line is made by the thread that carries it away, which makes
//! many in a row: after the first one its code lies in the processor's nearest cache, where a request would
//! have to fetch it anew each time.

use super::record::{Facts, Texts};
use super::{Marks, Record};
use crate::model::LogFormat;

/// Of a text, so many bytes are kept; of a header, a quarter of them. Records wait in memory.
const LONGEST: usize = 1024;

/// Records in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Kept {
    rows: Vec<Row>,
    /// What their texts say, one after the other,
    said: String,
    /// and their headers, which may be of any bytes.
    headers: Vec<u8>,
}

#[derive(Debug)]
struct Row {
    facts: Facts,
    format: LogFormat,
    marks: Marks,
    texts: [Length; TEXTS],
    headers: [Length; HEADERS],
}

/// How long a text is, if there is one.
type Length = Option<u16>;
/// A record has so many texts,
const TEXTS: usize = 7;
/// and so many headers.
const HEADERS: usize = 3;

impl Kept {
    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.said.clear();
        self.headers.clear();
    }

    /// Gives back what is more than `bytes` of memory, if there is.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        self.rows.shrink_to(bytes / size_of::<Row>());
        self.said.shrink_to(bytes);
        self.headers.shrink_to(bytes);
    }

    /// What is too long for a line is cut.
    pub(super) fn put(&mut self, format: LogFormat, record: &Record<'_>, marks: Marks) {
        let (mut texts, mut headers) = ([None; TEXTS], [None; HEADERS]);
        for (text, length) in record.texts.said().into_iter().zip(&mut texts) {
            if let Some(text) = text.map(cut) {
                self.said.push_str(text);
                // Cut, it is shorter than that.
                *length = u16::try_from(text.len()).ok();
            }
        }
        for (value, length) in record.texts.headers().into_iter().zip(&mut headers) {
            if let Some(value) = value.map(header) {
                self.headers.extend_from_slice(value);
                *length = u16::try_from(value.len()).ok();
            }
        }
        self.rows.push(Row {
            facts: record.facts,
            format,
            marks,
            texts,
            headers,
        });
    }

    /// Each of them, as it was put.
    pub(super) fn each(&self, mut take: impl FnMut(LogFormat, &Record<'_>, Marks)) {
        let (mut said, mut headers) = (self.said.as_str(), self.headers.as_slice());
        for row in &self.rows {
            let text = |length: Length| {
                let (text, rest) = said.split_at(length?.into());
                said = rest;
                Some(text)
            };
            let value = |length: Length| {
                let (value, rest) = headers.split_at(length?.into());
                headers = rest;
                Some(value)
            };
            let record = Record {
                facts: row.facts,
                texts: Texts::of(row.texts.map(text), row.headers.map(value)),
            };
            take(row.format, &record, row.marks);
        }
    }
}

impl<'a> Texts<'a> {
    fn said(&self) -> [Option<&'a str>; TEXTS] {
        let (method, path) = (Some(self.method), Some(self.path));
        [
            method,
            path,
            self.tls,
            self.node,
            self.pool,
            self.operation,
            self.plugin,
        ]
    }

    fn headers(&self) -> [Option<&'a [u8]>; HEADERS] {
        [self.forwarded_for, self.user_agent, self.trace]
    }

    fn of(said: [Option<&'a str>; TEXTS], headers: [Option<&'a [u8]>; HEADERS]) -> Self {
        let [method, path, tls, node, pool, operation, plugin] = said;
        let [forwarded_for, user_agent, trace] = headers;
        Self {
            forwarded_for,
            method: method.unwrap_or_default(),
            path: path.unwrap_or_default(),
            tls,
            user_agent,
            trace,
            node,
            pool,
            operation,
            plugin,
        }
    }
}

/// A header's value, as far as it is kept.
fn header(value: &[u8]) -> &[u8] {
    &value[..value.len().min(LONGEST / 4)]
}

/// A text, as far as it is kept.
fn cut(text: &str) -> &str {
    if text.len() <= LONGEST {
        return text;
    }
    let end = (0..=LONGEST).rev().find(|&at| text.is_char_boundary(at));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::super::line::tests::record;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is known of them, and however long: whoever reads them in turn finds each one's own.
        #[test]
        fn what_is_kept_is_read_as_it_was_put(
            said in prop::collection::vec((
                prop::array::uniform7(prop::option::of("\\PC{0,1100}")),
                prop::array::uniform3(prop::option::of(prop::collection::vec(any::<u8>(), 0..300))),
            ), 0..8),
            slow: bool,
        ) {
            let marks = Marks { slow, large: false };
            let records: Vec<_> = said.iter().enumerate().map(|(attempts, (texts, bytes))| {
                let mut texts = Texts::of(
                    texts.each_ref().map(Option::as_deref),
                    bytes.each_ref().map(Option::as_deref),
                );
                texts.method = "GET";
                Record { facts: Facts { attempts, ..record().facts }, texts }
            }).collect();
            let mut kept = Kept::default();
            for record in &records {
                kept.put(LogFormat::Text, record, marks);
            }
            prop_assert_eq!(kept.len(), records.len());
            let shown = |format, record: &Record<'_>, marks| format!("{format:?} {record:?} {marks:?}");
            let mut read = Vec::new();
            kept.each(|format, record, marks| read.push(shown(format, record, marks)));
            let put = records.iter().map(|record| {
                let said = record.texts.said().map(|text| text.map(cut));
                let texts = Texts::of(said, record.texts.headers().map(|value| value.map(header)));
                shown(LogFormat::Text, &Record { texts, ..*record }, marks)
            });
            prop_assert_eq!(read, put.collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_cleared_is_gone_and_what_is_shrunk_is_small() {
        let mut kept = Kept::default();
        for _ in 0..1000 {
            kept.put(LogFormat::Json, &record(), Marks::default());
        }
        kept.clear();
        kept.shrink_to(4096);
        kept.each(|_, _, _| unreachable!("nothing is there"));
        assert!(kept.rows.capacity() * size_of::<Row>() <= 4096);
        assert!(kept.said.capacity() <= 4096);
        kept.put(LogFormat::Json, &record(), Marks::default());
        kept.each(|_, read, _| assert_eq!(read.texts.path, record().texts.path));
    }
}
