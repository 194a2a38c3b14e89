//! The content-addressed cache: what was fetched, and every archive inflated once.
//!
//! ```text
//! blobs/sha256/HEX      originals, byte for byte
//! refs/identity/X1HEX   the SHA-256 of the package with that identity
//! refs/url/HEX          the SHA-256 of what was last read from the URL with that SHA-256, and what tells its state
//! expanded/HEX.tar      the archive of that blob, inflated, verbatim
//! expanded/HEX.toc      its table, closed by its own hash
//! tmp/                  what is being written
//! lock                  shared by who uses the store, held alone by who empties it
//! ```
//!
//! A package is held against index and keyring each time. What that leaves unread on a warm run is its data,
//! which then comes from the expanded tar, where every file is hashed when it is copied
//! ([`Expanded::content`]); and its signature is not computed again where the table notes that the key which
//! decides was found to have made it. Both rest on the store being private. Whatever is found damaged is dropped and made
//! again: the expanded form from the blob, which is then hashed whole, the blob from its source.
//!
//! Several processes may work in one store at once, without locks on entries: names appear by rename when
//! their files are complete, a blob's name is its content and an expanded form is a function of its blob, so
//! that whoever comes second replaces a file by an equal one. The price is that two processes may fetch the
//! same thing twice. Only emptying ([`Store::prune`]) keeps others out.
//!
//! Files are not forced to the disk: what a power cut leaves incomplete has another length or hash, and is
//! made again. A store that is complete is never written to, so it may be on read-only ground.
//!
//! Source: design, "The store".

mod documents;
mod error;
mod expanded;
mod files;
mod layers;
mod prune;

pub use documents::Document;
pub use error::StoreError;
pub use expanded::Expanded;
pub use layers::StoredLayer;
pub use prune::{Amount, Prune, Usage};

use std::io::{self, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use self::expanded::{Origin, Unnamed, if_there};
use self::files::{Temporary, UseLock};
use crate::apk::data::{self, DataError, DataFlaw};
use crate::apk::keys::Keyring;
use crate::apk::package::{Expected, VerifiedPackage};
use crate::archive::rootfs::{self, RootfsError};
use crate::archive::table::{Place, Table, TableError};
use crate::content::{Content, OpenFile, ReadAt, ReadFrom};
use crate::digest::{Identity, Sha256, Sha256Hasher, Sha512, Sha512Hasher};
use crate::root::{self, FileError};

/// How much is copied and hashed at a time.
const BUFFER: usize = 256 * 1024;
/// The longest reference: a SHA-256 in hexadecimal and the end of the line.
const MAX_REFERENCE: u64 = 65;
/// A blob's time is that of its last use, kept to this accuracy.
const USE_ACCURACY: Duration = Duration::from_secs(24 * 60 * 60);

/// A store, open for use.
#[derive(Debug)]
pub struct Store {
    paths: Paths,
    lock: UseLock,
}

/// A package in the store, verified, its data inflated.
#[derive(Debug, Clone)]
pub struct StoredPackage {
    verified: VerifiedPackage,
    expanded: Expanded,
}

/// A root filesystem in the store, inflated. Whether it is to be trusted is its fetcher's to say.
#[derive(Debug, Clone)]
pub struct StoredRootfs {
    expanded: Expanded,
    sha512: Sha512,
}

impl StoredPackage {
    /// The package, as it was verified.
    pub fn verified(&self) -> &VerifiedPackage {
        &self.verified
    }

    /// Its files.
    pub fn expanded(&self) -> &Expanded {
        &self.expanded
    }

    /// The SHA-256 of the package file.
    pub fn blob(&self) -> Sha256 {
        self.expanded.blob()
    }

    /// What its data holds.
    pub fn table(&self) -> &Table {
        self.expanded.table()
    }

    /// The bytes of one of its files.
    pub fn content(&self, place: &Place) -> Content {
        self.expanded.content(place)
    }
}

impl StoredRootfs {
    /// Its files.
    pub fn expanded(&self) -> &Expanded {
        &self.expanded
    }

    /// The SHA-256 of the archive.
    pub fn blob(&self) -> Sha256 {
        self.expanded.blob()
    }

    /// The SHA-512 of the archive.
    pub fn sha512(&self) -> Sha512 {
        self.sha512
    }

    /// What it holds.
    pub fn table(&self) -> &Table {
        self.expanded.table()
    }

    /// The bytes of one of its files.
    pub fn content(&self, place: &Place) -> Content {
        self.expanded.content(place)
    }
}

impl Store {
    /// Where the store is unless something else is said: `$XDG_CACHE_HOME/apkcompose`, else
    /// `~/.cache/apkcompose`.
    pub fn default_directory() -> Result<PathBuf, StoreError> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        absolute("XDG_CACHE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
            .map(|cache| cache.join("apkcompose"))
            .ok_or(StoreError::NoPlace)
    }

    /// Opens the store in `directory`, which is made if it is not there.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        files::private_directory(directory)?;
        let paths = Paths { root: directory.to_owned() };
        let lock = UseLock::share(&paths.lock())?;
        files::remove_stale(&paths.temporary());
        Ok(Self { paths, lock })
    }

    /// The store's directory.
    pub fn directory(&self) -> &Path {
        &self.paths.root
    }

    /// The package that is `expected` and signed with a key of `keyring`, if the store has it.
    ///
    /// Its head is verified as if it came from outside. Its data is not read if it is there inflated;
    /// otherwise all of it is verified, and inflated again.
    pub fn recall_package(
        &self,
        expected: &Expected,
        keyring: &Keyring,
    ) -> Result<Option<StoredPackage>, StoreError> {
        let Some(blob) = reference(&self.paths.identity(expected.identity))? else { return Ok(None) };
        let Some(file) = self.open_blob(blob)? else { return Ok(None) };
        self.touch(blob);
        if let Some(expanded) = Expanded::read(&self.paths, blob)?
            && let Origin::Package { key } = expanded.origin
        {
            if let Ok(verified) = VerifiedPackage::recall(&file, expected, keyring, key) {
                return Ok(Some(StoredPackage { verified, expanded }));
            }
            // It may be damaged, or the same package signed by somebody else.
            self.drop_if_damaged(blob, &file)?;
            return Ok(None);
        }
        if self.drop_if_damaged(blob, &file)? {
            return Ok(None);
        }
        // The file is as it was kept; that it is not what is asked for now is no fault of the store's.
        let Ok(verified) = VerifiedPackage::check(&file, expected, keyring) else { return Ok(None) };
        let expanded = self.expand_package(&verified, &file)?;
        let expanded = expanded.commit(&self.paths, blob, signed_by(&verified))?;
        Ok(Some(StoredPackage { verified, expanded }))
    }

    /// Keeps the package that `source` reads, which must be `expected` and signed with a key of `keyring`.
    /// `object` says in errors what is read.
    pub fn add_package(
        &self,
        expected: &Expected,
        keyring: &Keyring,
        object: &str,
        source: impl Read,
    ) -> Result<StoredPackage, StoreError> {
        let copy = self.copy_in(object, source, Some(expected.size), &mut ())?;
        let verified = VerifiedPackage::check(&copy.file, expected, keyring)?;
        let expanded = self.expand_package(&verified, &copy.file)?;
        copy.temporary.commit(&self.paths.blob(copy.sha256))?;
        let expanded = expanded.commit(&self.paths, copy.sha256, signed_by(&verified))?;
        self.refer(&self.paths.identity(expected.identity), &format!("{}\n", copy.sha256))?;
        Ok(StoredPackage { verified, expanded })
    }

    /// The root filesystem whose archive has that digest, if the store has it.
    pub fn recall_rootfs(&self, blob: Sha256) -> Result<Option<StoredRootfs>, StoreError> {
        let Some(file) = self.open_blob(blob)? else { return Ok(None) };
        self.touch(blob);
        if let Some(expanded) = Expanded::read(&self.paths, blob)?
            && let Origin::Rootfs { sha512 } = expanded.origin
        {
            return Ok(Some(StoredRootfs { expanded, sha512 }));
        }
        if self.drop_if_damaged(blob, &file)? {
            return Ok(None);
        }
        let mut sha512 = Sha512Hasher::default();
        hash(&file, &mut sha512).map_err(FileError::on("read", &self.paths.blob(blob)))?;
        let sha512 = sha512.finish();
        let object = format!("blob {blob}");
        let expanded =
            self.expand_rootfs(&object, &file)?.commit(&self.paths, blob, Origin::Rootfs { sha512 })?;
        Ok(Some(StoredRootfs { expanded, sha512 }))
    }

    /// Keeps the root filesystem whose archive `source` reads, if `accept` takes its digests. `object` says
    /// in errors what is read; `length`, in bytes, is checked if it is known.
    pub fn add_rootfs<E: From<StoreError>>(
        &self,
        object: &str,
        length: Option<u64>,
        source: impl Read,
        accept: impl FnOnce(Sha256, Sha512) -> Result<(), E>,
    ) -> Result<StoredRootfs, E> {
        let mut sha512 = Sha512Hasher::default();
        let copy = self.copy_in(object, source, length, &mut sha512)?;
        let sha512 = sha512.finish();
        accept(copy.sha256, sha512)?;
        let expanded = self.expand_rootfs(object, &copy.file)?;
        copy.temporary.commit(&self.paths.blob(copy.sha256)).map_err(StoreError::File)?;
        let expanded = expanded.commit(&self.paths, copy.sha256, Origin::Rootfs { sha512 })?;
        Ok(StoredRootfs { expanded, sha512 })
    }

    /// The file that is `blob`, if the store has it as it was kept.
    pub fn recall_file(&self, blob: Sha256) -> Result<Option<Content>, StoreError> {
        let Some(file) = self.open_blob(blob)? else { return Ok(None) };
        if self.drop_if_damaged(blob, &file)? {
            return Ok(None);
        }
        self.touch(blob);
        Ok(Some(whole(file, blob)))
    }

    /// Keeps the file that `source` reads, which must be `blob` and may have `limit` bytes. `object` says in
    /// errors what is read.
    pub fn add_file(
        &self,
        blob: Sha256,
        limit: u64,
        object: &str,
        source: impl Read,
    ) -> Result<Content, StoreError> {
        let copy = self.copy_in(object, source, Some(limit), &mut ())?;
        if copy.sha256 != blob {
            let (expected, got) = (blob, copy.sha256);
            return Err(StoreError::Digest { object: object.to_owned(), expected, got });
        }
        copy.temporary.commit(&self.paths.blob(blob))?;
        Ok(whole(copy.file, blob))
    }

    /// Forgets the inflated form of a blob, because a slice of it was found changed. Recalling the package or
    /// root filesystem then makes it again.
    pub fn drop_expanded(&self, blob: Sha256) -> Result<(), StoreError> {
        Ok(expanded::remove(&self.paths, blob)?)
    }

    /// Copies `source` to a temporary file, hashing it on the way. More than `length` bytes are an error, as
    /// soon as they are there.
    fn copy_in(
        &self,
        object: &str,
        mut source: impl Read,
        length: Option<u64>,
        also: &mut impl Digester,
    ) -> Result<Copy, StoreError> {
        let temporary = Temporary::create(&self.paths.temporary())?;
        let mut sha256 = Sha256Hasher::default();
        let mut buffer = vec![0; BUFFER];
        let mut total: u64 = 0;
        loop {
            let count = match source.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other.map_err(|error| StoreError::Source { object: object.to_owned(), error })?,
            };
            let part = buffer.get(..count).unwrap_or_default();
            if part.is_empty() {
                break;
            }
            total = total.saturating_add(count as u64);
            if let Some(expected) = length.filter(|length| total > *length) {
                return Err(StoreError::TooLong { object: object.to_owned(), expected });
            }
            sha256.update(part);
            also.update(part);
            temporary.file()?.write_all(part).map_err(FileError::on("write", temporary.path()))?;
        }
        let file = temporary.file()?.try_clone().map_err(FileError::on("read", temporary.path()))?;
        let file =
            OpenFile::new(file, PathBuf::from(object)).map_err(FileError::on("read", temporary.path()))?;
        Ok(Copy { temporary, file, sha256: sha256.finish() })
    }

    fn expand_package(&self, package: &VerifiedPackage, file: &OpenFile) -> Result<Unnamed, StoreError> {
        let made = Unnamed::make(&self.paths, |out, path| {
            let expanded = data::expand(package, file, out).map(|table| (table, ()));
            expanded.map_err(|DataError { package, flaw }| match flaw {
                DataFlaw::Table(TableError::Write(error)) => cannot_write(path, error),
                flaw => StoreError::Data(DataError { package, flaw }),
            })
        });
        made.map(|(made, ())| made)
    }

    fn expand_rootfs(&self, object: &str, file: &OpenFile) -> Result<Unnamed, StoreError> {
        let input = BufReader::with_capacity(BUFFER, ReadFrom::new(file, 0));
        let made = Unnamed::make(&self.paths, |out, path| {
            let expanded = rootfs::expand(input, file.length(), out).map(|table| (table, ()));
            expanded.map_err(|error| match error {
                RootfsError::Table(TableError::Write(error)) => cannot_write(path, error),
                error => StoreError::Rootfs { object: object.to_owned(), error },
            })
        });
        made.map(|(made, ())| made)
    }

    fn open_blob(&self, blob: Sha256) -> Result<Option<OpenFile>, StoreError> {
        let path = self.paths.blob(blob);
        let Some(file) = if_there(root::open_file(&path))? else { return Ok(None) };
        Ok(Some(OpenFile::new(file, path.clone()).map_err(FileError::on("look at", &path))?))
    }

    /// Whether `file`, which should be `blob`, is something else; it is then dropped.
    fn drop_if_damaged(&self, blob: Sha256, file: &OpenFile) -> Result<bool, StoreError> {
        let mut sha256 = Sha256Hasher::default();
        hash(file, &mut sha256).map_err(FileError::on("read", &self.paths.blob(blob)))?;
        if sha256.finish() == blob {
            return Ok(false);
        }
        self.drop_blob(blob)?;
        Ok(true)
    }

    fn drop_blob(&self, blob: Sha256) -> Result<(), StoreError> {
        expanded::remove(&self.paths, blob)?;
        Ok(files::remove(&self.paths.blob(blob))?)
    }

    fn refer(&self, path: &Path, reference: &str) -> Result<(), StoreError> {
        let temporary = Temporary::create(&self.paths.temporary())?;
        temporary.file()?.write_all(reference.as_bytes()).map_err(FileError::on("write", path))?;
        temporary.commit(path)?;
        Ok(())
    }

    /// Notes that a blob was used, so that pruning knows. It is no matter if that fails.
    fn touch(&self, blob: Sha256) {
        let path = self.paths.blob(blob);
        let now = SystemTime::now();
        let is_recent = std::fs::metadata(&path)
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|used| now.duration_since(used).is_ok_and(|age| age < USE_ACCURACY));
        if !is_recent {
            let _ = root::open_file(&path).map(|file| file.set_modified(now));
        }
    }
}

fn cannot_write(path: &Path, error: io::Error) -> StoreError {
    StoreError::File(FileError::on("write", path)(error))
}

fn whole(file: OpenFile, blob: Sha256) -> Content {
    let length = file.length();
    Content::slice(Arc::new(file), 0, length, blob)
}

fn signed_by(package: &VerifiedPackage) -> Origin {
    Origin::Package { key: package.key().fingerprint() }
}

/// The blob that `path` names. A reference that is none is as if it were not there.
fn reference(path: &Path) -> Result<Option<Sha256>, StoreError> {
    Ok(read_reference(path, MAX_REFERENCE)?.as_deref().and_then(parse_reference))
}

fn read_reference(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
    match if_there(root::read_file(path, limit)) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.error.kind() == io::ErrorKind::FileTooLarge => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn parse_reference(bytes: &[u8]) -> Option<Sha256> {
    std::str::from_utf8(bytes.strip_suffix(b"\n")?).ok()?.parse().ok()
}

/// Something fetched that does not have its name yet.
struct Copy {
    temporary: Temporary,
    /// The same file, for reading; called in errors what it was fetched as.
    file: OpenFile,
    sha256: Sha256,
}

/// Hashes beside SHA-256.
trait Digester {
    fn update(&mut self, data: &[u8]);
}

impl Digester for () {
    fn update(&mut self, _: &[u8]) {}
}

impl Digester for Sha256Hasher {
    fn update(&mut self, data: &[u8]) {
        Self::update(self, data);
    }
}

impl Digester for Sha512Hasher {
    fn update(&mut self, data: &[u8]) {
        Self::update(self, data);
    }
}

fn hash(file: &OpenFile, hasher: &mut impl Digester) -> io::Result<()> {
    let mut reader = ReadFrom::new(file, 0);
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
    }
}

/// Where things are.
#[derive(Debug)]
struct Paths {
    root: PathBuf,
}

impl Paths {
    fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    fn blob(&self, blob: Sha256) -> PathBuf {
        self.blobs().join(blob.to_hex())
    }

    fn references(&self) -> [PathBuf; 2] {
        [self.root.join("refs/identity"), self.root.join("refs/url")]
    }

    fn identity(&self, identity: Identity) -> PathBuf {
        self.root.join("refs/identity").join(identity.to_x1())
    }

    fn url(&self, url: &str) -> PathBuf {
        self.root.join("refs/url").join(Sha256::of(url.as_bytes()).to_hex())
    }

    fn expanded(&self) -> PathBuf {
        self.root.join("expanded")
    }

    fn tar(&self, blob: Sha256) -> PathBuf {
        self.expanded().join(format!("{blob}.tar"))
    }

    fn toc(&self, blob: Sha256) -> PathBuf {
        self.expanded().join(format!("{blob}.toc"))
    }

    fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }
}
