//! Is this line of a head a field?

use super::Fault;

/// What may stand in a field's name and in a method (RFC 9110, section 5.6.2).
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 0;
    while at < 128 {
        let byte = at as u8;
        table[at] = byte.is_ascii_alphanumeric();
        at += 1;
    }
    let marks = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
};

pub(super) const fn is_token(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// What may stand in a value: bytes beyond ASCII may, controls but the tabulator may not.
pub(super) const fn is_value(byte: u8) -> bool {
    (byte >= 0x20) & (byte != 0x7f) | (byte == b'\t')
}

/// Whether a text is of such bytes only. Looked at to its end, so that many are looked at in one step.
pub(super) fn all(text: &[u8], sound: impl Fn(u8) -> bool) -> bool {
    text.iter().fold(true, |all, byte| all & sound(*byte))
}

/// Name and value of a field, without the blanks around the value.
pub(super) fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    if line
        .first()
        .is_some_and(|byte| matches!(byte, b' ' | b'\t'))
    {
        return Err(Fault::head("a header field is folded over two lines"));
    }
    let end = line.iter().position(|&byte| !is_token(byte));
    let (name, rest) = line.split_at(end.unwrap_or(line.len()));
    let [b':', value @ ..] = rest else {
        return Err(Fault::head(
            "a header field has no colon right behind a proper name",
        ));
    };
    if name.is_empty() {
        return Err(Fault::head("a header field has no name"));
    }
    if !all(value, is_value) {
        return Err(Fault::head("a header field holds a control character"));
    }
    Ok((name, value.trim_ascii()))
}

/// The tokens of a list, without blanks and empty ones.
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let items = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    items.filter(|item| !item.is_empty())
}
