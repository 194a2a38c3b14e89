//! The places bytes come from, and the one way to reach them.
//!
//! A [`Source`] is the root of a mirror, or of a repository given by itself. Everything below it is named
//! by relative paths with `/`. That something is not there is no error here: who asked knows whether
//! another place may have it.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::kind::{Explain, Kind};
use crate::profile::builtin::BuiltIn;
use crate::profile::repository::{Mirror, Url};
use crate::profile::{Place, ProfilePath};
use crate::root::{FileError, Root};

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
}

/// Something to read.
pub(super) struct Opened {
    pub(super) reader: Box<dyn Read + Send>,
    /// How long it is, in bytes.
    pub(super) length: u64,
}

/// A place that bytes cannot come from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It is reached over the network.
    #[error("cannot read {url}: http mirrors are not supported yet")]
    Http {
        /// The URL, without credentials.
        url: String,
    },
    /// A path of a built-in profile leads out of it.
    #[error("{path} leads out of the profile, where there is nothing")]
    Outside {
        /// The path, with its profile.
        path: String,
    },
}

impl Explain for SourceError {
    fn kind(&self) -> Kind {
        match self {
            Self::Http { .. } => Kind::Missing,
            Self::Outside { .. } => Kind::Profile,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Http { .. } => Some("give --mirror a directory or a file: URL".to_owned()),
            Self::Outside { .. } => None,
        }
    }
}

impl Source {
    /// The place of a mirror.
    pub fn of_mirror(mirror: &Mirror) -> Result<Self, SourceError> {
        match mirror {
            Mirror::Url(url) => Self::of_url(url),
            Mirror::Directory(path) => Self::of_path(path),
        }
    }

    /// The place at a URL.
    pub fn of_url(url: &Url) -> Result<Self, SourceError> {
        Err(SourceError::Http { url: url.to_string() })
    }

    /// The directory at a path of a profile.
    pub fn of_path(path: &ProfilePath) -> Result<Self, SourceError> {
        match path.place() {
            Some(Place::Disk(directory)) => Ok(Self::Directory(directory)),
            Some(Place::Embedded { profile, path }) => Ok(Self::Embedded { profile, directory: path }),
            None => Err(SourceError::Outside { path: path.to_string() }),
        }
    }

    /// What `path` below this place is called in messages.
    pub fn locate(&self, path: &str) -> String {
        match self {
            Self::Directory(directory) => directory.join(path).display().to_string(),
            Self::Embedded { profile, directory } => {
                format!("{} (built-in {})", below(directory, path), profile.name)
            }
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
            Self::Directory(_) | Self::Embedded { .. } => location,
        }
    }

    /// Opens the file at `path`; nothing if it is not there.
    pub(super) fn open(&self, path: &str) -> Result<Option<Opened>, FileError> {
        match self {
            Self::Directory(directory) => open_below(directory, path),
            Self::Embedded { profile, directory } => Ok(profile
                .file(&below(directory, path))
                .map(|file| Opened { reader: Box::new(file.bytes), length: file.bytes.len() as u64 })),
        }
    }

    /// Reads the file at `path`, which may have `limit` bytes; nothing if it is not there.
    pub(super) fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, FileError> {
        let Some(opened) = self.open(path)? else { return Ok(None) };
        let location = PathBuf::from(self.locate(path));
        let mut bytes = Vec::new();
        opened
            .reader
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(FileError::on("read", &location))?;
        if bytes.len() as u64 > limit {
            let error =
                io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes"));
            return Err(FileError::on("read", &location)(error));
        }
        Ok(Some(bytes))
    }

    /// Where `name` points, if it is a link in this place, or a small file in place of one.
    pub(super) fn link_name(&self, name: &str) -> Option<String> {
        if let Self::Directory(directory) = self
            && let Ok(target) = fs::read_link(directory.join(name))
        {
            return target.file_name().map(|name| name.to_string_lossy().into_owned());
        }
        // An error means that it is a directory, or a file that holds something else.
        let text = self.read(name, MAX_LINK).ok()??;
        Some(String::from_utf8_lossy(&text).trim().to_owned())
    }
}

fn below(directory: &str, path: &str) -> String {
    if directory.is_empty() { path.to_owned() } else { format!("{directory}/{path}") }
}

fn open_below(directory: &Path, path: &str) -> Result<Option<Opened>, FileError> {
    let opened = Root::open(directory).and_then(|root| root.open_file(Path::new(path)));
    let file = match opened {
        // Part of the path may be a file where another mirror has a directory.
        Err(error) if error.is_not_found() || error.error.kind() == io::ErrorKind::NotADirectory => {
            return Ok(None);
        }
        other => other?,
    };
    let length = file.metadata().map_err(FileError::on("look at", &directory.join(path)))?.len();
    Ok(Some(Opened { reader: Box::new(file), length }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::builtin::EmbeddedFile;
    use crate::profile::{Location, Origin};

    #[test]
    fn a_mirror_over_http_is_refused_in_words_and_without_its_password() {
        let mirror = Mirror::parse("https://me:secret@example.org/alpine", &Origin::Default).unwrap();
        let error = Source::of_mirror(&mirror).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read https://***@example.org/alpine: http mirrors are not supported yet"
        );
        assert_eq!(error.hint().unwrap(), "give --mirror a directory or a file: URL");
        assert_eq!(error.kind(), Kind::Missing);
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

        assert_eq!(source.read("x86_64/APKINDEX.tar.gz", 5).unwrap().unwrap(), b"index");
        assert!(source.read("x86_64/APKINDEX.tar.gz", 4).is_err());
        assert!(source.read("x86_64/other", 4).unwrap().is_none());
        assert_eq!(source.locate("x86_64/other"), "repository/x86_64/other (built-in demo)");
        assert!(matches!(Source::of_path(&path("../x")), Err(SourceError::Outside { .. })));
    }
}
