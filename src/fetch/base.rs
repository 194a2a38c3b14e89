//! The base: a root filesystem to start from, and why it may be believed.
//!
//! Alpine's minirootfs is not signed as packages are. What it must be is stated by the profile, by the list
//! of releases and by checksum files beside it. All who state something must agree, whichever is believed;
//! the rung says which that was.
//!
//! Source: design, "Trust".

use std::fmt;
use std::io;
use std::path::Path;

use super::branch::resolve_branch;
use super::error::{FetchError, Statement};
use super::packages::{Watched, is_the_mirrors_fault};
use super::releases::{ListedMinirootfs, ReleaseList, plain};
use super::source::{Opened, Source};
use crate::arch::Arch;
use crate::digest::{Sha256, Sha256Hasher, Sha512};
use crate::profile::release::{Branch, Release, ReleaseVersion};
use crate::report::{Reporter, Step};
use crate::root::{self, FileError};
use crate::store::{Store, StoredRootfs};

/// The longest checksum file, in bytes.
const MAX_SIDECAR: u64 = 4096;
/// How much is hashed at a time.
const BUFFER: usize = 256 * 1024;

/// Why a base is believed, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TrustRung {
    /// It has the digest the profile states.
    ExpectedSha256,
    /// Its files are those of signed packages.
    Packages,
    /// A checksum beside it, in a local directory or in the program itself, states its digest.
    Sidecar,
    /// It is a file of this machine that the profile names.
    LocalFile,
}

impl fmt::Display for TrustRung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ExpectedSha256 => "base-sha256 of the profile",
            Self::Packages => "signed packages, whose files it has",
            Self::Sidecar => "the checksum beside it",
            Self::LocalFile => "a local file",
        })
    }
}

/// A base, fetched.
#[derive(Debug, Clone)]
pub struct Base {
    /// Its archive.
    pub rootfs: StoredRootfs,
    /// Why it is believed.
    pub trust: TrustRung,
    /// The archive's file name.
    pub file: String,
    /// Which release it is, if it is one.
    pub release: Option<ReleaseVersion>,
}

/// Which minirootfs is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Minirootfs<'a> {
    /// The mirrors, tried in order.
    pub mirrors: &'a [Source],
    /// The release.
    pub release: &'a Release,
    /// The architecture.
    pub arch: Arch,
    /// What the archive must be, if the profile states it.
    pub sha256: Option<Sha256>,
}

/// The minirootfs of a release: from `store`, or fetched into it.
pub fn minirootfs(
    store: &Store,
    wanted: &Minirootfs<'_>,
    reporter: &dyn Reporter,
) -> Result<Base, FetchError> {
    let branch = resolve_branch(wanted.release.branch(), wanted.mirrors, wanted.arch)?;
    let mut looked_at = Vec::new();
    for mirror in wanted.mirrors {
        let directory = format!("{branch}/releases/{}", wanted.arch);
        looked_at.push(mirror.locate_missing(&directory));
        if let Some(found) = Found::look(mirror, &directory, branch, wanted)? {
            return found.fetch(store, reporter);
        }
    }
    Err(FetchError::NoRelease { release: wanted.release.to_string(), arch: wanted.arch, looked_at })
}

/// The root filesystem in the archive at `path`: from `store`, or copied into it.
pub fn rootfs_archive(
    store: &Store,
    path: &Path,
    sha256: Option<Sha256>,
    reporter: &dyn Reporter,
) -> Result<Base, FetchError> {
    let location = path.display().to_string();
    let mut stated = Stated { file: location.clone(), ..Stated::default() };
    if let Some(sha256) = sha256 {
        stated.sha256("base-sha256 of the profile", sha256)?;
    }
    let file = match root::open_file(path) {
        Err(error) if error.is_not_found() => return Err(FetchError::NoBase { location }),
        other => other?,
    };
    // The file may be another than last time, whatever it is called: its content is what is looked up.
    let got = sha256_of(&file).map_err(FileError::on("read", path))?;
    let rootfs = obtain(store, &stated, Some(got), reporter, || {
        let opened = root::open_file(path)?;
        let length = opened.metadata().map_err(FileError::on("look at", path))?.len();
        Ok(Opened { reader: Box::new(opened), length })
    })?;
    Ok(Base {
        rootfs,
        trust: if sha256.is_some() { TrustRung::ExpectedSha256 } else { TrustRung::LocalFile },
        file: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        release: None,
    })
}

fn sha256_of(mut file: &std::fs::File) -> io::Result<Sha256> {
    use std::io::Read as _;
    let mut hasher = Sha256Hasher::default();
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
    }
}

/// A minirootfs that a mirror has, with all that is stated about it.
struct Found<'a> {
    mirror: &'a Source,
    path: String,
    file: String,
    release: ReleaseVersion,
    stated: Stated,
    trust: TrustRung,
}

impl<'a> Found<'a> {
    /// Looks in `directory` of `mirror`; nothing if the release is not there.
    fn look(
        mirror: &'a Source,
        directory: &str,
        branch: Branch,
        wanted: &Minirootfs<'_>,
    ) -> Result<Option<Self>, FetchError> {
        let list = ReleaseList::fetch(mirror, branch, wanted.arch)?;
        let listed = list.as_ref().map(|list| list.greatest(wanted.release, branch)).transpose()?.flatten();
        let (file, release) = match (listed, wanted.release) {
            (Some(listed), _) => (listed.file.clone(), listed.version.clone()),
            // Older releases stay where they were when the list speaks of a newer one.
            (None, Release::Exact(version)) => {
                (format!("alpine-minirootfs-{version}-{}.tar.gz", wanted.arch), version.clone())
            }
            (None, Release::Series(_) | Release::Edge | Release::LatestStable) => return Ok(None),
        };
        let path = format!("{directory}/{file}");
        if listed.is_none() && mirror.open(&path)?.is_none() {
            return Ok(None);
        }
        let mut stated = Stated { file: mirror.locate(&path), ..Stated::default() };
        if let (Some(list), Some(listed)) = (&list, listed) {
            stated.listed(list.location(), listed)?;
        }
        stated.sidecars(mirror, &path, &file)?;
        let has_sidecar = !stated.is_empty();
        if let Some(sha256) = wanted.sha256 {
            stated.sha256("base-sha256 of the profile", sha256)?;
        }
        let trust = match (wanted.sha256, has_sidecar) {
            (Some(_), _) => TrustRung::ExpectedSha256,
            // Every source there is so far is a local one.
            (None, true) => TrustRung::Sidecar,
            (None, false) => return Err(FetchError::NothingStated { file: stated.file }),
        };
        Ok(Some(Self { mirror, path, file, release, stated, trust }))
    }

    fn fetch(self, store: &Store, reporter: &dyn Reporter) -> Result<Base, FetchError> {
        let known = self.stated.sha256.as_ref().map(|(_, sha256)| *sha256);
        let rootfs = obtain(store, &self.stated, known, reporter, || {
            let location = || self.mirror.locate(&self.path);
            self.mirror.open(&self.path)?.ok_or_else(|| FetchError::NoBase { location: location() })
        })?;
        Ok(Base { rootfs, trust: self.trust, file: self.file, release: Some(self.release) })
    }
}

/// The root filesystem that is as stated: from `store`, if it is known by which digest, or copied into it.
fn obtain(
    store: &Store,
    stated: &Stated,
    known: Option<Sha256>,
    reporter: &dyn Reporter,
    open: impl FnOnce() -> Result<Opened, FetchError>,
) -> Result<StoredRootfs, FetchError> {
    if let Some(sha256) = known
        && let Some(rootfs) = store.recall_rootfs(sha256)?
    {
        stated.check(rootfs.blob(), rootfs.sha512())?;
        return Ok(rootfs);
    }
    let opened = open()?;
    stated.check_length(opened.length)?;
    let (location, mut advanced) = (&stated.file, 0);
    reporter.begin(Step::Fetch, opened.length);
    let reader = Watched::new(opened.reader, reporter, location, &mut advanced);
    let result = store
        .add_rootfs(location, Some(opened.length), reader, |sha256, sha512| stated.check(sha256, sha512))
        .map_err(|error| match error {
            _ if reporter.interrupted() => FetchError::Interrupted,
            FetchError::Store(error) if is_the_mirrors_fault(&error) => {
                FetchError::Refused { location: location.clone(), error }
            }
            error => error,
        });
    if result.is_ok() {
        reporter.end(Step::Fetch);
    }
    result
}

/// What is stated about a file. Whoever states something must agree with those before.
#[derive(Debug, Default)]
struct Stated {
    file: String,
    sha256: Option<(String, Sha256)>,
    sha512: Option<(String, Sha512)>,
    size: Option<(String, u64)>,
}

const SHA256: &str = "SHA-256";
const SHA512: &str = "SHA-512";

impl Stated {
    fn is_empty(&self) -> bool {
        self.sha256.is_none() && self.sha512.is_none()
    }

    fn sha256(&mut self, by: &str, digest: Sha256) -> Result<(), FetchError> {
        agree(&self.file, SHA256, &mut self.sha256, by, digest)
    }

    fn sha512(&mut self, by: &str, digest: Sha512) -> Result<(), FetchError> {
        agree(&self.file, SHA512, &mut self.sha512, by, digest)
    }

    fn listed(&mut self, by: &str, listed: &ListedMinirootfs) -> Result<(), FetchError> {
        self.size = Some((by.to_owned(), listed.size));
        self.sha256(by, listed.sha256)?;
        self.sha512(by, listed.sha512)
    }

    fn sidecars(&mut self, mirror: &Source, path: &str, file: &str) -> Result<(), FetchError> {
        let read = |extension: &str| -> Result<Option<(String, Vec<u8>)>, FetchError> {
            let path = format!("{path}.{extension}");
            Ok(mirror.read(&path, MAX_SIDECAR)?.map(|text| (mirror.locate(&path), text)))
        };
        let malformed = |location: &str, algorithm| FetchError::Sidecar {
            location: location.to_owned(),
            algorithm,
            file: file.to_owned(),
        };
        if let Some((location, text)) = read("sha256")? {
            let digest = sidecar(&text, file, Sha256::to_hex).ok_or_else(|| malformed(&location, SHA256))?;
            self.sha256(&location, digest)?;
        }
        if let Some((location, text)) = read("sha512")? {
            let digest = sidecar(&text, file, Sha512::to_hex).ok_or_else(|| malformed(&location, SHA512))?;
            self.sha512(&location, digest)?;
        }
        Ok(())
    }

    fn check(&self, sha256: Sha256, sha512: Sha512) -> Result<(), FetchError> {
        self.hold(SHA256, self.sha256.as_ref(), &sha256)?;
        self.hold(SHA512, self.sha512.as_ref(), &sha512)
    }

    fn check_length(&self, length: u64) -> Result<(), FetchError> {
        self.hold("size", self.size.as_ref(), &length)
    }

    fn hold<D: PartialEq + fmt::Display>(
        &self,
        algorithm: &'static str,
        stated: Option<&(String, D)>,
        got: &D,
    ) -> Result<(), FetchError> {
        match stated {
            Some((by, expected)) if expected != got => Err(FetchError::NotAsStated {
                file: self.file.clone(),
                stated: Box::new(Statement { by: by.clone(), algorithm, value: expected.to_string() }),
                got: got.to_string(),
            }),
            _ => Ok(()),
        }
    }
}

fn agree<D: PartialEq + fmt::Display>(
    file: &str,
    algorithm: &'static str,
    before: &mut Option<(String, D)>,
    by: &str,
    digest: D,
) -> Result<(), FetchError> {
    let statement =
        |by: &str, digest: &D| Statement { by: by.to_owned(), algorithm, value: digest.to_string() };
    match before {
        Some((one, stated)) if *stated != digest => Err(FetchError::Disagreement {
            file: file.to_owned(),
            one: Box::new(statement(one, stated)),
            other: Box::new(statement(by, &digest)),
        }),
        Some(_) => Ok(()),
        None => {
            *before = Some((by.to_owned(), digest));
            Ok(())
        }
    }
}

/// The digest in a file as `sha256sum` writes it: digest, two blanks (or blank and asterisk), file name.
fn sidecar<D: std::str::FromStr + Copy>(
    text: &[u8],
    file: &str,
    to_hex: impl FnOnce(D) -> String,
) -> Option<D> {
    let text = std::str::from_utf8(text).ok()?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let (digest, rest) = line.split_once(' ')?;
    let name = rest.strip_prefix([' ', '*'])?;
    if name != file {
        return None;
    }
    plain(digest, to_hex)
}
