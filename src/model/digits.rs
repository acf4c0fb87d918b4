//! How are numbers and addresses written where every request writes them? Without a formatter, which
//! costs several times the digits.
//!
//! Digits are made eight at a time in one register and copied whole; what is too much is taken off
//! again. So a number as requests have them needs no loop. Nothing is repeated by inlining: code that runs
//! once in a request is not in the processor's nearest cache any more, and to fetch it costs more than to
//! run it.

use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

/// A number of eight digits is less.
const EIGHT: u64 = 100_000_000;
const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);

/// A whole number.
#[inline(never)]
pub(crate) fn whole(number: u64, into: &mut Vec<u8>) {
    if number < 10 {
        into.push(b'0' + number as u8);
    } else if number < EIGHT {
        let (digits, length) = few(number);
        let end = into.len() + length;
        into.extend_from_slice(&digits);
        into.truncate(end);
    } else {
        long(number, into);
    }
}

#[cold]
fn long(number: u64, into: &mut Vec<u8>) {
    let mut place = [0; 24];
    let digits = write(number, &mut place);
    into.extend_from_slice(&place[..digits]);
}

/// The same into the beginning of a place with room for 24; how many digits there are. Behind them it
/// is zeros, as far as it was written.
#[inline]
pub(crate) fn write(number: u64, into: &mut [u8]) -> usize {
    if number < EIGHT {
        let (digits, length) = few(number);
        into[..8].copy_from_slice(&digits);
        return length;
    }
    let before = write(number / EIGHT, into);
    let rest = parts(number % EIGHT) | ZEROS;
    into[before..before + 8].copy_from_slice(&rest.to_le_bytes());
    before + 8
}

/// A number of at most eight digits: they and what is behind them, and how many they are.
#[inline]
const fn few(number: u64) -> ([u8; 8], usize) {
    let digits = parts(number);
    // The last one stays, whatever it is.
    let zeros = (digits | (1 << 56)).trailing_zeros() / 8;
    let shown = (digits | ZEROS) >> (8 * zeros);
    (shown.to_le_bytes(), 8 - zeros as usize)
}

/// The digits of a number below [`EIGHT`], the first one in the lowest byte. Each step divides all parts
/// of it at once, by multiplying: exact for numbers of four and of two digits.
#[inline(never)]
const fn parts(number: u64) -> u64 {
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((fours * 5243) >> 19) & 0x7f_0000_007f;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x0f_000f_000f_000f;
    tens | ((twos - tens * 10) << 8)
}

/// Milliseconds with at most three decimals, and at least one: what is below a microsecond is noise.
pub(crate) fn millis(duration: Duration, into: &mut Vec<u8>) {
    let (seconds, part) = (duration.as_secs(), duration.subsec_micros());
    if seconds >= EIGHT / 1_000_000 {
        return long_millis(seconds, part, into);
    }
    // Five digits before the point and three behind it.
    let digits = parts(seconds * 1_000_000 + u64::from(part));
    let before = (digits | (1 << 32)).trailing_zeros() / 8;
    let behind = (digits | (1 << 40)).leading_zeros() / 8;
    let shown = u128::from(digits | ZEROS);
    let point = u128::from(b'.') << 40;
    let shown = (shown & 0xff_ffff_ffff) | point | ((shown >> 40) << 48);
    let end = into.len() + 9 - (before + behind) as usize;
    into.extend_from_slice(&(shown >> (8 * before)).to_le_bytes());
    into.truncate(end);
}

#[cold]
fn long_millis(seconds: u64, micros: u32, into: &mut Vec<u8>) {
    let part = u64::from(micros / 1000);
    whole(seconds.saturating_mul(1000).saturating_add(part), into);
    // With a one before them, so that none of the zeros is left out, and the point in its place.
    let point = into.len();
    whole(u64::from(1000 + micros % 1000), into);
    into[point] = b'.';
    while into[point + 2..].last() == Some(&b'0') {
        into.pop();
    }
}

/// The eight hexadecimal digits of a number: its halves are moved apart until each has a byte.
#[inline(never)]
pub(crate) const fn hex(number: u32) -> [u8; 8] {
    let number = number as u64;
    let halves = ((number << 16) | number) & 0xffff_0000_ffff;
    let bytes = ((halves << 8) | halves) & 0x00ff_00ff_00ff_00ff;
    let digits = ((bytes << 4) | bytes) & 0x0f0f_0f0f_0f0f_0f0f;
    // From ten on a digit reaches 16 by 6 more; the letters begin 0x27 behind the sign after the nine.
    let letters = ((digits + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    (digits + ZEROS + letters * 0x27).to_be_bytes()
}

/// An address.
#[inline(never)]
pub(crate) fn address(address: IpAddr, into: &mut Vec<u8>) {
    let IpAddr::V4(address) = address else {
        return long_address(address, into);
    };
    let [first, rest @ ..] = address.octets();
    whole(first.into(), into);
    for octet in rest {
        into.push(b'.');
        whole(octet.into(), into);
    }
}

#[cold]
fn long_address(address: IpAddr, into: &mut Vec<u8>) {
    // Writing into memory cannot fail.
    let _ = write!(into, "{address}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        // It is written behind something.
        let mut into = b"=".to_vec();
        write(&mut into);
        String::from_utf8(into).expect("ASCII")[1..].to_owned()
    }

    /// Both ways.
    fn number(number: u64) -> String {
        let mut place = [0; 24];
        let digits = write(number, &mut place);
        let text = text(|into| whole(number, into));
        assert_eq!(&place[..digits], text.as_bytes());
        assert_eq!(place[digits..], [0; 24][digits..]);
        text
    }

    #[test]
    fn every_number_of_a_few_digits_is_written_as_the_library_does() {
        for n in 0..200_000 {
            assert_eq!(number(n), n.to_string());
            // The upper half of eight digits.
            let n = n * 500;
            assert_eq!(number(n), n.to_string());
        }
    }

    #[test]
    fn an_address_of_each_octet_is_written_as_the_library_does() {
        for octet in 0..=u8::MAX {
            let written: IpAddr = [octet, 0, 255, octet].into();
            assert_eq!(text(|into| address(written, into)), written.to_string());
        }
    }

    proptest! {
        #[test]
        fn hexadecimal_digits_are_written_as_the_library_does(number: u32) {
            let digits = hex(number);
            prop_assert_eq!(String::from_utf8_lossy(&digits), format!("{number:08x}"));
        }

        #[test]
        fn a_number_is_written_as_the_library_does(any: u64, digits in 0_u32..64) {
            for n in [any, any >> digits] {
                prop_assert_eq!(number(n), n.to_string());
            }
        }

        #[test]
        fn an_address_is_written_as_the_library_does(written: IpAddr) {
            prop_assert_eq!(text(|into| address(written, into)), written.to_string());
        }

        /// Up to 31 years: beyond them a floating number has not as many digits.
        #[test]
        fn milliseconds_are_written_as_a_floating_number_is(any in 0_u64..1_000_000_000_000_000, digits in 0_u32..50, nanos in 0_u64..1000) {
            for micros in [any, any >> digits, any / 1000 * 1000, any / 100 * 100] {
                let duration = Duration::from_micros(micros) + Duration::from_nanos(nanos);
                let floating = serde_json::to_string(&(micros as f64 / 1000.0)).expect("a number");
                prop_assert_eq!(text(|into| millis(duration, into)), floating);
            }
        }
    }
}
