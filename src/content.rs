//! The bytes of a file: a slice of something that does not change, together with its digest.
//!
//! A [`Content`] is cheap to clone and holds no bytes of its own unless it was made of some. Whatever
//! copies it out hashes it in the same pass, so bytes that changed underneath (a damaged cache) are an
//! error and never reach an image unseen.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use crate::digest::{Sha256, Sha256Hasher};
use crate::kind::{Explain, Kind, SystemWords, hint_of_io};

/// How much is copied at a time.
const COPY_BUFFER: usize = 128 * 1024;

/// Something immutable that can be read at any offset.
pub trait ReadAt: Send + Sync {
    /// Fills `buffer` from `offset`; an error if the source ends before.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// The length in bytes.
    fn length(&self) -> u64;

    /// What it is called in messages: a path, as a rule.
    fn describe(&self) -> String;
}

/// Reads a [`ReadAt`] from an offset to its end, without a position of its own in the system.
pub struct ReadFrom<'a> {
    source: &'a dyn ReadAt,
    at: u64,
}

impl<'a> ReadFrom<'a> {
    /// `source` from `offset` on.
    pub fn new(source: &'a dyn ReadAt, offset: u64) -> Self {
        Self { source, at: offset }
    }
}

impl Read for ReadFrom<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.source.length().saturating_sub(self.at);
        let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let part = buffer.get_mut(..wanted).unwrap_or_default();
        self.source.read_exact_at(part, self.at)?;
        self.at = self.at.saturating_add(wanted as u64);
        Ok(wanted)
    }
}

/// The SHA-256 of `source` from `offset` to its end.
pub fn sha256_from(source: &dyn ReadAt, offset: u64) -> io::Result<Sha256> {
    let mut reader = ReadFrom::new(source, offset);
    let mut hasher = Sha256Hasher::default();
    let mut buffer = vec![0; COPY_BUFFER];
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
    }
}

/// A file opened for reading, with the path it was opened by.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    length: u64,
    path: PathBuf,
}

impl OpenFile {
    /// Wraps `file`, which was opened at `path`.
    pub fn new(file: File, path: PathBuf) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file, length, path })
    }
}

impl ReadAt for OpenFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn length(&self) -> u64 {
        self.length
    }

    fn describe(&self) -> String {
        self.path.display().to_string()
    }
}

/// A file that is opened anew for each read, for whoever has more files than a process may have open.
#[derive(Debug)]
pub struct ClosedFile {
    path: PathBuf,
    length: u64,
}

impl ClosedFile {
    /// The file at `path`, which has `length` bytes.
    pub fn new(path: PathBuf, length: u64) -> Self {
        Self { path, length }
    }
}

impl ReadAt for ClosedFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        // What is a pipe meanwhile, or a device, is not waited for: it cannot be read at an offset.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        File::from(rustix::fs::open(&self.path, flags, Mode::empty())?).read_exact_at(buffer, offset)
    }

    fn length(&self) -> u64 {
        self.length
    }

    fn describe(&self) -> String {
        self.path.display().to_string()
    }
}

/// Bytes in memory.
pub(crate) struct Memory(pub(crate) Box<[u8]>);

impl ReadAt for Memory {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let wanted = usize::try_from(offset)
            .ok()
            .and_then(|start| self.0.get(start..start.checked_add(buffer.len())?))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(wanted);
        Ok(())
    }

    fn length(&self) -> u64 {
        self.0.len() as u64
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }
}

/// Why content could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// The source could not be read.
    #[error("cannot read {length} bytes at {offset} of {source_name}: {}", SystemWords(.error))]
    Read {
        /// What was read.
        source_name: String,
        /// Where the content begins in it, in bytes.
        offset: u64,
        /// How long the content is, in bytes.
        length: u64,
        /// What the system said.
        error: io::Error,
    },
    /// The bytes are not those that were recorded.
    #[error(
        "{source_name} has changed: {length} bytes at {offset} have SHA-256 {got}, recorded was {expected}"
    )]
    Changed {
        /// What was read.
        source_name: String,
        /// Where the content begins in it, in bytes.
        offset: u64,
        /// How long the content is, in bytes.
        length: u64,
        /// The recorded digest.
        expected: Sha256,
        /// The digest of what is there.
        got: Sha256,
    },
    /// The place the bytes were copied to refused them.
    #[error("cannot write: {}", SystemWords(.0))]
    Write(io::Error),
}

impl Explain for ContentError {
    fn kind(&self) -> Kind {
        match self {
            Self::Read { error, .. } | Self::Write(error) => Kind::of_io(error),
            Self::Changed { .. } => Kind::Integrity,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Read { error, .. } | Self::Write(error) => hint_of_io(error),
            Self::Changed { .. } => None,
        }
    }
}

/// The bytes of a file.
#[derive(Clone)]
pub struct Content(Arc<Slice>);

/// A slice of something, which may be of a great many files: each is small where it is not looked at.
struct Slice {
    source: Arc<dyn ReadAt>,
    offset: u64,
    length: u64,
    digest: Sha256,
}

impl Content {
    /// Content made of bytes in memory.
    #[must_use]
    pub fn of_bytes(bytes: impl Into<Box<[u8]>>) -> Self {
        let bytes = bytes.into();
        let digest = Sha256::of(&bytes);
        let length = bytes.len() as u64;
        Self::slice(Arc::new(Memory(bytes)), 0, length, digest)
    }

    /// The `length` bytes at `offset` of `source`, whose digest was recorded as `digest`.
    #[must_use]
    pub fn slice(source: Arc<dyn ReadAt>, offset: u64, length: u64, digest: Sha256) -> Self {
        Self(Arc::new(Slice { source, offset, length, digest }))
    }

    /// The length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.0.length
    }

    /// The recorded SHA-256.
    #[must_use]
    pub fn digest(&self) -> Sha256 {
        self.0.digest
    }

    /// All of it, checked against the digest. For small files: configuration, databases, scripts.
    pub fn to_vec(&self) -> Result<Vec<u8>, ContentError> {
        let mut bytes = Vec::new();
        self.copy_to(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes all of it to `out`, checked against the digest. On an error `out` may hold a part.
    pub fn copy_to(&self, out: &mut impl Write) -> Result<(), ContentError> {
        let mut reader = self.reader();
        let mut buffer = vec![0; COPY_BUFFER.min(usize::try_from(self.length()).unwrap_or(COPY_BUFFER))];
        loop {
            let filled = reader.fill(&mut buffer)?;
            if filled == 0 {
                return Ok(());
            }
            out.write_all(buffer.get(..filled).unwrap_or_default()).map_err(ContentError::Write)?;
        }
    }

    /// Reads it piece by piece; the read that reaches the end checks the digest.
    #[must_use]
    pub fn reader(&self) -> ContentReader<'_> {
        ContentReader { content: self, position: 0, hasher: Some(Sha256Hasher::default()) }
    }

    /// Fills `buffer` from `offset` *without* checking the digest: for looking at the head of a file.
    pub fn peek(&self, buffer: &mut [u8], offset: u64) -> Result<(), ContentError> {
        let end = offset.checked_add(buffer.len() as u64);
        let inside = end.is_some_and(|end| end <= self.length());
        let result = if inside {
            self.0.source.read_exact_at(buffer, self.0.offset.saturating_add(offset))
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        };
        result.map_err(|error| self.read_error(error))
    }

    fn read_error(&self, error: io::Error) -> ContentError {
        ContentError::Read {
            source_name: self.0.source.describe(),
            offset: self.0.offset,
            length: self.0.length,
            error,
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes, {})", self.length(), self.digest())
    }
}

/// Content is equal when its bytes are.
impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.length() == other.length() && self.digest() == other.digest()
    }
}

impl Eq for Content {}

/// Reads a [`Content`] from its beginning to its end.
pub struct ContentReader<'a> {
    content: &'a Content,
    position: u64,
    hasher: Option<Sha256Hasher>,
}

impl ContentReader<'_> {
    /// Fills `buffer` as far as there are bytes and returns how many were put there; 0 at the end.
    ///
    /// The call that reaches the end checks the digest of the whole.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, ContentError> {
        let left = self.content.0.length.saturating_sub(self.position);
        let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let Some(part) = buffer.get_mut(..wanted) else { return Ok(0) };
        if !part.is_empty() {
            let at = self.content.0.offset.saturating_add(self.position);
            self.content.0.source.read_exact_at(part, at).map_err(|error| self.content.read_error(error))?;
        }
        self.position = self.position.saturating_add(wanted as u64);
        if let Some(hasher) = &mut self.hasher {
            hasher.update(part);
        }
        if self.position == self.content.0.length {
            self.check()?;
        }
        Ok(wanted)
    }

    fn check(&mut self) -> Result<(), ContentError> {
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        let got = hasher.finish();
        if got == self.content.0.digest {
            return Ok(());
        }
        Err(ContentError::Changed {
            source_name: self.content.0.source.describe(),
            offset: self.content.0.offset,
            length: self.content.0.length,
            expected: self.content.0.digest,
            got,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_of_bytes_reads_back() {
        let content = Content::of_bytes(*b"hello");
        assert_eq!(content.to_vec().unwrap(), b"hello");
        assert_eq!(content.length(), 5);
        assert_eq!(Content::of_bytes(*b"").to_vec().unwrap(), b"");
    }

    #[test]
    fn bytes_that_are_not_the_recorded_ones_are_an_error() {
        let source: Arc<dyn ReadAt> = Arc::new(Memory(Box::from(*b"xxhelloyy")));
        let right = Content::slice(Arc::clone(&source), 2, 5, Sha256::of(b"hello"));
        assert_eq!(right.to_vec().unwrap(), b"hello");
        let wrong = Content::slice(Arc::clone(&source), 1, 5, Sha256::of(b"hello"));
        assert!(matches!(wrong.to_vec(), Err(ContentError::Changed { .. })));
        let short = Content::slice(source, 6, 5, Sha256::of(b"hello"));
        assert!(matches!(short.to_vec(), Err(ContentError::Read { .. })));
    }

    #[test]
    fn a_peek_sees_only_the_slice() {
        let content = Content::of_bytes(*b"#!/bin/sh\n");
        let mut head = [0; 2];
        content.peek(&mut head, 0).unwrap();
        assert_eq!(&head, b"#!");
        assert!(content.peek(&mut [0; 11], 0).is_err());
    }
}
