//! Small numbers with a text form of their own: modes, sizes, durations.
//!
//! Source: design, "The profile"; Go's duration syntax, which Docker's health checks use; Docker's limit
//! of one millisecond for them.

use std::fmt;
use std::str::FromStr;

use super::value::{Invalid, decimal};

const WANTED_MODE: &str = "a mode (three or four octal digits: \"755\", \"0644\", \"4755\")";
const WANTED_SIZE: &str = "a size (a number of bytes, or with a unit: \"40MB\", \"40MiB\")";
const WANTED_DURATION: &str = "a duration (\"30s\", \"1m30s\", \"500ms\"; none below 1ms)";

/// Permission bits with set-id and sticky bits, at most `0o7777`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mode(u16);

impl Mode {
    /// `rwxr-xr-x`.
    pub const DIRECTORY: Self = Self(0o755);
    /// `rw-r--r--`.
    pub const FILE: Self = Self(0o644);

    /// The mode with these bits, if there are no others than permissions, set-id and sticky.
    #[must_use]
    pub fn from_bits(bits: u64) -> Option<Self> {
        u16::try_from(bits).ok().filter(|bits| *bits <= 0o7777).map(Self)
    }

    /// The bits.
    #[must_use]
    pub fn bits(self) -> u16 {
        self.0
    }
}

impl FromStr for Mode {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        let octal = matches!(digits.len(), 3 | 4) && digits.bytes().all(|b| (b'0'..=b'7').contains(&b));
        let bits = if octal { u64::from_str_radix(digits, 8).ok() } else { None };
        bits.and_then(Self::from_bits).ok_or_else(|| Invalid::new(text, WANTED_MODE))
    }
}

/// Four octal digits.
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl fmt::Debug for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mode({self})")
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Size(pub u64);

/// The units of a size, decimal and binary, with their bytes.
const SIZE_UNITS: [(&str, u64); 10] = [
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

impl FromStr for Size {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new(text, WANTED_SIZE);
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let number: u64 = decimal(number).ok_or_else(invalid)?;
        let unit = unit.trim_start_matches(' ');
        let bytes = match unit {
            "" => 1,
            _ => SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(invalid)?.1,
        };
        number.checked_mul(bytes).map(Self).ok_or_else(invalid)
    }
}

/// In the largest decimal or binary unit that leaves a whole number.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |bytes: u64| self.0 != 0 && self.0.is_multiple_of(bytes);
        match SIZE_UNITS.iter().filter(|(_, bytes)| whole(*bytes)).max_by_key(|(_, bytes)| *bytes) {
            Some((unit, bytes)) => write!(f, "{}{unit}", self.0 / bytes),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// A span of time of a health check, in nanoseconds: zero, or at least a millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Duration(u64);

/// The units of a duration, with their nanoseconds; what is the start of another stands after it.
const DURATION_UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl Duration {
    /// The nanoseconds, as Docker's `Healthcheck` states them. At most [`i64::MAX`].
    #[must_use]
    pub fn nanoseconds(self) -> u64 {
        self.0
    }
}

impl FromStr for Duration {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        nanoseconds(text)
            .filter(|nanoseconds| *nanoseconds == 0 || *nanoseconds >= 1_000_000)
            .filter(|nanoseconds| i64::try_from(*nanoseconds).is_ok())
            .map(Self)
            .ok_or_else(|| Invalid::new(text, WANTED_DURATION))
    }
}

fn nanoseconds(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    loop {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (name, unit) = DURATION_UNITS.iter().find(|(name, _)| after.starts_with(name))?;
        total = total.checked_add(multiple(number, *unit)?)?;
        rest = after.strip_prefix(name)?;
        if rest.is_empty() {
            return Some(total);
        }
    }
}

/// `1.5` times `unit`; what is finer than a nanosecond is dropped.
fn multiple(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let mut total = decimal::<u64>(whole)?.checked_mul(unit)?;
    let mut place = unit;
    if fraction.is_empty() {
        return None;
    }
    for digit in fraction.chars() {
        place /= 10;
        total = total.checked_add(place.checked_mul(u64::from(digit.to_digit(10)?))?)?;
    }
    Some(total)
}

/// As Go prints it, in hours, minutes and seconds.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, size) in [
            ("h", 3_600_000_000_000),
            ("m", 60_000_000_000),
            ("s", 1_000_000_000),
            ("ms", 1_000_000),
            ("us", 1_000),
            ("ns", 1),
        ] {
            if rest >= size {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_three_or_four_octal_digits() {
        for (text, bits) in [("755", 0o755), ("0755", 0o755), ("0o644", 0o644), ("4755", 0o4755), ("000", 0)]
        {
            assert_eq!(text.parse::<Mode>().unwrap().bits(), bits, "{text}");
        }
        for text in ["", "99999", "77777", "888", "-755", "+755", "75", "rwxr-xr-x", "0x1ff"] {
            assert!(text.parse::<Mode>().is_err(), "{text}");
        }
        assert_eq!(Mode::from_bits(0o10000), None);
    }

    #[test]
    fn a_size_has_decimal_and_binary_units() {
        for (text, bytes) in [
            ("0", 0),
            ("1500", 1500),
            ("40MB", 40_000_000),
            ("40 MB", 40_000_000),
            ("40MiB", 41_943_040),
            ("1kB", 1000),
            ("2TiB", 2_199_023_255_552),
        ] {
            assert_eq!(text.parse::<Size>().unwrap(), Size(bytes), "{text}");
        }
        for text in ["", "MB", "-1", "1.5GB", "40mb", "40M", "99999999999999999999", "99999999999TB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_size_prints_in_a_unit_that_reads_back() {
        for text in ["40MB", "40MiB", "1B", "0B", "1500B", "3GB"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
    }

    // By the documentation of Go's time.ParseDuration; stricter where a dot has no digit beside it.
    #[test]
    fn a_duration_is_read_as_go_reads_it() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("30s", 30_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1.5s", 1_500_000_000),
            ("500ms", 500_000_000),
            ("1h0m0.5s", 3_600_500_000_000),
            ("2000us", 2_000_000),
            ("1500000ns", 1_500_000),
        ] {
            assert_eq!(text.parse::<Duration>().unwrap().nanoseconds(), nanoseconds, "{text}");
        }
        for text in ["", "30", "s", "-1s", "1d", "1s ", "1 s", ".s", "1.s", "1.2.3s", "999us", "9999999999h"]
        {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_duration_prints_what_reads_back() {
        for text in ["0s", "30s", "1m30s", "500ms", "1h500ms"] {
            assert_eq!(text.parse::<Duration>().unwrap().to_string(), text);
        }
    }
}
