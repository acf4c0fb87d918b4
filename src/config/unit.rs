//! How are durations and sizes written? `5s`, `250ms`, `10m`; `64KiB`, `100MiB`.

use std::time::Duration;

/// Longer than this is a slip of the pen: nothing here waits for a week.
pub(super) const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

const SIZES: [(&str, u64); 4] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("B", 1),
];

/// Reads a duration. A number without a unit is none.
pub(super) fn duration(text: &str) -> Option<Duration> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    humantime::parse_duration(text).ok()
}

/// Reads a size in bytes. A number without a unit is one.
pub(super) fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let (digits, factor) = SIZES
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?.trim_end(), *factor)))
        .unwrap_or((text, 1));
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// Writes a duration as [`duration`] reads it.
pub(super) fn write_duration(duration: Duration) -> String {
    if duration < Duration::from_secs(3600) && duration.subsec_nanos() == 0 {
        return format!("{}s", duration.as_secs());
    }
    humantime::format_duration(duration).to_string()
}

/// Writes a size as [`size`] reads it.
pub(super) fn write_size(bytes: u64) -> String {
    SIZES[..3]
        .iter()
        .rev()
        .find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor))
        .map_or_else(
            || bytes.to_string(),
            |(unit, factor)| format!("{}{unit}", bytes / factor),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for millis in [0, 1, 250, 1500, 5000, 660_000, 3_600_000, 90_061_001] {
            let time = Duration::from_millis(millis);
            assert_eq!(duration(&write_duration(time)), Some(time));
        }
        for bytes in [0, 1, 1000, 1024, 65_536, 671_088_640, 1 << 30, u64::MAX] {
            assert_eq!(size(&write_size(bytes)), Some(bytes));
        }
        assert_eq!(write_size(640 << 20), "640MiB");
        assert_eq!(write_duration(Duration::from_secs(660)), "660s");
    }

    #[test]
    fn a_number_without_a_unit_is_a_size_and_no_duration() {
        assert_eq!(size("100"), Some(100));
        assert_eq!(duration("100"), None);
        assert_eq!(duration("5x"), None);
        for wrong in ["", "MiB", "5MB", "5 m", "-1", "1.5MiB", "99999999999GiB"] {
            assert_eq!(size(wrong), None, "{wrong} is no size");
        }
    }
}
