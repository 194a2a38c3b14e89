//! What is to go wrong, and when.
//!
//! A fault is either another answer, or the right one brought to the wire wrongly. Which requests it meets is said
//! by the end of their paths and by how many such requests there were since it was planned.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::answer::Answer;
use super::request::Request;

/// Which of the requests for a path are met, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    /// All.
    Always,
    /// The first so many.
    First(usize),
    /// That one alone.
    Only(usize),
    /// That one and all later ones.
    From(usize),
}

impl Times {
    fn has(self, number: usize) -> bool {
        match self {
            Self::Always => true,
            Self::First(count) => number <= count,
            Self::Only(only) => number == only,
            Self::From(first) => number >= first,
        }
    }
}

/// A point of an answer on the wire. One behind its end means the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// Behind so many bytes of status line and headers.
    Head(usize),
    /// Behind so many bytes of the body.
    Body(usize),
    /// In the middle of the body.
    Middle,
    /// Before the last byte of the body.
    LastByte,
}

impl Point {
    /// Where that is in an answer whose parts have these lengths.
    pub(super) fn offset(self, head: usize, body: usize) -> usize {
        match self {
            Self::Head(bytes) => bytes.min(head),
            Self::Body(bytes) => head + bytes.min(body),
            Self::Middle => head + body / 2,
            Self::LastByte => head + body.saturating_sub(1),
        }
    }
}

/// What comes where an answer breaks off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Then {
    /// The connection is closed in good order.
    Close,
    /// The connection is reset.
    Reset,
    /// Nothing, until the client has had enough.
    Stall,
    /// This, again and again, until the client has had enough.
    Repeat(Vec<u8>),
    /// The same, with a pause before each.
    Drip(Vec<u8>, Duration),
}

/// Makes another answer of the right one.
type Change = Box<dyn Fn(&Request, Answer) -> Answer + Send + Sync>;
/// Makes what is on the wire of an answer.
type Encode = Box<dyn Fn(&Answer) -> Vec<u8> + Send + Sync>;

/// Something that goes wrong: with the answer, on the way to the wire, or both.
pub(crate) struct Fault {
    change: Option<Change>,
    pub(super) delivery: Delivery,
}

/// How an answer is brought to the wire.
pub(super) enum Delivery {
    /// As it is.
    Whole,
    /// Up to a point, and then something else.
    Broken(Point, Then),
    /// Its body so many bytes at a time with a pause before each.
    Dripping { bytes: usize, pause: Duration },
    /// In other bytes, which need be no answer, and the connection ends with them.
    Other(Encode),
}

impl Fault {
    /// What becomes of the right answer to `request`.
    pub(super) fn changed(&self, request: &Request, answer: Answer) -> Answer {
        match &self.change {
            Some(change) => change(request, answer),
            None => answer,
        }
    }

    /// Another answer, made of the right one.
    pub(crate) fn answer(change: impl Fn(&Request, Answer) -> Answer + Send + Sync + 'static) -> Self {
        Self { change: Some(Box::new(change)), delivery: Delivery::Whole }
    }

    /// A page with this status in place of the answer.
    pub(crate) fn status(status: u16) -> Self {
        Self::answer(move |_, _| Answer::page(status))
    }

    /// This answer in place of the right one.
    pub(crate) fn instead(answer: Answer) -> Self {
        Self::answer(move |_, _| answer.clone())
    }

    /// A redirection to `location`.
    pub(crate) fn redirect(status: u16, location: &str) -> Self {
        Self::instead(Answer::redirect(status, location))
    }

    /// The right answer with `value` for the header `name`.
    pub(crate) fn header(name: &'static str, value: &'static str) -> Self {
        Self::answer(move |_, answer| answer.with(name, value))
    }

    /// The right answer with a changed body, and a length and no validators to fit.
    pub(crate) fn body(change: impl Fn(&mut Vec<u8>) + Send + Sync + 'static) -> Self {
        Self::answer(move |_, answer| {
            answer.with_body(|body| change(body)).without("ETag").without("Last-Modified")
        })
    }

    /// The right answer up to a point, and then something else.
    pub(crate) fn stop(point: Point, then: Then) -> Self {
        Self { change: None, delivery: Delivery::Broken(point, then) }
    }

    /// The same answer up to a point, and then something else.
    pub(crate) fn and_stop(self, point: Point, then: Then) -> Self {
        Self { delivery: Delivery::Broken(point, then), ..self }
    }

    /// The right answer, its body so many bytes at a time with a pause before each.
    pub(crate) fn drip(bytes: usize, pause: Duration) -> Self {
        Self { change: None, delivery: Delivery::Dripping { bytes, pause } }
    }

    /// The same answer, its body so many bytes at a time with a pause before each.
    pub(crate) fn and_drip(self, bytes: usize, pause: Duration) -> Self {
        Self { delivery: Delivery::Dripping { bytes, pause }, ..self }
    }

    /// Bytes that are made of the right answer, and the end of the connection.
    pub(crate) fn wire(encode: impl Fn(&Answer) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self { change: None, delivery: Delivery::Other(Box::new(encode)) }
    }

    /// These bytes, and the end of the connection.
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::wire(move |_| bytes.clone())
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let change = if self.change.is_some() { "another answer" } else { "the right answer" };
        match &self.delivery {
            Delivery::Whole => f.write_str(change),
            Delivery::Broken(point, then) => write!(f, "{change} up to {point:?}, then {then:?}"),
            Delivery::Dripping { bytes, pause } => write!(f, "{change}, {bytes} bytes each {pause:?}"),
            Delivery::Other(_) => write!(f, "other bytes than {change}"),
        }
    }
}

/// All that is to go wrong.
#[derive(Debug, Default)]
pub(super) struct Plan {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    path: String,
    times: Times,
    fault: Arc<Fault>,
    seen: usize,
}

impl Plan {
    pub(super) fn add(&mut self, path: &str, times: Times, fault: Fault) {
        self.rules.push(Rule { path: path.to_owned(), times, fault: fault.into(), seen: 0 });
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    /// What is to go wrong with a request for `path`, which counts.
    pub(super) fn next(&mut self, path: &str) -> Option<Arc<Fault>> {
        let mut found = None;
        for rule in self.rules.iter_mut().filter(|rule| path.ends_with(&rule.path)) {
            rule.seen += 1;
            if rule.times.has(rule.seen) {
                found = found.or_else(|| Some(rule.fault.clone()));
            }
        }
        found
    }
}
