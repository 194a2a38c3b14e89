//! The branches of Alpine: directories of a mirror, and what the indexes in them say they are.
//!
//! Source: the `DESCRIPTION` of Alpine's indexes, which is `git describe` of the tree they were built from:
//! `v3.19.1-642-g9e5b575ce97` on a stable branch, `v20240606-2343-g...` on edge, whose tags are days.

use std::fmt;
use std::str::FromStr;

/// A branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Branch {
    /// `vMAJOR.MINOR`.
    Stable {
        /// The first number.
        major: u64,
        /// The second.
        minor: u64,
    },
    /// `edge`.
    Edge,
}

impl Branch {
    /// Whether an index with this `DESCRIPTION` is of this branch. One key signs the indexes of many
    /// branches, so the signature alone does not tell.
    pub fn is_described_by(self, description: &str) -> bool {
        match self {
            Self::Stable { .. } => description
                .strip_prefix(&self.to_string())
                .is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_alphanumeric())),
            Self::Edge => description.strip_prefix('v').is_some_and(|rest| {
                let day = rest.bytes().take_while(u8::is_ascii_digit).count();
                day == 8 && rest.starts_with('2')
            }),
        }
    }
}

/// The directory of a mirror it is in.
impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stable { major, minor } => write!(f, "v{major}.{minor}"),
            Self::Edge => f.write_str("edge"),
        }
    }
}

/// A text that is no branch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a branch (as `v3.22` or `edge`)")]
pub struct NotABranch(pub String);

impl FromStr for Branch {
    type Err = NotABranch;

    fn from_str(text: &str) -> Result<Self, NotABranch> {
        if text == "edge" {
            return Ok(Self::Edge);
        }
        let stable = || {
            let (major, minor) = text.strip_prefix('v')?.split_once('.')?;
            Some(Self::Stable { major: number(major)?, minor: number(minor)? })
        };
        stable().ok_or_else(|| NotABranch(text.to_owned()))
    }
}

/// Digits, as branches write them: no sign, no leading zero.
pub(super) fn number(digits: &str) -> Option<u64> {
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let value: u64 = digits.parse().ok().filter(|_| is_plain)?;
    (value.to_string() == digits).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V3_1: Branch = Branch::Stable { major: 3, minor: 1 };
    const V3_19: Branch = Branch::Stable { major: 3, minor: 19 };

    #[test]
    fn a_branch_reads_and_writes_its_directory() {
        for text in ["v3.19", "v10.0", "edge"] {
            assert_eq!(text.parse::<Branch>().unwrap().to_string(), text);
        }
        for text in ["3.19", "v3", "v3.19.1", "v3.019", "v3.+1", "v.", "Edge", "", "latest-stable"] {
            assert!(text.parse::<Branch>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_description_belongs_to_exactly_its_branch() {
        for description in ["v3.19.1-642-g9e5b575ce97", "v3.19", "v3.19_rc1", "v3.19-1-gab"] {
            assert!(V3_19.is_described_by(description), "{description}");
            assert!(!V3_1.is_described_by(description), "{description}");
            assert!(!Branch::Edge.is_described_by(description), "{description}");
        }
        assert!(Branch::Edge.is_described_by("v20240606-2343-gabcdef"));
        for description in ["", "3.19.1", "v3.190.1", "php 7.1 test repository", "v3.1", "v20240606-1-gab"] {
            assert!(!V3_19.is_described_by(description), "{description}");
        }
        for description in ["", "v2", "v202406061", "20240606", "edge"] {
            assert!(!Branch::Edge.is_described_by(description), "{description}");
        }
    }
}
