//! A file, read to its end: tried again where that may help, and gone on with where it broke.
//!
//! Whoever reads gets the bytes in order and once, so that a hash goes on through every break. That it is
//! still the same file is asked of the server (`If-Range`, validators, length); that it was is shown by the
//! hash alone.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use reqwest::header;
use reqwest::{Response, StatusCode};

use super::address::{Address, Server};
use super::error::HttpError;
use super::exchange::{self, Client, Wish, pause, refusal, validators};
use super::range::{ContentRange, Validators};
use super::retry::Attempts;
use super::{Network, Turn};
use crate::report::Reporter;

/// So many bytes a second are the least that is worth waiting for, in every span of [`super::NetworkOptions::timeout`].
const SLOWEST: u64 = 4 * 1024;
/// So many they are on the whole, of a file that takes longer than [`SPANS`] of these. So every file ends, and its length
/// says when.
const SLOWEST_ON_THE_WHOLE: u64 = 16 * 1024;
/// See [`SLOWEST_ON_THE_WHOLE`].
const SPANS: u32 = 10;

/// What a server has at an address.
pub(in super::super) enum Answer<'a> {
    /// Nothing.
    NotThere,
    /// What was known before.
    NotModified,
    /// A file.
    File(Box<Transfer<'a>>),
}

/// What a server has, its bytes not looked at.
enum Head {
    NotThere,
    NotModified,
    File(Response),
}

/// A file that is being read.
pub(in super::super) struct Transfer<'a> {
    turn: Turn<'a>,
    client: &'a Client,
    reporter: &'a dyn Reporter,
    address: Address,
    /// None while broken.
    response: Option<Response>,
    /// What came and was not read yet.
    chunk: Bytes,
    /// How much was read.
    got: u64,
    /// How much of the answer is to be passed over: it begins before what was read.
    skip: u64,
    /// How long the file is, if the server says so.
    length: Option<u64>,
    validators: Validators,
    attempts: Attempts,
    pace: Pace,
}

impl<'a> Transfer<'a> {
    /// Asks for what is at `address`.
    pub(in super::super) fn open(
        network: &'a Network,
        address: &Address,
        wish: Wish,
        reporter: &'a dyn Reporter,
    ) -> Result<Answer<'a>, HttpError> {
        let client = network.client()?;
        let turn = network.begin_transfer(reporter)?;
        let server = Server::of(&address.url);
        let wish = Wish { past_caches: network.is_past_caches(), ..wish };
        let mut attempts = Attempts::new(network.options().retries);
        loop {
            if let Some(error) = network.given_up(&server) {
                return Err(error.at(address.shown()));
            }
            match Self::ask(client, address, &wish, reporter) {
                Ok(Head::NotThere) => return Ok(Answer::NotThere),
                Ok(Head::NotModified) => return Ok(Answer::NotModified),
                Ok(Head::File(response)) => {
                    let transfer = Self {
                        turn,
                        client,
                        reporter,
                        address: address.clone(),
                        length: response.content_length(),
                        validators: validators(response.headers()),
                        response: Some(response),
                        chunk: Bytes::new(),
                        got: 0,
                        skip: 0,
                        attempts: Attempts::new(network.options().retries),
                        pace: Pace::default(),
                    };
                    return Ok(Answer::File(Box::new(transfer)));
                }
                Err(HttpError::Interrupted) => return Err(HttpError::Interrupted),
                Err(error) => match attempts.after(&error, 0, chance()) {
                    Some(wait) => pause(wait, reporter)?,
                    None if error.is_of_server() => {
                        network.give_up(server, error.clone());
                        return Err(error);
                    }
                    None => return Err(error),
                },
            }
        }
    }

    fn ask(
        client: &Client,
        address: &Address,
        wish: &Wish,
        reporter: &dyn Reporter,
    ) -> Result<Head, HttpError> {
        let response = client.ask(address, wish, reporter)?;
        match response.status() {
            StatusCode::OK => Ok(Head::File(response)),
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(Head::NotThere),
            StatusCode::NOT_MODIFIED if wish.unless.is_some() => Ok(Head::NotModified),
            _ => Err(refusal(address, &response)),
        }
    }

    /// How long the file is, in bytes, if the server says so.
    pub(in super::super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// What tells this state of the file from others.
    pub(in super::super) fn validators(&self) -> &Validators {
        &self.validators
    }

    /// Reads all of it, which may be `limit` bytes; `told` is how much more came.
    pub(in super::super) fn read_all(mut self, limit: u64, told: impl Fn(u64)) -> Result<Vec<u8>, HttpError> {
        let mut bytes = Vec::new();
        if self.length.is_some_and(|length| length > limit) {
            return Err(self.too_large(limit));
        }
        loop {
            self.fill()?;
            if self.chunk.is_empty() {
                return Ok(bytes);
            }
            let came = self.chunk.len() as u64;
            told(came);
            self.got += came;
            if self.got > limit {
                return Err(self.too_large(limit));
            }
            bytes.extend_from_slice(&std::mem::take(&mut self.chunk));
        }
    }

    fn too_large(&self, limit: u64) -> HttpError {
        HttpError::TooLarge { url: self.address.shown(), limit }
    }

    /// Lets `chunk` hold something, unless this is the end.
    fn fill(&mut self) -> Result<(), HttpError> {
        while self.chunk.is_empty() {
            match self.more() {
                Ok(Some(chunk)) => self.take(chunk),
                Ok(None) => return Ok(()),
                Err(error) => self.recover(error)?,
            }
        }
        Ok(())
    }

    fn take(&mut self, mut chunk: Bytes) {
        let passed_over = chunk.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
        chunk.advance(passed_over);
        self.skip -= passed_over as u64;
        self.chunk = chunk;
    }

    fn more(&mut self) -> Result<Option<Bytes>, HttpError> {
        let Some(response) = &mut self.response else {
            let reason = "it was given up before".to_owned();
            return Err(HttpError::Broken { url: self.address.shown(), got: self.got, reason });
        };
        let asked = Instant::now();
        let chunk = self.client.more(&self.address, response, self.got, self.reporter)?;
        let Some(chunk) = chunk else {
            if self.skip > 0 {
                return Err(self.changed(format!("it had more than {} bytes, and has fewer", self.got)));
            }
            // Without a length, the end may be anywhere; with one, it is there.
            return match self.length {
                Some(length) if self.got < length => Err(HttpError::Broken {
                    url: self.address.shown(),
                    got: self.got,
                    reason: format!("it ended, and should have {length} bytes"),
                }),
                _ => Ok(None),
            };
        };
        let came = chunk.len() as u64;
        if let Some(length) = self.length.filter(|length| self.got + came.saturating_sub(self.skip) > *length)
        {
            return Err(self.changed(format!("it had {length} bytes, and now has more")));
        }
        let limit = self.turn.network().options().timeout;
        let new = came.saturating_sub(self.skip);
        if let Some((came, span)) = self.pace.note(came, new, asked.elapsed(), limit) {
            let url = self.address.shown();
            return Err(HttpError::Slow { url, got: self.got, came, span });
        }
        Ok(Some(chunk))
    }

    /// After a failure: waits, and asks for the rest, until it comes or nothing more is to be hoped for.
    fn recover(&mut self, mut error: HttpError) -> Result<(), HttpError> {
        self.response = None;
        self.pace.break_off(&error);
        let broke_off = Instant::now();
        loop {
            let Some(wait) = self.attempts.after(&error, self.got, chance()) else { return Err(error) };
            pause(wait, self.reporter)?;
            match self.resume() {
                Ok(()) => {
                    self.pace.pause(broke_off.elapsed());
                    return Ok(());
                }
                Err(HttpError::Interrupted) => return Err(HttpError::Interrupted),
                Err(other) => error = other,
            }
        }
    }

    fn resume(&mut self) -> Result<(), HttpError> {
        let rest = (self.got > 0).then(|| (self.got, self.validators.clone()));
        let wish = Wish { rest, past_caches: self.turn.network().is_past_caches(), ..Wish::default() };
        let response = self.client.ask(&self.address, &wish, self.reporter)?;
        let skip = match response.status() {
            StatusCode::PARTIAL_CONTENT if self.got > 0 => {
                self.check_range(&response)?;
                0
            }
            // The server does not do parts, or has another file: which of the two, its validators and length may tell.
            StatusCode::OK => {
                self.check_length(response.content_length())?;
                self.got
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                return Err(self.changed(format!("it has no more than {} bytes now", self.got)));
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => return Err(self.changed("it is gone".to_owned())),
            _ => return Err(refusal(&self.address, &response)),
        };
        let now = validators(response.headers());
        if self.validators.differ(&now) {
            return Err(self.changed("the server says that it is another version".to_owned()));
        }
        self.skip = skip;
        self.response = Some(response);
        Ok(())
    }

    fn check_range(&self, response: &Response) -> Result<(), HttpError> {
        let value = exchange::text(response.headers(), &header::CONTENT_RANGE);
        let range = value.as_deref().and_then(ContentRange::parse);
        match range {
            Some(range) if range.first == self.got => self.check_length(range.total),
            _ => Err(self.changed(format!(
                "asked for what follows byte {}, the server sends {}",
                self.got,
                value.unwrap_or_else(|| "it does not say what".to_owned())
            ))),
        }
    }

    fn check_length(&self, length: Option<u64>) -> Result<(), HttpError> {
        match (self.length, length) {
            (Some(before), Some(now)) if before != now => {
                Err(self.changed(format!("it had {before} bytes, and has {now}")))
            }
            _ => Ok(()),
        }
    }

    fn changed(&self, reason: String) -> HttpError {
        HttpError::Changed { url: self.address.shown(), reason }
    }
}

impl Read for Transfer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fill().map_err(io::Error::other)?;
        let count = self.chunk.len().min(buffer.len());
        if let Some(part) = buffer.get_mut(..count) {
            self.chunk.copy_to_slice(part);
        }
        self.got += count as u64;
        Ok(count)
    }
}

/// How fast something comes: by the time it is waited for. How long what came is worked on is not the server's fault.
#[derive(Debug, Default)]
struct Pace {
    /// Since the last look.
    span: Span,
    /// Since the beginning.
    whole: Span,
}

/// How much came in which time.
#[derive(Debug, Default, Clone, Copy)]
struct Span {
    waited: Duration,
    came: u64,
}

impl Span {
    fn add(&mut self, came: u64, waited: Duration) {
        self.came = self.came.saturating_add(came);
        self.waited = self.waited.saturating_add(waited);
    }

    /// What came and in which time, if that is less than `least` bytes a second.
    fn below(self, least: u64) -> Option<(u64, Duration)> {
        let millis = u64::try_from(self.waited.as_millis()).unwrap_or(u64::MAX);
        (self.came < least.saturating_mul(millis) / 1000).then_some((self.came, self.waited))
    }
}

impl Pace {
    /// Notes that `came` bytes came after a wait, of which `new` were not there before a resumption; how many came in which
    /// time, if those are too few. `limit` is how long a span is.
    fn note(&mut self, came: u64, new: u64, waited: Duration, limit: Duration) -> Option<(u64, Duration)> {
        self.span.add(came, waited);
        self.whole.add(new, waited);
        if self.span.waited >= limit {
            let span = std::mem::take(&mut self.span);
            if let Some(slow) = span.below(SLOWEST) {
                return Some(slow);
            }
        }
        let is_long = self.whole.waited >= limit.saturating_mul(SPANS);
        if is_long { self.whole.below(SLOWEST_ON_THE_WHOLE) } else { None }
    }

    /// Notes how long it took until what broke off came again: pauses count for the average, so that every file ends.
    fn pause(&mut self, waited: Duration) {
        self.whole.add(0, waited);
    }

    /// Notes that what came broke off. What was too slow may begin anew, as it does so only a few times.
    fn break_off(&mut self, error: &HttpError) {
        self.span = Span::default();
        if matches!(error, HttpError::Slow { .. }) {
            self.whole = Span::default();
        }
    }
}

/// Any number, another one each time.
fn chance() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::hash::RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(2);

    /// After how many seconds `bytes` each `millis` are too slow.
    fn slow_after(pace: &mut Pace, bytes: u64, millis: u64) -> Option<u64> {
        let steps = 100_000 / millis;
        (1..=steps)
            .find(|_| pace.note(bytes, bytes, Duration::from_millis(millis), LIMIT).is_some())
            .map(|steps| steps * millis / 1000)
    }

    #[test]
    fn what_drips_is_too_slow_and_what_flows_is_not() {
        assert_eq!(slow_after(&mut Pace::default(), 100, 1000), Some(2));
        assert_eq!(slow_after(&mut Pace::default(), 550, 490), Some(2));
        assert_eq!(slow_after(&mut Pace::default(), SLOWEST_ON_THE_WHOLE, 1000), None);
        // What came fast at first does not make up for what drips then.
        let mut flow = Pace::default();
        assert_eq!(flow.note(SLOWEST * 1000, SLOWEST * 1000, Duration::from_millis(1900), LIMIT), None);
        assert_eq!(slow_after(&mut flow, 1, 1000), Some(3));
    }

    #[test]
    fn what_always_comes_just_fast_enough_ends_too() {
        assert_eq!(slow_after(&mut Pace::default(), SLOWEST + 1, 1000), Some(20));
        assert_eq!(slow_after(&mut Pace::default(), SLOWEST * 3, 1000), Some(20));
        // What makes good for it is taken.
        let mut flow = Pace::default();
        let much = SLOWEST_ON_THE_WHOLE * 1000;
        assert_eq!(flow.note(much, much, Duration::from_secs(1), LIMIT), None);
        assert_eq!(slow_after(&mut flow, SLOWEST + 1, 1000), None);
    }

    #[test]
    fn what_breaks_off_again_and_again_does_not_begin_anew() {
        let broken = HttpError::Interrupted;
        let mut pace = Pace::default();
        for second in 1..20 {
            assert_eq!(pace.note(SLOWEST + 1, SLOWEST + 1, Duration::from_secs(1), LIMIT), None, "{second}");
            pace.break_off(&broken);
        }
        assert!(pace.note(SLOWEST + 1, SLOWEST + 1, Duration::from_secs(1), LIMIT).is_some());
    }

    #[test]
    fn what_is_sent_anew_after_each_break_ends_too() {
        let mut pace = Pace::default();
        let seconds = (1..100).find(|_| pace.note(1 << 20, SLOWEST, Duration::from_secs(1), LIMIT).is_some());
        assert_eq!(seconds, Some(20));
    }

    #[test]
    fn pauses_between_resumptions_count_for_the_average() {
        let mut pace = Pace::default();
        assert_eq!(pace.note(1 << 18, 1 << 18, Duration::from_secs(1), LIMIT), None);
        pace.pause(Duration::from_secs(60));
        assert!(pace.note(1 << 10, 1 << 10, Duration::from_millis(1), LIMIT).is_some());
    }

    #[test]
    fn the_time_in_which_nobody_waits_does_not_count() {
        let mut pace = Pace::default();
        for _ in 0..1000 {
            assert_eq!(pace.note(1, 1, Duration::ZERO, LIMIT), None);
        }
    }
}
