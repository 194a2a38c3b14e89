//! Writing a planned layer: its tar, hashed on the way, plain or compressed.
//!
//! The feeding thread reads files, checks them and hashes the tar; the calling thread hashes what is
//! compressed and writes it; all others compress.

use std::io::{self, BufWriter, Write};
use std::num::NonZeroUsize;

use crate::archive::chunked::{self, Chunker};
use crate::archive::codec::Codec;
use crate::archive::tar_write;
use crate::content::{Content, ContentError};
use crate::digest::{DiffId, Sha256Hasher};
use crate::image::{Epoch, ImageError};
use crate::path::TreePath;
use crate::report::{Reporter, Step};

use super::{Compression, Layer, LayerDescriptor, Planned, Segment};

/// How much of a file is read at a time: small enough to stay in a processor's cache between reading,
/// hashing and copying.
const READ_BUFFER: usize = 64 * 1024;

/// After how many bytes of tar the reporter hears of it.
const REPORT_EVERY: u64 = 1 << 20;

impl Layer<'_> {
    /// Writes the tar as it is, and returns its digest. Reports [`Step::Squash`] in bytes of tar.
    pub fn write_tar(&self, reporter: &dyn Reporter, out: &mut impl Write) -> Result<DiffId, ImageError> {
        let mut hashing = Hashing::new(Plain(BufWriter::with_capacity(READ_BUFFER, out)));
        self.write_entries(reporter, &mut hashing)?;
        hashing.flush().map_err(not_written)?;
        Ok(DiffId(hashing.hasher.finish()))
    }

    /// Writes the tar as it shall be stored, compressing on `jobs` threads, and returns what it is known by.
    /// The bytes do not depend on `jobs`. Reports [`Step::Squash`] in bytes of tar. On an error `out` may have
    /// been given a part.
    pub fn pack(
        &self,
        compression: Compression,
        jobs: NonZeroUsize,
        reporter: &dyn Reporter,
        out: &mut impl Write,
    ) -> Result<LayerDescriptor, ImageError> {
        match compression {
            Compression::Uncompressed => {
                let diff_id = self.write_tar(reporter, out)?;
                let (digest, size) = (diff_id.0, self.tar_size);
                Ok(LayerDescriptor { diff_id, digest, size, tar_size: size, algorithm: None })
            }
            Compression::Compressed(codec) => self.compress(codec, jobs, reporter, out),
        }
    }

    fn compress(
        &self,
        codec: Codec,
        jobs: NonZeroUsize,
        reporter: &dyn Reporter,
        out: &mut impl Write,
    ) -> Result<LayerDescriptor, ImageError> {
        let mut hasher = Sha256Hasher::default();
        let mut size = 0;
        let diff_id = chunked::compress(
            codec,
            jobs,
            |chunker| {
                let mut hashing = Hashing::new(chunker);
                self.write_entries(reporter, &mut hashing)?;
                Ok(DiffId(hashing.hasher.finish()))
            },
            |piece| {
                hasher.update(piece);
                size += piece.len() as u64;
                out.write_all(piece).map_err(not_written)
            },
        )?;
        out.flush().map_err(not_written)?;
        let algorithm = Some(codec.algorithm());
        Ok(LayerDescriptor { diff_id, digest: hasher.finish(), size, tar_size: self.tar_size, algorithm })
    }

    fn write_entries(&self, reporter: &dyn Reporter, out: &mut impl Segmented) -> Result<(), ImageError> {
        reporter.begin(Step::Squash, self.tar_size);
        let mut writer = EntryWriter {
            out,
            progress: Progress { reporter, unreported: 0 },
            head: Vec::new(),
            buffer: vec![0; READ_BUFFER],
        };
        let mut segment = Segment::Directories;
        for planned in &self.entries {
            if planned.segment != segment {
                writer.out.end_segment().map_err(not_written)?;
                segment = planned.segment;
            }
            writer.write(planned, self.epoch)?;
        }
        // The end is part of the rest, even if that has nothing else: a package's segment never has it.
        if segment != Segment::Rest {
            writer.out.end_segment().map_err(not_written)?;
        }
        writer.out.write_all(tar_write::END).map_err(not_written)?;
        writer.progress.advance(tar_write::END.len() as u64, "");
        writer.progress.report("");
        reporter.end(Step::Squash);
        Ok(())
    }
}

fn not_written(error: io::Error) -> ImageError {
    ImageError::Write { what: "the layer", error }
}

/// Writes entries one after the other; its buffers serve all of them.
struct EntryWriter<'a, W> {
    out: &'a mut W,
    progress: Progress<'a>,
    head: Vec<u8>,
    buffer: Vec<u8>,
}

impl<W: Segmented> EntryWriter<'_, W> {
    fn write(&mut self, planned: &Planned<'_>, epoch: Epoch) -> Result<(), ImageError> {
        self.progress.check()?;
        self.head.clear();
        planned.tar_entry(epoch).append_head(&mut self.head)?;
        self.out.write_all(&self.head).map_err(not_written)?;
        self.progress.advance(self.head.len() as u64, planned.path.as_str());
        match planned.content() {
            Some(content) => self.copy(planned.path, content),
            None => Ok(()),
        }
    }

    fn copy(&mut self, path: &TreePath, content: &Content) -> Result<(), ImageError> {
        let file_error =
            |error: ContentError| ImageError::File { path: path.clone(), error: Box::new(error) };
        let mut reader = content.reader();
        loop {
            let filled = reader.fill(&mut self.buffer).map_err(file_error)?;
            if filled == 0 {
                break;
            }
            self.out.write_all(self.buffer.get(..filled).unwrap_or_default()).map_err(not_written)?;
            self.progress.advance(filled as u64, path.as_str());
            self.progress.check()?;
        }
        let padding = tar_write::padding(content.length());
        self.out.write_all(padding).map_err(not_written)?;
        self.progress.advance(padding.len() as u64, path.as_str());
        Ok(())
    }
}

/// Tells the reporter now and then.
struct Progress<'a> {
    reporter: &'a dyn Reporter,
    unreported: u64,
}

impl Progress<'_> {
    fn advance(&mut self, amount: u64, object: &str) {
        self.unreported += amount;
        if self.unreported >= REPORT_EVERY {
            self.report(object);
        }
    }

    fn report(&mut self, object: &str) {
        self.reporter.advance(Step::Squash, self.unreported, object);
        self.unreported = 0;
    }

    fn check(&self) -> Result<(), ImageError> {
        if self.reporter.interrupted() { Err(ImageError::Interrupted { what: "the layer" }) } else { Ok(()) }
    }
}

/// Somewhere a tar goes that may care where segments end.
trait Segmented: Write {
    fn end_segment(&mut self) -> io::Result<()>;
}

impl Segmented for &mut Chunker {
    fn end_segment(&mut self) -> io::Result<()> {
        Chunker::end_segment(self)
    }
}

/// A place that does not care.
struct Plain<W>(W);

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write> Segmented for Plain<W> {
    fn end_segment(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hashes what passes through.
struct Hashing<W> {
    inner: W,
    hasher: Sha256Hasher,
}

impl<W> Hashing<W> {
    fn new(inner: W) -> Self {
        Self { inner, hasher: Sha256Hasher::default() }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Segmented> Segmented for Hashing<W> {
    fn end_segment(&mut self) -> io::Result<()> {
        self.inner.end_segment()
    }
}
