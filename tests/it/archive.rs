//! Layers and archives as other programs read them: GNU tar, bsdtar, gzip.

use std::collections::BTreeMap;
use std::fs::File;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::Command;

use apkcompose::arch::Arch;
use apkcompose::archive::codec::Codec;
use apkcompose::content::Content;
use apkcompose::image::{
    Archive, Compression, Epoch, Image, ImageConfig, Layer, Layout, MediaTypes, PackedLayer,
};
use apkcompose::path::TreePath;
use apkcompose::report::Silent;
use apkcompose::tree::{Device, Inode, InodeKind, Mode, Origin, Owner, Tree, Xattrs};

use crate::support::need;

const EPOCH: i64 = 1_718_700_000;
const GZIP: Compression = Compression::Compressed(Codec::GZIP);

pub(crate) fn path(text: &str) -> TreePath {
    TreePath::absolute(text).unwrap()
}

/// One of everything a tar can hold, and what ustar cannot say without help.
pub(crate) fn tree() -> Tree {
    let mut tree = Tree::new();
    let mut add =
        |name: &str, kind: InodeKind, mode: u32, owner: Owner, mtime: Option<i64>, xattrs: Xattrs| {
            let inode = Inode { kind, mode: Mode::new(mode), owner, mtime, xattrs, origin: Origin::Base };
            tree.insert(path(name), inode).unwrap()
        };
    let file = |bytes: &[u8]| InodeKind::File(Content::of_bytes(bytes));
    let root = Owner::ROOT;
    let large = Owner { uid: 100, gid: 3_000_000 };
    let capability: Xattrs = BTreeMap::from([
        (Box::from("security.capability"), Box::from(&[1, 0, 0, 2][..])),
        (Box::from("user.lines"), Box::from(&b"a\nb=\0c"[..])),
    ]);
    add("/d", InodeKind::Directory, 0o1777, large, Some(5), Xattrs::new());
    add("/d/capable", file(b"x"), 0o755, root, Some(EPOCH + 9), capability);
    add(
        "/d/null",
        InodeKind::CharacterDevice(Device { major: 1, minor: 3 }),
        0o666,
        root,
        None,
        Xattrs::new(),
    );
    add("/d/disk", InodeKind::BlockDevice(Device { major: 8, minor: 1 }), 0o660, root, None, Xattrs::new());
    add("/d/pipe", InodeKind::Fifo, 0o600, root, None, Xattrs::new());
    add("/d/old", file(&[b'o'; 513]), 0o644, large, Some(-86_400), Xattrs::new());
    add("/d/é", InodeKind::Symlink(Box::from("../ü")), 0o777, root, None, Xattrs::new());
    add(&format!("/d/{}", "n".repeat(150)), file(b"n"), 0o644, root, None, Xattrs::new());
    let linked = add("/d/suid", file(b"linked"), 0o4755, root, Some(6), Xattrs::new());
    let link = add("/d/link", InodeKind::Symlink(Box::from("/d/suid")), 0o777, root, None, Xattrs::new());
    tree.link(path("/d/also"), linked).unwrap();
    tree.link(path("/d/link2"), link).unwrap();
    tree
}

pub(crate) fn plan(tree: &Tree) -> Layer<'_> {
    Layer::plan(tree.entries(), &[""; 0], Epoch::new(EPOCH).unwrap()).unwrap()
}

fn write_tar(directory: &Path) -> std::path::PathBuf {
    let file = directory.join("layer.tar");
    plan(&tree()).write_tar(&Silent, &mut File::create(&file).unwrap()).unwrap();
    file
}

/// Runs `program` with `arguments` and gives what it said on standard output.
fn said(program: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .output()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}", program.display()));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {arguments:?}: {words}", program.display());
    output.stdout
}

#[test]
fn gnu_tar_reads_every_kind_of_entry() {
    let Some(tar) = need::program("gnu_tar_reads_every_kind_of_entry", "tar") else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = write_tar(directory.path());

    let file = file.to_str().unwrap();
    let listing = said(
        &tar,
        &[
            "--numeric-owner",
            "--full-time",
            "--xattrs",
            "--xattrs-include=*",
            "--quoting-style=literal",
            "-tvvf",
            file,
        ],
    );

    let words: Vec<String> = String::from_utf8(listing)
        .unwrap()
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let long = format!("-rw-r--r-- 0/0 1 2024-06-18 08:40:00 d/{}", "n".repeat(150));
    assert_eq!(
        words,
        [
            "drwxrwxrwt 100/3000000 0 1970-01-01 00:00:05 d/",
            "-rwsr-xr-x 0/0 6 1970-01-01 00:00:06 d/also",
            "-rwxr-xr-x* 0/0 1 2024-06-18 08:40:00 d/capable",
            "x: 4 security.capability",
            "x: 6 user.lines",
            "brw-rw---- 0/0 8,1 2024-06-18 08:40:00 d/disk",
            "lrwxrwxrwx 0/0 0 2024-06-18 08:40:00 d/link -> /d/suid",
            "hrwxrwxrwx 0/0 0 2024-06-18 08:40:00 d/link2 link to d/link",
            &long,
            "crw-rw-rw- 0/0 1,3 2024-06-18 08:40:00 d/null",
            "-rw-r--r-- 100/3000000 513 1969-12-31 00:00:00 d/old",
            "prw------- 0/0 0 2024-06-18 08:40:00 d/pipe",
            "hrwsr-xr-x 0/0 0 1970-01-01 00:00:06 d/suid link to d/also",
            "lrwxrwxrwx 0/0 0 2024-06-18 08:40:00 d/é -> ../ü",
        ]
    );
}

#[test]
fn bsdtar_reads_what_gnu_tar_reads() {
    let Some(bsdtar) = need::program("bsdtar_reads_what_gnu_tar_reads", "bsdtar") else { return };
    let directory = tempfile::tempdir().unwrap();
    let archive = format!("@{}", write_tar(directory.path()).display());

    let keywords = "--options=mtree:!all,mtree:type,mtree:mode,mtree:uid,mtree:gid,mtree:size,mtree:time,mtree:link,mtree:sha256";
    let table = said(&bsdtar, &["-cf", "-", "--format=mtree", keywords, &archive]);

    let text = String::from_utf8(table).unwrap();
    let lines: Vec<&str> = text.lines().skip(1).collect();
    let digest = |bytes: &[u8]| apkcompose::digest::Sha256::of(bytes);
    let expected = [
        "./d time=5.0 mode=1777 gid=3000000 uid=100 type=dir".to_owned(),
        format!(
            "./d/also time=6.0 mode=4755 gid=0 uid=0 type=file size=6 sha256digest={}",
            digest(b"linked")
        ),
        format!(
            "./d/capable time={EPOCH}.0 mode=755 gid=0 uid=0 type=file size=1 sha256digest={}",
            digest(b"x")
        ),
        format!("./d/disk time={EPOCH}.0 mode=660 gid=0 uid=0 type=block"),
        format!("./d/link time={EPOCH}.0 mode=777 gid=0 uid=0 type=link link=/d/suid"),
    ];
    for line in expected {
        assert!(lines.contains(&&*line), "{line} is not in {text}");
    }
    assert_eq!(lines.len(), 12, "{text}");
}

#[test]
fn gzip_inflates_the_members_of_a_layer_to_its_tar() {
    let Some(gzip) = need::program("gzip_inflates_the_members_of_a_layer_to_its_tar", "gzip") else { return };
    let directory = tempfile::tempdir().unwrap();
    let mut tree = tree();
    let big = Inode {
        kind: InodeKind::File(Content::of_bytes(vec![b'b'; 3_000_000])),
        mode: Mode::FILE,
        owner: Owner::ROOT,
        mtime: None,
        xattrs: Xattrs::new(),
        origin: Origin::Profile,
    };
    tree.insert(path("/big"), big).unwrap();
    let layer = plan(&tree);
    let mut plain = Vec::new();
    layer.write_tar(&Silent, &mut plain).unwrap();
    let packed = directory.path().join("layer.tar.gz");
    layer.pack(GZIP, NonZeroUsize::MIN, &Silent, &mut File::create(&packed).unwrap()).unwrap();

    let inflated = said(&gzip, &["-dc", packed.to_str().unwrap()]);

    assert!(inflated == plain);
}

#[test]
fn bsdtar_finds_nothing_in_the_archive_but_documents_and_blobs() {
    let test = "bsdtar_finds_nothing_in_the_archive_but_documents_and_blobs";
    let Some(bsdtar) = need::program(test, "bsdtar") else { return };
    let directory = tempfile::tempdir().unwrap();
    let tree = tree();
    let mut packed = Vec::new();
    let descriptor = plan(&tree).pack(GZIP, NonZeroUsize::MIN, &Silent, &mut packed).unwrap();
    let layer_digest = descriptor.digest;
    let layer = PackedLayer::new(descriptor, Content::of_bytes(packed), "test").unwrap();
    let config = ImageConfig::new(Arch::X86_64, Epoch::new(EPOCH).unwrap());
    let image = Image::new(&config, vec![layer], &BTreeMap::new(), MediaTypes::Oci).unwrap();
    let file = directory.path().join("image.tar");
    let names = ["x:1".parse().unwrap()];
    let archive = Archive::new(&Layout::new(&image, &[], &names).unwrap(), &image, &names).unwrap();
    archive.write(&Silent, &mut File::create(&file).unwrap()).unwrap();

    let names = said(&bsdtar, &["-tf", file.to_str().unwrap()]);

    let mut expected: Vec<String> = [image.config_digest(), image.manifest_digest(), layer_digest]
        .map(|digest| format!("blobs/sha256/{digest}"))
        .into();
    expected.sort();
    expected.extend(["index.json", "manifest.json", "oci-layout"].map(str::to_owned));
    assert_eq!(String::from_utf8(names).unwrap().lines().collect::<Vec<_>>(), expected);
}
