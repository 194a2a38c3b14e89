//! The one time of an image: files are no newer, everything generated has exactly it.
//!
//! An [`Epoch`] is between 1970 and 9999, so it has a form in tar, in JSON and in every engine.
//!
//! Source: reproducible-builds.org, `SOURCE_DATE_EPOCH`; RFC 3339; the calendar arithmetic is Howard
//! Hinnant's "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.

use std::fmt;

use crate::kind::{Explain, Kind};

/// 9999-12-31T23:59:59Z, the last second RFC 3339 can write.
const LAST: i64 = 253_402_300_799;

const SECONDS_OF_DAY: i64 = 86_400;

/// Seconds since 1970-01-01T00:00:00Z. Displays as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Hash)]
pub struct Epoch(i64);

/// A number of seconds that is no time of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{seconds} is no time for an image: it must be from 0 (1970) to {LAST} (9999), in seconds")]
pub struct EpochError {
    /// The seconds as they were given.
    pub seconds: i64,
}

impl Explain for EpochError {
    fn kind(&self) -> Kind {
        Kind::Usage
    }

    fn hint(&self) -> Option<String> {
        Some(
            "give seconds since 1970 with --epoch or SOURCE_DATE_EPOCH, as `date +%s` prints them".to_owned(),
        )
    }
}

impl Epoch {
    /// The epoch `seconds` after 1970 began.
    pub fn new(seconds: i64) -> Result<Self, EpochError> {
        if (0..=LAST).contains(&seconds) { Ok(Self(seconds)) } else { Err(EpochError { seconds }) }
    }

    /// Seconds since 1970.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// Days since 1970.
    #[must_use]
    pub const fn day(self) -> i64 {
        self.0.div_euclid(SECONDS_OF_DAY)
    }

    /// The time an entry gets: its own, but none after this; this if it has none.
    #[must_use]
    pub fn clamp(self, mtime: Option<i64>) -> i64 {
        mtime.map_or(self.0, |mtime| mtime.min(self.0))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0 / SECONDS_OF_DAY);
        let second = self.0 % SECONDS_OF_DAY;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// Year, month and day of the day that is `days` after 1970-01-01, which is not negative.
fn civil(days: i64) -> (i64, i64, i64) {
    // Counted from 0000-03-01, so that the leap day ends a year and 400 years are one cycle.
    let days = days + 719_468;
    let (cycle, day_of_cycle) = (days / 146_097, days % 146_097);
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = cycle * 400 + year_of_cycle + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_date_writes_them() {
        // Expected: `date -u -d @N +%FT%TZ`.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_704_067_199, "2023-12-31T23:59:59Z"),
            (1_718_700_000, "2024-06-18T08:40:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (LAST, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Epoch::new(seconds).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_time_that_rfc_3339_cannot_say_is_refused() {
        assert!(Epoch::new(-1).is_err());
        assert!(Epoch::new(LAST + 1).is_err());
    }

    #[test]
    fn no_entry_is_newer_than_the_epoch() {
        let epoch = Epoch::new(100).unwrap();
        assert_eq!([Some(99), Some(101), Some(-5), None].map(|m| epoch.clamp(m)), [99, 100, -5, 100]);
    }
}
