//! Packages, indexes and keys made by the tests themselves, small and signed on the fly.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use apkcompose::apk::keys::Keyring;
use apkcompose::apk::package::{Expected, PackageHead, Scripts};
use apkcompose::apk::package_info::PackageInfo;
use apkcompose::apk::sign::SigningKey;
use apkcompose::apk::write_index::{IndexNotes, IndexedPackage, write_index};
use apkcompose::apk::write_package::{PackageFile, PackageFileKind, PackageOwner, write_package};
use apkcompose::content::Content;
use apkcompose::path::TreePath;
use rsa::RsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey as _, LineEnding};
use rsa::rand_core::{CryptoRng, RngCore};

use crate::support::files;

/// Numbers for keys by a seed (splitmix64): a key that others knew would be none, but those of tests are to be the same in
/// every run, as the length of what they sign depends on them.
struct Seeded(u64);

impl RngCore for Seeded {
    fn next_u32(&mut self) -> u32 {
        u32::try_from(self.next_u64() >> 32).unwrap()
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.next_u64().to_le_bytes()[..part.len()]);
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Seeded {}

/// A private key in PEM, the same for each seed.
pub(crate) fn private_key(seed: u64) -> String {
    let private = RsaPrivateKey::new(&mut Seeded(seed), 2048).unwrap();
    private.to_pkcs8_pem(LineEnding::LF).unwrap().to_string()
}

/// The key of the tests' repositories.
pub(crate) fn key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::parse("test.rsa.pub", private_key(1).as_bytes()).unwrap())
}

/// A key of somebody else.
pub(crate) fn other_key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::parse("other.rsa.pub", private_key(2).as_bytes()).unwrap())
}

/// The keyring that accepts `key` alone.
pub(crate) fn keyring(key: &SigningKey) -> Keyring {
    Keyring::of([key.public_key().clone()])
}

/// A package file.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) bytes: Vec<u8>,
    pub(crate) expected: Expected,
    pub(crate) indexed: IndexedPackage,
}

impl Made {
    /// The file's name.
    pub(crate) fn file(&self) -> String {
        format!("{}.apk", self.expected)
    }

    /// Where its data member begins.
    pub(crate) fn data_offset(&self) -> usize {
        usize::try_from(PackageHead::parse(&self.bytes).unwrap().data_offset).unwrap()
    }
}

/// The package `name` 1-r0 for `x86_64` with one file, `usr/share/NAME`, signed with `key`.
pub(crate) fn package(name: &str, content: &[u8], key: &SigningKey) -> Made {
    package_of(name, "1-r0", &[(&format!("usr/share/{name}"), 0o644, content)], key)
}

/// The package `name` of `version` for `x86_64` with `files`, each a path, a mode and its content, signed with
/// `key`.
pub(crate) fn package_of(name: &str, version: &str, files: &[(&str, u32, &[u8])], key: &SigningKey) -> Made {
    let info = PackageInfo {
        name: name.to_owned(),
        version: version.to_owned(),
        arch: "x86_64".to_owned(),
        build_time: Some(1_700_000_000),
        ..PackageInfo::default()
    };
    let entry = |path: TreePath, kind, mode| PackageFile {
        path,
        kind,
        mode,
        owner: PackageOwner::root(),
        mtime: 1_700_000_000,
        xattrs: BTreeMap::new(),
    };
    let mut entries = BTreeMap::new();
    for (path, mode, content) in files {
        let path = TreePath::relative(path).unwrap();
        let above = path.ancestors().filter(|above| !above.is_root());
        entries.extend(above.map(|path| (path.clone(), entry(path, PackageFileKind::Directory, 0o755))));
        let file = PackageFileKind::File(Content::of_bytes(*content));
        entries.insert(path.clone(), entry(path, file, *mode));
    }
    let mut entries: Vec<PackageFile> = entries.into_values().collect();
    of_bytes(write_package(&info, &Scripts::new(), &mut entries, Some(key)).unwrap())
}

/// The package in `bytes`.
pub(crate) fn of_bytes(bytes: Vec<u8>) -> Made {
    let indexed = IndexedPackage::of(PackageHead::parse(&bytes).unwrap(), bytes.len() as u64);
    let expected = Expected {
        name: indexed.info.name.clone(),
        version: indexed.info.version.clone(),
        arch: indexed.info.arch.clone(),
        identity: indexed.identity,
        size: indexed.size,
    };
    Made { bytes, expected, indexed }
}

/// An index of `packages`, described as `description`, signed with `key`.
pub(crate) fn index(description: &str, packages: &[&Made], key: &SigningKey) -> Vec<u8> {
    let mut listed: Vec<IndexedPackage> = packages.iter().map(|made| made.indexed.clone()).collect();
    let notes = IndexNotes { description: Some(description.to_owned()), time: Some(1_700_000_000) };
    write_index(&mut listed, &notes, Some(key)).unwrap()
}

/// Writes a repository of `packages` into `directory`: index and packages, for `x86_64`.
pub(crate) fn repository(directory: &Path, description: &str, packages: &[&Made], key: &SigningKey) {
    let below = directory.join("x86_64");
    files::write(&below.join("APKINDEX.tar.gz"), &index(description, packages, key));
    for made in packages {
        files::write(&below.join(made.file()), &made.bytes);
    }
}

/// `bytes` with one bit of the byte at `position` flipped, another one at each position.
pub(crate) fn flipped(bytes: &[u8], position: usize) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[position] ^= 1 << (position % 8);
    changed
}
