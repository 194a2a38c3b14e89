//! The base: a root filesystem to start from, and why it may be believed.
//!
//! Alpine's minirootfs is not signed as packages are. What it must be is stated by the profile, by the list
//! of releases and by checksum files beside it. All who state something must agree, whichever is believed;
//! the rung says which that was.
//!
//! Source: design, "Trust".

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::base_image::BaseImage;
use super::branch::resolve_branch;
use super::document::{Keeping, Pending};
use super::error::{FetchError, PROFILE, Statement};
use super::failover::first_of;
use super::fetcher::Fetcher;
use super::packages::{Watched, again_if_damaged, refusal};
use super::releases::{ListedMinirootfs, ReleaseList};
use super::source::{Opened, Source, Way};
use crate::arch::Arch;
use crate::content::{OpenFile, ReadAt as _, ReadFrom, sha256_from};
use crate::digest::{Sha256, Sha512, plain};
use crate::profile::release::{Branch, Release, ReleaseVersion};
use crate::report::Step;
use crate::root::{self, FileError};
use crate::store::{Expanded, StoredRootfs};
use crate::threads::both;

/// The longest checksum file, in bytes.
const MAX_SIDECAR: u64 = 4096;
/// The largest archive of a base whose length nobody states, in bytes.
const MAX_ROOTFS: u64 = 4 << 30;

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
    /// A checksum beside it states its digest, and both came in the clear: over http.
    SidecarInTheClear,
    /// It is a file of this machine that the profile names.
    LocalFile,
}

impl TrustRung {
    /// What an image's label says of it. How the bytes came is not part of it: an image is the same from every
    /// mirror.
    #[must_use]
    pub fn label(self) -> String {
        match self {
            Self::SidecarInTheClear => Self::Sidecar.to_string(),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for TrustRung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ExpectedSha256 => "base-sha256 of the profile",
            Self::Packages => "signed packages, whose files it has",
            Self::Sidecar => "the checksum beside it",
            Self::SidecarInTheClear => "the checksum beside it, over http",
            Self::LocalFile => "a local file",
        })
    }
}

/// A base, fetched.
#[derive(Debug, Clone)]
pub struct Base {
    /// Its digest: of the archive, or of the manifest of an image that is a directory.
    pub sha256: Sha256,
    /// Its layers, the lowest first: a root filesystem's archive is a single one.
    pub layers: Vec<Expanded>,
    /// Why it is believed.
    pub trust: TrustRung,
    /// The file name of the archive or directory.
    pub file: String,
    /// Which release it is, if it is one.
    pub release: Option<ReleaseVersion>,
    /// The image it is, if it is one.
    pub image: Option<BaseImage>,
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

/// The minirootfs of a release: from the store, or fetched into it. A mirror that cannot be reached, or has
/// something else than is stated, is passed over with a warning as long as there is another.
pub fn minirootfs(fetcher: &Fetcher<'_>, wanted: &Minirootfs<'_>) -> Result<Base, FetchError> {
    let branch = resolve_branch(fetcher, wanted.release.branch(), wanted.mirrors, wanted.arch)?;
    let directory = format!("{branch}/releases/{}", wanted.arch);
    let take = |mirror: &&Source| {
        let found = Found::look(fetcher, mirror, &directory, branch, wanted)?;
        found.map(|found| found.fetch(fetcher)).transpose()
    };
    let taken = first_of(wanted.mirrors, take).map_err(|refused| {
        refused.unwrap_or_else(|| FetchError::NoRelease {
            release: wanted.release.to_string(),
            arch: wanted.arch,
            looked_at: wanted.mirrors.iter().map(|mirror| mirror.locate_missing(&directory)).collect(),
        })
    })?;
    fetcher.warn_passed_over(taken.refused.as_ref(), &taken.place.locate(&directory));
    Ok(taken.value)
}

/// The root filesystem in the archive at `path`: from the store, or copied into it.
pub(super) fn rootfs_archive(
    fetcher: &Fetcher<'_>,
    path: &Path,
    sha256: Option<Sha256>,
) -> Result<Base, FetchError> {
    let location = path.display().to_string();
    let mut stated = Stated { file: location.clone(), ..Stated::default() };
    if let Some(sha256) = sha256 {
        stated.sha256(PROFILE, sha256)?;
    }
    let file = match root::open_file(path) {
        Err(error) if error.is_not_found() => return Err(FetchError::NoBase { location }),
        other => other?,
    };
    let file = OpenFile::new(file, path.to_owned()).map_err(FileError::on("look at", path))?;
    // The file may be another than last time, whatever it is called: its content is what is looked up.
    let got = sha256_from(&file, 0).map_err(FileError::on("read", path))?;
    let rootfs = obtain(fetcher, &stated, Some(got), || {
        Ok(Opened { reader: Box::new(ReadFrom::new(&file, 0)), length: Some(file.length()) })
    })?;
    Ok(Base {
        sha256: rootfs.blob(),
        layers: vec![rootfs.expanded().clone()],
        image: None,
        trust: if sha256.is_some() { TrustRung::ExpectedSha256 } else { TrustRung::LocalFile },
        file: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        release: None,
    })
}

/// A minirootfs that a mirror has, with all that is stated about it.
struct Found<'a> {
    mirror: &'a Source,
    path: String,
    file: String,
    release: ReleaseVersion,
    stated: Stated,
    trust: TrustRung,
    /// What states it, to be kept if it is as stated.
    pending: Pending,
}

impl<'a> Found<'a> {
    /// Looks in `directory` of `mirror`; nothing if the release is not there.
    fn look(
        fetcher: &Fetcher<'_>,
        mirror: &'a Source,
        directory: &str,
        branch: Branch,
        wanted: &Minirootfs<'_>,
    ) -> Result<Option<Self>, FetchError> {
        let pending = Pending::default();
        let list = ReleaseList::fetch(fetcher, mirror, branch, wanted.arch, Keeping::With(&pending))?;
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
        let mut stated = Stated { file: mirror.locate(&path), ..Stated::default() };
        if let (Some(list), Some(listed)) = (&list, listed) {
            stated.listed(list.location(), listed)?;
        }
        stated.sidecars(fetcher, &pending, mirror, &path, &file)?;
        let has_sidecar = !stated.is_empty();
        if !has_sidecar && !mirror.has(fetcher, &path)? {
            return Ok(None);
        }
        if let Some(sha256) = wanted.sha256 {
            stated.sha256(PROFILE, sha256)?;
        }
        let trust = match (wanted.sha256, has_sidecar, mirror.way()) {
            (Some(_), _, _) => TrustRung::ExpectedSha256,
            (None, true, Way::Safe) => TrustRung::Sidecar,
            (None, true, Way::Clear) => TrustRung::SidecarInTheClear,
            (None, false, _) => return Err(FetchError::NothingStated { file: stated.file }),
        };
        Ok(Some(Self { mirror, path, file, release, stated, trust, pending }))
    }

    fn fetch(self, fetcher: &Fetcher<'_>) -> Result<Base, FetchError> {
        let known = self.stated.sha256.as_ref().map(|(_, sha256)| *sha256);
        let rootfs = again_if_damaged(self.mirror.is_on_network(), || {
            obtain(fetcher, &self.stated, known, || {
                let location = || self.mirror.locate(&self.path);
                let opened = self.mirror.open(fetcher, &self.path)?;
                opened.ok_or_else(|| FetchError::NoBase { location: location() })
            })
        })?;
        self.pending.keep(fetcher)?;
        Ok(Base {
            sha256: rootfs.blob(),
            layers: vec![rootfs.expanded().clone()],
            trust: self.trust,
            file: self.file,
            release: Some(self.release),
            image: None,
        })
    }
}

/// The root filesystem that is as stated: from the store, if it is known by which digest, or copied into it.
fn obtain<'a>(
    fetcher: &Fetcher<'_>,
    stated: &Stated,
    known: Option<Sha256>,
    open: impl FnOnce() -> Result<Opened<'a>, FetchError>,
) -> Result<StoredRootfs, FetchError> {
    let Fetcher { store, reporter, .. } = *fetcher;
    if let Some(sha256) = known
        && let Some(rootfs) = store.recall_rootfs(sha256)?
    {
        stated.check(rootfs.blob(), rootfs.sha512())?;
        return Ok(rootfs);
    }
    let (location, mut advanced) = (&stated.file, 0);
    let name = location.rsplit('/').next().unwrap_or(location);
    let opened = open()?;
    if let Some(length) = opened.length {
        stated.check_length(length)?;
    }
    let opened = opened.within(MAX_ROOTFS, name).map_err(|error| refusal(error, location, reporter))?;
    let length = opened.length.or(stated.size.as_ref().map(|(_, size)| *size));
    reporter.begin(Step::Fetch, length.unwrap_or_default());
    let reader = Watched::new(opened.reader, length, reporter, name, &mut advanced);
    let limit = Some(length.unwrap_or(MAX_ROOTFS));
    let result = store
        .add_rootfs(name, limit, reader, |sha256, sha512| stated.check(sha256, sha512))
        .map_err(|error| match error {
            FetchError::Store(error) => refusal(error, location, reporter),
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

    fn sidecars(
        &mut self,
        fetcher: &Fetcher<'_>,
        pending: &Pending,
        mirror: &Source,
        path: &str,
        file: &str,
    ) -> Result<(), FetchError> {
        let sidecars = Sidecars { fetcher, pending, mirror, file };
        let at = |extension: &str| format!("{path}.{extension}");
        let (sha512, sha256) =
            both(|| sidecars.read(&at("sha512"), SHA512), || sidecars.read(&at("sha256"), SHA256));
        // Offline, what was not there when the rest was fetched cannot be told from what was not asked for.
        let states = !self.is_empty() || matches!(sha256, Ok(Some(_))) || matches!(sha512, Ok(Some(_)));
        if let Some(digest) = unless_offline(sha256, states)? {
            self.sha256(&mirror.locate(&at("sha256")), digest)?;
        }
        if let Some(digest) = unless_offline(sha512, states)? {
            self.sha512(&mirror.locate(&at("sha512")), digest)?;
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

/// The files beside a base that state its digest.
struct Sidecars<'a> {
    fetcher: &'a Fetcher<'a>,
    pending: &'a Pending,
    mirror: &'a Source,
    file: &'a str,
}

impl Sidecars<'_> {
    /// The digest that the file at `path` states, if there is one.
    fn read<D: FromStr + fmt::Display>(
        &self,
        path: &str,
        algorithm: &'static str,
    ) -> Result<Option<D>, FetchError> {
        let Self { fetcher, pending, mirror, file } = *self;
        mirror.read(fetcher, path, MAX_SIDECAR, Keeping::With(pending), |text| {
            sidecar(text, file).ok_or_else(|| FetchError::Sidecar {
                location: mirror.locate(path),
                algorithm,
                file: file.to_owned(),
            })
        })
    }
}

/// Takes what is missing offline as not there, where something else states what the file must be.
fn unless_offline<D>(read: Result<Option<D>, FetchError>, states: bool) -> Result<Option<D>, FetchError> {
    match read {
        Err(FetchError::Offline { .. }) if states => Ok(None),
        other => other,
    }
}

/// The digest in a file as `sha256sum` writes it: digest, two blanks (or blank and asterisk), file name.
fn sidecar<D: FromStr + fmt::Display>(text: &[u8], file: &str) -> Option<D> {
    let text = std::str::from_utf8(text).ok()?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let (digest, rest) = line.split_once(' ')?;
    let name = rest.strip_prefix([' ', '*'])?;
    if name != file {
        return None;
    }
    plain(digest)
}
