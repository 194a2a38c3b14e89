//! An index that is given by itself, for whoever wants the solver's answer and no image.
//!
//! It may be a repository's directory, an `APKINDEX.tar.gz` or its bare text, here or on the network. It is verified as
//! any other unless it need not be signed ([`Unsigned::Accepted`]). What comes out is no [`VerifiedIndex`], so that
//! nothing can be fetched by it.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::document::Keeping;
use super::error::FetchError;
use super::fetcher::Fetcher;
use super::source::Source;
use crate::apk::index::{Index, MAX_INDEX_TEXT};
use crate::apk::index_file::{IndexFileError, MAX_INDEX_FILE, VerifiedIndex, read_unsigned};
use crate::apk::keys::{Keyring, SignatureError};
use crate::arch::Arch;
use crate::profile::repository::{Mirror, Url};
use crate::profile::{Invalid, Origin, Place};
use crate::report::Step;
use crate::root;

use super::repository::{INDEX, INDEX_TEXT};

/// How every gzip member begins.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// Where an index is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexPlace {
    /// On the network: the URL of a repository, or of its `APKINDEX.tar.gz`.
    Url(Url),
    /// On this machine: a repository's directory, an `APKINDEX.tar.gz`, or its text.
    Path(PathBuf),
}

/// What becomes of an index that nobody who is known has signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unsigned {
    /// It is refused.
    #[default]
    Refused,
    /// It is taken at its word. One with a bad signature of somebody known is refused all the same.
    Accepted,
}

impl FromStr for IndexPlace {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(match Mirror::parse(text, &Origin::Default)? {
            Mirror::Url(url) => Self::Url(url),
            Mirror::Directory(path) => match path.place() {
                Some(Place::Disk(path)) => Self::Path(path),
                Some(Place::Embedded { .. }) | None => Self::Path(path.path),
            },
        })
    }
}

impl std::fmt::Display for IndexPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(url) => write!(f, "{url}"),
            Self::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

/// How given indexes are read.
#[derive(Debug)]
pub struct Reading<'a> {
    /// For which architecture, where a place has several.
    pub arch: Arch,
    /// Whose signatures are accepted.
    pub keyring: &'a Keyring,
    /// What becomes of others.
    pub unsigned: Unsigned,
}

/// The indexes at `places`, in their order.
pub fn given_indexes(
    fetcher: &Fetcher<'_>,
    places: &[IndexPlace],
    reading: &Reading<'_>,
) -> Result<Vec<Index>, FetchError> {
    fetcher.reporter.begin(Step::Indexes, places.len() as u64);
    let on_network = places.iter().any(|place| matches!(place, IndexPlace::Url(_)));
    let indexes = fetcher.all(places, on_network, |place| {
        let index = reading.index(fetcher, place)?;
        fetcher.reporter.advance(Step::Indexes, 1, &place.to_string());
        Ok(index)
    })?;
    fetcher.reporter.end(Step::Indexes);
    Ok(indexes)
}

impl Reading<'_> {
    fn index(&self, fetcher: &Fetcher<'_>, place: &IndexPlace) -> Result<Index, FetchError> {
        let candidates: Vec<(Source, String)> = match place {
            IndexPlace::Path(path) if !path.is_dir() => return self.of_file(path),
            IndexPlace::Path(path) => {
                let below = |name: String| (Source::Directory(path.clone()), name);
                vec![below(format!("{}/{INDEX}", self.arch)), below(INDEX.to_owned())]
            }
            IndexPlace::Url(url) => match parent(url) {
                Some((parent, name)) => vec![(Source::Network(parent), name)],
                None => vec![(Source::Network(url.clone()), format!("{}/{INDEX}", self.arch))],
            },
        };
        for (source, path) in &candidates {
            let accept = |file: &[u8]| self.accept(file, &source.locate(path));
            if let Some(index) = source.read(fetcher, path, MAX_INDEX_FILE, Keeping::AtOnce, accept)? {
                return Ok(index);
            }
        }
        Err(FetchError::NoIndex {
            repository: place.to_string(),
            arch: self.arch,
            looked_at: candidates.iter().map(|(source, path)| source.locate_missing(path)).collect(),
        })
    }

    fn of_file(&self, path: &Path) -> Result<Index, FetchError> {
        self.accept(&root::read_given(path, MAX_INDEX_TEXT)?, &path.display().to_string())
    }

    fn accept(&self, file: &[u8], location: &str) -> Result<Index, FetchError> {
        let is_text = !file.starts_with(GZIP) && !file.starts_with(b"ADB");
        let read = match self.unsigned {
            // A bare text has no place for a signature.
            Unsigned::Refused if is_text => Err(IndexFileError::Signature(SignatureError::Unsigned)),
            Unsigned::Accepted if is_text => Index::parse(INDEX_TEXT, file).map_err(IndexFileError::Text),
            Unsigned::Refused => {
                VerifiedIndex::check(INDEX_TEXT, file, self.keyring).map(VerifiedIndex::into_index)
            }
            Unsigned::Accepted => read_unsigned(INDEX_TEXT, file, self.keyring),
        };
        read.map_err(|error| FetchError::GivenIndex { location: location.to_owned(), error })
    }
}

/// The URL of the directory that `url` is a file in, and the file's name; nothing if it names a directory.
fn parent(url: &Url) -> Option<(Url, String)> {
    let (parent, name) = url.with_credentials().rsplit_once('/')?;
    let is_file = name.ends_with(".tar.gz") || name == INDEX_TEXT;
    is_file.then(|| Some((parent.parse().ok()?, name.to_owned())))?
}
