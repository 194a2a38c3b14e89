//! Where bytes come from: indexes, packages, releases, and what is refused of them.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use apkcompose::apk::index::Index;
use apkcompose::apk::index_file::{IndexFileError, VerifiedIndex};
use apkcompose::apk::keys::{Keyring, PublicKey, SignatureError};
use apkcompose::apk::sign::SigningKey;
use apkcompose::apk::signature;
use apkcompose::arch::Arch;
use apkcompose::archive::table::TableKind;
use apkcompose::digest::Sha256;
use apkcompose::fetch::{
    self, FetchError, Minirootfs, PackageRequest, Repository, Source, TrustRung, resolve_branch,
};
use apkcompose::kind::{Explain as _, Kind};
use apkcompose::profile::release::{Branch, Release};
use apkcompose::report::{Reporter, Silent, Step};
use apkcompose::store::{Prune, Store, StoredPackage};

use crate::fetching::fetcher;
use crate::made::{self, Made, flipped, key, keyring, other_key};
use crate::support::command::Dir;
use crate::support::data::Alpine;
use crate::support::mirror::Mirror;
use crate::support::{files, need};

const MINIROOTFS: &str = "v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz";

/// The index of a repository on this machine.
fn index(repository: &Repository) -> Result<VerifiedIndex, FetchError> {
    fetch::index(&fetcher(&store(&Dir::new()), 1, &Silent), repository)
}

fn branch_of(branch: Branch, mirrors: &[Source], arch: Arch) -> Result<Branch, FetchError> {
    resolve_branch(&fetcher(&store(&Dir::new()), 1, &Silent), branch, mirrors, arch)
}

fn source(path: &Path) -> Source {
    Source::Directory(path.to_owned())
}

fn branch(text: &str) -> Branch {
    text.parse().unwrap()
}

fn release(text: &str) -> Release {
    text.parse().unwrap()
}

fn store(dir: &Dir) -> Store {
    Store::open(&dir.join("store")).unwrap()
}

/// The repository that `dir` is, of the tests' key.
fn repository(dir: &Path) -> Repository {
    Repository::at("test", source(dir), Arch::X86_64, keyring(key()))
}

fn php7(alpine: &Alpine) -> Repository {
    let pem = files::read(&alpine.php7_key());
    let keyring = Keyring::of([PublicKey::parse("test-php7.rsa.pub", &pem).unwrap()]);
    Repository::at("php7", source(&alpine.mirror().join("php7")), Arch::X86_64, keyring)
}

fn official(alpine: &Alpine, name: &str) -> Repository {
    let mirrors = [source(&alpine.mirror())];
    Repository::of_branch(&mirrors, branch("v3.19"), name, Arch::X86_64, Keyring::alpine(Arch::X86_64))
}

fn fetch_one(store: &Store, made: &Made, repository: &Repository) -> Result<StoredPackage, FetchError> {
    let bytes = made::index("test", &[made], key());
    let index = VerifiedIndex::check("test", &bytes, &keyring(key())).unwrap();
    let request = PackageRequest::of(index.index().packages().next().unwrap(), repository).unwrap().unwrap();
    Ok(fetch::packages(&fetcher(store, 1, &Silent), &[request])?.remove(0))
}

/// Notes what it is told.
#[derive(Default)]
struct Listening {
    advanced: AtomicU64,
    warnings: Mutex<Vec<String>>,
    stop_at: Option<u64>,
}

impl Reporter for Listening {
    fn advance(&self, _: Step, amount: u64, _: &str) {
        self.advanced.fetch_add(amount, Ordering::Relaxed);
    }

    fn warn(&self, message: &str) {
        self.warnings.lock().unwrap().push(message.to_owned());
    }

    fn interrupted(&self) -> bool {
        self.stop_at.is_some_and(|limit| self.advanced.load(Ordering::Relaxed) >= limit)
    }
}

#[test]
fn the_real_indexes_verify_with_the_keys_that_are_bound_to_them() {
    let Some(alpine) = need::alpine("the_real_indexes_verify_with_the_keys_that_are_bound_to_them") else {
        return;
    };
    let iso = alpine.mirror().join("iso-3.19.1");
    let rpi = alpine.mirror().join("rpi-3.13.4");
    let at = |name: &str, path: &Path, arch| Repository::at(name, source(path), arch, Keyring::alpine(arch));
    let repositories = [
        official(&alpine, "main"),
        official(&alpine, "community"),
        php7(&alpine),
        at("iso", &iso, Arch::X86_64),
        at("rpi", &rpi, Arch::Aarch64),
    ];

    let indexes = fetch::indexes(&fetcher(&store(&Dir::new()), 3, &Silent), &repositories).unwrap();

    let found: Vec<_> = indexes
        .iter()
        .map(|index| (index.index().len(), index.description().to_owned(), index.signed_time()))
        .collect();
    // As `tar tv --full-time` and `grep -c ^P:` say.
    let expected = [
        (5443, "v3.19.1-643-gec825d20535", 1_718_724_996),
        (17587, "v3.19.1-642-g9e5b575ce97", 1_718_724_309),
        (73, "php 7.1 test repository", 0),
        (100, "3.19.1", 1_703_680_390),
        (65, "3.13.4", 1_617_209_569),
    ];
    let expected = expected.map(|(count, description, time)| (count, description.to_owned(), time));
    assert_eq!(found, expected);
    assert_eq!(indexes[0].key().to_string(), "alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub");

    let v3_22 = files::read(&alpine.root().join("indexes/v3.22-main-x86_64.APKINDEX.tar.gz"));
    let v3_22 = VerifiedIndex::check("v3.22", &v3_22, &Keyring::alpine(Arch::X86_64)).unwrap();
    assert_eq!(v3_22.index().len(), 5646);
    assert!(v3_22.description().starts_with("v3.22."), "{}", v3_22.description());
    let nothing_to_fetch = v3_22
        .index()
        .packages()
        .filter(|package| PackageRequest::of(*package, &repositories[0]).unwrap().is_none());
    assert_eq!(nothing_to_fetch.count(), 90);
}

#[test]
fn an_index_with_a_flipped_bit_is_refused() {
    let made = made::package("a", b"content", key());
    let bytes = made::index("test", &[&made], key());
    let keyring = keyring(key());
    assert!(VerifiedIndex::check("test", &bytes, &keyring).is_ok());
    // The free bytes of the signature member's gzip header are signed by nobody.
    for position in (0..bytes.len()).filter(|position| !(4..10).contains(position)) {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[position] ^= 1 << bit;
            let result = VerifiedIndex::check("test", &changed, &keyring);
            assert!(result.is_err(), "byte {position} bit {bit}");
        }
    }
}

#[test]
fn an_index_cut_short_or_made_longer_is_refused() {
    let made = made::package("a", b"content", key());
    let bytes = made::index("test", &[&made], key());
    for length in 0..bytes.len() {
        assert!(VerifiedIndex::check("test", &bytes[..length], &keyring(key())).is_err(), "cut at {length}");
    }
    for tail in [&b"\0"[..], &bytes, &[0; 1024]] {
        let longer = [&bytes, tail].concat();
        assert!(VerifiedIndex::check("test", &longer, &keyring(key())).is_err());
    }
}

#[test]
fn something_signed_behind_the_index_is_refused_too() {
    let member = apkcompose::archive::gzip_write::member(b"").unwrap();
    let two = [member.clone(), member].concat();
    let file = [key().signature_member(&two).unwrap(), two].concat();
    let error = VerifiedIndex::check("test", &file, &keyring(key())).unwrap_err();
    assert!(matches!(error, IndexFileError::Trailing), "{error}");
}

/// What is said of the index `bytes` by a repository that accepts `keyring`.
fn index_error(bytes: &[u8], keyring: Keyring) -> FetchError {
    let dir = Dir::new();
    dir.write("x86_64/APKINDEX.tar.gz", bytes);
    index(&Repository::at("test", source(&dir.path()), Arch::X86_64, keyring)).unwrap_err()
}

#[test]
fn an_index_that_nobody_trusted_signed_is_refused_by_its_reason() {
    let made = made::package("a", b"content", key());
    let ours = made::index("test", &[&made], key());
    let (_, unsigned) = signature::split(&ours).unwrap();
    let reason = |error: FetchError| {
        assert_eq!(error.kind(), Kind::Integrity);
        assert!(error.to_string().starts_with("the index of test cannot be trusted\n"), "{error}");
        match error {
            FetchError::Index { error: IndexFileError::Signature(reason), .. } => reason,
            other => panic!("{other}"),
        }
    };
    assert_eq!(reason(index_error(unsigned, keyring(key()))), SignatureError::Unsigned);
    let unknown = reason(index_error(&ours, keyring(other_key())));
    assert!(matches!(unknown, SignatureError::UnknownKey { .. }), "{unknown}");
    assert!(unknown.hint().unwrap().contains("keys = [\"test.rsa.pub\"]"));

    // Somebody else's key under the name of ours.
    let pretender = SigningKey::generate("test.rsa.pub").unwrap();
    let bad = reason(index_error(&made::index("test", &[&made], &pretender), keyring(key())));
    assert_eq!(bad, SignatureError::Bad { key: "test.rsa.pub".to_owned() });
}

#[test]
fn an_index_signed_with_a_key_of_another_architecture_is_refused() {
    let test = "an_index_signed_with_a_key_of_another_architecture_is_refused";
    let Some(alpine) = need::alpine(test) else { return };
    let bytes = files::read(&alpine.mirror().join("rpi-3.13.4/aarch64/APKINDEX.tar.gz"));
    let error = index_error(&bytes, Keyring::alpine(Arch::X86_64));
    assert!(error.to_string().contains("which is not accepted for this repository"), "{error}");
    assert!(error.hint().unwrap().contains("one architecture"), "{:?}", error.hint());
}

#[test]
fn an_index_of_apk_v3_is_refused_by_name() {
    let error = index_error(b"ADBd\x00\x00", keyring(key()));
    assert!(error.to_string().contains("ADB format (apk v3)"), "{error}");
    assert_eq!(error.kind(), Kind::Integrity);
}

#[test]
fn an_index_that_lies_in_the_directory_of_another_branch_is_refused() {
    let dir = Dir::new();
    let at = |branch: Branch| {
        Repository::of_branch(&[source(&dir.path())], branch, "main", Arch::X86_64, keyring(key()))
    };
    dir.write("v3.19/main/x86_64/APKINDEX.tar.gz", made::index("v3.18.4-1-gab", &[], key()));
    dir.write("edge/main/x86_64/APKINDEX.tar.gz", made::index("v20240606-1-gab", &[], key()));
    dir.write("v3.18/main/x86_64/APKINDEX.tar.gz", made::index("v20240606-1-gab", &[], key()));

    let error = index(&at(branch("v3.19"))).unwrap_err();
    assert!(matches!(error, FetchError::WrongBranch { .. }), "{error}");
    assert!(
        error.to_string().contains("is not of v3.19\n  it describes itself as `v3.18.4-1-gab`"),
        "{error}"
    );
    assert_eq!(error.kind(), Kind::Integrity);
    assert!(index(&at(branch("v3.18"))).is_err());
    assert!(index(&at(Branch::Edge)).is_ok());
}

#[test]
fn a_repository_without_an_index_is_named_with_every_place_looked_at() {
    let (one, other) = (Dir::new(), Dir::new());
    let mirrors = [source(&one.path()), source(&other.path())];
    let at = |arch| Repository::of_branch(&mirrors, branch("v3.19"), "main", arch, keyring(key()));
    let error = index(&at(Arch::X86_64)).unwrap_err();
    assert_eq!(error.kind(), Kind::Missing);
    let message = error.to_string();
    assert!(message.starts_with("the repository v3.19/main has no index for x86_64"), "{message}");
    for dir in [&one, &other] {
        let place = dir.join("v3.19/main/x86_64/APKINDEX.tar.gz");
        assert!(message.contains(place.to_str().unwrap()), "{message}");
    }

    other.write("v3.19/main/x86_64/APKINDEX.tar.gz", made::index("v3.19.1", &[], key()));
    assert!(index(&at(Arch::X86_64)).is_ok());
}

#[test]
fn a_bad_index_is_refused_and_taken_from_another_mirror_with_a_warning() {
    let (one, other) = (Dir::new(), Dir::new());
    one.write("v3.19/main/x86_64/APKINDEX.tar.gz", made::index("v3.19.1", &[], other_key()));
    other.write("v3.19/main/x86_64/APKINDEX.tar.gz", made::index("v3.19.1", &[], key()));
    let main = |mirrors: &[&Dir]| {
        let mirrors: Vec<Source> = mirrors.iter().map(|dir| source(&dir.path())).collect();
        Repository::of_branch(&mirrors, branch("v3.19"), "main", Arch::X86_64, keyring(key()))
    };
    assert_eq!(index(&main(&[&one])).unwrap_err().kind(), Kind::Integrity);

    let (store, listening) = (store(&Dir::new()), Listening::default());
    let index = fetch::index(&fetcher(&store, 1, &listening), &main(&[&one, &other])).unwrap();

    assert_eq!(index.description(), "v3.19.1");
    let warnings = listening.warnings.into_inner().unwrap();
    assert!(warnings[0].starts_with("the index of v3.19/main cannot be trusted"), "{warnings:?}");
    assert!(warnings[0].contains(&format!("taken from {}", other.path().display())), "{warnings:?}");
    // Two bad ones are no better than one.
    assert_eq!(self::index(&main(&[&one, &one])).unwrap_err().kind(), Kind::Integrity);
}

/// A mirror with a repository `v3.19/main` of `packages`.
fn mirror_of(packages: &[&Made]) -> Dir {
    let dir = Dir::new();
    made::repository(&dir.join("v3.19/main"), "v3.19.1", packages, key());
    dir
}

#[test]
fn packages_come_in_the_order_asked_for_with_any_number_of_jobs() {
    let made: Vec<Made> =
        (0..20).map(|number| made::package(&format!("p{number:02}"), &[number; 5000], key())).collect();
    let all: Vec<&Made> = made.iter().collect();
    let mirror = mirror_of(&all);
    let main = repository(&mirror.join("v3.19/main"));
    let index = index(&main).unwrap();
    let requests: Vec<PackageRequest<'_>> = index
        .index()
        .packages()
        .rev_by_name()
        .map(|package| PackageRequest::of(package, &main).unwrap().unwrap())
        .collect();
    let total: u64 = made.iter().map(|made| made.expected.size).sum();
    for number in [1, 2, 8] {
        let dir = Dir::new();
        let store = store(&dir);
        // Cold, then warm.
        for _ in 0..2 {
            let listening = Listening::default();
            let packages = fetch::packages(&fetcher(&store, number, &listening), &requests).unwrap();
            let names: Vec<String> = packages.iter().map(|package| package.verified().to_string()).collect();
            let expected: Vec<String> = made.iter().rev().map(|made| made.expected.to_string()).collect();
            assert_eq!(names, expected, "{number} jobs");
            assert_eq!(listening.advanced.load(Ordering::Relaxed), total);
        }
    }
}

/// Packages, the last name first.
trait RevByName<'a> {
    fn rev_by_name(self) -> std::vec::IntoIter<apkcompose::apk::index::Package<'a>>;
}

impl<'a, I: Iterator<Item = apkcompose::apk::index::Package<'a>>> RevByName<'a> for I {
    fn rev_by_name(self) -> std::vec::IntoIter<apkcompose::apk::index::Package<'a>> {
        let mut all: Vec<_> = self.collect();
        all.sort_by(|a, b| b.name().cmp(a.name()));
        all.into_iter()
    }
}

#[test]
fn a_package_that_is_listed_and_not_there_is_named_with_its_repository_and_places() {
    let made = made::package("a", b"content", key());
    let (one, other) = (mirror_of(&[]), mirror_of(&[]));
    let mirrors = [source(&one.path()), source(&other.path())];
    let main = Repository::of_branch(&mirrors, branch("v3.19"), "main", Arch::X86_64, keyring(key()));
    let dir = Dir::new();

    let error = fetch_one(&store(&dir), &made, &main).unwrap_err();

    assert_eq!(error.kind(), Kind::Missing);
    let (one, other) = (one.path().display().to_string(), other.path().display().to_string());
    assert_eq!(
        error.to_string(),
        format!(
            "a-1-r0 is in the index of v3.19/main, but its file is not there\n  \
             looked at {one}/v3.19/main/x86_64/a-1-r0.apk\n  \
             looked at {other}/v3.19/main/x86_64/a-1-r0.apk"
        )
    );
    assert!(error.hint().unwrap().starts_with("the mirror is partial or half updated"));
}

#[test]
fn another_mirror_stands_in_for_one_that_lacks_or_damaged_the_package() {
    let made = made::package("a", b"content", key());
    let (lacking, damaged, good) = (mirror_of(&[]), mirror_of(&[&made]), mirror_of(&[&made]));
    let path = "v3.19/main/x86_64/a-1-r0.apk";
    damaged.write(path, flipped(&made.bytes, made.bytes.len() - 20));
    let of = |mirrors: &[&Dir]| {
        let mirrors: Vec<Source> = mirrors.iter().map(|dir| source(&dir.path())).collect();
        Repository::of_branch(&mirrors, branch("v3.19"), "main", Arch::X86_64, keyring(key()))
    };
    let index = index(&of(&[&good])).unwrap();
    let package = index.index().packages().next().unwrap();

    let dir = Dir::new();
    let (store, listening) = (store(&dir), Listening::default());
    let main = of(&[&lacking, &damaged, &good]);
    let request = PackageRequest::of(package, &main).unwrap().unwrap();
    assert!(fetch::packages(&fetcher(&store, 1, &listening), &[request]).is_ok());
    let warnings = listening.warnings.into_inner().unwrap();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains(damaged.join(path).to_str().unwrap()), "{}", warnings[0]);

    store.prune(Prune::Everything).unwrap();
    let main = of(&[&damaged, &lacking]);
    let request = PackageRequest::of(package, &main).unwrap().unwrap();
    let error = fetch::packages(&fetcher(&store, 1, &Silent), &[request]).unwrap_err();
    assert_eq!(error.kind(), Kind::Integrity, "damage tells more than absence: {error}");
}

#[test]
fn a_package_swapped_for_another_validly_signed_one_is_refused() {
    let a = made::package("a", b"one", key());
    // One of the same size, so that nothing but its identity tells.
    let b = (0..1000_u32)
        .map(|number| made::package("b", &number.to_le_bytes(), key()))
        .find(|b| b.bytes.len() == a.bytes.len())
        .unwrap();
    let mirror = mirror_of(&[&a, &b]);
    mirror.write("v3.19/main/x86_64/a-1-r0.apk", &b.bytes);
    let dir = Dir::new();

    let error = fetch_one(&store(&dir), &a, &repository(&mirror.join("v3.19/main"))).unwrap_err();

    assert_eq!(error.kind(), Kind::Integrity);
    let message = error.to_string();
    assert!(message.starts_with("a-1-r0 cannot be trusted\n  it is another package than"), "{message}");
    assert!(message.ends_with("v3.19/main/x86_64/a-1-r0.apk"), "{message}");
}

#[test]
fn a_version_that_would_be_a_path_reaches_no_file() {
    let identity = made::package("a", b"x", key()).expected.identity;
    let dir = Dir::new();
    let repository = repository(&dir.path());
    let refused = |version: &str, arch: &str| {
        let text = format!("C:{identity}\nP:a\nV:{version}\nA:{arch}\nS:1\nI:1\n");
        let index = Index::parse("test", text.into_bytes()).unwrap();
        let request = PackageRequest::of(index.packages().next().unwrap(), &repository).unwrap().unwrap();
        fetch::packages(&fetcher(&store(&Dir::new()), 1, &Silent), &[request]).unwrap_err()
    };
    assert!(matches!(refused("1", ".."), FetchError::Unnameable { .. }));
    assert!(matches!(refused("1", ""), FetchError::Unnameable { .. }));
    assert!(matches!(refused("1", "x86_64"), FetchError::NoPackage { .. }));
    let error = refused("../../../../etc/passwd", "x86_64");
    assert!(matches!(error, FetchError::Unnameable { .. }), "{error}");
    assert_eq!(error.kind(), Kind::Integrity);
}

#[test]
fn a_link_out_of_the_mirror_is_not_followed() {
    let made = made::package("a", b"content", key());
    let outside = Dir::new();
    outside.write("a-1-r0.apk", &made.bytes);
    let mirror = mirror_of(&[]);
    symlink(outside.join("a-1-r0.apk"), mirror.join("v3.19/main/x86_64/a-1-r0.apk")).unwrap();
    let dir = Dir::new();
    let error = fetch_one(&store(&dir), &made, &repository(&mirror.join("v3.19/main"))).unwrap_err();
    assert!(matches!(error, FetchError::NoPackage { .. }), "{error}");
}

#[test]
fn a_package_without_an_identity_is_not_fetched() {
    let index = Index::parse("test", b"P:a\nV:1\nA:x86_64\nS:1\nI:1\n").unwrap();
    let dir = Dir::new();
    let error = PackageRequest::of(index.packages().next().unwrap(), &repository(&dir.path())).unwrap_err();
    assert!(matches!(error, FetchError::Unfetchable { .. }), "{error}");
}

#[test]
fn fetching_stops_when_the_user_asks() {
    let made: Vec<Made> = (0..6).map(|n| made::package(&format!("p{n}"), &[n; 100], key())).collect();
    let all: Vec<&Made> = made.iter().collect();
    let mirror = mirror_of(&all);
    let main = repository(&mirror.join("v3.19/main"));
    let index = index(&main).unwrap();
    let requests: Vec<PackageRequest<'_>> = index
        .index()
        .packages()
        .map(|package| PackageRequest::of(package, &main).unwrap().unwrap())
        .collect();
    let dir = Dir::new();
    let listening = Listening { stop_at: Some(made[0].expected.size + 1), ..Listening::default() };
    let error = fetch::packages(&fetcher(&store(&dir), 2, &listening), &requests).unwrap_err();
    assert_eq!(error.kind(), Kind::Interrupted);
    assert_eq!(files::names(&dir.join("store/tmp")), [] as [&str; 0]);
}

#[test]
fn every_real_package_verifies_and_expands() {
    let Some(alpine) = need::alpine("every_real_package_verifies_and_expands") else { return };
    let at = |name: &str, arch| {
        Repository::at(name, source(&alpine.mirror().join(name)), arch, Keyring::alpine(arch))
    };
    let repositories = [
        official(&alpine, "main"),
        official(&alpine, "community"),
        php7(&alpine),
        at("iso-3.19.1", Arch::X86_64),
        at("rpi-3.13.4", Arch::Aarch64),
    ];
    let dir = Dir::new();
    let store = store(&dir);
    let mut packages = 0;
    let mut files_hashed = 0;
    for repository in &repositories {
        let index = index(repository).unwrap();
        let directory = match repository.name() {
            name @ ("main" | "community") => alpine.mirror().join("v3.19").join(name),
            name => alpine.mirror().join(name),
        };
        let present = files::names(&directory.join(repository.arch().as_str()));
        let requests: Vec<PackageRequest<'_>> = index
            .index()
            .packages()
            .filter(|package| present.contains(&format!("{package}.apk")))
            .filter_map(|package| PackageRequest::of(package, repository).unwrap())
            .collect();
        for chunk in requests.chunks(50) {
            for stored in fetch::packages(&fetcher(&store, 2, &Silent), chunk).unwrap() {
                packages += 1;
                for entry in stored.table().entries() {
                    if let TableKind::File(place) = &entry.kind {
                        stored.content(place).copy_to(&mut std::io::sink()).unwrap();
                        files_hashed += 1;
                    }
                }
            }
        }
    }
    let expected: usize = [
        "v3.19/main/x86_64",
        "v3.19/community/x86_64",
        "php7/x86_64",
        "iso-3.19.1/x86_64",
        "rpi-3.13.4/aarch64",
    ]
    .iter()
    .map(|path| files::names(&alpine.mirror().join(path)).len() - 1)
    .sum();
    assert_eq!(packages, expected);
    assert!(packages > 400 && files_hashed > 5000, "{packages} packages, {files_hashed} files");
}

#[test]
fn no_bit_of_a_real_signature_member_can_be_flipped_unnoticed() {
    let test = "no_bit_of_a_real_signature_member_can_be_flipped_unnoticed";
    let Some(alpine) = need::alpine(test) else { return };
    for path in [
        "../indexes/v3.22-main-x86_64.APKINDEX.tar.gz",
        "v3.19/main/x86_64/APKINDEX.tar.gz",
        "php7/x86_64/APKINDEX.tar.gz",
        "rpi-3.13.4/aarch64/APKINDEX.tar.gz",
        "php7/x86_64/php7-json-7.1.2-r0.apk",
        "iso-3.19.1/x86_64/yx-1.0.0-r1.apk",
        "v3.19/main/x86_64/jq-1.7.1-r0.apk",
    ] {
        let file = files::read(&alpine.mirror().join(path));
        let (signatures, rest) = signature::split(&file).unwrap();
        let member = &file[..file.len() - rest.len()];
        for position in (0..member.len()).filter(|position| !(4..10).contains(position)) {
            for bit in 0..8 {
                let mut changed = member.to_vec();
                changed[position] ^= 1 << bit;
                let same =
                    signature::split(&changed).is_ok_and(|(got, rest)| got == signatures && rest.is_empty());
                assert!(!same, "{path}: byte {position} bit {bit}");
            }
        }
    }
}

#[test]
fn a_real_package_with_a_flipped_bit_is_refused() {
    let Some(alpine) = need::alpine("a_real_package_with_a_flipped_bit_is_refused") else { return };
    let mirror = Mirror::of(&alpine, &["php7/x86_64/APKINDEX.tar.gz"]).with_packages(
        &alpine,
        "php7/x86_64",
        &["php7-json-7.1.2-r0"],
    );
    let path = "php7/x86_64/php7-json-7.1.2-r0.apk";
    let original = mirror.read(path);
    let mut repository = php7(&alpine);
    repository =
        Repository::at("php7", source(&mirror.join("php7")), Arch::X86_64, repository.keyring().clone());
    let index = index(&repository).unwrap();
    let package = index.index().named("php7-json").next().unwrap();
    let dir = Dir::new();
    let store = store(&dir);
    for position in (10..original.len()).step_by(37) {
        mirror.write(path, &flipped(&original, position));
        let request = PackageRequest::of(package, &repository).unwrap().unwrap();
        let error = fetch::packages(&fetcher(&store, 1, &Silent), &[request]).unwrap_err();
        assert_eq!(error.kind(), Kind::Integrity, "byte {position}: {error}");
    }
}

#[test]
fn latest_stable_is_found_as_a_link_as_a_file_and_as_a_copy() {
    let list =
        "-\n  branch: v3.20\n  arch: x86_64\n  version: 3.20.1\n  flavor: alpine-minirootfs\n  file: f\n  \
                size: 1\n  sha256: {256}\n  sha512: {512}\n"
            .replace("{256}", &"ab".repeat(32))
            .replace("{512}", &"ab".repeat(64));
    let find = |dir: &Dir| branch_of(Branch::LatestStable, &[source(&dir.path())], Arch::X86_64);
    let (link, file, copy, none) = (Dir::new(), Dir::new(), Dir::new(), Dir::new());
    symlink("v3.18", link.join("latest-stable")).unwrap();
    file.write("latest-stable", "v3.19\n");
    copy.write("latest-stable/releases/x86_64/latest-releases.yaml", list);
    none.write("latest-stable", "something else");

    assert_eq!(find(&link).unwrap(), branch("v3.18"));
    assert_eq!(find(&file).unwrap(), branch("v3.19"));
    assert_eq!(find(&copy).unwrap(), branch("v3.20"));
    let error = find(&none).unwrap_err();
    assert_eq!(error.kind(), Kind::Missing);
    assert!(error.to_string().starts_with("there is no release latest-stable"), "{error}");
    assert_eq!(branch_of(Branch::Edge, &[], Arch::X86_64).unwrap(), Branch::Edge);
}

fn minirootfs(
    store: &Store,
    mirror: &Path,
    release: &Release,
    sha256: Option<Sha256>,
) -> Result<fetch::Base, FetchError> {
    let mirrors = [source(mirror)];
    fetch::minirootfs(
        &fetcher(store, 1, &Silent),
        &Minirootfs { mirrors: &mirrors, release, arch: Arch::X86_64, sha256 },
    )
}

#[test]
fn the_minirootfs_of_a_release_is_found_believed_and_kept() {
    let Some(alpine) = need::alpine("the_minirootfs_of_a_release_is_found_believed_and_kept") else { return };
    let dir = Dir::new();
    let store = store(&dir);
    let digest = Sha256::of(&files::read(&alpine.minirootfs("x86_64")));
    for text in ["3.19", "3.19.4", "latest-stable"] {
        let base = minirootfs(&store, &alpine.mirror(), &release(text), None).unwrap();
        assert_eq!(base.trust, TrustRung::Sidecar);
        assert_eq!(base.release.as_ref().unwrap().as_str(), "3.19.4");
        assert_eq!((base.sha256, base.file.as_str()), (digest, MINIROOTFS.rsplit('/').next().unwrap()));
    }
    let base = minirootfs(&store, &alpine.mirror(), &release("3.19"), Some(digest)).unwrap();
    assert_eq!(base.trust, TrustRung::ExpectedSha256);
    // `tar tv` counts the same, the root among them.
    assert_eq!(base.layers[0].table().len(), 527);
    assert!(base.layers[0].table().entries().next().unwrap().path.is_root());

    let error = minirootfs(&store, &alpine.mirror(), &release("3.19.3"), None).unwrap_err();
    assert_eq!(error.kind(), Kind::Missing);
    assert!(error.to_string().starts_with("there is no release 3.19.3 of alpine-minirootfs for x86_64"));
    let wrong = minirootfs(&store, &alpine.mirror(), &release("3.19"), Some(Sha256::of(b""))).unwrap_err();
    assert_eq!(wrong.kind(), Kind::Integrity);
    let message = wrong.to_string();
    assert!(message.contains("latest-releases.yaml states SHA-256 a2a87004"), "{message}");
    assert!(message.contains("base-sha256 of the profile states SHA-256 e3b0c442"), "{message}");
}

#[test]
fn a_flipped_bit_in_the_minirootfs_or_what_states_its_digests_is_refused() {
    let test = "a_flipped_bit_in_the_minirootfs_or_what_states_its_digests_is_refused";
    let Some(alpine) = need::alpine(test) else { return };
    let mirror = Mirror::of(&alpine, &["v3.19/releases/x86_64"]);
    let dir = Dir::new();
    let store = store(&dir);
    let fails = |what: &str| {
        let error = minirootfs(&store, &mirror.path(), &release("3.19"), None).unwrap_err();
        assert_eq!(error.kind(), Kind::Integrity, "{what}: {error}");
        error.to_string()
    };
    for extension in [".sha256", ".sha512"] {
        let sidecar = format!("{MINIROOTFS}{extension}");
        let original = mirror.read(&sidecar);
        for position in 0..original.len() {
            for bit in 0..8 {
                let mut changed = original.clone();
                changed[position] ^= 1 << bit;
                mirror.write(&sidecar, &changed);
                let message = fails(&format!("{extension} byte {position} bit {bit}"));
                assert!(message.contains(extension), "{message}");
            }
        }
        for length in 0..original.len() - 1 {
            mirror.write(&sidecar, &original[..length]);
            fails(&format!("{extension} cut at {length}"));
        }
        mirror.write(&sidecar, &original);
    }
    let original = mirror.read(MINIROOTFS);
    for position in (0..original.len()).step_by(150_001) {
        mirror.write(MINIROOTFS, &flipped(&original, position));
        let message = fails(&format!("byte {position}"));
        assert!(message.contains("is not what it must be: its SHA-256 is "), "{message}");
    }
    for length in [0, 1, 1000, original.len() - 1] {
        mirror.write(MINIROOTFS, &original[..length]);
        assert!(fails("cut").contains("its size is"), "cut at {length}");
    }
    mirror.write(MINIROOTFS, &original);
    assert!(minirootfs(&store, &mirror.path(), &release("3.19"), None).is_ok());
    // A store that has it does not make a disagreement of its statements good.
    let sidecar = format!("{MINIROOTFS}.sha512");
    mirror.flip(&sidecar, 5);
    fails("with a warm store");
}

#[test]
fn a_release_the_list_does_not_have_is_found_by_its_name_and_needs_its_checksum() {
    let test = "a_release_the_list_does_not_have_is_found_by_its_name_and_needs_its_checksum";
    let Some(alpine) = need::alpine(test) else { return };
    let mirror = Mirror::of(&alpine, &["v3.19/releases/x86_64"]);
    let old = "v3.19/releases/x86_64/alpine-minirootfs-3.19.2-x86_64.tar.gz";
    let bytes = mirror.read(MINIROOTFS);
    mirror.write(old, &bytes);
    let dir = Dir::new();
    let store = store(&dir);
    let get = |sha256| minirootfs(&store, &mirror.path(), &release("3.19.2"), sha256);

    let error = get(None).unwrap_err();
    assert!(matches!(error, FetchError::NothingStated { .. }), "{error}");
    assert!(error.hint().unwrap().contains("base-sha256"));
    assert_eq!(get(Some(Sha256::of(&bytes))).unwrap().trust, TrustRung::ExpectedSha256);
    assert_eq!(get(Some(Sha256::of(b""))).unwrap_err().kind(), Kind::Integrity);
    let name = old.rsplit('/').next().unwrap();
    mirror.write(
        &format!("{old}.sha512"),
        format!("{}  {name}\n", apkcompose::digest::Sha512::of(&bytes)).as_bytes(),
    );
    assert_eq!(get(None).unwrap().trust, TrustRung::Sidecar);
}

#[test]
fn a_rootfs_archive_is_taken_by_its_path() {
    let Some(alpine) = need::alpine("a_rootfs_archive_is_taken_by_its_path") else { return };
    let path = alpine.minirootfs("aarch64");
    let digest = Sha256::of(&files::read(&path));
    let dir = Dir::new();
    let store = store(&dir);

    let base = fetch::local_base(&fetcher(&store, 1, &Silent), &path, None, Arch::Aarch64).unwrap();
    assert_eq!((base.trust, base.sha256), (TrustRung::LocalFile, digest));
    let base = fetch::local_base(&fetcher(&store, 1, &Silent), &path, Some(digest), Arch::Aarch64).unwrap();
    assert_eq!(base.trust, TrustRung::ExpectedSha256);
    let error = fetch::local_base(&fetcher(&store, 1, &Silent), &path, Some(Sha256::of(b"")), Arch::Aarch64)
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Integrity);
    let error =
        fetch::local_base(&fetcher(&store, 1, &Silent), &dir.join("none.tar.gz"), None, Arch::Aarch64)
            .unwrap_err();
    assert!(matches!(error, FetchError::NoBase { .. }), "{error}");
    let no_archive = dir.write("no.tar.gz", "text");
    let error =
        fetch::local_base(&fetcher(&store, 1, &Silent), &no_archive, None, Arch::Aarch64).unwrap_err();
    assert!(error.to_string().contains("is no root filesystem"), "{error}");
    assert_eq!(error.kind(), Kind::Integrity);
}
