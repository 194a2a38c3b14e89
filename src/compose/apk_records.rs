//! What the image's own apk is told: the lines of `/etc/apk/repositories`, and the keys for them.
//!
//! The canonical lines of those of Alpine's repositories that were used: never a build mirror, a directory, a
//! tag or edge, unless the profile asks, because scanners judge an image by these lines. A profile whose release
//! is edge asks for edge. Keys come along only
//! for repositories that are written, and reach the image only if it keeps apk.
//!
//! Source: design, "What is written into the image"; spec/image, "Files scanners read".

use std::sync::Arc;

use super::sources::NamedRepository;
use crate::apk::dependency::Tag;
use crate::apk::index_file::VerifiedIndex;
use crate::profile::Profile;
use crate::profile::release::{Branch, Release};

/// Where canonical lines point.
const CANONICAL_MIRROR: &str = "https://dl-cdn.alpinelinux.org/alpine";
/// The repositories that have canonical lines, in the order of the lines.
const CANONICAL_NAMES: [&str; 2] = ["main", "community"];

/// What the image's own apk is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApkRecords {
    /// The lines of `/etc/apk/repositories`.
    pub lines: Vec<String>,
    /// The tags that those lines have.
    pub tags: Vec<Tag>,
    /// The keys that signed the indexes of those lines' repositories: file name and PEM text.
    pub keys: Vec<(String, Vec<u8>)>,
}

impl ApkRecords {
    /// The records for an image of `profile`, whose repositories have those indexes.
    pub(super) fn of(
        profile: &Profile,
        repositories: &[NamedRepository],
        indexes: &[Arc<VerifiedIndex>],
    ) -> Self {
        match &profile.image.repositories {
            Some(stated) => Self {
                lines: stated.iter().map(|line| line.value.to_string()).collect(),
                tags: stated.iter().filter_map(|line| line.value.tag.clone()).collect(),
                keys: keys(repositories, indexes, |named| {
                    let canonical = canonical_location(named);
                    stated.iter().any(|line| {
                        (line.value.tag.is_some() && line.value.tag == named.tag)
                            || *line.value.location == *named.repository.name()
                            || canonical.as_deref() == Some(&*line.value.location)
                    })
                }),
            },
            None => Self::canonical(&profile.alpine.release.value, repositories, indexes),
        }
    }

    fn canonical(
        release: &Release,
        repositories: &[NamedRepository],
        indexes: &[Arc<VerifiedIndex>],
    ) -> Self {
        // Edge is asked for where the release is edge: then the whole image is judged rightly as that.
        let is_asked = |named: &NamedRepository| match named.official {
            Some((Branch::Edge, _)) => *release == Release::Edge,
            Some((Branch::Stable(_), _)) => true,
            Some((Branch::LatestStable, _)) | None => false,
        };
        let is_written = |named: &NamedRepository| {
            named.tag.is_none() && is_asked(named) && canonical_location(named).is_some()
        };
        let mut lines: Vec<String> =
            repositories.iter().filter(|named| is_written(named)).filter_map(canonical_location).collect();
        lines.sort_by_key(|line| CANONICAL_NAMES.iter().position(|name| line.ends_with(name)));
        lines.dedup();
        Self { lines, tags: Vec::new(), keys: keys(repositories, indexes, is_written) }
    }
}

/// The canonical place of one of Alpine's repositories.
fn canonical_location(named: &NamedRepository) -> Option<String> {
    let (branch, name) = named.official.as_ref()?;
    CANONICAL_NAMES.contains(&name.as_str()).then(|| format!("{CANONICAL_MIRROR}/{branch}/{name}"))
}

/// The keys that signed the indexes of the repositories that are written, each once.
fn keys(
    repositories: &[NamedRepository],
    indexes: &[Arc<VerifiedIndex>],
    is_written: impl Fn(&NamedRepository) -> bool,
) -> Vec<(String, Vec<u8>)> {
    let mut keys: Vec<(String, Vec<u8>)> = Vec::new();
    for (named, index) in repositories.iter().zip(indexes).filter(|(named, _)| is_written(named)) {
        let name = index.key().to_string();
        let signer = named.repository.keyring().keys().iter().find(|key| key.name() == name);
        if let Some(key) = signer
            && keys.iter().all(|(there, _)| *there != name)
        {
            keys.push((name, key.pem().to_vec()));
        }
    }
    keys
}
