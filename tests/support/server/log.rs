//! What was asked of a server, in the order it came in.

use std::sync::Mutex;

use super::lock;
use super::request::Request;

/// A request that was answered.
#[derive(Debug, Clone)]
pub(crate) struct Logged {
    /// On which connection, counted from 0.
    pub(crate) connection: usize,
    /// What was asked.
    pub(crate) request: Request,
    /// The status of the answer; nothing if it was no answer.
    pub(crate) status: Option<u16>,
}

/// The requests to a server, and how many of them there were at once.
#[derive(Debug, Default)]
pub(crate) struct Log {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<Logged>,
    at_once: usize,
    most_at_once: usize,
}

impl Log {
    /// All requests.
    pub(crate) fn requests(&self) -> Vec<Logged> {
        lock(&self.state).requests.clone()
    }

    /// The requests for paths that end in `end`.
    pub(crate) fn of(&self, end: &str) -> Vec<Logged> {
        let mut requests = self.requests();
        requests.retain(|logged| logged.request.path().ends_with(end));
        requests
    }

    /// Each request as a line: method, path, and the status of the answer.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |logged: &Logged| {
            let status = logged.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
            format!("{} {} {status}", logged.request.method, logged.request.path())
        };
        self.requests().iter().map(line).collect()
    }

    /// How many connections brought a request.
    pub(crate) fn connections(&self) -> usize {
        let mut connections: Vec<usize> = self.requests().iter().map(|logged| logged.connection).collect();
        connections.sort_unstable();
        connections.dedup();
        connections.len()
    }

    /// The most requests that were being answered at the same time.
    pub(crate) fn most_at_once(&self) -> usize {
        lock(&self.state).most_at_once
    }

    /// Forgets what was.
    pub(crate) fn clear(&self) {
        let mut state = lock(&self.state);
        state.requests.clear();
        state.most_at_once = state.at_once;
    }

    /// Notes a request that is answered as long as the result lives.
    pub(super) fn begin(&self, logged: Logged) -> Answering<'_> {
        let mut state = lock(&self.state);
        state.requests.push(logged);
        state.at_once += 1;
        state.most_at_once = state.most_at_once.max(state.at_once);
        Answering { log: self }
    }
}

/// A request that is being answered.
pub(super) struct Answering<'a> {
    log: &'a Log,
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        lock(&self.log.state).at_once -= 1;
    }
}
