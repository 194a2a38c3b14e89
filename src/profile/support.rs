//! How long Alpine mends the packages of its stable branches.
//!
//! What the day is is asked of whoever calls: it decides on a warning, never on a byte of an image.
//!
//! Source: spec/image, "Files scanners read". Support of a branch ends in the order of the branches, so all before
//! the first that is listed are past theirs.

use std::fmt;
use std::str::FromStr;

use super::release::Series;
use super::value::Invalid;

const WANTED_DAY: &str = "a day (\"2026-04-01\")";

/// When support ends, by branch, ascending.
const ENDS: [(Series, &str); 4] = [
    (Series { major: 3, minor: 20 }, "2026-04-01"),
    (Series { major: 3, minor: 21 }, "2026-12-05"),
    (Series { major: 3, minor: 22 }, "2027-04-30"),
    (Series { major: 3, minor: 23 }, "2027-11-01"),
];

/// A day of the calendar, written as ISO 8601 has it and ordered as time goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(Box<str>);

/// Whether a branch is still mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Support {
    /// It is, or nothing is known of its end.
    Goes,
    /// It was until that day.
    Ended(Day),
    /// It has not been for long.
    Over,
}

impl Support {
    /// Whether the branch of `series` is mended on the day `today`.
    #[must_use]
    pub fn of(series: Series, today: &Day) -> Self {
        match ENDS.iter().find(|(listed, _)| *listed == series) {
            Some((_, end)) if *end <= &*today.0 => Self::Ended(Day((*end).into())),
            None if ENDS.first().is_some_and(|(first, _)| series < *first) => Self::Over,
            Some(_) | None => Self::Goes,
        }
    }
}

impl FromStr for Day {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_digits =
            |part: &str, length| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
        let mut parts = text.split('-');
        let fits = parts.next().is_some_and(|year| is_digits(year, 4))
            && parts.next().is_some_and(|month| is_digits(month, 2))
            && parts.next().is_some_and(|day| is_digits(day, 2))
            && parts.next().is_none();
        if fits { Ok(Self(text.into())) } else { Err(Invalid::new(text, WANTED_DAY)) }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(minor: u16, today: &str) -> Support {
        Support::of(Series { major: 3, minor }, &today.parse().unwrap())
    }

    #[test]
    fn support_ends_on_the_day_that_is_listed() {
        for (minor, last, end) in [
            (20, "2026-03-31", "2026-04-01"),
            (21, "2026-12-04", "2026-12-05"),
            (22, "2027-04-29", "2027-04-30"),
            (23, "2027-10-31", "2027-11-01"),
        ] {
            assert_eq!(on(minor, last), Support::Goes, "3.{minor}");
            assert_eq!(on(minor, end), Support::Ended(end.parse().unwrap()), "3.{minor}");
            assert_eq!(on(minor, "2040-01-01"), Support::Ended(end.parse().unwrap()), "3.{minor}");
        }
    }

    #[test]
    fn a_branch_before_the_first_listed_is_over_and_one_after_the_last_goes_on() {
        for minor in [0, 9, 13, 19] {
            assert_eq!(on(minor, "1970-01-01"), Support::Over, "3.{minor}");
        }
        assert_eq!(on(24, "2040-01-01"), Support::Goes);
        assert_eq!(
            Support::of(Series { major: 2, minor: 30 }, &"2026-01-01".parse().unwrap()),
            Support::Over
        );
        assert_eq!(Support::of(Series { major: 4, minor: 0 }, &"2026-01-01".parse().unwrap()), Support::Goes);
    }

    #[test]
    fn the_list_is_in_order_and_of_days() {
        for pair in ENDS.windows(2) {
            assert!(pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1, "{pair:?}");
        }
        for (_, end) in ENDS {
            assert_eq!(end.parse::<Day>().unwrap().to_string(), end);
        }
        for text in ["", "2026", "2026-4-1", "2026-04-01T00:00:00Z", "2026-04-0x", "2026-04-01-02"] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }
}
