//! A time as it is written, RFC 3339 with milliseconds.
//!
//! Requests end thousands of times a second, and a calendar is asked once.

use std::cell::Cell;
use std::io::Write;
use std::time::{Duration, SystemTime};

/// `1970-01-01T00:00:00.000Z`
#[derive(Clone, Copy)]
pub(super) struct Stamp([u8; 24]);

/// Where the milliseconds stand.
const MILLIS: std::ops::Range<usize> = 20..23;

thread_local! {
    /// A whole second since 1970, and how it is written.
    static LAST: Cell<(u64, Stamp)> = const { Cell::new((0, Stamp(*b"1970-01-01T00:00:00.000Z"))) };
}

/// Of a time between 1970 and 9999.
pub(super) fn of(time: SystemTime) -> Stamp {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    let since = since.unwrap_or_default();
    let (second, mut stamp) = LAST.get();
    if second != since.as_secs() {
        stamp = whole(since.as_secs());
        LAST.set((since.as_secs(), stamp));
    }
    let mut millis = since.subsec_millis();
    for place in stamp.0[MILLIS].iter_mut().rev() {
        *place = b'0' + (millis % 10) as u8;
        millis /= 10;
    }
    stamp
}

#[cold]
fn whole(second: u64) -> Stamp {
    let mut stamp = Stamp([b' '; 24]);
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
    // It is as long as the room for it.
    let _ = write!(
        &mut stamp.0[..],
        "{}",
        humantime::format_rfc3339_millis(time)
    );
    stamp
}

impl Stamp {
    pub(super) const fn as_bytes(&self) -> &[u8; 24] {
        &self.0
    }

    pub(super) fn as_str(&self) -> &str {
        // Digits and signs.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_written_as_the_library_does(times in prop::collection::vec(0_u64..253_402_300_800_000, 1..20)) {
            // Times of one second follow each other too.
            for millis in times.iter().flat_map(|&millis| [millis, millis ^ 1, millis + 999]) {
                let time = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
                prop_assume!(millis < 253_402_300_800_000);
                let library = humantime::format_rfc3339_millis(time).to_string();
                let stamp = of(time);
                prop_assert_eq!(stamp.as_str(), library);
            }
        }
    }
}
