//! Layers of images, kept like everything else: the blob as it came, and its tar inflated once.

use std::io::{BufReader, Read};

use super::expanded::{Expanded, Origin, Unnamed};
use super::{BUFFER, Store, StoreError, cannot_write};
use crate::archive::rootfs::{self, RootfsError};
use crate::archive::table::TableError;
use crate::content::{OpenFile, ReadAt as _, ReadFrom};
use crate::digest::{DiffId, Sha256};

/// A layer in the store, inflated. Whether it is the one an image has is its fetcher's to say.
#[derive(Debug, Clone)]
pub struct StoredLayer {
    expanded: Expanded,
    diff_id: DiffId,
}

impl StoredLayer {
    /// Its files.
    pub fn expanded(&self) -> &Expanded {
        &self.expanded
    }

    /// The digest of its tar.
    pub fn diff_id(&self) -> DiffId {
        self.diff_id
    }
}

impl Store {
    /// The layer whose blob has that digest, if the store has it.
    pub fn recall_layer(&self, blob: Sha256) -> Result<Option<StoredLayer>, StoreError> {
        let Some(file) = self.open_blob(blob)? else { return Ok(None) };
        self.touch(blob);
        if let Some(expanded) = Expanded::read(&self.paths, blob)?
            && let Origin::Layer { diff_id } = expanded.origin
        {
            return Ok(Some(StoredLayer { expanded, diff_id: DiffId(diff_id) }));
        }
        if self.drop_if_damaged(blob, &file)? {
            return Ok(None);
        }
        let object = format!("blob {blob}");
        let layer = self.inflate_layer(&object, &file, rootfs::inflated_limit(file.length()))?;
        self.commit_layer(blob, layer).map(Some)
    }

    /// Keeps the layer that `source` reads, which must be `blob`, has `length` bytes and may inflate to `limit`.
    /// `object` says in errors what is read.
    pub fn add_layer(
        &self,
        blob: Sha256,
        length: u64,
        limit: u64,
        object: &str,
        source: impl Read,
    ) -> Result<StoredLayer, StoreError> {
        let copy = self.copy_in(object, source, Some(length), &mut ())?;
        if copy.sha256 != blob {
            let (expected, got) = (blob, copy.sha256);
            return Err(StoreError::Digest { object: object.to_owned(), expected, got });
        }
        let layer = self.inflate_layer(object, &copy.file, limit)?;
        copy.temporary.commit(&self.paths.blob(blob))?;
        self.commit_layer(blob, layer)
    }

    fn inflate_layer(
        &self,
        object: &str,
        file: &OpenFile,
        limit: u64,
    ) -> Result<(Unnamed, DiffId), StoreError> {
        let input = BufReader::with_capacity(BUFFER, ReadFrom::new(file, 0));
        Unnamed::make(&self.paths, |out, path| {
            rootfs::expand_layer(input, limit, out).map_err(|error| match error {
                RootfsError::Table(TableError::Write(error)) => cannot_write(path, error),
                error => StoreError::Layer { object: object.to_owned(), error },
            })
        })
    }

    fn commit_layer(
        &self,
        blob: Sha256,
        (made, diff_id): (Unnamed, DiffId),
    ) -> Result<StoredLayer, StoreError> {
        let expanded = made.commit(&self.paths, blob, Origin::Layer { diff_id: diff_id.0 })?;
        Ok(StoredLayer { expanded, diff_id })
    }
}
