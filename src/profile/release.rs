//! Alpine's releases: what a profile asks for, and the versions that answer it.
//!
//! A release directory of a mirror holds several versions (`3.22.0_rc1`, `3.22.0`, `3.22.1`); edge's are
//! dates (`20240606`). They are ordered as semantic versions, a release candidate below its release.
//!
//! Source: design, "The profile"; `latest-releases.yaml` of Alpine's mirrors.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use super::value::{Invalid, decimal};

const WANTED_RELEASE: &str =
    "a release (\"3.22\", \"3.22.1\", \"3.22.0_rc2\", \"edge\" or \"latest-stable\")";
const WANTED_VERSION: &str = "the version of a release (\"3.22.1\", \"3.22.0_rc2\" or a date)";
const WANTED_BRANCH: &str = "a branch (\"v3.22\", \"edge\" or \"latest-stable\")";

/// The release a profile asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Release {
    /// `3.22`: the newest of its versions that is no candidate.
    Series(Series),
    /// `3.22.1` or `3.22.0_rc2`: exactly this.
    Exact(ReleaseVersion),
    /// The rolling branch.
    Edge,
    /// Whatever the mirror calls so.
    LatestStable,
}

/// Major and minor number, which name a stable branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Series {
    /// The 3 of 3.22.
    pub major: u16,
    /// The 22 of 3.22.
    pub minor: u16,
}

/// A directory of a mirror that holds releases and repositories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Branch {
    /// `v3.22`.
    Stable(Series),
    /// `edge`.
    Edge,
    /// `latest-stable`, on most mirrors a link.
    LatestStable,
}

/// The version of one released image, with its order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReleaseVersion {
    text: Box<str>,
    order: semver::Version,
}

impl Release {
    /// The branch of the mirror where it lies.
    #[must_use]
    pub fn branch(&self) -> Branch {
        match self {
            Self::Series(series) => Branch::Stable(*series),
            Self::Exact(version) => version.branch(),
            Self::Edge => Branch::Edge,
            Self::LatestStable => Branch::LatestStable,
        }
    }

    /// Whether `version` may serve. Of those that may, the greatest is taken.
    #[must_use]
    pub fn accepts(&self, version: &ReleaseVersion) -> bool {
        match self {
            Self::Series(series) => version.series() == Some(*series) && !version.is_candidate(),
            Self::Exact(exact) => exact == version,
            Self::Edge => version.series().is_none(),
            Self::LatestStable => version.series().is_some() && !version.is_candidate(),
        }
    }
}

impl Default for Release {
    /// `latest-stable`.
    fn default() -> Self {
        Self::LatestStable
    }
}

impl FromStr for Release {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "edge" => return Ok(Self::Edge),
            "latest-stable" => return Ok(Self::LatestStable),
            _ => {}
        }
        if let Some(series) = Series::parse(text) {
            return Ok(Self::Series(series));
        }
        match text.parse::<ReleaseVersion>() {
            Ok(version) if version.series().is_some() => Ok(Self::Exact(version)),
            _ => Err(Invalid::new(text, WANTED_RELEASE)),
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Series(series) => write!(f, "{series}"),
            Self::Exact(version) => write!(f, "{version}"),
            Self::Edge => f.write_str("edge"),
            Self::LatestStable => f.write_str("latest-stable"),
        }
    }
}

impl Series {
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self { major: decimal(major)?, minor: decimal(minor)? })
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Branch {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "edge" => Ok(Self::Edge),
            "latest-stable" => Ok(Self::LatestStable),
            _ => text
                .strip_prefix('v')
                .and_then(Series::parse)
                .map(Self::Stable)
                .ok_or_else(|| Invalid::new(text, WANTED_BRANCH)),
        }
    }
}

/// The name of the directory.
impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stable(series) => write!(f, "v{series}"),
            Self::Edge => f.write_str("edge"),
            Self::LatestStable => f.write_str("latest-stable"),
        }
    }
}

impl ReleaseVersion {
    /// The version as Alpine writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its series, or nothing for a dated one of edge.
    #[must_use]
    pub fn series(&self) -> Option<Series> {
        let major = u16::try_from(self.order.major).ok()?;
        let minor = u16::try_from(self.order.minor).ok()?;
        Some(Series { major, minor })
    }

    /// The branch it belongs to.
    #[must_use]
    pub fn branch(&self) -> Branch {
        self.series().map_or(Branch::Edge, Branch::Stable)
    }

    /// Whether it is a release candidate.
    #[must_use]
    pub fn is_candidate(&self) -> bool {
        !self.order.pre.is_empty()
    }
}

impl FromStr for ReleaseVersion {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let order = order_of(text).ok_or_else(|| Invalid::new(text, WANTED_VERSION))?;
        Ok(Self { text: text.into(), order })
    }
}

/// `3.22.0_rc2` as 3.22.0-rc.2, so that candidates count in numbers; a date as a major number, which is
/// above every [`u16`] and so in no series.
fn order_of(text: &str) -> Option<semver::Version> {
    if text.len() == 8
        && let Some(date) = decimal::<u64>(text)
    {
        return (date > u64::from(u16::MAX)).then(|| semver::Version::new(date, 0, 0));
    }
    let (release, candidate) = text.split_once('_').map_or((text, None), |(left, right)| (left, Some(right)));
    let mut numbers = release.split('.').map(decimal::<u16>);
    let (major, minor, patch) = (numbers.next()??, numbers.next()??, numbers.next()??);
    if numbers.next().is_some() {
        return None;
    }
    let mut order = semver::Version::new(major.into(), minor.into(), patch.into());
    if let Some(candidate) = candidate {
        let number: u16 = decimal(candidate.strip_prefix("rc")?)?;
        order.pre = semver::Prerelease::new(&format!("rc.{number}")).ok()?;
    }
    Some(order)
}

impl Ord for ReleaseVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order.cmp(&other.order).then_with(|| self.text.cmp(&other.text))
    }
}

impl PartialOrd for ReleaseVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for ReleaseVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> ReleaseVersion {
        text.parse().unwrap()
    }

    fn release(text: &str) -> Release {
        text.parse().unwrap()
    }

    #[test]
    fn versions_order_by_number_and_candidates_come_before_their_release() {
        let sorted = ["3.9.6", "3.22.0_rc2", "3.22.0_rc10", "3.22.0", "3.22.1", "3.22.10"];
        for pair in sorted.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn a_series_takes_its_own_versions_but_no_candidate() {
        let series = release("3.22");
        assert!(series.accepts(&version("3.22.1")));
        assert!(!series.accepts(&version("3.22.0_rc2")));
        assert!(!series.accepts(&version("3.2.2")));
        assert!(release("3.22.0_rc2").accepts(&version("3.22.0_rc2")));
        assert!(!release("3.22.1").accepts(&version("3.22.10")));
    }

    #[test]
    fn edge_takes_dates_and_only_dates() {
        assert!(release("edge").accepts(&version("20240606")));
        assert!(!release("edge").accepts(&version("3.22.1")));
        assert!(!release("latest-stable").accepts(&version("20240606")));
        assert_eq!(version("20240606").branch(), Branch::Edge);
    }

    #[test]
    fn a_release_names_its_branch() {
        for (text, branch) in [
            ("3.22", "v3.22"),
            ("3.22.1", "v3.22"),
            ("3.22.0_rc2", "v3.22"),
            ("edge", "edge"),
            ("latest-stable", "latest-stable"),
        ] {
            assert_eq!(release(text).branch().to_string(), branch);
            assert_eq!(release(text).to_string(), text);
            assert_eq!(branch.parse::<Branch>().unwrap(), release(text).branch());
        }
    }

    #[test]
    fn what_is_no_release_is_refused() {
        for text in [
            "",
            "3",
            "v3.22",
            "3.22.",
            "3.22.1.1",
            "3.22.0_rc",
            "3.22.0_beta1",
            "3.-1",
            "20240606",
            "3.99999",
        ] {
            assert!(text.parse::<Release>().is_err(), "{text}");
        }
    }
}
