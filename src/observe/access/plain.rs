//! Can a text stand in a line of JSON as it is?
//!
//! Nearly every text can, and every line has a dozen of them: they are looked at eight bytes at once.

/// Whether a text is ASCII, and nothing in it needs an escape.
#[inline(never)]
pub(super) fn is_plain(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk() else {
        let mut padded = [b' '; 8];
        padded[..text.len()].copy_from_slice(text);
        return are_plain(&padded);
    };
    // Some bytes of the last ones are looked at twice; that costs less than one by one.
    text.as_chunks().0.iter().all(are_plain) && are_plain(last)
}

/// In each byte a 1.
const ONES: u64 = u64::from_ne_bytes([1; 8]);

/// RFC 8259, section 7. Where a byte is too small for what is subtracted, it borrows the highest bit, which
/// no byte of ASCII has.
#[inline]
fn are_plain(bytes: &[u8; 8]) -> bool {
    let word = u64::from_ne_bytes(*bytes);
    // With the quote in place of the space, all that is special but the backslash lies below 0x21.
    let low = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
    (low | backslash | word) & (ONES * 0x80) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ascii_is_plain_when_the_library_writes_it_as_it_is(
            text in "[ -~]{0,40}|[ -!#-Z^-~]{0,60}|\\PC{0,40}|(?s).{0,40}",
        ) {
            let library = serde_json::to_string(&text).expect("it is text");
            let same = library[1..library.len() - 1] == text;
            prop_assert_eq!(is_plain(text.as_bytes()), same && text.is_ascii());
        }
    }

    #[test]
    fn one_sign_is_found_wherever_it_stands() {
        let special = |byte: u8| !byte.is_ascii() || byte < b' ' || [b'"', b'\\'].contains(&byte);
        for length in 1..70 {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b'a'; length];
                    text[at] = byte;
                    assert_eq!(
                        is_plain(&text),
                        !special(byte),
                        "{byte} at {at} of {length}"
                    );
                }
            }
        }
    }
}
