//! Documents on the network: indexes, lists and checksums, which are small, change, and are asked for often.
//!
//! One is kept in the store with what tells its state, and asked for again only if that changed. It is kept
//! once it is accepted: at once, where accepting it proves it, as an index's signature does; later, where only
//! what it speaks of can ([`Pending`]). What was kept and is not accepted any more is asked for anew.

use std::sync::{Mutex, PoisonError};

use super::error::FetchError;
use super::fetcher::Fetcher;
use super::http::{Address, Answer, HttpError, Seen, Transfer, Validators, Wish};
use super::source::{SourceError, ask};
use crate::report::Step;
use crate::store::{Document, StoreError};

/// When a document is kept.
#[derive(Debug, Clone, Copy)]
pub(super) enum Keeping<'a> {
    /// As soon as it is accepted.
    AtOnce,
    /// When those are kept.
    With(&'a Pending),
}

/// Documents that are accepted and not proved.
#[derive(Debug, Default)]
pub(super) struct Pending(Mutex<Vec<(String, Document)>>);

impl Pending {
    /// Keeps them, because what they speak of is as they say.
    pub(super) fn keep(self, fetcher: &Fetcher<'_>) -> Result<(), FetchError> {
        let documents = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        documents.into_iter().try_for_each(|(key, document)| keep(fetcher, &key, &document))
    }
}

/// A document on the network.
pub(super) struct NetworkDocument<'a> {
    /// What progress is told of.
    pub(super) path: &'a str,
    pub(super) address: Address,
    /// How large it may be, in bytes.
    pub(super) limit: u64,
    pub(super) keeping: Keeping<'a>,
    pub(super) fetcher: &'a Fetcher<'a>,
}

impl NetworkDocument<'_> {
    /// What `accept` makes of it; nothing if it is not there.
    pub(super) fn read<T>(
        &self,
        accept: impl Fn(&[u8]) -> Result<T, FetchError>,
    ) -> Result<Option<T>, FetchError> {
        let Fetcher { store, network, .. } = *self.fetcher;
        let seen = network.seen(self.address.key());
        if seen == Some(Seen::NotThere) {
            return Ok(None);
        }
        let kept = store.recall_document(self.address.key(), self.limit)?;
        match &kept {
            Some(kept) if network.is_offline() || seen == Some(Seen::Kept) => {
                return accept(&kept.bytes).map(Some);
            }
            None if network.is_offline() => {
                let location = self.address.shown().to_string();
                return Err(SourceError::Offline { location }.into());
            }
            Some(_) | None => {}
        }
        match self.ask(kept.as_ref(), &accept) {
            // What came is of two versions. It is small: the second one is read from its begin.
            Err(FetchError::Source(SourceError::Http(HttpError::Changed { .. }))) => self.ask(None, &accept),
            other => other,
        }
    }

    fn ask<T>(
        &self,
        kept: Option<&Document>,
        accept: &impl Fn(&[u8]) -> Result<T, FetchError>,
    ) -> Result<Option<T>, FetchError> {
        let (network, key) = (self.fetcher.network, self.address.key());
        let unless = kept
            .filter(|_| !network.is_past_caches())
            .map(|kept| Validators { tag: kept.entity_tag.clone(), modified: kept.last_modified.clone() });
        match ask(&self.address, self.fetcher, Wish { unless, ..Wish::default() })? {
            Answer::NotThere => {
                network.note(key, Seen::NotThere);
                Ok(None)
            }
            Answer::NotModified => match kept.map(|kept| accept(&kept.bytes)) {
                Some(Ok(accepted)) => {
                    network.note(key, Seen::Kept);
                    Ok(Some(accepted))
                }
                Some(Err(_)) | None => self.ask(None, accept),
            },
            Answer::File(transfer) => self.take(*transfer, accept).map(Some),
        }
    }

    fn take<T>(
        &self,
        transfer: Transfer<'_>,
        accept: &impl Fn(&[u8]) -> Result<T, FetchError>,
    ) -> Result<T, FetchError> {
        let Fetcher { network, reporter, .. } = *self.fetcher;
        let Validators { tag, modified } = transfer.validators().clone();
        reporter.begin_file(Step::Indexes, self.path, transfer.length());
        let told = |came| reporter.advance_file(Step::Indexes, came, self.path);
        let bytes = transfer.read_all(self.limit, told).map_err(SourceError::from);
        reporter.end_file(Step::Indexes, self.path);
        let bytes = bytes?;
        let accepted = accept(&bytes)?;
        let key = self.address.key();
        let document = Document { bytes, entity_tag: tag, last_modified: modified };
        match self.keeping {
            Keeping::AtOnce => {
                keep(self.fetcher, key, &document)?;
                network.note(key, Seen::Kept);
            }
            Keeping::With(Pending(pending)) => {
                pending.lock().unwrap_or_else(PoisonError::into_inner).push((key.to_owned(), document));
            }
        }
        Ok(accepted)
    }
}

/// Keeps a document. A store that cannot be written to only makes the next time slower.
fn keep(fetcher: &Fetcher<'_>, key: &str, document: &Document) -> Result<(), FetchError> {
    match fetcher.store.add_document(key, document) {
        Ok(()) | Err(StoreError::File(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
