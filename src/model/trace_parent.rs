//! Which trace does a request belong to? The header `traceparent` of W3C Trace Context, level 1.

use super::Dice;
use super::digits::hex;

/// Of version 00: `00-`, 32 digits, `-`, 16 digits, `-`, 2 digits.
const LENGTH: usize = 55;

/// The text of version 00.
pub type Trace = [u8; LENGTH];

/// Whether it may be passed on. A version that is not known yet may be longer, and begins alike.
#[must_use]
pub fn is_trace_parent(text: &[u8]) -> bool {
    let (Some(known), rest) = (text.get(..LENGTH), text.get(LENGTH..)) else {
        return false;
    };
    let digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let part = |from: usize, to: usize| &known[from..to];
    let (version, trace, parent, flags) = (part(0, 2), part(3, 35), part(36, 52), part(53, 55));
    let parts = [version, trace, parent, flags];
    let zeros = |part: &[u8]| part.iter().all(|byte| *byte == b'0');
    let ends = match rest {
        None | Some([]) => true,
        Some([next, ..]) => version != b"00" && *next == b'-',
    };
    ends && [2, 35, 52].iter().all(|&at| known[at] == b'-')
        && parts.iter().all(|part| part.iter().all(digit))
        && version != b"ff"
        && !zeros(trace)
        && !zeros(parent)
}

/// The first word of a trace that nobody samples yet.
#[must_use]
pub fn begin_trace(dice: &mut Dice) -> Trace {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    // Neither the trace nor the parent may be all zeros.
    for (at, least) in [(3, 1), (19, 0), (36, 1)] {
        let number = dice.u64(..).max(least);
        text[at..at + 8].copy_from_slice(&hex((number >> 32) as u32));
        text[at + 8..at + 16].copy_from_slice(&hex(number as u32));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_parent_is_passed_on_as_the_standard_has_it() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let good = [
            format!("00-{trace}-00f067aa0ba902b7-01"),
            format!("00-{trace}-00f067aa0ba902b7-00"),
            format!("cc-{trace}-00f067aa0ba902b7-01"),
            format!("cc-{trace}-00f067aa0ba902b7-01-what-the-future-brings"),
        ];
        for good in &good {
            assert!(is_trace_parent(good.as_bytes()), "{good}");
        }
        let zeros = "0".repeat(32);
        let bad = [
            String::new(),
            "00".to_owned(),
            format!("00-{trace}-00f067aa0ba902b7-0"),
            format!("00-{trace}-00f067aa0ba902b7-01-more"),
            format!("00-{trace}-00f067aa0ba902b7-01x"),
            format!("cc-{trace}-00f067aa0ba902b7-01x"),
            format!("ff-{trace}-00f067aa0ba902b7-01"),
            format!("00-{zeros}-00f067aa0ba902b7-01"),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()),
            format!("00_{trace}-00f067aa0ba902b7-01"),
        ];
        for bad in &bad {
            assert!(!is_trace_parent(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn what_is_begun_may_be_passed_on() {
        let mut dice = Dice::with_seed(1);
        for _ in 0..1000 {
            let begun = begin_trace(&mut dice);
            assert!(is_trace_parent(&begun), "{begun:?}");
        }
    }
}
