//! Which release is wanted: `3.22`, `3.22.1`, `3.22.0_rc2`, `edge`, `latest-stable`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use semver::{BuildMetadata, Prerelease, Version};

use super::branch::{Branch, number};
use super::error::FetchError;
use super::releases::ReleaseList;
use super::source::Source;
use crate::arch::Arch;
use crate::kind::{Explain, Kind};

/// The name by which mirrors point at the newest stable branch.
const LATEST_STABLE: &str = "latest-stable";

/// Which release is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Release {
    /// The newest of a branch.
    Newest(Branch),
    /// Exactly this one, of that branch.
    Exact(Branch, ReleaseVersion),
    /// The newest of the newest stable branch.
    LatestStable,
}

/// The version of a release: `3.22.1`, `3.22.0_rc2`, or a day, `20240606`, on edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseVersion {
    text: Box<str>,
    order: Version,
}

/// A text that names no release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a release")]
pub struct ReleaseError {
    /// The text.
    pub text: String,
}

impl Explain for ReleaseError {
    fn kind(&self) -> Kind {
        Kind::Profile
    }

    fn hint(&self) -> Option<String> {
        Some("a release is written \"3.22\" (the newest 3.22.x), \"3.22.1\", \"3.22.0_rc2\", \"edge\" or \"latest-stable\"".to_owned())
    }
}

impl ReleaseVersion {
    /// As Alpine writes it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is a release of `branch`.
    pub fn is_of(&self, branch: Branch) -> bool {
        match branch {
            Branch::Stable { major, minor } => (self.order.major, self.order.minor) == (major, minor),
            Branch::Edge => true,
        }
    }
}

impl fmt::Display for ReleaseVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// By semver, `_rc2` being the pre-release `rc.2`.
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

impl FromStr for ReleaseVersion {
    type Err = ReleaseError;

    fn from_str(text: &str) -> Result<Self, ReleaseError> {
        let (numbers, suffix) = text.split_once('_').map_or((text, None), |(n, suffix)| (n, Some(suffix)));
        let version = || {
            let mut parts = numbers.split('.').map(number);
            let major = parts.next()??;
            let (minor, patch) = (parts.next().unwrap_or(Some(0))?, parts.next().unwrap_or(Some(0))?);
            let pre = match suffix {
                Some(suffix) => prerelease(suffix)?,
                None => Prerelease::EMPTY,
            };
            let order = Version { major, minor, patch, pre, build: BuildMetadata::EMPTY };
            parts.next().is_none().then(|| Self { text: text.into(), order })
        };
        version().ok_or_else(|| ReleaseError { text: text.to_owned() })
    }
}

/// `rc2` as semver orders it: `rc.2`, or rc10 would come before rc2.
fn prerelease(suffix: &str) -> Option<Prerelease> {
    let digits_at = suffix.find(|c: char| c.is_ascii_digit()).unwrap_or(suffix.len());
    let (word, digits) = suffix.split_at(digits_at);
    if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return None;
    }
    let text = if digits.is_empty() { word.to_owned() } else { format!("{word}.{}", number(digits)?) };
    Prerelease::new(&text).ok()
}

impl FromStr for Release {
    type Err = ReleaseError;

    fn from_str(text: &str) -> Result<Self, ReleaseError> {
        if text == LATEST_STABLE {
            return Ok(Self::LatestStable);
        }
        let plain = text.strip_prefix('v').unwrap_or(text);
        if let Ok(branch) = text.parse().or_else(|_| format!("v{plain}").parse()) {
            return Ok(Self::Newest(branch));
        }
        let version: ReleaseVersion = plain.parse().map_err(|_| ReleaseError { text: text.to_owned() })?;
        match plain.split('.').count() {
            // A snapshot of edge is named after its day.
            1 if plain.len() == 8 && plain.starts_with('2') => Ok(Self::Exact(Branch::Edge, version)),
            3 => {
                let branch = Branch::Stable { major: version.order.major, minor: version.order.minor };
                Ok(Self::Exact(branch, version))
            }
            _ => Err(ReleaseError { text: text.to_owned() }),
        }
    }
}

/// The branch of a release. For `latest-stable` the mirrors are asked.
///
/// On a mirror `latest-stable` is a link to the branch. Where it is a plain file holding the branch's name,
/// it is taken as that link: copies made by tools without symbolic links look so. Where it is neither, the
/// list of releases in it says of which branch they are.
pub fn branch_of(release: &Release, mirrors: &[Source], arch: Arch) -> Result<Branch, FetchError> {
    match release {
        Release::Newest(branch) | Release::Exact(branch, _) => Ok(*branch),
        Release::LatestStable => latest_stable(mirrors, arch),
    }
}

fn latest_stable(mirrors: &[Source], arch: Arch) -> Result<Branch, FetchError> {
    for mirror in mirrors {
        if let Some(branch) = mirror.link_name(LATEST_STABLE).and_then(|name| name.parse().ok()) {
            return Ok(branch);
        }
        if let Some(list) = ReleaseList::fetch(mirror, LATEST_STABLE, arch)? {
            return list.branch();
        }
    }
    Err(FetchError::NoRelease {
        release: LATEST_STABLE.to_owned(),
        arch,
        looked_at: mirrors.iter().map(|mirror| mirror.locate(LATEST_STABLE)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> ReleaseVersion {
        text.parse().unwrap()
    }

    #[test]
    fn releases_are_told_apart() {
        let v3_22 = Branch::Stable { major: 3, minor: 22 };
        for text in ["3.22", "v3.22"] {
            assert_eq!(text.parse(), Ok(Release::Newest(v3_22)));
        }
        assert_eq!("edge".parse(), Ok(Release::Newest(Branch::Edge)));
        assert_eq!("latest-stable".parse(), Ok(Release::LatestStable));
        for text in ["3.22.1", "3.22.0_rc2"] {
            assert_eq!(text.parse(), Ok(Release::Exact(v3_22, version(text))));
        }
        assert_eq!("20240606".parse(), Ok(Release::Exact(Branch::Edge, version("20240606"))));
        for text in
            ["", "3", "3.22.1.4", "3.22_rc1", "3.x", "Edge", "3.22.1-rc1", "../v3.22", "3.22.1_", "03.22"]
        {
            assert!(text.parse::<Release>().is_err(), "{text}");
        }
    }

    #[test]
    fn releases_are_ordered_as_semver_orders_them() {
        let sorted =
            ["3.9.6", "3.19.0_alpha20231201", "3.19.0_rc2", "3.19.0_rc10", "3.19.0", "3.19.4", "3.19.10"];
        for pair in sorted.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
    }
}
