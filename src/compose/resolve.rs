//! The solver's answer without a profile and without an image: indexes, an installed database and a world, as files.
//!
//! What is asked for stands for what `apk add` would be told: a dependency takes the place of what the world says of
//! the same name. Nothing is fetched but indexes, and nothing is written.
//!
//! Source: spec apk v2, "Dependencies and versions" and "Solver"; that the last word on a name counts is measured on
//! apk 2.14.4.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::answer::Answer;
use crate::apk::dependency::{Dependency, DependencyError, Tag};
use crate::apk::index::{Index, IndexError};
use crate::apk::installed::InstalledText;
use crate::apk::keys::Keyring;
use crate::arch::Arch;
use crate::fetch::{FetchError, Fetcher, IndexPlace, Reading, Unsigned, given_indexes};
use crate::kind::{Explain, Kind};
use crate::profile::Invalid;
use crate::profile::repository::split_tag;
use crate::root::{self, FileError};
use crate::solve::{self, Installed, Refusal, Repository, Solution};

/// The largest installed database or world that is read, in bytes.
const MAX_TEXT: u64 = 256 << 20;

/// A repository, as it is typed: `[@TAG=]PATH|URL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenRepository {
    /// The tag it is pinned to.
    pub tag: Option<Tag>,
    /// Where its index is.
    pub place: IndexPlace,
}

impl FromStr for GivenRepository {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        const WANTED: &str =
            "a repository (a directory, an APKINDEX.tar.gz, its text, or a URL; `@TAG=` may stand before it)";
        let invalid = || Invalid { text: text.to_owned(), wanted: WANTED };
        let (tag, place) = split_tag(text).ok_or_else(invalid)?;
        Ok(Self { tag, place: place.parse()? })
    }
}

/// What is asked, and of what.
#[derive(Debug, Clone)]
pub struct ResolveRequest {
    /// The repositories, the preferred first.
    pub repositories: Vec<GivenRepository>,
    /// Whose signatures are accepted.
    pub keyring: Keyring,
    /// What becomes of indexes that nobody who is known has signed.
    pub unsigned: Unsigned,
    /// The architecture.
    pub arch: Arch,
    /// A file with the text of an installed database.
    pub installed: Option<PathBuf>,
    /// A file with a world, a dependency per line.
    pub world: Option<PathBuf>,
    /// What is asked for beside it, in order.
    pub dependencies: Vec<String>,
    /// How to choose.
    pub options: solve::Options,
}

/// The answer, with all that it is of.
#[derive(Debug)]
pub struct Resolved {
    repositories: Vec<GivenRepository>,
    indexes: Vec<Index>,
    installed: Option<InstalledText>,
    world: Vec<Dependency>,
    solution: Solution,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// What is asked for is no dependency.
    #[error(transparent)]
    Spec(DependencyError),
    /// A line of the world is no dependency.
    #[error("line {line} of {file}: {error}", file = .file.display())]
    WorldSpec {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        error: DependencyError,
    },
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file that should be a text is none.
    #[error("{file} is not UTF-8", file = .file.display())]
    NotUtf8 {
        /// The file.
        file: PathBuf,
    },
    /// An index cannot be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The installed database is malformed.
    #[error(transparent)]
    Installed(#[from] IndexError),
    /// What is asked for cannot be had.
    #[error(transparent)]
    Refusal(#[from] Refusal),
}

impl Explain for ResolveError {
    fn kind(&self) -> Kind {
        match self {
            Self::Spec(_) => Kind::Usage,
            // The installed database is the user's own file, which nobody signed.
            Self::WorldSpec { .. } | Self::NotUtf8 { .. } | Self::Installed(_) => Kind::Profile,
            Self::File(error) => error.kind(),
            Self::Fetch(error) => error.kind(),
            Self::Refusal(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Spec(_) | Self::WorldSpec { .. } => {
                Some("a dependency is [!]NAME[@TAG][OPERATOR VERSION] in one word, as `php83~8.3`".to_owned())
            }
            Self::File(error) => error.hint(),
            Self::Fetch(error) => error.hint(),
            Self::Installed(_) => {
                Some("an installed database is the text of lib/apk/db/installed".to_owned())
            }
            Self::Refusal(error) => error.hint(),
            Self::NotUtf8 { .. } => None,
        }
    }
}

/// Answers `request`.
pub fn resolve(fetcher: &Fetcher<'_>, request: &ResolveRequest) -> Result<Resolved, ResolveError> {
    let asked: Result<Vec<Dependency>, _> = request.dependencies.iter().map(|text| text.parse()).collect();
    let asked = asked.map_err(ResolveError::Spec)?;
    let mut world = request.world.as_deref().map(read_world).transpose()?.unwrap_or_default();
    for dependency in &asked {
        ask_for(&mut world, dependency.clone());
    }
    let installed = request.installed.as_deref().map(read_installed).transpose()?;
    let reading = Reading { arch: request.arch, keyring: &request.keyring, unsigned: request.unsigned };
    let places: Vec<IndexPlace> = request.repositories.iter().map(|given| given.place.clone()).collect();
    let indexes = given_indexes(fetcher, &places, &reading)?;
    let asked = solve::Request {
        arch: request.arch,
        world,
        requested: asked.iter().map(|dependency| dependency.name.to_string()).collect(),
        options: request.options,
    };
    let solution = solve::solve(
        &repositories(&request.repositories, &indexes),
        installed.as_ref().map(Installed::of_text).as_ref(),
        &asked,
        fetcher.reporter,
    )?;
    let repositories = request.repositories.clone();
    Ok(Resolved { repositories, indexes, installed, world: asked.world, solution })
}

fn repositories<'a>(given: &[GivenRepository], indexes: &'a [Index]) -> Vec<Repository<'a>> {
    let pairs = given.iter().zip(indexes);
    pairs
        .map(|(given, index)| Repository { index, tag: given.tag.clone(), name: given.place.to_string() })
        .collect()
}

impl Resolved {
    /// The answer.
    pub fn answer(&self) -> Answer<'_> {
        Answer {
            repositories: repositories(&self.repositories, &self.indexes),
            installed: self.installed.as_ref().map(Installed::of_text),
            world: &self.world,
            solution: &self.solution,
        }
    }
}

/// Puts a dependency in the place of what the world says of the same name.
fn ask_for(world: &mut Vec<Dependency>, dependency: Dependency) {
    match world.iter_mut().find(|known| known.name == dependency.name) {
        Some(known) => *known = dependency,
        None => world.push(dependency),
    }
}

fn read_world(path: &Path) -> Result<Vec<Dependency>, ResolveError> {
    let text = String::from_utf8(root::read_given(path, MAX_TEXT)?)
        .map_err(|_| ResolveError::NotUtf8 { file: path.to_owned() })?;
    let mut world = Vec::new();
    for (line, words) in (1..).zip(text.lines()) {
        for word in words.split_ascii_whitespace() {
            let dependency = word.parse().map_err(|error| ResolveError::WorldSpec {
                file: path.to_owned(),
                line,
                error,
            })?;
            ask_for(&mut world, dependency);
        }
    }
    Ok(world)
}

fn read_installed(path: &Path) -> Result<InstalledText, ResolveError> {
    Ok(InstalledText::parse(&path.display().to_string(), root::read_given(path, MAX_TEXT)?)?)
}
