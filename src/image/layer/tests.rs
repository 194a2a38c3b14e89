//! Tests of layers with trees made by hand, read back by the `tar` crate and `flate2`.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write};
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::archive::chunked::CHUNK;
use crate::archive::codec::{Algorithm, Codec};
use crate::content::ReadAt;
use crate::kind::{Explain as _, Kind};
use crate::report::{Reporter, Silent, Step};
use crate::tree::{Device, Tree, Xattrs};

const EPOCH: i64 = 1_700_000_000;
const GZIP: Compression = Compression::Compressed(Codec::GZIP);
const ZSTD: Compression = Compression::Compressed(Codec::ZSTD);

fn epoch() -> Epoch {
    Epoch::new(EPOCH).unwrap()
}

fn path(text: &str) -> TreePath {
    TreePath::absolute(text).unwrap()
}

fn package(name: &str) -> Origin {
    Origin::Package(name.into())
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
        ("/c", file(&noise(CHUNK - 512), package("b"))),
        ("/d", file(&noise(700_000), Origin::Profile)),
        ("/e", file(b"", Origin::Profile)),
    ])
}

#[test]
fn a_stored_layer_is_the_tar_and_all_digests_and_sizes_are_true() {
    let tree = large();
    let layer = plan(&tree, &["a", "b"]);
    let mut plain = Vec::new();
    let diff_id = layer.write_tar(&Silent, &mut plain).unwrap();
    for compression in [Compression::Uncompressed, GZIP, ZSTD] {
        let mut packed = Vec::new();
        let descriptor = layer.pack(compression, NonZeroUsize::MIN, &Silent, &mut packed).unwrap();
        let mut inflated = Vec::new();
        match compression.algorithm() {
            None => inflated.clone_from(&packed),
            Some(Algorithm::Gzip) => {
                flate2::read::MultiGzDecoder::new(&*packed).read_to_end(&mut inflated).map(drop).unwrap();
            }
            Some(Algorithm::Zstd) => inflated = zstd::decode_all(&*packed).unwrap(),
        }
        assert!(inflated == plain, "{compression:?}");
        let expected = LayerDescriptor {
            diff_id: DiffId(Sha256::of(&plain)),
            digest: Sha256::of(&packed),
            size: packed.len() as u64,
            tar_size: plain.len() as u64,
            algorithm: compression.algorithm(),
        };
        assert_eq!(descriptor, expected);
        assert_eq!(diff_id, descriptor.diff_id);
    }
    assert_eq!(layer.tar_size(), plain.len() as u64);
    assert_eq!(layer.content_size(), 3_000_000 + 1 + CHUNK as u64 - 512 + 700_000);
}

#[test]
fn the_number_of_jobs_does_not_change_a_byte() {
    let tree = large();
    let layer = plan(&tree, &["b", "a"]);
    for compression in [Compression::Uncompressed, GZIP, ZSTD] {
        let [one, eight] = [1, 8].map(|jobs| {
            let mut packed = Vec::new();
            layer.pack(compression, NonZeroUsize::new(jobs).unwrap(), &Silent, &mut packed).unwrap();
            packed
        });
        assert!(one == eight, "{compression:?}");
    }
}

#[test]
fn a_packages_compressed_segment_does_not_depend_on_what_is_around_it() {
    let compressed = |inodes: Vec<(&'static str, Inode)>| {
        let tree = tree(inodes);
        let mut packed = Vec::new();
        plan(&tree, &["a", "p", "z"]).pack(GZIP, NonZeroUsize::MIN, &Silent, &mut packed).unwrap();
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
    let tree =
        tree([("/lib", directory(Origin::Base)), ("/lib/x", inode(InodeKind::File(content), Origin::Base))]);
    let layer = plan(&tree, &[]);
    for error in [
        layer.pack(GZIP, NonZeroUsize::MIN, &Silent, &mut Vec::new()).map(|_| ()).unwrap_err(),
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
    let error = layer.pack(GZIP, NonZeroUsize::MIN, &Silent, &mut Full).unwrap_err();
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
    let error = layer.pack(GZIP, NonZeroUsize::MIN, &reporter, &mut packed).unwrap_err();
    assert_eq!(error.kind(), Kind::Interrupted);
    assert_eq!(reporter.questions.into_inner(), 11);
}

#[test]
fn the_reporter_hears_of_every_byte() {
    let tree = large();
    let layer = plan(&tree, &["a"]);
    let reporter = Impatient { patience: usize::MAX, ..Impatient::default() };
    layer.pack(GZIP, NonZeroUsize::MIN, &reporter, &mut io::sink()).unwrap();
    assert_eq!(
        *reporter.said.lock().unwrap(),
        [format!("begin squash {}", layer.tar_size()), "end squash".into()]
    );
    assert_eq!(*reporter.advanced.lock().unwrap(), layer.tar_size());
}
