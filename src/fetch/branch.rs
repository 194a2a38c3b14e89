//! Which directory of a mirror a branch is, and what the indexes in it say they are.
//!
//! Source: the `DESCRIPTION` of Alpine's indexes, which is `git describe` of the tree they were built from:
//! `v3.19.1-642-g9e5b575ce97` on a stable branch, `v20240606-2343-g...` on edge, whose tags are days.

use super::document::Keeping;
use super::error::FetchError;
use super::failover::first_of;
use super::fetcher::Fetcher;
use super::releases::ReleaseList;
use super::source::Source;
use crate::arch::Arch;
use crate::profile::release::Branch;

/// The branch itself: `latest-stable` is looked up, any other is returned as it is.
///
/// On a mirror `latest-stable` is a link to the branch. Where it is a plain file holding the branch's name,
/// it is taken as that link: copies made by tools without symbolic links look so. Where it is neither, or on the
/// network, the list of releases in it says of which branch they are.
pub fn resolve_branch(
    fetcher: &Fetcher<'_>,
    branch: Branch,
    mirrors: &[Source],
    arch: Arch,
) -> Result<Branch, FetchError> {
    if branch != Branch::LatestStable {
        return Ok(branch);
    }
    let name = branch.to_string();
    let find = |mirror: &&Source| {
        let link = mirror.link_name(&name).and_then(|link| link.parse().ok());
        if let Some(Branch::Stable(series)) = link {
            return Ok(Some(Branch::Stable(series)));
        }
        if let Some(list) = ReleaseList::fetch(fetcher, mirror, branch, arch, Keeping::AtOnce)? {
            return list.branch().map(Some);
        }
        // Asked last: on a mirror with links it is a directory, whose page would be read in vain.
        let in_file = mirror.branch_in_file(fetcher, &name);
        Ok(in_file.filter(|branch| matches!(branch, Branch::Stable(_))))
    };
    let taken = first_of(mirrors, find).map_err(|refused| {
        let looked_at = || mirrors.iter().map(|mirror| mirror.locate_missing(&name)).collect();
        let nowhere = || FetchError::NoRelease { release: name.clone(), arch, looked_at: looked_at() };
        refused.unwrap_or_else(nowhere)
    })?;
    // Whoever reads a release or a repository there says what is wrong with a mirror.
    Ok(taken.value)
}

/// Whether an index with this `DESCRIPTION` is of `branch`. One key signs the indexes of many branches, so
/// the signature alone does not tell.
pub(super) fn is_described_by(branch: Branch, description: &str) -> bool {
    match branch {
        Branch::Stable(_) => description
            .strip_prefix(&branch.to_string())
            .is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_alphanumeric())),
        Branch::Edge => description.strip_prefix('v').is_some_and(|rest| {
            let day = rest.bytes().take_while(u8::is_ascii_digit).count();
            day == 8 && rest.starts_with('2')
        }),
        // Whichever branch it is, it is one with a number.
        Branch::LatestStable => description
            .split(['-', '_'])
            .next()
            .and_then(|tag| tag.strip_prefix('v')?.split_once('.'))
            .is_some_and(|(major, _)| major.bytes().all(|byte| byte.is_ascii_digit())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_of(branch: &str, description: &str) -> bool {
        is_described_by(branch.parse().unwrap(), description)
    }

    #[test]
    fn a_description_belongs_to_exactly_its_branch() {
        for description in ["v3.19.1-642-g9e5b575ce97", "v3.19", "v3.19_rc1", "v3.19-1-gab"] {
            assert!(is_of("v3.19", description), "{description}");
            assert!(is_of("latest-stable", description), "{description}");
            assert!(!is_of("v3.1", description), "{description}");
            assert!(!is_of("edge", description), "{description}");
        }
        assert!(is_of("edge", "v20240606-2343-gabcdef"));
        assert!(!is_of("latest-stable", "v20240606-2343-gabcdef"));
        for description in ["", "3.19.1", "v3.190.1", "php 7.1 test repository", "v3.1", "v20240606-1-gab"] {
            assert!(!is_of("v3.19", description), "{description}");
        }
        for description in ["", "v2", "v202406061", "20240606", "edge"] {
            assert!(!is_of("edge", description), "{description}");
        }
    }
}
