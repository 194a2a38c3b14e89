use super::*;
use crate::apk::data::{DataFlaw, expand};
use crate::apk::members::{SmallFile, TarEnd, small_tar};
use crate::apk::sign::SigningKey;
use crate::apk::write_package::{PackageFile, PackageFileKind, PackageOwner, write_package};
use crate::archive::gzip_write;
use crate::content::Content;
use crate::path::TreePath;
use std::sync::OnceLock;

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

fn key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate("test.rsa.pub").unwrap())
}

/// A package with a file of `length` bytes, which hardly compress.
fn package(length: usize) -> Vec<u8> {
    let info = PackageInfo {
        name: "a".to_owned(),
        version: "1-r0".to_owned(),
        arch: "x86_64".to_owned(),
        ..PackageInfo::default()
    };
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        (state >> 24) as u8
    };
    let bytes: Vec<u8> = (0..length).map(|_| noise()).collect();
    let mut files = [PackageFile {
        path: TreePath::relative("f").unwrap(),
        kind: PackageFileKind::File(Content::of_bytes(bytes.clone())),
        mode: 0o644,
        owner: PackageOwner::root(),
        mtime: 0,
        xattrs: BTreeMap::new(),
    }];
    // A script of the same noise makes the head as large as the data.
    let scripts = Scripts::from([(ScriptKind::PostInstall, bytes)]);
    write_package(&info, &scripts, &mut files, Some(key())).unwrap()
}

fn expected(package: &[u8]) -> Expected {
    let head = PackageHead::parse(package).unwrap();
    Expected {
        name: head.info.name.clone(),
        version: head.info.version.clone(),
        arch: "x86_64".to_owned(),
        identity: head.identity(),
        size: package.len() as u64,
    }
}

fn check(package: Vec<u8>, expected: &Expected) -> Result<VerifiedPackage, PackageFlaw> {
    let keyring = Keyring::of([key().public_key().clone()]);
    VerifiedPackage::check(&Bytes(package), expected, &keyring).map_err(|error| error.flaw)
}

/// The control member that holds `files`.
fn control(files: &[(&str, &[u8])]) -> Vec<u8> {
    let files: Vec<SmallFile<'_>> =
        files.iter().map(|(name, bytes)| SmallFile { name, mode: 0o644, mtime: 0, bytes }).collect();
    gzip_write::member(&small_tar(&files, TarEnd::Open).unwrap()).unwrap()
}

const INFO: &[u8] = b"pkgname = a\npkgver = 1-r0\narch = x86_64\n";

#[test]
fn a_head_longer_than_the_first_look_is_read_to_its_end() {
    let package = package(200_000);
    let head = PackageHead::read(&Bytes(package.clone())).unwrap();
    assert!(head.data_offset > FIRST_LOOK);
    assert_eq!(head.scripts[&ScriptKind::PostInstall].len(), 200_000);
    assert!(check(package.clone(), &expected(&package)).is_ok());
}

type Is = fn(&PackageFlaw) -> bool;

#[test]
fn every_link_to_the_index_is_checked() {
    let package = package(100);
    let good = expected(&package);
    let other = Identity::new(crate::digest::Sha1::of(b"other"));
    let cases: [(Expected, Is); 5] = [
        (Expected { size: good.size + 1, ..good.clone() }, |flaw| matches!(flaw, PackageFlaw::Size { .. })),
        (Expected { identity: other, ..good.clone() }, |flaw| matches!(flaw, PackageFlaw::Identity { .. })),
        (Expected { name: "b".to_owned(), ..good.clone() }, |flaw| {
            matches!(flaw, PackageFlaw::Field { field: "name", .. })
        }),
        (Expected { version: "2".to_owned(), ..good.clone() }, |flaw| {
            matches!(flaw, PackageFlaw::Field { field: "version", .. })
        }),
        (Expected { arch: "aarch64".to_owned(), ..good.clone() }, |flaw| {
            matches!(flaw, PackageFlaw::Field { field: "architecture", .. })
        }),
    ];
    for (number, (expected, is)) in cases.into_iter().enumerate() {
        let flaw = check(package.clone(), &expected).unwrap_err();
        assert!(is(&flaw), "{number}: {flaw}");
    }
    let stranger = Keyring::of([SigningKey::generate("test.rsa.pub").unwrap().public_key().clone()]);
    let error = VerifiedPackage::check(&Bytes(package), &good, &stranger).unwrap_err();
    assert!(matches!(error.flaw, PackageFlaw::Signature(SignatureError::Bad { .. })));
}

#[test]
fn a_flipped_bit_in_the_data_member_is_refused() {
    let mut package = package(100);
    let expected = expected(&package);
    let last = package.len() - 1;
    package[last] ^= 1;
    assert!(matches!(check(package, &expected), Err(PackageFlaw::Datahash { .. })));
}

#[test]
fn data_without_a_datahash_is_refused_and_none_needs_none() {
    let bare = control(&[(".PKGINFO", INFO)]);
    let signature = key().signature_member(&bare).unwrap();
    let without = [signature, bare].concat();
    assert!(check(without.clone(), &expected(&without)).is_ok());
    let with = [without, gzip_write::member(&[0; 1024]).unwrap()].concat();
    assert!(matches!(check(with.clone(), &expected(&with)), Err(PackageFlaw::NoDatahash)));
}

#[test]
fn a_member_behind_the_data_is_refused() {
    let data = gzip_write::member(&[0; 1024]).unwrap();
    let both = [data.clone(), data].concat();
    let info = [INFO, format!("datahash = {}\n", Sha256::of(&both)).as_bytes()].concat();
    let control = control(&[(".PKGINFO", &info)]);
    let package = [key().signature_member(&control).unwrap(), control, both].concat();
    let verified = check(package.clone(), &expected(&package)).unwrap();
    let error = expand(&verified, &Bytes(package), io::sink()).unwrap_err();
    assert!(matches!(error.flaw, DataFlaw::Trailing), "{error}");
}

#[test]
fn what_may_not_be_in_a_control_member_is_refused() {
    let refused = |files: &[(&str, &[u8])]| PackageHead::parse(&control(files)).unwrap_err();
    let install = refused(&[(".PKGINFO", INFO), (".INSTALL", b"")]);
    assert!(matches!(install, PackageFlaw::ControlEntry(name) if name == ".INSTALL"));
    assert!(matches!(refused(&[(".PKGINFO", INFO), (".PKGINFO", INFO)]), PackageFlaw::ControlEntry(_)));
    assert!(matches!(refused(&[(".PKGINFO", INFO), ("etc/passwd", b"")]), PackageFlaw::ControlEntry(_)));
    let twice = [(".PKGINFO", INFO), (".trigger", b"".as_slice()), (".trigger", b"")];
    assert!(matches!(refused(&twice), PackageFlaw::ControlEntry(_)));
    assert!(matches!(refused(&[(".other", b"")]), PackageFlaw::NoInfo));
    let long = vec![b'#'; 262_145];
    assert!(matches!(refused(&[(".PKGINFO", INFO), (".trigger", &long)]), PackageFlaw::ControlTar(_)));
    // Other files with a dot in front are no concern of apk's.
    assert!(PackageHead::parse(&control(&[(".PKGINFO", INFO), (".note", b"")])).is_ok());
}

#[test]
fn a_package_of_the_next_format_is_refused_by_name() {
    for magic in [b"ADB.pckg".as_slice(), b"ADBd\x00", b"ADBc\x02\x03"] {
        assert!(matches!(PackageHead::parse(magic), Err(PackageFlaw::Adb)));
    }
    let error = PackageError { package: "a-1".to_owned(), flaw: PackageFlaw::Adb };
    assert_eq!(error.kind(), Kind::Integrity);
    assert!(error.hint().is_some());
}
