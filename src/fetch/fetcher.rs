//! What fetching needs beside what is to be fetched.

use std::num::NonZeroUsize;

use super::error::FetchError;
use super::http::Network;
use super::parallel;
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
    /// What `fetch` comes to for every one of `items`, in their order. What is only missing offline is named for all
    /// of them at once; any other failure ends the work.
    pub(super) fn all<T: Sync, U: Send>(
        &self,
        items: &[T],
        on_network: bool,
        fetch: impl Fn(&T) -> Result<U, FetchError> + Sync,
    ) -> Result<Vec<U>, FetchError> {
        // Threads that wait for a network cost nothing while they wait.
        let threads = if on_network { self.network.options().connections } else { self.jobs };
        let results = parallel::map(items, threads, self.reporter, |item| match fetch(item) {
            Err(FetchError::Offline { missing: these }) => Ok(Err(these)),
            result => result.map(Ok),
        })?;
        let mut values = Vec::with_capacity(items.len());
        let mut missing: Vec<String> = Vec::new();
        for result in results {
            match result {
                Ok(value) => values.push(value),
                Err(these) => missing.extend(these),
            }
        }
        if missing.is_empty() { Ok(values) } else { Err(FetchError::Offline { missing }) }
    }

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

    /// Warns of what was passed over, if something was, as `location` has what was wanted. Of a server that is not
    /// there that is said once, and not of each of its files.
    pub(super) fn warn_passed_over(&self, refused: Option<&FetchError>, location: &str) {
        let Some(refused) = refused else { return };
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
