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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::content::ReadAt;
    use crate::kind::{Explain as _, Kind};
    use crate::report::Silent;
    use crate::tree::{Device, Tree, Xattrs};

    const EPOCH: i64 = 1_700_000_000;

    fn epoch() -> Epoch {
        Epoch::new(EPOCH).unwrap()
    }

    fn path(text: &str) -> TreePath {
        TreePath::absolute(text).unwrap()
    }

    fn package(name: &str) -> Origin {
        Origin::Package(Box::from(name))
    }

    fn inode(kind: InodeKind, origin: Origin) -> Inode {
        let mode = match kind {
            InodeKind::Directory => Mode::DIRECTORY,
            InodeKind::Symlink(_) => Mode::SYMLINK,
            _ => Mode::FILE,
        };
        Inode { kind, mode, owner: Owner::ROOT, mtime: None, xattrs: Xattrs::new(), origin }
    }

    fn file(bytes: &[u8], origin: Origin) -> Inode {
        inode(InodeKind::File(Content::of_bytes(bytes)), origin)
    }

    fn tree(inodes: impl IntoIterator<Item = (&'static str, Inode)>) -> Tree {
        let mut tree = Tree::new();
        for (name, inode) in inodes {
            tree.insert(path(name), inode).unwrap();
        }
        tree
    }

    fn directory(origin: Origin) -> Inode {
        inode(InodeKind::Directory, origin)
    }

    fn plan<'tree>(tree: &'tree Tree, packages: &[&str]) -> Layer<'tree> {
        Layer::plan(tree.entries(), packages, epoch()).unwrap()
    }

    fn tar_of(layer: &Layer<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        layer.write_tar(&Silent, &mut bytes).unwrap();
        bytes
    }

    /// What `tar -tv` would say: path, type letter, link target.
    fn listing(tar: &[u8]) -> Vec<(String, char, String)> {
        tar::Archive::new(tar)
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                (path, char::from(entry.header().entry_type().as_byte()), String::from_utf8(target).unwrap())
            })
            .collect()
    }

    fn paths(tar: &[u8]) -> Vec<String> {
        listing(tar).into_iter().map(|(path, _, _)| path).collect()
    }

    #[test]
    fn directories_come_first_then_packages_in_database_order_then_the_rest() {
        let tree = tree([
            ("/etc", directory(package("alpine-baselayout"))),
            ("/etc/passwd", file(b"root", Origin::Generated)),
            ("/etc/app.conf", file(b"", Origin::Profile)),
            ("/lib", directory(package("musl"))),
            ("/lib/b.so", file(b"b", package("musl"))),
            ("/lib/a.so", file(b"a", package("musl"))),
            ("/lib/z.so", file(b"z", package("zlib"))),
            ("/lib/x.so", file(b"x", package("unlisted"))),
            ("/usr", directory(Origin::Base)),
            ("/usr/old", file(b"", Origin::Base)),
        ]);
        let tar = tar_of(&plan(&tree, &["zlib", "musl"]));
        let expected = [
            "etc/",
            "lib/",
            "usr/",
            "lib/z.so",
            "lib/a.so",
            "lib/b.so",
            "etc/app.conf",
            "etc/passwd",
            "lib/x.so",
            "usr/old",
        ];
        assert_eq!(paths(&tar), expected);
    }

    #[test]
    fn the_first_name_written_carries_the_content_and_the_others_are_hard_links() {
        let mut tree = tree([
            ("/a", directory(Origin::Base)),
            ("/a/z", file(b"twelve bytes", package("p"))),
            ("/a/other", file(b"", package("o"))),
        ]);
        let (_, number, _) = tree.entries().find(|(path, _, _)| path.as_str() == "a/z").unwrap();
        tree.link(path("/a/b"), number).unwrap();
        tree.link(path("/a/c"), number).unwrap();
        let layer = plan(&tree, &["o", "p"]);
        let entry = |path: &str, kind, target: &str| (path.to_owned(), kind, target.to_owned());
        assert_eq!(
            listing(&tar_of(&layer)),
            [
                entry("a/", '5', ""),
                entry("a/other", '0', ""),
                entry("a/b", '0', ""),
                entry("a/c", '1', "a/b"),
                entry("a/z", '1', "a/b"),
            ]
        );
        assert_eq!(layer.content_size(), 12);
    }

    #[test]
    fn a_part_of_a_tree_carries_the_content_of_a_link_whose_other_name_is_elsewhere() {
        let mut tree = tree([("/a", file(b"content", Origin::Base))]);
        let (_, number, _) = tree.entries().find(|(path, _, _)| path.as_str() == "a").unwrap();
        tree.link(path("/b"), number).unwrap();
        let part = tree.entries().filter(|(path, _, _)| path.as_str() == "b");
        let layer = Layer::plan(part, &[""; 0], epoch()).unwrap();
        assert_eq!(layer.content_size(), 7);
    }

    #[test]
    fn the_root_is_an_entry_only_if_it_differs_from_what_engines_make() {
        assert!(paths(&tar_of(&plan(&Tree::new(), &[]))).is_empty());
        let other = Inode { mode: Mode::new(0o700), ..directory(Origin::Profile) };
        let (root, mut numbers) = (TreePath::root(), Tree::new());
        let number = numbers.insert(path("/x"), directory(Origin::Base)).unwrap();
        let layer = Layer::plan([(&root, number, &other)], &[""; 0], epoch()).unwrap();
        assert_eq!(paths(&tar_of(&layer)), ["./"]);
    }

    #[test]
    fn modes_owners_times_links_devices_and_attributes_are_the_trees() {
        let xattrs: Xattrs = BTreeMap::from([(Box::from("security.capability"), Box::from(&[1, 2][..]))]);
        let owner = Owner { uid: 100, gid: 70_000 };
        let kinds = [
            ("/file", InodeKind::File(Content::of_bytes(*b"x"))),
            ("/link", InodeKind::Symlink(Box::from("/bin/busybox"))),
            ("/null", InodeKind::CharacterDevice(Device { major: 1, minor: 3 })),
            ("/pipe", InodeKind::Fifo),
            ("/sda", InodeKind::BlockDevice(Device { major: 8, minor: 0 })),
        ];
        let tree = tree(kinds.map(|(name, kind)| {
            let inode = inode(kind, Origin::Base);
            (name, Inode { mode: Mode::new(0o4711), owner, mtime: Some(5), xattrs: xattrs.clone(), ..inode })
        }));
        let tar = tar_of(&plan(&tree, &[]));
        let kinds: String = listing(&tar).iter().map(|(_, kind, _)| kind).collect();
        assert_eq!(kinds, "02364");
        for entry in tar::Archive::new(&*tar).entries().unwrap() {
            let mut entry = entry.unwrap();
            let header = entry.header();
            let numbers = (header.mode().unwrap(), header.uid().unwrap(), header.gid().unwrap());
            assert_eq!(numbers, (0o4711, 100, 70_000));
            assert_eq!(header.mtime().unwrap(), 5);
            let records = entry.pax_extensions().unwrap().unwrap();
            let keys: Vec<_> = records.map(|record| record.unwrap().key().unwrap().to_owned()).collect();
            assert_eq!(keys, ["SCHILY.xattr.security.capability"]);
        }
    }

    #[test]
    fn no_entry_is_newer_than_the_epoch_and_one_without_a_time_has_it() {
        let at = |mtime| Inode { mtime, ..file(b"", Origin::Base) };
        let tree = tree([
            ("/directory", Inode { mtime: Some(7), ..directory(Origin::Base) }),
            ("/new", at(Some(EPOCH + 1))),
            ("/none", at(None)),
            ("/old", at(Some(EPOCH - 1))),
        ]);
        let tar = tar_of(&plan(&tree, &[]));
        let times: Vec<u64> = tar::Archive::new(&*tar)
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().header().mtime().unwrap())
            .collect();
        assert_eq!(times, [7, EPOCH, EPOCH, EPOCH - 1].map(i64::cast_unsigned));
    }

    /// Files of many sizes, some larger than a chunk, in two packages and none.
    fn large() -> Tree {
        let noise = |length: usize| -> Vec<u8> {
            (0..length).map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[3] >> 3).collect()
        };
        tree([
            ("/a", file(&noise(3_000_000), package("a"))),
            ("/b", file(&noise(1), package("a"))),
            ("/c", file(&noise(deflate::CHUNK - 512), package("b"))),
            ("/d", file(&noise(700_000), Origin::Profile)),
            ("/e", file(b"", Origin::Profile)),
        ])
    }

    #[test]
    fn the_compressed_layer_inflates_to_the_tar_and_all_digests_and_sizes_are_true() {
        let tree = large();
        let layer = plan(&tree, &["a", "b"]);
        let mut plain = Vec::new();
        let diff_id = layer.write_tar(&Silent, &mut plain).unwrap();
        let mut packed = Vec::new();
        let descriptor = layer.compress(NonZeroUsize::MIN, &Silent, &mut packed).unwrap();
        let mut inflated = Vec::new();
        flate2::read::MultiGzDecoder::new(&*packed).read_to_end(&mut inflated).unwrap();
        assert!(inflated == plain);
        assert_eq!(
            descriptor,
            LayerDescriptor {
                diff_id: DiffId(Sha256::of(&plain)),
                digest: Sha256::of(&packed),
                size: packed.len() as u64,
                tar_size: plain.len() as u64,
            }
        );
        assert_eq!(diff_id, descriptor.diff_id);
        assert_eq!(layer.tar_size(), plain.len() as u64);
        assert_eq!(layer.content_size(), 3_000_000 + 1 + deflate::CHUNK as u64 - 512 + 700_000);
    }

    #[test]
    fn the_number_of_jobs_does_not_change_a_byte() {
        let tree = large();
        let layer = plan(&tree, &["b", "a"]);
        let [one, eight] = [1, 8].map(|jobs| {
            let mut packed = Vec::new();
            layer.compress(NonZeroUsize::new(jobs).unwrap(), &Silent, &mut packed).unwrap();
            packed
        });
        assert!(one == eight);
    }

    #[test]
    fn a_packages_compressed_segment_does_not_depend_on_what_is_around_it() {
        let compressed = |inodes: Vec<(&'static str, Inode)>| {
            let tree = tree(inodes);
            let mut packed = Vec::new();
            plan(&tree, &["a", "p", "z"]).compress(NonZeroUsize::MIN, &Silent, &mut packed).unwrap();
            packed
        };
        let own = || ("/own", file(b"of the package", package("p")));
        let alone = compressed(vec![own()]);
        let among = compressed(vec![
            ("/a", file(b"before", package("a"))),
            own(),
            ("/z", file(b"after", package("z"))),
            ("/zz", file(b"rest", Origin::Profile)),
        ]);
        // The members of the package alone: its own, and that of the end.
        let end = compressed(vec![]);
        let segment = alone.strip_suffix(&*end).unwrap();
        assert!(among.windows(segment.len()).any(|window| window == segment));
    }

    /// A source of zeros whose recorded digest is another's.
    struct Damaged;

    impl ReadAt for Damaged {
        fn read_exact_at(&self, buffer: &mut [u8], _: u64) -> io::Result<()> {
            buffer.fill(0);
            Ok(())
        }

        fn length(&self) -> u64 {
            u64::MAX
        }

        fn describe(&self) -> String {
            "store/expanded/x.tar".to_owned()
        }
    }

    #[test]
    fn bytes_that_changed_since_they_were_recorded_are_an_error_that_names_the_file() {
        let content = Content::slice(std::sync::Arc::new(Damaged), 0, 2_000_000, Sha256::of(b"other"));
        let tree = tree([
            ("/lib", directory(Origin::Base)),
            ("/lib/x", inode(InodeKind::File(content), Origin::Base)),
        ]);
        let layer = plan(&tree, &[]);
        for error in [
            layer.compress(NonZeroUsize::MIN, &Silent, &mut Vec::new()).map(|_| ()).unwrap_err(),
            layer.write_tar(&Silent, &mut Vec::new()).map(|_| ()).unwrap_err(),
        ] {
            assert_eq!(error.kind(), Kind::Integrity);
            assert!(error.to_string().starts_with("/lib/x: store/expanded/x.tar has changed"), "{error}");
        }
    }

    #[test]
    fn a_full_disk_is_an_error_of_kind_limit() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let tree = large();
        let layer = plan(&tree, &[]);
        let error = layer.compress(NonZeroUsize::MIN, &Silent, &mut Full).unwrap_err();
        assert_eq!(error.kind(), Kind::Limit);
        assert_eq!(layer.write_tar(&Silent, &mut Full).unwrap_err().kind(), Kind::Limit);
    }

    #[test]
    fn a_device_that_would_delete_a_file_is_refused() {
        let whiteout = inode(InodeKind::CharacterDevice(Device { major: 0, minor: 0 }), Origin::Base);
        let tree = tree([("/x", whiteout)]);
        let error = Layer::plan(tree.entries(), &[""; 0], epoch()).unwrap_err();
        assert!(matches!(error, ImageError::WhiteoutDevice { .. }), "{error}");
    }

    /// Counts, and stops after so many questions.
    #[derive(Default)]
    struct Impatient {
        questions: AtomicUsize,
        patience: usize,
        said: Mutex<Vec<String>>,
        advanced: Mutex<u64>,
    }

    impl Reporter for Impatient {
        fn begin(&self, step: Step, total: u64) {
            self.said.lock().unwrap().push(format!("begin {step} {total}"));
        }

        fn advance(&self, _: Step, amount: u64, _: &str) {
            *self.advanced.lock().unwrap() += amount;
        }

        fn end(&self, step: Step) {
            self.said.lock().unwrap().push(format!("end {step}"));
        }

        fn interrupted(&self) -> bool {
            self.questions.fetch_add(1, Ordering::SeqCst) >= self.patience
        }
    }

    #[test]
    fn an_interrupted_layer_ends_in_the_middle_of_a_file() {
        let tree = large();
        let layer = plan(&tree, &["a"]);
        let reporter = Impatient { patience: 10, ..Impatient::default() };
        let mut packed = Vec::new();
        let error = layer.compress(NonZeroUsize::MIN, &reporter, &mut packed).unwrap_err();
        assert_eq!(error.kind(), Kind::Interrupted);
        assert_eq!(reporter.questions.into_inner(), 11);
    }

    #[test]
    fn the_reporter_hears_of_every_byte() {
        let tree = large();
        let layer = plan(&tree, &["a"]);
        let reporter = Impatient { patience: usize::MAX, ..Impatient::default() };
        layer.compress(NonZeroUsize::MIN, &reporter, &mut io::sink()).unwrap();
        assert_eq!(
            *reporter.said.lock().unwrap(),
            [format!("begin squash {}", layer.tar_size()), "end squash".into()]
        );
        assert_eq!(*reporter.advanced.lock().unwrap(), layer.tar_size());
    }
}
