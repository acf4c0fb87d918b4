//! What did the script answer?

use crate::share::{About, Answer, Letter, Matter, Row};
use redis::Value;
use std::time::Duration;

/// Reads the script's answer to this letter; `None` when it is none.
pub(super) fn read(letter: &Letter, value: Value) -> Option<Answer> {
    let [
        seq,
        epoch,
        version,
        gone,
        cursor,
        word,
        lasting,
        rows,
        records,
        digest,
        wishes,
        firsts,
        done,
        time,
    ] = <[Value; 14]>::try_from(list(value)?).ok()?;
    // An answer to another letter would be taken for this one's, and so would the next one.
    (number(seq)? == letter.seq).then_some(())?;
    Some(Answer {
        epoch: text(epoch)?,
        version: number(version)?,
        gone: number(gone)? == 1,
        cursor: number(cursor)?,
        leader: leader(&text(word)?),
        lasting: Duration::from_millis(number(lasting)?),
        rows: groups::<4>(rows)?
            .into_iter()
            .map(|[id, age, seq, body]| {
                Some(Row {
                    id: text(id)?,
                    age: text(age)?.parse().ok()?,
                    seq: number(seq)?,
                    body: text(body)?,
                })
            })
            .collect::<Option<_>>()?,
        records: groups::<2>(records)?
            .into_iter()
            .map(|[key, record]| Some((text(key)?, text(record)?)))
            .collect::<Option<_>>()?,
        digest: text(digest)?,
        wishes: groups::<4>(wishes)?
            .into_iter()
            .map(|[matter, name, version, word]| {
                let about = About {
                    matter: Matter::from_word(&text(matter)?)?,
                    name: text(name)?,
                };
                Some((about, number(version)?, text(word)?))
            })
            .collect::<Option<_>>()?,
        turns: list(firsts)?
            .into_iter()
            .map(number)
            .collect::<Option<_>>()?,
        done: number(done)? == 1,
        time: number(time)?,
    })
}

fn leader(word: &str) -> Option<(String, String, u64)> {
    let mut parts = word.split(' ');
    let (id, token, fence) = (parts.next()?, parts.next()?, parts.next()?);
    Some((id.to_owned(), token.to_owned(), fence.parse().ok()?))
}

fn list(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}

fn groups<const N: usize>(value: Value) -> Option<Vec<[Value; N]>> {
    let values = list(value)?;
    if values.len() % N != 0 {
        return None;
    }
    let mut values = values.into_iter();
    let mut groups = Vec::new();
    while values.len() > 0 {
        let group: Vec<_> = values.by_ref().take(N).collect();
        groups.push(<[Value; N]>::try_from(group).ok()?);
    }
    Some(groups)
}

/// Text that is none is shown as well as it can be: what matters of it is ours and plain.
fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

fn number(value: Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(number).ok(),
        other => text(other)?.parse().ok(),
    }
}
