//! The store: what it keeps, what it refuses, and that damage never gets past it.

use std::env;
use std::fs::{self, File};
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime};

use apkcompose::apk::keys::{Keyring, PublicKey};
use apkcompose::apk::package::{Expected, PackageHead};
use apkcompose::apk::sign::SigningKey;
use apkcompose::archive::table::{Place, TableKind};
use apkcompose::content::ContentError;
use apkcompose::digest::{Sha256, Sha512};
use apkcompose::kind::{Explain as _, Kind};
use apkcompose::store::{Document, Prune, Store, StoreError, StoredPackage};

use crate::made::{self, Made, flipped, key, keyring, other_key};
use crate::support::{files, need};

/// A store of a test's own.
struct Own {
    directory: tempfile::TempDir,
    store: Store,
}

impl Own {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store")).unwrap();
        Self { directory, store }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    fn add(&self, made: &Made) -> Result<StoredPackage, StoreError> {
        self.add_bytes(&made.expected, &made.bytes)
    }

    fn add_bytes(&self, expected: &Expected, bytes: &[u8]) -> Result<StoredPackage, StoreError> {
        self.store.add_package(expected, &keyring(key()), "mirror/a.apk", bytes)
    }

    fn recall(&self, made: &Made) -> Option<StoredPackage> {
        self.store.recall_package(&made.expected, &keyring(key())).unwrap()
    }

    fn blob(&self, blob: Sha256) -> PathBuf {
        self.path().join(format!("blobs/sha256/{blob}"))
    }

    fn expanded(&self, blob: Sha256, extension: &str) -> PathBuf {
        self.path().join(format!("expanded/{blob}.{extension}"))
    }

    /// All files with their lengths, but for the lock.
    fn files(&self) -> Vec<(PathBuf, u64)> {
        let mut found = Vec::new();
        let mut left = vec![self.path()];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    left.push(entry.path());
                } else {
                    found.push((entry.path(), entry.metadata().unwrap().len()));
                }
            }
        }
        found.retain(|(path, _)| *path != self.path().join("lock"));
        found.sort();
        found
    }
}

/// The place of the package's one file.
fn place(package: &StoredPackage) -> Place {
    let entry = package.table().entries().last().unwrap();
    match &entry.kind {
        TableKind::File(place) => *place,
        other => panic!("{other:?}"),
    }
}

fn content(package: &StoredPackage) -> Result<Vec<u8>, ContentError> {
    package.content(&place(package)).to_vec()
}

fn small() -> Made {
    made::package("small", b"some content, some more content\n", key())
}

#[test]
fn a_package_is_kept_byte_for_byte_and_recalled_without_its_source() {
    let (own, made) = (Own::new(), small());
    assert!(own.recall(&made).is_none());

    let added = own.add(&made).unwrap();
    let recalled = own.recall(&made).unwrap();

    assert_eq!(files::read(&own.blob(Sha256::of(&made.bytes))), made.bytes);
    assert_eq!(recalled.blob(), Sha256::of(&made.bytes));
    assert_eq!(recalled.table(), added.table());
    for package in [&added, &recalled] {
        assert_eq!(content(package).unwrap(), b"some content, some more content\n");
        assert_eq!(package.verified().identity(), made.expected.identity);
        assert_eq!(package.verified().key().to_string(), "test.rsa.pub");
    }
    assert_eq!(fs::read_dir(own.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn a_package_with_a_flipped_bit_is_refused_and_nothing_of_it_is_kept() {
    let (own, made) = (Own::new(), small());
    for position in 0..made.bytes.len() {
        let result = own.add_bytes(&made.expected, &flipped(&made.bytes, position));
        // The free bytes of the signature member's gzip header: time, level, system.
        if (4..10).contains(&position) {
            assert!(result.is_ok(), "byte {position}");
            own.store.prune(Prune::Everything).unwrap();
            continue;
        }
        assert!(
            result.is_err(),
            "byte {position}: {:02x?} {}",
            &made.bytes[..620.min(made.bytes.len())],
            made.bytes[position]
        );
        let error = result.unwrap_err();
        assert_eq!(error.kind(), Kind::Integrity, "byte {position}: {error}");
        assert!(error.to_string().contains("small-1-r0"), "byte {position}: {error}");
    }
    assert_eq!(own.files(), []);
}

#[test]
fn a_package_cut_short_or_made_longer_is_refused() {
    let (own, made) = (Own::new(), small());
    for length in 0..made.bytes.len() {
        let error = own.add_bytes(&made.expected, &made.bytes[..length]).unwrap_err();
        assert_eq!(error.kind(), Kind::Integrity, "cut at {length}: {error}");
        // Even where the index has the length of what is left.
        let shorter = Expected { size: length as u64, ..made.expected.clone() };
        assert!(own.add_bytes(&shorter, &made.bytes[..length]).is_err(), "cut at {length}");
    }
    for tail in [&b"\0"[..], &[0; 512], &made.bytes] {
        let longer = [&made.bytes, tail].concat();
        let error = own.add_bytes(&made.expected, &longer).unwrap_err();
        assert!(matches!(error, StoreError::TooLong { .. }), "{error}");
        let expected = Expected { size: longer.len() as u64, ..made.expected.clone() };
        assert_eq!(own.add_bytes(&expected, &longer).unwrap_err().kind(), Kind::Integrity);
    }
    assert_eq!(own.files(), []);
}

#[test]
fn an_endless_source_is_read_no_further_than_the_package_may_be_long() {
    let (own, made) = (Own::new(), small());
    let result = own.store.add_package(&made.expected, &keyring(key()), "x", std::io::repeat(b'x'));
    assert!(matches!(result.unwrap_err(), StoreError::TooLong { .. }));
}

#[test]
fn a_package_that_is_not_the_listed_one_is_refused() {
    let (own, made) = (Own::new(), small());
    let other = made::package("other", b"other", key());
    let as_listed = |change: &dyn Fn(&mut Expected)| {
        let mut expected = made.expected.clone();
        change(&mut expected);
        own.add_bytes(&expected, &made.bytes).unwrap_err().to_string()
    };
    for (message, part) in [
        (as_listed(&|e| e.identity = other.expected.identity), "it is another package than the index lists"),
        (as_listed(&|e| e.name = "notsmall".to_owned()), "its name is `small`, the index lists `notsmall`"),
        (as_listed(&|e| e.version = "2-r0".to_owned()), "its version is `1-r0`, the index lists `2-r0`"),
        (as_listed(&|e| e.arch = "aarch64".to_owned()), "its architecture is `x86_64`"),
        (as_listed(&|e| e.size += 1), "bytes, the index lists"),
    ] {
        assert!(message.contains(part), "{message}");
    }
    let stranger = own.store.add_package(&made.expected, &keyring(other_key()), "x", made.bytes.as_slice());
    assert!(stranger.unwrap_err().to_string().contains("a key that is not trusted: test.rsa.pub"));
    assert_eq!(own.files(), []);
}

#[test]
fn a_flipped_bit_in_a_stored_package_never_reaches_a_file() {
    let (own, made) = (Own::new(), small());
    let package = own.add(&made).unwrap();
    let blob = own.blob(package.blob());
    let data = made.data_offset();
    for position in 0..made.bytes.len() {
        files::write(&blob, &flipped(&made.bytes, position));
        match own.recall(&made) {
            // The data is not read again, nor are the free bytes of the signature's gzip header judged.
            Some(recalled) if position >= data || (4..10).contains(&position) => {
                assert_eq!(content(&recalled).unwrap(), content(&package).unwrap());
                // Where it would have to be inflated again, the damage shows.
                own.store.drop_expanded(package.blob()).unwrap();
                assert!(own.recall(&made).is_none(), "byte {position}");
            }
            Some(_) => panic!("byte {position} was not noticed"),
            None => {}
        }
        assert!(!blob.exists(), "byte {position}");
        own.add(&made).unwrap();
    }
}

#[test]
fn a_flipped_bit_in_a_stored_table_is_noticed_and_mended() {
    let (own, made) = (Own::new(), small());
    let package = own.add(&made).unwrap();
    let toc = own.expanded(package.blob(), "toc");
    let original = files::read(&toc);
    for position in 0..original.len() {
        files::write(&toc, &flipped(&original, position));
        let recalled = own.recall(&made).unwrap();
        assert_eq!(recalled.table(), package.table(), "byte {position}");
        assert_eq!(files::read(&toc), original, "byte {position}");
    }
    for length in (0..original.len()).step_by(7) {
        files::write(&toc, &original[..length]);
        assert_eq!(own.recall(&made).unwrap().table(), package.table(), "cut at {length}");
    }
    files::write(&toc, &[&original[..], b"\n"].concat());
    assert_eq!(own.recall(&made).unwrap().table(), package.table());
}

#[test]
fn the_table_of_another_package_is_not_taken() {
    let (own, made) = (Own::new(), small());
    let other = made::package("other", b"other", key());
    let (package, foreign) = (own.add(&made).unwrap(), own.add(&other).unwrap());
    let foreign = files::read(&own.expanded(foreign.blob(), "toc"));

    files::write(&own.expanded(package.blob(), "toc"), &foreign);

    assert_eq!(own.recall(&made).unwrap().table(), package.table());
}

#[test]
fn a_flipped_bit_in_an_expanded_file_is_found_by_the_copy_and_mended_from_the_original() {
    let (own, made) = (Own::new(), small());
    let package = own.add(&made).unwrap();
    let tar = own.expanded(package.blob(), "tar");
    let original = files::read(&tar);
    let place = place(&package);
    let offset = usize::try_from(place.offset).unwrap();
    for position in offset..offset + usize::try_from(place.length).unwrap() {
        files::write(&tar, &flipped(&original, position));
        let error = content(&own.recall(&made).unwrap()).unwrap_err();
        assert!(matches!(error, ContentError::Changed { .. }), "byte {position}: {error}");

        own.store.drop_expanded(package.blob()).unwrap();

        assert_eq!(content(&own.recall(&made).unwrap()).unwrap(), content(&package).unwrap());
    }
    files::write(&tar, &original[..original.len() - 1]);
    assert_eq!(content(&own.recall(&made).unwrap()).unwrap(), content(&package).unwrap());
    assert_eq!(files::read(&tar), original);
}

#[test]
fn a_reference_that_points_elsewhere_is_no_way_in() {
    let (own, made) = (Own::new(), small());
    let other = made::package("other", b"other", key());
    let (package, foreign) = (own.add(&made).unwrap(), own.add(&other).unwrap());
    let reference = own.path().join("refs/identity").join(made.expected.identity.to_x1());
    let right = files::read(&reference);
    assert_eq!(right, format!("{}\n", package.blob()).as_bytes());

    for wrong in [
        format!("{}\n", foreign.blob()),
        format!("{}\n", Sha256::of(b"nothing")),
        "../../../etc/passwd\n".to_owned(),
        String::new(),
        "x".repeat(1000),
    ] {
        files::write(&reference, wrong.as_bytes());
        assert!(own.recall(&made).is_none(), "{wrong}");
    }

    assert!(own.recall(&other).is_some(), "the other package is still there");
    own.add(&made).unwrap();
    assert_eq!(files::read(&reference), right);
}

#[test]
fn a_package_is_recalled_only_for_those_who_accept_its_signature() {
    let (own, made) = (Own::new(), small());
    own.add(&made).unwrap();
    assert!(own.store.recall_package(&made.expected, &keyring(other_key())).unwrap().is_none());
    let pretender = SigningKey::generate("test.rsa.pub").unwrap();
    assert!(own.store.recall_package(&made.expected, &keyring(&pretender)).unwrap().is_none());
    let shorter = Expected { size: made.expected.size - 1, ..made.expected.clone() };
    assert!(own.store.recall_package(&shorter, &keyring(key())).unwrap().is_none());
    assert!(own.recall(&made).is_some());
}

#[test]
fn a_store_that_others_can_write_to_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    drop(Store::open(&path).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o700);
    for mode in [0o720, 0o702, 0o777] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = Store::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Writable { .. }), "{error}");
        assert!(error.hint().unwrap().contains("chmod 0700"));
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(Store::open(&path).is_ok());
}

#[test]
fn a_store_of_somebody_else_is_refused() {
    let Some(()) = need::root("a_store_of_somebody_else_is_refused") else { return };
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(directory.path(), Some(12_345), None).unwrap();
    let error = Store::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::Owner { owner: 12_345, .. }), "{error}");
}

/// Says to the process that [`a_complete_store_serves_from_read_only_ground`] starts where the store is.
const READ_ONLY: &str = "APKCOMPOSE_TEST_READ_ONLY_STORE";

#[test]
fn a_complete_store_serves_from_read_only_ground() {
    if let Some(path) = env::var_os(READ_ONLY) {
        return use_read_only(Path::new(&path));
    }
    let test = "a_complete_store_serves_from_read_only_ground";
    let Some(()) = need::or_skip(test, need::find_namespace("mount", "--mount")) else { return };
    let (own, made) = (Own::new(), small());
    own.add(&made).unwrap();
    let path = own.path();
    // The other process makes keys of its own; it needs this one's.
    files::write(&own.directory.path().join("small.apk"), &made.bytes);
    files::write(&own.directory.path().join("test.rsa.pub"), key().public_key().pem());
    let mount = r#"mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@""#;

    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", mount])
        .arg(&path)
        .arg(env::current_exe().unwrap())
        .args(["--exact", &format!("store::{test}")])
        .env(READ_ONLY, &path)
        .output()
        .unwrap();

    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

fn use_read_only(path: &Path) {
    let bytes = files::read(&path.with_file_name("small.apk"));
    let pem = files::read(&path.with_file_name("test.rsa.pub"));
    let keys = Keyring::of([PublicKey::parse("test.rsa.pub", &pem).unwrap()]);
    let identity = PackageHead::parse(&bytes).unwrap().identity();
    let expected = Expected { identity, size: bytes.len() as u64, ..small().expected };
    let store = Store::open(path).unwrap();

    let recalled = store.recall_package(&expected, &keys).unwrap().unwrap();
    assert_eq!(content(&recalled).unwrap(), b"some content, some more content\n");

    let error = store.add_package(&expected, &keys, "x", bytes.as_slice()).unwrap_err();
    assert!(error.to_string().contains("Read-only file system"), "{error}");
}

#[test]
fn what_dead_processes_left_is_removed_and_what_living_ones_write_is_not() {
    let own = Own::new();
    let temporary = own.path().join("tmp");
    let (dead, living) = (temporary.join("1.1"), temporary.join("1.2"));
    files::write(&dead, b"left");
    files::write(&living, b"being written");
    let writer = File::open(&living).unwrap();
    rustix::fs::flock(&writer, rustix::fs::FlockOperation::LockExclusive).unwrap();

    Store::open(&own.path()).unwrap();

    assert!(!dead.exists());
    assert!(living.exists());
    drop(writer);
    Store::open(&own.path()).unwrap();
    assert!(!living.exists());
}

#[test]
fn many_at_once_keep_the_same_packages_without_harm() {
    let own = Own::new();
    let made: Vec<Made> =
        (0..8).map(|number| made::package(&format!("p{number}"), &vec![number; 100_000], key())).collect();
    thread::scope(|scope| {
        for start in 0..4 {
            let (path, made) = (own.path(), &made);
            scope.spawn(move || {
                // A store of its own each, as every process has.
                let store = Store::open(&path).unwrap();
                for number in 0..16 {
                    let made = &made[(start * 3 + number) % made.len()];
                    let recalled = store.recall_package(&made.expected, &keyring(key())).unwrap();
                    let package = recalled.unwrap_or_else(|| {
                        store
                            .add_package(&made.expected, &keyring(key()), "x", made.bytes.as_slice())
                            .unwrap()
                    });
                    assert_eq!(content(&package).unwrap().len(), 100_000);
                    if number % 5 == 0 {
                        store.drop_expanded(package.blob()).unwrap();
                    }
                }
            });
        }
    });
    assert!(made.iter().all(|made| own.recall(made).is_some()));
    assert_eq!(files::names(&own.path().join("tmp")), [] as [&str; 0]);
}

#[test]
fn pruning_gives_room_back_and_leaves_what_is_used() {
    let (own, made) = (Own::new(), small());
    let other = made::package("other", b"other", key());
    let (package, old) = (own.add(&made).unwrap(), own.add(&other).unwrap());
    assert_eq!(own.store.usage().unwrap().blobs.bytes, made.expected.size + other.expected.size);

    let freed = own.store.prune(Prune::Expanded).unwrap();
    assert_eq!((freed.blobs.files, freed.expanded.files), (0, 4));
    assert!(own.recall(&made).is_some() && own.recall(&other).is_some());

    let long_ago = SystemTime::now() - Duration::from_secs(40 * 24 * 60 * 60);
    File::open(own.blob(old.blob())).unwrap().set_modified(long_ago).unwrap();
    let freed = own.store.prune(Prune::Unused(Duration::from_secs(30 * 24 * 60 * 60))).unwrap();
    assert_eq!((freed.blobs.files, freed.expanded.files), (1, 2));
    assert!(own.recall(&other).is_none());
    assert!(!own.path().join("refs/identity").join(other.expected.identity.to_x1()).exists());

    // A use makes it young again.
    File::open(own.blob(package.blob())).unwrap().set_modified(long_ago).unwrap();
    assert!(own.recall(&made).is_some());
    assert_eq!(own.store.prune(Prune::Unused(Duration::from_secs(24 * 60 * 60))).unwrap().total().files, 0);

    own.store.prune(Prune::Everything).unwrap();
    assert_eq!(own.files(), []);
}

#[test]
fn a_store_in_use_is_not_emptied() {
    let (own, made) = (Own::new(), small());
    own.add(&made).unwrap();
    let user = Store::open(&own.path()).unwrap();

    let error = own.store.prune(Prune::Everything).unwrap_err();

    assert!(matches!(error, StoreError::InUse { .. }) && error.is_transient(), "{error}");
    assert!(own.recall(&made).is_some());
    drop(user);
    assert!(own.store.prune(Prune::Everything).is_ok());
}

#[test]
fn a_document_is_found_by_its_url_and_a_damaged_one_is_not() {
    let own = Own::new();
    let url = "https://example.org/APKINDEX.tar.gz";
    let document = |bytes: &[u8], tag: Option<&str>| Document {
        bytes: bytes.to_vec(),
        entity_tag: tag.map(str::to_owned),
        last_modified: Some("Sun, 06 Nov 1994 08:49:37 GMT".to_owned()),
    };
    assert_eq!(own.store.recall_document(url, 100).unwrap(), None);
    own.store.add_document(url, &document(b"one", None)).unwrap();
    assert_eq!(own.store.recall_document(url, 100).unwrap(), Some(document(b"one", None)));
    own.store.add_document(url, &document(b"two", Some("\"a b\""))).unwrap();
    assert_eq!(own.store.recall_document(url, 100).unwrap(), Some(document(b"two", Some("\"a b\""))));
    assert_eq!(own.store.recall_document(&format!("{url}?"), 100).unwrap(), None);
    assert!(own.store.recall_document(url, 2).is_err());
    // What cannot be said in one line, or is very long, is not kept.
    for tag in ["a\nlast-modified x", "", &"x".repeat(2000)] {
        own.store.add_document(url, &document(b"two", Some(tag))).unwrap();
        assert_eq!(own.store.recall_document(url, 100).unwrap(), Some(document(b"two", None)), "{tag:?}");
    }
    files::write(&own.blob(Sha256::of(b"two")), b"owt");
    assert_eq!(own.store.recall_document(url, 100).unwrap(), None);
}

/// A gzipped tar with one file.
fn rootfs() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(4);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    tar.append_data(&mut header, "./etc/file", Cursor::new(b"text")).unwrap();
    apkcompose::archive::gzip_write::member(&tar.into_inner().unwrap()).unwrap()
}

#[test]
fn a_root_filesystem_is_kept_if_its_digests_are_accepted() {
    let (own, bytes) = (Own::new(), rootfs());
    let length = Some(bytes.len() as u64);
    let refused = own
        .store
        .add_rootfs("base", length, bytes.as_slice(), |_, _| Err(StoreError::InUse { path: PathBuf::new() }));
    assert!(refused.is_err());
    assert_eq!(own.files(), []);

    let added = own
        .store
        .add_rootfs::<StoreError>("base", length, bytes.as_slice(), |sha256, sha512| {
            assert_eq!((sha256, sha512), (Sha256::of(&bytes), Sha512::of(&bytes)));
            Ok(())
        })
        .unwrap();
    let recalled = own.store.recall_rootfs(Sha256::of(&bytes)).unwrap().unwrap();
    assert_eq!(recalled.table(), added.table());
    assert_eq!(recalled.table().entries().next().unwrap().path.as_str(), "etc/file");
    assert_eq!(recalled.sha512(), Sha512::of(&bytes));

    own.store.drop_expanded(recalled.blob()).unwrap();
    assert_eq!(own.store.recall_rootfs(recalled.blob()).unwrap().unwrap().table(), added.table());
    own.store.drop_expanded(recalled.blob()).unwrap();
    files::write(&own.blob(recalled.blob()), &flipped(&bytes, 40));
    assert!(own.store.recall_rootfs(recalled.blob()).unwrap().is_none());
}
