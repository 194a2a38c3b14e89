//! The places bytes come from, and the one way to reach them.
//!
//! A [`Source`] is the root of a mirror, or of a repository given by itself. Everything below it is named
//! by relative paths with `/`. That something is not there is no error here: who asked knows whether
//! another place may have it.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::document::{Keeping, NetworkDocument};
use super::error::FetchError;
use super::fetcher::Fetcher;
use super::http::{Address, Answer, HttpError, Transfer, Wish};
use crate::kind::{Explain, Kind};
use crate::profile::builtin::BuiltIn;
use crate::profile::release::Branch;
use crate::profile::repository::{Mirror, Url};
use crate::profile::{Place, ProfilePath};
use crate::root::{FileError, Root};
use crate::store::StoreError;

/// The longest branch name that a file in place of a link may hold, in bytes.
const MAX_LINK: u64 = 64;

/// A place bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A directory of this machine.
    Directory(PathBuf),
    /// A directory of a built-in profile.
    Embedded {
        /// The profile.
        profile: &'static BuiltIn,
        /// The directory: empty, or without a slash at its end.
        directory: String,
    },
    /// A place on the network.
    Network(Url),
}

/// How bytes come, which is worth something where nothing else vouches for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// From this machine, or from a server that showed who it is.
    Safe,
    /// In the clear: anybody on the way could have changed them.
    Clear,
}

/// Something to read.
pub(super) struct Opened<'a> {
    pub(super) reader: Box<dyn Read + 'a>,
    /// How long it is, in bytes, if that is known.
    pub(super) length: Option<u64>,
}

impl Opened<'_> {
    /// The same, unless it is known to be longer than `limit` bytes. `object` says in errors what is read.
    pub(super) fn within(self, limit: u64, object: &str) -> Result<Self, StoreError> {
        match self.length {
            Some(length) if length > limit => {
                Err(StoreError::TooLong { object: object.to_owned(), expected: limit })
            }
            _ => Ok(self),
        }
    }
}

/// Why a place does not give what it has.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A path of a built-in profile leads out of it.
    #[error("{path} leads out of the profile, where there is nothing")]
    Outside {
        /// The path, with its profile.
        path: String,
    },
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A transfer failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It is on the network, which may not be used.
    #[error("{location} is not in the cache")]
    Offline {
        /// Where it is.
        location: String,
    },
}

impl Explain for SourceError {
    fn kind(&self) -> Kind {
        match self {
            Self::Outside { .. } => Kind::Profile,
            Self::File(error) => error.kind(),
            Self::Http(error) => error.kind(),
            Self::Offline { .. } => Kind::Missing,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Outside { .. } => None,
            Self::File(error) => error.hint(),
            Self::Http(error) => error.hint(),
            Self::Offline { .. } => Some("run once without --offline, with the same --cache-dir".to_owned()),
        }
    }

    fn is_transient(&self) -> bool {
        matches!(self, Self::Http(error) if error.is_transient())
    }
}

impl Source {
    /// The place of a mirror.
    pub fn of_mirror(mirror: &Mirror) -> Result<Self, SourceError> {
        match mirror {
            Mirror::Url(url) => Ok(Self::Network(url.clone())),
            Mirror::Directory(path) => Self::of_path(path),
        }
    }

    /// The directory at a path of a profile.
    pub fn of_path(path: &ProfilePath) -> Result<Self, SourceError> {
        match path.place() {
            Some(Place::Disk(directory)) => Ok(Self::Directory(directory)),
            Some(Place::Embedded { profile, path }) => Ok(Self::Embedded { profile, directory: path }),
            None => Err(SourceError::Outside { path: path.to_string() }),
        }
    }

    /// Whether it is reached over the network.
    pub(super) fn is_on_network(&self) -> bool {
        match self {
            Self::Network(_) => true,
            Self::Directory(_) | Self::Embedded { .. } => false,
        }
    }

    /// How bytes come from it.
    pub(super) fn way(&self) -> Way {
        match self {
            Self::Network(url) if !url.with_credentials().starts_with("https://") => Way::Clear,
            Self::Network(_) | Self::Directory(_) | Self::Embedded { .. } => Way::Safe,
        }
    }

    /// What `path` below this place is called in messages.
    pub fn locate(&self, path: &str) -> String {
        match self {
            Self::Directory(directory) => directory.join(path).display().to_string(),
            Self::Embedded { profile, directory } => {
                format!("{} (built-in {})", below(directory, path), profile.name)
            }
            Self::Network(url) => match Address::below(url, path) {
                Some(address) => address.shown().to_string(),
                None => url.to_string(),
            },
        }
    }

    /// What `path` below this place is called when it was looked at in vain: with the reason, if it is that
    /// the place itself is not there.
    pub(super) fn locate_missing(&self, path: &str) -> String {
        let location = self.locate(path);
        match self {
            Self::Directory(directory) if !directory.is_dir() => {
                format!("{location}: there is no directory {}", directory.display())
            }
            Self::Directory(_) | Self::Embedded { .. } | Self::Network(_) => location,
        }
    }

    /// Opens the file at `path`; nothing if it is not there.
    pub(super) fn open<'a>(
        &self,
        fetcher: &Fetcher<'a>,
        path: &str,
    ) -> Result<Option<Opened<'a>>, SourceError> {
        let Self::Network(url) = self else { return Ok(self.open_here(path)?) };
        let address = self.address(url, path)?;
        match ask(&address, fetcher, Wish::default())? {
            Answer::NotThere | Answer::NotModified => Ok(None),
            Answer::File(transfer) => Ok(Some(Opened { length: transfer.length(), reader: transfer })),
        }
    }

    /// Opens the file at `path` if it is on this machine.
    fn open_here(&self, path: &str) -> Result<Option<Opened<'static>>, FileError> {
        match self {
            Self::Directory(directory) => open_below(directory, path),
            Self::Embedded { profile, directory } => Ok(profile
                .file(&below(directory, path))
                .map(|file| Opened { reader: Box::new(file.bytes), length: Some(file.bytes.len() as u64) })),
            Self::Network(_) => Ok(None),
        }
    }

    /// Whether there is a file at `path`.
    pub(super) fn has(&self, fetcher: &Fetcher<'_>, path: &str) -> Result<bool, SourceError> {
        let Self::Network(url) = self else { return Ok(self.open_here(path)?.is_some()) };
        let wish = Wish { head_only: true, ..Wish::default() };
        Ok(matches!(ask(&self.address(url, path)?, fetcher, wish)?, Answer::File(_)))
    }

    /// What `accept` makes of the document at `path`, which may have `limit` bytes; nothing if it is not
    /// there. What comes over the network is kept when it was accepted, and not before.
    pub(super) fn read<T>(
        &self,
        fetcher: &Fetcher<'_>,
        path: &str,
        limit: u64,
        keeping: Keeping<'_>,
        accept: impl Fn(&[u8]) -> Result<T, FetchError>,
    ) -> Result<Option<T>, FetchError> {
        match self {
            Self::Network(url) => {
                let address = self.address(url, path)?;
                NetworkDocument { path, address, limit, keeping, fetcher }.read(accept)
            }
            Self::Directory(_) | Self::Embedded { .. } => {
                let bytes = self.read_here(path, limit).map_err(SourceError::from)?;
                bytes.map(|bytes| accept(&bytes)).transpose()
            }
        }
    }

    /// The file at `path` if it is on this machine; it may have `limit` bytes.
    fn read_here(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, FileError> {
        let Some(opened) = self.open_here(path)? else { return Ok(None) };
        let location = PathBuf::from(self.locate(path));
        read_all(opened, limit).map(Some).map_err(FileError::on("read", &location))
    }

    /// Where `name` points, if it is a link on this machine, or a small file in place of one.
    pub(super) fn link_name(&self, name: &str) -> Option<String> {
        if let Self::Directory(directory) = self
            && let Ok(target) = fs::read_link(directory.join(name))
        {
            return target.file_name().map(|name| name.to_string_lossy().into_owned());
        }
        // An error means that it is a directory, or a file that holds something else.
        let text = self.read_here(name, MAX_LINK).ok()??;
        Some(String::from_utf8_lossy(&text).trim().to_owned())
    }

    /// The branch that the small file `name` on the network holds, in place of a link.
    pub(super) fn branch_in_file(&self, fetcher: &Fetcher<'_>, name: &str) -> Option<Branch> {
        if !self.is_on_network() {
            return None;
        }
        // An error means that it is a page about a directory, as a rule, or not there.
        let read = self.read(fetcher, name, MAX_LINK, Keeping::AtOnce, |text| {
            let branch = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok());
            branch.ok_or_else(|| FetchError::NoFile { location: self.locate(name) })
        });
        read.ok().flatten()
    }

    fn address(&self, url: &Url, path: &str) -> Result<Address, SourceError> {
        Address::below(url, path).ok_or_else(|| SourceError::Outside { path: self.locate(path) })
    }
}

/// Asks for what is at `address`, if anybody may be asked.
pub(super) fn ask<'a>(
    address: &Address,
    fetcher: &Fetcher<'a>,
    wish: Wish,
) -> Result<Answer<'a>, SourceError> {
    if fetcher.network.is_offline() {
        return Err(SourceError::Offline { location: address.shown().to_string() });
    }
    Ok(Transfer::open(fetcher.network, address, wish, fetcher.reporter)?)
}

fn read_all(opened: Opened<'_>, limit: u64) -> io::Result<Vec<u8>> {
    let length = opened.length.unwrap_or(0).min(limit);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    opened.reader.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let error = format!("it is larger than {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, error));
    }
    Ok(bytes)
}

fn below(directory: &str, path: &str) -> String {
    if directory.is_empty() { path.to_owned() } else { format!("{directory}/{path}") }
}

fn open_below(directory: &Path, path: &str) -> Result<Option<Opened<'static>>, FileError> {
    let opened = Root::open(directory).and_then(|root| root.open_file(Path::new(path)));
    let file = match opened {
        // Part of the path may be a file where another mirror has a directory.
        Err(error) if error.is_not_found() || error.error.kind() == io::ErrorKind::NotADirectory => {
            return Ok(None);
        }
        other => other?,
    };
    let length = file.metadata().map_err(FileError::on("look at", &directory.join(path)))?.len();
    Ok(Some(Opened { reader: Box::new(file), length: Some(length) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::builtin::EmbeddedFile;
    use crate::profile::{Location, Origin};

    #[test]
    fn a_place_on_the_network_is_shown_without_its_password_and_knows_how_safe_it_is() {
        let source = |url: &str| Source::of_mirror(&Mirror::parse(url, &Origin::Default).unwrap()).unwrap();
        let https = source("https://me:secret@example.org/alpine");
        assert_eq!(https.locate("v3.19/main"), "https://example.org/alpine/v3.19/main");
        assert_eq!((https.way(), source("http://example.org").way()), (Way::Safe, Way::Clear));
        assert!(https.is_on_network());
    }

    #[test]
    fn a_directory_of_a_built_in_profile_is_a_place_like_any_other() {
        static PROFILE: BuiltIn = BuiltIn {
            name: "demo",
            text: "",
            files: &[EmbeddedFile { path: "repository/x86_64/APKINDEX.tar.gz", bytes: b"index" }],
        };
        let path =
            |path: &str| ProfilePath { location: Location::BuiltIn(&PROFILE), path: PathBuf::from(path) };

        let source = Source::of_path(&path("./repository")).unwrap();

        assert_eq!(source.read_here("x86_64/APKINDEX.tar.gz", 5).unwrap().unwrap(), b"index");
        assert!(source.read_here("x86_64/APKINDEX.tar.gz", 4).is_err());
        assert!(source.read_here("x86_64/other", 4).unwrap().is_none());
        assert_eq!(source.locate("x86_64/other"), "repository/x86_64/other (built-in demo)");
        assert!(matches!(Source::of_path(&path("../x")), Err(SourceError::Outside { .. })));
    }
}
