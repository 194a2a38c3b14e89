//! How much work a solution may cost, and whether the user asked to stop.
//!
//! The solver's loops tell what they do here; once the limit is reached or the user asked, they end, and the attempt is
//! given up. An index of a megabyte can state a problem of billions of comparisons; no real one comes near the limit.

use std::cell::Cell;

use super::refusal::Refusal;
use crate::report::Reporter;

/// The work of one solution.
pub(super) struct Effort<'r> {
    reporter: &'r dyn Reporter,
    spent: Cell<u64>,
    asked_at: Cell<u64>,
    end: Cell<Option<End>>,
}

/// Why an attempt is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Limit,
    Interrupted,
}

impl<'r> Effort<'r> {
    /// The most comparisons of a package with a dependency. Alpine's largest requests take about a million.
    const LIMIT: u64 = 1_000_000_000;
    /// After how many comparisons the user is asked again: a few milliseconds.
    const PERIOD: u64 = 1 << 18;

    pub(super) fn new(reporter: &'r dyn Reporter) -> Self {
        Self { reporter, spent: Cell::new(0), asked_at: Cell::new(0), end: Cell::new(None) }
    }

    /// Counts comparisons that were made or are about to be.
    pub(super) fn spend(&self, comparisons: usize) {
        let spent = self.spent.get().saturating_add(comparisons as u64);
        self.spent.set(spent);
        if spent > Self::LIMIT {
            self.end.set(Some(End::Limit));
        } else if spent - self.asked_at.get() > Self::PERIOD {
            self.asked_at.set(spent);
            if self.reporter.interrupted() {
                self.end.set(Some(End::Interrupted));
            }
        }
    }

    /// Whether the attempt is to be given up.
    pub(super) fn is_over(&self) -> bool {
        self.end.get().is_some()
    }

    /// The refusal if the attempt was given up.
    pub(super) fn outcome(&self) -> Result<(), Refusal> {
        match self.end.get() {
            None => Ok(()),
            Some(End::Limit) => Err(Refusal::TooMuchWork { limit: Self::LIMIT }),
            Some(End::Interrupted) => Err(Refusal::Interrupted),
        }
    }
}
