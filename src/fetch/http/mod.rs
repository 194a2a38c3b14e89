//! HTTP: how bytes come over the network.
//!
//! | file | what it knows |
//! |---|---|
//! | `address` | what is asked for, and how it is shown: never with credentials |
//! | `netrc` | user names and passwords by host |
//! | `trail` | which of them a request carries, through redirections |
//! | `resolve` | the addresses of a host |
//! | `exchange` | one question and its answer, through redirections |
//! | `retry` | when and after how long to try again |
//! | `range` | going on where a transfer broke |
//! | `transfer` | a file, read to its end through all of these |
//!
//! Always true here: nothing is asked before somebody needs it, so that who stays on this machine never has
//! a client; bytes come as they lie on the server, with no encoding undone; a redirection never leads from
//! https to http; credentials go to the server they are for and to nobody else; every wait ends, by
//! [`NetworkOptions::timeout`] or when the user asks to stop, and so does every transfer, by the least speed.
//!
//! Not for trust: what comes over the network is as good as what it is held against afterwards.
//!
//! Source: design, "Trust"; RFC 9110.

mod address;
mod error;
mod exchange;
mod netrc;
mod range;
mod resolve;
mod retry;
mod trail;
mod transfer;

pub use address::Shown;
pub use error::{HttpError, Status};

pub(super) use address::Address;
pub(super) use exchange::Wish;
pub(super) use range::Validators;
pub(super) use transfer::{Answer, Transfer};

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use self::address::Server;
use self::exchange::Client;
use crate::report::Reporter;

/// How the network is used.
#[derive(Debug, Clone, Copy)]
pub struct NetworkOptions {
    /// Whether it may be used at all.
    pub access: Access,
    /// How long it is waited for a connection, for an answer, or for more of one.
    pub timeout: Duration,
    /// How often a failure that may pass is tried again.
    pub retries: u32,
    /// How many files are read at once.
    pub connections: NonZeroUsize,
}

/// Whether the network may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It may.
    Online,
    /// No socket is opened: what is not in the store is missing.
    Offline,
}

impl NetworkOptions {
    /// How long is waited unless something else is said.
    pub const TIMEOUT: Duration = Duration::from_secs(30);
    /// How often is tried again unless something else is said.
    pub const RETRIES: u32 = 4;
    /// How many files are read at once unless something else is said.
    pub const CONNECTIONS: NonZeroUsize = NonZeroUsize::new(8).unwrap();
}

impl Default for NetworkOptions {
    fn default() -> Self {
        Self {
            access: Access::Online,
            timeout: Self::TIMEOUT,
            retries: Self::RETRIES,
            connections: Self::CONNECTIONS,
        }
    }
}

/// The right to one of the connections, as long as it lasts.
#[derive(Debug)]
struct Turn<'a>(&'a Network);

impl<'a> Turn<'a> {
    /// The network it is a connection of.
    fn network(&self) -> &'a Network {
        self.0
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.transfers() -= 1;
        self.0.fewer.notify_one();
    }
}

/// How often is looked whether the user wants to stop.
const GLANCE: Duration = Duration::from_millis(100);

/// What was found where a document may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing.
    NotThere,
    /// What the store has of it is what the server has.
    Kept,
}

/// The network, used from its first need on, and what was learnt of it.
#[derive(Debug, Default)]
pub struct Network {
    options: NetworkOptions,
    client: OnceLock<Result<Client, HttpError>>,
    /// Servers that were tried as often as may be, and how that ended. They are not asked again.
    down: Mutex<HashMap<Server, HttpError>>,
    /// Those of them that the user was told of.
    told: Mutex<HashSet<String>>,
    /// Where documents may be that were looked for since the last [`Network::forget_documents`].
    documents: Mutex<HashMap<String, Seen>>,
    /// Whether copies that others keep on the way may not serve.
    past_caches: AtomicBool,
    /// How many transfers there are.
    transfers: Mutex<usize>,
    /// Told when there is one less.
    fewer: Condvar,
}

impl Network {
    /// The network, not used yet.
    pub fn new(options: NetworkOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// How it is used.
    pub fn options(&self) -> &NetworkOptions {
        &self.options
    }

    /// Whether no socket may be opened.
    pub fn is_offline(&self) -> bool {
        self.options.access == Access::Offline
    }

    /// Whether anything was asked for.
    pub fn was_used(&self) -> bool {
        self.client.get().is_some()
    }

    /// Lets every document be asked for anew, from the server itself: because a mirror turned out to have moved
    /// on since they were read.
    pub fn forget_documents(&self) {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.past_caches.store(true, Ordering::Relaxed);
    }

    /// What was found at `key`, if it was looked at.
    pub(super) fn seen(&self, key: &str) -> Option<Seen> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }

    /// Notes what was found at `key`.
    pub(super) fn note(&self, key: &str, seen: Seen) {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), seen);
    }

    /// Whether the user was not told of `server` before, and is from now on.
    pub(super) fn is_first_told_of(&self, server: &str) -> bool {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(server.to_owned())
    }

    /// Waits until there are fewer transfers than connections, and counts one more.
    fn begin_transfer(&self, reporter: &dyn Reporter) -> Result<Turn<'_>, HttpError> {
        let mut transfers = self.transfers();
        while *transfers >= self.options.connections.get() {
            if reporter.interrupted() {
                return Err(HttpError::Interrupted);
            }
            let waited = self.fewer.wait_timeout(transfers, GLANCE);
            (transfers, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        *transfers += 1;
        Ok(Turn(self))
    }

    fn transfers(&self) -> MutexGuard<'_, usize> {
        self.transfers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn client(&self) -> Result<&Client, HttpError> {
        self.client.get_or_init(|| Client::new(&self.options)).as_ref().map_err(Clone::clone)
    }

    /// Whether copies that others keep, or the store, may not serve.
    pub(super) fn is_past_caches(&self) -> bool {
        self.past_caches.load(Ordering::Relaxed)
    }

    /// How trying `server` ended, if it was given up.
    fn given_up(&self, server: &Server) -> Option<HttpError> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner).get(server).cloned()
    }

    fn give_up(&self, server: Server, error: HttpError) {
        self.down.lock().unwrap_or_else(PoisonError::into_inner).insert(server, error);
    }
}
