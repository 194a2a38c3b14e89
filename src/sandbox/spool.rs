//! Where the files that programs wrote are kept until the image is written: one file without a name, to which is
//! only ever added.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::content::{Content, ReadAt};
use crate::digest::{Sha256, Sha256Hasher};
use crate::root::{FileError, nameless_file};

/// How much is copied at a time.
const BUFFER: usize = 128 * 1024;

/// The files that programs wrote, one behind the other.
#[derive(Debug)]
pub struct Spool {
    file: Arc<SpoolFile>,
    length: u64,
}

#[derive(Debug)]
struct SpoolFile {
    file: File,
    directory: PathBuf,
}

impl ReadAt for SpoolFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn length(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.len())
    }

    fn describe(&self) -> String {
        format!("what programs wrote, kept in {}", self.directory.display())
    }
}

/// Why something could not be copied to the spool.
#[derive(Debug)]
pub(super) enum SpoolError {
    /// It could not be read.
    Read(io::Error),
    /// The spool could not be written.
    Write(FileError),
}

/// What was copied. Dropped, its place is written over.
pub(super) struct Copied<'a> {
    spool: &'a mut Spool,
    length: u64,
    digest: Sha256,
}

impl Spool {
    /// An empty spool in `directory`.
    pub fn create(directory: &Path) -> Result<Self, FileError> {
        let file = SpoolFile { file: nameless_file(directory)?, directory: directory.to_owned() };
        Ok(Self { file: Arc::new(file), length: 0 })
    }

    /// Copies the `length` bytes that `input` has.
    pub(super) fn copy(&mut self, input: impl Read, length: u64) -> Result<Copied<'_>, SpoolError> {
        let mut input = input.take(length);
        let mut hasher = Sha256Hasher::default();
        let mut buffer = vec![0; BUFFER.min(usize::try_from(length).unwrap_or(BUFFER))];
        let mut copied = 0;
        while copied < length {
            let count = input.read(&mut buffer).map_err(SpoolError::Read)?;
            if count == 0 {
                return Err(SpoolError::Read(io::ErrorKind::UnexpectedEof.into()));
            }
            let part = buffer.get(..count).unwrap_or_default();
            hasher.update(part);
            let at = self.length.saturating_add(copied);
            self.file
                .file
                .write_all_at(part, at)
                .map_err(FileError::on("write a file in", &self.file.directory))
                .map_err(SpoolError::Write)?;
            copied = copied.saturating_add(count as u64);
        }
        Ok(Copied { spool: self, length, digest: hasher.finish() })
    }
}

impl Copied<'_> {
    /// Whether it has the bytes of `content`.
    pub(super) fn is(&self, content: &Content) -> bool {
        self.length == content.length() && self.digest == content.digest()
    }

    /// Keeps it.
    pub(super) fn keep(self) -> Content {
        let offset = self.spool.length;
        self.spool.length = offset.saturating_add(self.length);
        let source: Arc<dyn ReadAt> = Arc::<SpoolFile>::clone(&self.spool.file);
        Content::slice(source, offset, self.length, self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy<'a>(spool: &'a mut Spool, text: &str) -> Copied<'a> {
        spool.copy(text.as_bytes(), text.len() as u64).unwrap_or_else(|error| panic!("{error:?}"))
    }

    #[test]
    fn what_is_kept_stays_and_what_is_not_is_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = Spool::create(directory.path()).unwrap();
        let first = copy(&mut spool, "first").keep();
        assert!(copy(&mut spool, "first").is(&first));
        assert!(!copy(&mut spool, "fir").is(&first));
        let empty = copy(&mut spool, "").keep();
        let second = copy(&mut spool, "the second").keep();
        assert_eq!(first.to_vec().unwrap(), b"first");
        assert_eq!(empty.to_vec().unwrap(), b"");
        assert_eq!(second.to_vec().unwrap(), b"the second");
        assert_eq!(spool.file.length(), 15);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_is_shorter_than_it_said_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = Spool::create(directory.path()).unwrap();
        assert!(matches!(spool.copy(&b"short"[..], 6), Err(SpoolError::Read(_))));
    }
}
