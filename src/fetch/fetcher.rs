//! What fetching needs beside what is to be fetched.

use std::num::NonZeroUsize;

use super::error::FetchError;
use super::http::Network;
use crate::report::Reporter;
use crate::store::Store;

/// What fetches: where things are kept, how they come, and who is told.
#[derive(Clone, Copy)]
pub struct Fetcher<'a> {
    /// Where what was fetched is kept.
    pub store: &'a Store,
    /// How what is not on this machine comes.
    pub network: &'a Network,
    /// How many threads work.
    pub jobs: NonZeroUsize,
    /// Who is told.
    pub reporter: &'a dyn Reporter,
}

impl Fetcher<'_> {
    /// How many threads fetch: those that wait for a network cost nothing while they wait.
    pub(super) fn threads(&self, over_network: bool) -> NonZeroUsize {
        if over_network { self.network.options().connections } else { self.jobs }
    }
}

impl Fetcher<'_> {
    /// Whether documents of mirrors may be to blame for `error`; they are then asked for anew from now on, which
    /// the user is told. Once: a second failure is one.
    pub fn asks_anew_after(&self, error: &FetchError) -> bool {
        let helps = self.network.was_used() && !self.network.is_past_caches() && error.may_be_the_documents();
        if helps {
            self.reporter.note(&format!(
                "{error}\nthe mirror may have moved on: its lists and indexes are read again"
            ));
            self.network.forget_documents();
        }
        helps
    }

    /// Warns that `refused` was passed over, as `location` has what was wanted. Of a server that is not there
    /// that is said once, and not of each of its files.
    pub(super) fn warn_passed_over(&self, refused: &FetchError, location: &str) {
        let server = refused.unreachable_server();
        if server.is_none_or(|server| self.network.is_first_told_of(server)) {
            self.reporter.warn(&format!("{refused}\ntaken from {location} instead"));
        }
    }
}

impl std::fmt::Debug for Fetcher<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").field("store", self.store).field("jobs", &self.jobs).finish_non_exhaustive()
    }
}
