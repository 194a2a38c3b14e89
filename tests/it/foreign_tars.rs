//! Archives that other programs wrote: GNU tar and bsdtar, in each of their formats.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use apkcompose::archive::tar_read::{EntryKind, TarError, TarReader};

use crate::support::command::Dir;
use crate::support::{files, need};

/// When everything was modified.
const TIME: &str = "@1700000000";

/// A name of 200 bytes, which no header holds without help.
fn long_name() -> String {
    "n".repeat(200)
}

/// Makes what is to be archived; with or without what only the newer formats can say.
fn make(tree: &Path, long: bool) {
    files::create_dir(&tree.join("d"));
    files::write(&tree.join("d/file"), b"content");
    fs::set_permissions(tree.join("d/file"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::hard_link(tree.join("d/file"), tree.join("d/hard")).unwrap();
    symlink("file", tree.join("d/soft")).unwrap();
    if long {
        let name = long_name();
        files::write(&tree.join("d").join(&name), b"long");
        symlink(&name, tree.join("d/to-long")).unwrap();
        fs::hard_link(tree.join("d").join(&name), tree.join("d/z-hard-to-long")).unwrap();
    }
}

/// The archive that `program` writes of `tree`.
fn archived(program: &Path, tree: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(["-cf", "-", "--numeric-owner"])
        .args(arguments)
        .args(["-C", tree.to_str().unwrap(), "d"])
        .env("TZ", "UTC")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What is read: kind, link target or content.
fn read(tar: &[u8]) -> Result<BTreeMap<String, (EntryKind, String)>, TarError> {
    let mut reader = TarReader::new(tar);
    let mut found = BTreeMap::new();
    while let Some(entry) = reader.next_entry()? {
        let content = match entry.kind {
            EntryKind::File => reader.read_small(1 << 20)?,
            _ => entry.target,
        };
        let path = String::from_utf8(entry.path).unwrap();
        if path == "d/file" && entry.kind == EntryKind::File {
            assert_eq!((entry.mode, entry.mtime), (0o4755, 1_700_000_000));
        }
        found.insert(path, (entry.kind, String::from_utf8(content).unwrap()));
    }
    Ok(found)
}

fn check(tar: &[u8], long: bool, what: &str) {
    let found = read(tar).unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut expected = vec![
        ("d/".to_owned(), (EntryKind::Directory, String::new())),
        ("d/soft".to_owned(), (EntryKind::Symlink, "file".to_owned())),
    ];
    let mut pairs = vec![("d/file".to_owned(), "d/hard".to_owned(), "content")];
    if long {
        let name = long_name();
        expected.push(("d/to-long".to_owned(), (EntryKind::Symlink, name.clone())));
        pairs.push((format!("d/{name}"), "d/z-hard-to-long".to_owned(), "long"));
    }
    assert_eq!(found.len(), expected.len() + 2 * pairs.len(), "{what}: {found:?}");
    for (path, entry) in expected {
        assert_eq!(found[&path], entry, "{what}: {path}");
    }
    // Which of two names is the file and which the link is the archiver's choice.
    for (a, b, content) in pairs {
        let file = (EntryKind::File, content.to_owned());
        let (file_is_a, link) = (found[&a] == file, |to: &String| (EntryKind::HardLink, to.clone()));
        let is_right =
            if file_is_a { found[&b] == link(&a) } else { found[&b] == file && found[&a] == link(&b) };
        assert!(is_right, "{what}: {a} and {b}: {found:?}");
    }
}

#[test]
fn every_format_of_gnu_tar_is_read() {
    let Some(tar) = need::program("every_format_of_gnu_tar_is_read", "tar") else { return };
    for (format, long) in [("gnu", true), ("oldgnu", true), ("pax", true), ("ustar", false)] {
        let dir = Dir::new();
        let tree = dir.join("tree");
        make(&tree, long);
        let format_option = format!("--format={format}");
        let time = format!("--mtime={TIME}");
        check(&archived(&tar, &tree, &[&format_option, &time]), long, format);
    }
}

#[test]
fn every_format_of_bsdtar_is_read() {
    let Some(bsdtar) = need::program("every_format_of_bsdtar_is_read", "bsdtar") else { return };
    for (format, long) in [("pax", true), ("gnutar", true), ("ustar", false)] {
        let dir = Dir::new();
        let tree = dir.join("tree");
        make(&tree, long);
        let file = File::open(tree.join("d/file")).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        file.set_modified(time).unwrap();
        check(&archived(&bsdtar, &tree, &["--format", format]), long, format);
    }
}

#[test]
fn sparse_files_of_gnu_tar_are_refused_and_not_read_wrong() {
    let Some(tar) = need::program("sparse_files_of_gnu_tar_are_refused_and_not_read_wrong", "tar") else {
        return;
    };
    let dir = Dir::new();
    let tree = dir.join("tree");
    files::create_dir(&tree.join("d"));
    let file = File::create(tree.join("d/holes")).unwrap();
    file.write_all_at(b"end", 10 << 20).unwrap();
    for arguments in [
        vec!["--sparse", "--format=gnu"],
        vec!["--sparse", "--format=pax", "--sparse-version=0.0"],
        vec!["--sparse", "--format=pax", "--sparse-version=0.1"],
        vec!["--sparse", "--format=pax", "--sparse-version=1.0"],
    ] {
        let archive = archived(&tar, &tree, &arguments);
        assert!(archive.len() < 100_000, "{arguments:?}: it is not sparse");
        let error = read(&archive).unwrap_err();
        assert!(matches!(error, TarError::Kind { .. } | TarError::Extended { .. }), "{arguments:?}: {error}");
    }
}
