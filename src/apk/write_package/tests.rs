use super::*;
use crate::apk::data::expand;
use crate::apk::keys::Keyring;
use crate::apk::package::{Expected, PackageHead, VerifiedPackage};
use crate::archive::table::{Table, TableKind};
use crate::content::ReadAt;

struct Bytes(Vec<u8>);

impl ReadAt for Bytes {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let part = self.0.get(start..start + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(part);
        Ok(())
    }

    fn length(&self) -> u64 {
        self.0.len() as u64
    }

    fn describe(&self) -> String {
        "bytes".to_owned()
    }
}

fn file(path: &str, kind: PackageFileKind) -> PackageFile {
    let mode = if matches!(kind, PackageFileKind::Directory) { 0o755 } else { 0o644 };
    PackageFile {
        path: TreePath::relative(path).unwrap(),
        kind,
        mode,
        owner: PackageOwner::root(),
        mtime: 1_700_000_000,
        xattrs: BTreeMap::new(),
    }
}

fn directory(path: &str) -> PackageFile {
    file(path, PackageFileKind::Directory)
}

fn text(path: &str, bytes: &str) -> PackageFile {
    file(path, PackageFileKind::File(Content::of_bytes(bytes.as_bytes())))
}

fn info() -> PackageInfo {
    PackageInfo {
        name: "a".to_owned(),
        version: "1-r0".to_owned(),
        arch: "noarch".to_owned(),
        build_time: Some(1_700_000_000),
        ..PackageInfo::default()
    }
}

/// One of everything.
fn full() -> Vec<PackageFile> {
    let long = format!("usr/{}", "d".repeat(120));
    let mut all = vec![
        directory("usr"),
        directory(&long),
        text(&format!("{long}/{}", "f".repeat(150)), "long"),
        text("usr/file", "content"),
        text("usr/empty", ""),
        text("usr/grüße", "umlauts"),
        file("usr/hard", PackageFileKind::HardLink(TreePath::relative("usr/file").unwrap())),
        file("usr/link", PackageFileKind::Symlink("../x".into())),
        file("usr/null", PackageFileKind::CharacterDevice(1, 3)),
        file("usr/disk", PackageFileKind::BlockDevice(8, 1)),
        file("usr/pipe", PackageFileKind::Fifo),
    ];
    all[3].owner = PackageOwner { user: "chrony".into(), group: "adm".into(), uid: 190, gid: 4 };
    all[3].mode = 0o4755;
    all[3].xattrs.insert("user.note".into(), b"\0\n=".to_vec().into());
    all
}

fn expanded(package: Vec<u8>, key: &SigningKey) -> Table {
    let file = Bytes(package);
    let head = PackageHead::read(&file).unwrap();
    let expected = Expected {
        name: head.info.name.clone(),
        version: head.info.version.clone(),
        arch: "x86_64".to_owned(),
        identity: head.identity(),
        size: file.length(),
    };
    let keyring = Keyring::of([key.public_key().clone()]);
    let verified = VerifiedPackage::check(&file, &expected, &keyring).unwrap();
    expand(&verified, &file, io::sink()).unwrap()
}

#[test]
fn what_is_written_verifies_and_reads_back_the_same() {
    let key = SigningKey::generate("test.rsa.pub").unwrap();
    let mut files = full();
    let scripts = Scripts::from([(ScriptKind::PostInstall, b"#!/bin/sh\n".to_vec())]);

    let package = write_package(&info(), &scripts, &mut files, Some(&key)).unwrap();

    let head = PackageHead::read(&Bytes(package.clone())).unwrap();
    assert_eq!(head.scripts, scripts);
    assert_eq!(head.info.installed_size, (4 + 7 + 7 + 4) as u64);
    let table = expanded(package, &key);
    assert_eq!(table.len(), files.len());
    for (entry, file) in table.entries().zip(&files) {
        assert_eq!(
            (&entry.path, entry.mode, entry.mtime, &entry.xattrs),
            (&file.path, file.mode, file.mtime, &file.xattrs)
        );
        let owner = PackageOwner {
            user: entry.user.clone(),
            group: entry.group.clone(),
            uid: entry.uid,
            gid: entry.gid,
        };
        assert_eq!(owner, file.owner);
        let is_same = match (&entry.kind, &file.kind) {
            (TableKind::File(place), PackageFileKind::File(content)) => place.sha256 == content.digest(),
            (TableKind::HardLink(a), PackageFileKind::HardLink(b)) => a == b,
            (TableKind::Symlink(a), PackageFileKind::Symlink(b)) => a == b,
            (TableKind::CharacterDevice(1, 3), PackageFileKind::CharacterDevice(1, 3))
            | (TableKind::BlockDevice(8, 1), PackageFileKind::BlockDevice(8, 1))
            | (TableKind::Fifo, PackageFileKind::Fifo)
            | (TableKind::Directory, PackageFileKind::Directory) => true,
            _ => false,
        };
        assert!(is_same, "{}", file.path);
    }
}

#[test]
fn the_order_in_which_files_are_given_does_not_matter() {
    let mut backwards = full();
    backwards.reverse();
    let first = write_package(&info(), &Scripts::new(), &mut full(), None).unwrap();
    let second = write_package(&info(), &Scripts::new(), &mut backwards, None).unwrap();
    assert_eq!(first, second);
}

#[test]
fn only_a_package_with_nothing_in_it_states_no_size() {
    let size = |scripts: &Scripts, files: &mut [PackageFile]| {
        let package = write_package(&info(), scripts, files, None).unwrap();
        PackageHead::read(&Bytes(package)).unwrap().info.installed_size
    };
    let script = Scripts::from([(ScriptKind::PreInstall, Vec::new())]);
    assert_eq!(size(&Scripts::new(), &mut []), 0);
    assert_eq!(size(&script, &mut []), SMALLEST_SIZE);
    assert_eq!(size(&Scripts::new(), &mut [directory("var")]), SMALLEST_SIZE);
}

#[test]
fn what_apk_would_not_install_is_not_written() {
    let error =
        |mut files: Vec<PackageFile>| write_package(&info(), &Scripts::new(), &mut files, None).unwrap_err();
    let link = |target: &str| file("b", PackageFileKind::HardLink(TreePath::relative(target).unwrap()));
    assert!(matches!(error(vec![text("etc/x", "")]), WritePackageError::NoDirectory { .. }));
    assert!(matches!(error(vec![text("etc", ""), text("etc/x", "")]), WritePackageError::NoDirectory { .. }));
    assert!(matches!(error(vec![text(".x", "")]), WritePackageError::Dot { .. }));
    assert!(matches!(error(vec![text("x", ""), text("x", "")]), WritePackageError::Twice { .. }));
    assert!(matches!(error(vec![link("c"), text("c", "")]), WritePackageError::HardLink { .. }));
    assert!(matches!(error(vec![link("a"), directory("a")]), WritePackageError::HardLink { .. }));
    let scripts = Scripts::from([(ScriptKind::Trigger, vec![b'#'; 262_145])]);
    let long = write_package(&info(), &scripts, &mut [], None).unwrap_err();
    assert!(matches!(long, WritePackageError::LongScript { length: 262_145, .. }));
}
