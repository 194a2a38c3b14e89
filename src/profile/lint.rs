//! What is allowed in a profile, and yet seldom meant.
//!
//! What a profile says by itself is looked at here. What only the packages show that answer it is found where
//! they are known, by [`compose`](crate), and said in the same words.
//!
//! Source: spec/image, "The archive that loads everywhere", "Config" and "Files scanners read".

use std::fmt;

use super::model::{HealthTest, Profile};
use super::origin::{Origin, Stated};
use super::release::{Branch, Series};
use super::repository::RepositoryLine;
use super::support::Day;

/// What to do about a line that scanners trip over.
const CANONICAL: &str = "leave it out here, `repositories` under [alpine] is enough to build from it";

/// How many reasons are named why a package is not removed.
const MAX_KEEPERS: usize = 6;

/// Something worth a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lint {
    /// Where, if it is something that is stated.
    pub origin: Option<Origin>,
    /// What.
    pub finding: Finding,
}

/// What a [`Lint`] warns of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The image's repositories have a line of edge.
    EdgeLine(String),
    /// The image's repositories have a line of `latest-stable`.
    LatestStableLine(String),
    /// The image's repositories have lines of Alpine's and others.
    ForeignLine(String),
    /// A label names a base image.
    BaseLabel(String),
    /// There is a health check.
    Healthcheck,
    /// Neither an entrypoint nor a command is stated.
    NothingToStart,
    /// Nobody mends the packages of a branch any more.
    Unsupported {
        /// The branch.
        series: Series,
        /// Since when, if that is known.
        since: Option<Day>,
    },
    /// Extensions of several versions of PHP, none of which loads another's.
    SeveralPhps {
        /// The packages, by version.
        versions: Vec<PhpPackages>,
        /// What was asked for without a version, if it is that which brought another one in.
        without_version: Option<String>,
    },
    /// What is asked for is met by a package that has nothing in it.
    NothingInIt {
        /// What is asked for.
        wanted: String,
        /// The package, as `name-version`.
        package: String,
        /// What may have been meant.
        meant: Vec<String>,
    },
    /// A package that should be removed is needed.
    NotRemoved {
        /// Its name.
        package: String,
        /// Why it is there, one way a line.
        keepers: Vec<String>,
    },
    /// A package that should be removed is not there.
    NothingToRemove {
        /// Its name.
        package: String,
        /// The names that are there and near it.
        near: Vec<String>,
    },
    /// What the image says it is is not the branch its packages are of.
    OtherRelease {
        /// What `/etc/os-release` says.
        stated: String,
        /// The branch of the packages.
        series: Series,
    },
}

/// The packages of one version of PHP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhpPackages {
    /// The version as packages have it in their names: 83.
    pub version: String,
    /// Some of the packages, those nearest to what is asked for first, each with how it came in.
    pub packages: Vec<String>,
    /// How many more there are.
    pub more: usize,
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{origin}: {}", self.finding),
            None => write!(f, "{}", self.finding),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EdgeLine(line) => {
                write!(
                    f,
                    "with `{line}` in its repositories, scanners judge the whole image as edge: {CANONICAL}"
                )
            }
            Self::LatestStableLine(line) => write!(
                f,
                "with `{line}` in its repositories, scanners find no advisories for the image and call it clean: \
                 name the branch instead"
            ),
            Self::ForeignLine(line) => {
                write!(
                    f,
                    "some scanners fail on `{line}` beside Alpine's own lines in the image's repositories: {CANONICAL}"
                )
            }
            Self::BaseLabel(name) => {
                write!(f, "the label `{name}` is for images with a base image, which this one has not")
            }
            Self::Healthcheck => f.write_str(
                "health checks are no part of OCI images: Docker runs them, podman drops them when it loads one",
            ),
            Self::NothingToStart => f.write_str("neither `entrypoint` nor `cmd` says what the image starts"),
            Self::Unsupported { series, since } => {
                match since {
                    Some(day) => write!(f, "support of Alpine {series} ended on {day}")?,
                    None => write!(f, "Alpine {series} is past its support")?,
                }
                f.write_str(": nobody mends its packages any more; take a newer `release`")
            }
            Self::SeveralPhps { versions, without_version } => {
                several_phps(f, versions, without_version.as_deref())
            }
            Self::NothingInIt { wanted, package, meant } => {
                write!(f, "`{wanted}` is met by {package}, which is empty, and nothing comes with it")?;
                match meant.as_slice() {
                    [] => f.write_str(": leave it out, or ask for the package that has what you mean"),
                    meant => write!(f, ": {} may be meant", meant.join(" or ")),
                }
            }
            Self::NotRemoved { package, keepers } => {
                write!(f, "`{package}` is not removed, for it is needed")?;
                for keeper in keepers.iter().take(MAX_KEEPERS) {
                    write!(f, "\n  {keeper}")?;
                }
                if keepers.len() > MAX_KEEPERS {
                    write!(f, "\n  and {} more", keepers.len() - MAX_KEEPERS)?;
                }
                f.write_str("\n  take out those too, or prune it at the end: `packages` under [prune]")
            }
            Self::NothingToRemove { package, near } => {
                write!(f, "`{package}` is not in the base, so there is nothing to remove")?;
                match near.as_slice() {
                    [] => Ok(()),
                    near => write!(f, ": {} may be meant", near.join(" or ")),
                }
            }
            Self::OtherRelease { stated, series } => write!(
                f,
                "/etc/os-release says {stated} and the packages are those of Alpine {series}: scanners take one or \
                 the other; add alpine-release to [packages] runtime, or take a base of {series}"
            ),
        }
    }
}

fn several_phps(
    f: &mut fmt::Formatter<'_>,
    versions: &[PhpPackages],
    without_version: Option<&str>,
) -> fmt::Result {
    let names: Vec<String> = versions.iter().map(|php| format!("php{}", php.version)).collect();
    write!(f, "the packages of {} in one image do not work with each other", names.join(" and "))?;
    for PhpPackages { packages, more, .. } in versions {
        for package in packages {
            write!(f, "\n  {package}")?;
        }
        if *more > 0 {
            write!(f, "\n  and {more} more")?;
        }
    }
    match without_version {
        Some(name) => write!(f, "\n  ask for what you mean with its version, not for `{name}`"),
        None => f.write_str("\n  ask for the packages of one version"),
    }
}

impl Profile {
    /// What is allowed, and yet seldom meant.
    #[must_use]
    pub fn lints(&self) -> Vec<Lint> {
        let mut lints = repository_lints(self.image.repositories.as_deref().unwrap_or_default());
        let mut unplaced = |finding| lints.push(Lint { origin: None, finding });
        for name in self.image.labels.keys().filter(|name| name.starts_with("org.opencontainers.image.base."))
        {
            unplaced(Finding::BaseLabel(name.clone()));
        }
        if self.image.healthcheck.as_ref().is_some_and(|check| check.test != HealthTest::None) {
            unplaced(Finding::Healthcheck);
        }
        if self.image.entrypoint.is_empty() && self.image.command.is_empty() {
            unplaced(Finding::NothingToStart);
        }
        lints
    }
}

fn repository_lints(lines: &[Stated<RepositoryLine>]) -> Vec<Lint> {
    let some_alpine = lines.iter().any(|line| is_alpine(&line.value));
    let finding = |line: &RepositoryLine| {
        let text = line.to_string();
        let has_part = |part: &str| line.location.split('/').any(|component| component == part);
        if has_part("edge") {
            Some(Finding::EdgeLine(text))
        } else if has_part("latest-stable") {
            Some(Finding::LatestStableLine(text))
        } else if some_alpine && !is_alpine(line) {
            Some(Finding::ForeignLine(text))
        } else {
            None
        }
    };
    let lint = |line: &Stated<RepositoryLine>| {
        Some(Lint { origin: Some(line.origin.clone()), finding: finding(&line.value)? })
    };
    lines.iter().filter_map(lint).collect()
}

/// Whether the line has the form of Alpine's own, `https://HOST/alpine/BRANCH/REPOSITORY`. Scanners take what stands
/// second below the host for the branch, so that `https://nginx.org/packages/alpine/v3.22/main` has it not.
fn is_alpine(line: &RepositoryLine) -> bool {
    let below_host = line.location.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    let Some((_, path)) = below_host else { return false };
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let ["alpine", branch, "main" | "community" | "testing"] = *parts else { return false };
    branch.parse::<Branch>().is_ok()
}
