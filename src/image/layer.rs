//! A layer: which entries a tar has and in which order, and the tar itself, plain or compressed.
//!
//! The order: all directories, sorted; then a segment for each package, in the order of the installed
//! database, sorted within; then a segment of everything else. A package's segment so depends on the
//! package alone. Of the names of one inode the first in this order carries the content, the others are
//! hard links to it. The root has an entry only if it is not `0755 0:0` as every engine makes it.
//!
//! Planning is pure and finds everything that tar could refuse; writing reads each file once, checks it
//! against its digest and stops when the user asks to.
//!
//! Source: design, "Bytes"; spec/image, "Layer"; the OCI image layer specification.

use std::collections::HashMap;
use std::io::{self, BufWriter, Write};
use std::num::NonZeroUsize;

use crate::archive::deflate::{self, Chunker};
use crate::archive::tar_write::{self, Entry, EntryKind};
use crate::content::{Content, ContentError};
use crate::digest::{DiffId, Sha256, Sha256Hasher};
use crate::path::TreePath;
use crate::report::{Reporter, Step};
use crate::tree::{Inode, InodeKind, InodeNumber, Mode, Origin, Owner};

use super::{Epoch, ImageError};

/// How much of a file is read at a time: small enough to stay in a processor's cache between reading,
/// hashing and copying.
const READ_BUFFER: usize = 64 * 1024;

/// After how many bytes of tar the reporter hears of it.
const REPORT_EVERY: u64 = 1 << 20;

/// What a finished, compressed layer is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerDescriptor {
    /// The digest of the tar.
    pub diff_id: DiffId,
    /// The digest of the compressed tar.
    pub digest: Sha256,
    /// The length of the compressed tar, in bytes.
    pub size: u64,
    /// The length of the tar, in bytes.
    pub tar_size: u64,
}

/// The plan of a layer: its entries in their order. Borrowed from a tree, and holding no content.
#[derive(Debug)]
pub struct Layer<'tree> {
    entries: Vec<Planned<'tree>>,
    epoch: Epoch,
    tar_size: u64,
    content_size: u64,
}

#[derive(Debug)]
struct Planned<'tree> {
    segment: Segment,
    path: &'tree TreePath,
    inode: &'tree Inode,
    /// The name that came first, if this is another one of the same inode.
    first_name: Option<&'tree TreePath>,
}

/// The part of a layer an entry is in. Parts come in the order of this type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Directories,
    /// The package's place in the database.
    Package(usize),
    Rest,
}

impl<'tree> Layer<'tree> {
    /// Plans a layer of `entries`: those of a whole tree ([`Tree::entries`](crate::tree::Tree::entries)),
    /// or the part of it that this layer shall have.
    ///
    /// `packages` are the names of the packages in database order; files of packages that are not named
    /// are among the rest.
    pub fn plan(
        entries: impl IntoIterator<Item = (&'tree TreePath, InodeNumber, &'tree Inode)>,
        packages: &[impl AsRef<str>],
        epoch: Epoch,
    ) -> Result<Self, ImageError> {
        let places: HashMap<&str, usize> =
            packages.iter().enumerate().rev().map(|(place, name)| (name.as_ref(), place)).collect();
        let mut sorted: Vec<_> = entries
            .into_iter()
            .filter(|(path, _, inode)| !(path.is_root() && is_plain_root(inode)))
            .map(|(path, number, inode)| (Segment::of(inode, &places), path, number, inode))
            .collect();
        sorted.sort_by(|one, other| (one.0, one.1).cmp(&(other.0, other.1)));

        let mut first_names = HashMap::new();
        let mut layer =
            Self { entries: Vec::with_capacity(sorted.len()), epoch, tar_size: 0, content_size: 0 };
        let mut head = Vec::new();
        for (segment, path, number, inode) in sorted {
            refuse_whiteout(path, inode)?;
            let first = *first_names.entry(number).or_insert(path);
            let planned = Planned { segment, path, inode, first_name: (first != path).then_some(first) };
            head.clear();
            let entry = planned.tar_entry(epoch);
            entry.append_head(&mut head)?;
            let size = entry.content_size();
            layer.tar_size += head.len() as u64 + size + tar_write::padding(size).len() as u64;
            layer.content_size += size;
            layer.entries.push(planned);
        }
        layer.tar_size += tar_write::END.len() as u64;
        Ok(layer)
    }

    /// The length of the tar, in bytes.
    #[must_use]
    pub fn tar_size(&self) -> u64 {
        self.tar_size
    }

    /// The sum of the lengths of all files, hard links counted once: what docker calls an image's size.
    #[must_use]
    pub fn content_size(&self) -> u64 {
        self.content_size
    }

    /// How many entries the tar has.
    #[must_use]
    pub fn entry_count(&self) -> usize {
        self.entries.len()
    }

    /// Writes the tar as it is, and returns its digest. Reports [`Step::Squash`] in bytes of tar.
    pub fn write_tar(&self, reporter: &dyn Reporter, out: &mut impl Write) -> Result<DiffId, ImageError> {
        let mut hashing = Hashing::new(Plain(BufWriter::with_capacity(READ_BUFFER, out)));
        self.write_entries(reporter, &mut hashing)?;
        hashing.flush().map_err(not_written)?;
        Ok(DiffId(hashing.hasher.finish()))
    }

    /// Writes the compressed tar, deflating on `jobs` threads, and returns what it is known by. The bytes
    /// do not depend on `jobs`. Reports [`Step::Squash`] in bytes of tar. On an error `out` may have been
    /// given a part.
    pub fn compress(
        &self,
        jobs: NonZeroUsize,
        reporter: &dyn Reporter,
        out: &mut impl Write,
    ) -> Result<LayerDescriptor, ImageError> {
        let mut hasher = Sha256Hasher::default();
        let mut size = 0;
        let diff_id = deflate::compress(
            jobs,
            |chunker| {
                let mut hashing = Hashing::new(chunker);
                self.write_entries(reporter, &mut hashing)?;
                Ok(DiffId(hashing.hasher.finish()))
            },
            |member| {
                hasher.update(member);
                size += member.len() as u64;
                out.write_all(member).map_err(not_written)
            },
        )?;
        out.flush().map_err(not_written)?;
        Ok(LayerDescriptor { diff_id, digest: hasher.finish(), size, tar_size: self.tar_size })
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

impl Segment {
    fn of(inode: &Inode, places: &HashMap<&str, usize>) -> Self {
        match (&inode.kind, &inode.origin) {
            (InodeKind::Directory, _) => Self::Directories,
            (_, Origin::Package(name)) => {
                places.get(&**name).map_or(Self::Rest, |place| Self::Package(*place))
            }
            (_, Origin::Base | Origin::Profile | Origin::Generated) => Self::Rest,
        }
    }
}

impl<'tree> Planned<'tree> {
    fn tar_entry(&self, epoch: Epoch) -> Entry<'tree> {
        let kind = match (self.first_name, &self.inode.kind) {
            (Some(first), _) => EntryKind::HardLink { target: first.as_str() },
            (None, InodeKind::Directory) => EntryKind::Directory,
            (None, InodeKind::File(content)) => EntryKind::File { size: content.length() },
            (None, InodeKind::Symlink(target)) => EntryKind::Symlink { target },
            (None, InodeKind::CharacterDevice(device)) => {
                EntryKind::CharacterDevice { major: device.major, minor: device.minor }
            }
            (None, InodeKind::BlockDevice(device)) => {
                EntryKind::BlockDevice { major: device.major, minor: device.minor }
            }
            (None, InodeKind::Fifo) => EntryKind::Fifo,
        };
        Entry {
            mode: self.inode.mode.bits(),
            uid: self.inode.owner.uid.into(),
            gid: self.inode.owner.gid.into(),
            mtime: epoch.clamp(self.inode.mtime),
            // A hard link has those of the entry it names.
            xattrs: self.first_name.is_none().then_some(&self.inode.xattrs),
            ..Entry::new(if self.path.is_root() { "." } else { self.path.as_str() }, kind)
        }
    }

    /// The content that follows the head, if any does.
    fn content(&self) -> Option<&'tree Content> {
        match (self.first_name, &self.inode.kind) {
            (None, InodeKind::File(content)) => Some(content),
            _ => None,
        }
    }
}

fn is_plain_root(inode: &Inode) -> bool {
    inode.mode == Mode::DIRECTORY && inode.owner == Owner::ROOT && inode.xattrs.is_empty()
}

/// Whiteout names cannot be in a tree; this is overlayfs' other way of deleting a file.
fn refuse_whiteout(path: &TreePath, inode: &Inode) -> Result<(), ImageError> {
    match inode.kind {
        InodeKind::CharacterDevice(device) if device.major == 0 && device.minor == 0 => {
            Err(ImageError::WhiteoutDevice { path: path.clone() })
        }
        _ => Ok(()),
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
