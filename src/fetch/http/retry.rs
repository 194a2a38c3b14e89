//! When a transfer that failed is tried again, and after how long.
//!
//! Pure: time and chance come from outside.

use std::time::{Duration, SystemTime};

use super::error::HttpError;
use crate::kind::Explain as _;

/// How long the first pause is.
const FIRST: Duration = Duration::from_millis(250);
/// How long a pause may be.
const LONGEST: Duration = Duration::from_secs(10);
/// How long a server may ask to be left alone; one that asks for more is left alone for good.
const LONGEST_ASKED: Duration = Duration::from_secs(60);
/// So much that comes between two failures makes the second one a first one, unless it is that it came too slowly.
const PROGRESS: u64 = 256 * 1024;

/// How often something was tried.
#[derive(Debug, Clone)]
pub(super) struct Attempts {
    /// How often it may be tried again.
    retries: u32,
    failures: u32,
    /// How much had come at the last failure.
    got: u64,
}

impl Attempts {
    pub(super) fn new(retries: u32) -> Self {
        Self { retries, failures: 0, got: 0 }
    }

    /// After a failure when `got` bytes had come: how long to wait before the next try; nothing if there is
    /// none. `chance` is any number.
    ///
    /// The pauses double, and each is somewhere between its half and its whole, so that those who failed
    /// together do not come back together.
    pub(super) fn after(&mut self, error: &HttpError, got: u64, chance: u64) -> Option<Duration> {
        let is_slow = matches!(error, HttpError::Slow { .. });
        if got.saturating_sub(self.got) >= PROGRESS && !is_slow {
            self.failures = 0;
        }
        self.got = got;
        self.failures += 1;
        if !error.is_transient() || self.failures > self.retries {
            return None;
        }
        let whole = FIRST.saturating_mul(1 << (self.failures - 1).min(16)).min(LONGEST);
        let half = whole / 2;
        let millis = u64::try_from(half.as_millis()).unwrap_or(u64::MAX);
        let pause = half + Duration::from_millis(chance % millis.saturating_add(1));
        match error {
            HttpError::Status { retry_after: Some(asked), .. } if *asked > LONGEST_ASKED => None,
            HttpError::Status { retry_after: Some(asked), .. } => Some(pause.max(*asked)),
            _ => Some(pause),
        }
    }
}

/// What a `Retry-After` says: a number of seconds, or a date.
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
        // A number that is none of ours is very long.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::error::Status;
    use super::*;
    use crate::profile::repository::Url;

    fn shown() -> super::super::address::Shown {
        let root: Url = "http://x.org/a".parse().unwrap();
        super::super::address::Address::below(&root, "b").unwrap().shown()
    }

    fn broken() -> HttpError {
        HttpError::Broken { url: shown(), got: 0, reason: "reset".to_owned() }
    }

    fn status(code: u16, retry_after: Option<u64>) -> HttpError {
        HttpError::Status {
            url: shown(),
            status: Status(reqwest::StatusCode::from_u16(code).unwrap()),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    #[test]
    fn pauses_double_and_end() {
        let mut attempts = Attempts::new(4);
        for millis in [250, 500, 1000, 2000] {
            let mut other = attempts.clone();
            assert_eq!(other.after(&broken(), 0, 0), Some(Duration::from_millis(millis / 2)));
            assert_eq!(attempts.after(&broken(), 0, millis / 2), Some(Duration::from_millis(millis)));
        }
        assert_eq!(attempts.after(&broken(), 0, 0), None);
        let mut many = Attempts::new(100);
        let longest = (0..100).filter_map(|_| many.after(&broken(), 0, u64::MAX)).max().unwrap();
        assert!(longest <= LONGEST, "{longest:?}");
    }

    #[test]
    fn who_gets_on_may_fail_again() {
        let mut attempts = Attempts::new(1);
        for part in 0..10 {
            assert!(attempts.after(&broken(), part * PROGRESS, 0).is_some());
        }
        assert!(attempts.after(&broken(), 10 * PROGRESS - 1, 0).is_none());
    }

    #[test]
    fn who_gets_on_too_slowly_may_not_fail_again_for_ever() {
        let slow = HttpError::Slow { url: shown(), got: 0, came: 0, span: Duration::from_secs(1) };
        let mut attempts = Attempts::new(2);
        let waits: Vec<_> = (1..9).map(|part| attempts.after(&slow, part * PROGRESS, 0).is_some()).collect();
        assert_eq!(waits[..3], [true, true, false]);
    }

    #[test]
    fn what_stays_as_it_is_is_not_tried_again() {
        for code in [400, 401, 403, 405, 418, 501, 505] {
            assert_eq!(Attempts::new(9).after(&status(code, None), 0, 0), None, "{code}");
        }
        for code in [408, 425, 429, 500, 502, 503, 504] {
            assert!(Attempts::new(9).after(&status(code, None), 0, 0).is_some(), "{code}");
        }
        let changed = HttpError::Changed { url: shown(), reason: String::new() };
        assert_eq!(Attempts::new(9).after(&changed, 0, 0), None);
    }

    #[test]
    fn a_server_is_left_alone_as_long_as_it_asks_within_reason() {
        let wait = |asked| Attempts::new(9).after(&status(503, Some(asked)), 0, 0);
        assert_eq!(wait(7), Some(Duration::from_secs(7)));
        assert_eq!(wait(0), Some(FIRST / 2));
        assert_eq!(wait(61), None);
    }

    #[test]
    fn retry_after_is_a_number_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let read = |text| retry_after(text, now);
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read("Sun, 06 Nov 1994 08:50:07 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("99999999999999999999"), Some(Duration::from_secs(u64::MAX)));
        for text in ["", "-1", "soon", "1.5"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
