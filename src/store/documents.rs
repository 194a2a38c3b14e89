//! Documents: what was read from a URL, and what tells its state.
//!
//! A reference is the blob's SHA-256 in a line, and a line for each validator. A line that is none is as if it were not
//! there.

use std::fmt::Write as _;

use super::expanded::if_there;
use super::{Store, StoreError, read_reference};
use crate::digest::Sha256;
use crate::root;

/// The longest reference to a document, in bytes, and the longest validator in it.
const MAX_DOCUMENT_REFERENCE: u64 = 4096;
const MAX_VALIDATOR: usize = 1024;
/// The lines of a reference to a document, below its blob.
const ENTITY_TAG: &str = "etag ";
const LAST_MODIFIED: &str = "last-modified ";

/// A document that was read from a URL, with what its server said to tell this state of it from others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// `ETag`.
    pub entity_tag: Option<String>,
    /// `Last-Modified`.
    pub last_modified: Option<String>,
}

impl Store {
    /// What was last read from `url`, if the store has it and it is not longer than `limit` bytes.
    pub fn recall_document(&self, url: &str, limit: u64) -> Result<Option<Document>, StoreError> {
        let path = self.paths.url(url);
        let Some(reference) = read_reference(&path, MAX_DOCUMENT_REFERENCE)? else { return Ok(None) };
        let Some((blob, document)) = parse_document_reference(&reference) else { return Ok(None) };
        let Some(bytes) = if_there(root::read_file(&self.paths.blob(blob), limit))? else { return Ok(None) };
        if Sha256::of(&bytes) != blob {
            self.drop_blob(blob)?;
            return Ok(None);
        }
        self.touch(blob);
        Ok(Some(Document { bytes, ..document }))
    }

    /// Keeps what was read from `url`.
    pub fn add_document(&self, url: &str, document: &Document) -> Result<(), StoreError> {
        let copy = self.copy_in(url, document.bytes.as_slice(), None, &mut ())?;
        copy.temporary.commit(&self.paths.blob(copy.sha256))?;
        let mut reference = format!("{}\n", copy.sha256);
        for (key, value) in [(ENTITY_TAG, &document.entity_tag), (LAST_MODIFIED, &document.last_modified)] {
            if let Some(value) = value.as_ref().filter(|value| is_validator(value)) {
                let _ = writeln!(reference, "{key}{value}");
            }
        }
        self.refer(&self.paths.url(url), &reference)
    }
}

/// The blob and the validators of a document. A line that is none is as if it were not there.
fn parse_document_reference(bytes: &[u8]) -> Option<(Sha256, Document)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.strip_suffix('\n')?.split('\n');
    let blob = lines.next()?.parse().ok()?;
    let mut document = Document::default();
    for line in lines {
        let value =
            |key| line.strip_prefix(key).filter(|value: &&str| is_validator(value)).map(str::to_owned);
        document.entity_tag = document.entity_tag.or_else(|| value(ENTITY_TAG));
        document.last_modified = document.last_modified.or_else(|| value(LAST_MODIFIED));
    }
    Some((blob, document))
}

/// Whether it can be kept in a line.
fn is_validator(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_VALIDATOR && !text.chars().any(char::is_control)
}
