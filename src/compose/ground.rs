//! What planning stands on: indexes, verified, and bases, each obtained once however many profiles are planned.
//!
//! An index of Alpine's has thousands of packages, and every profile asks for the same few: what was read for one
//! is read for all. Two profiles share an index only if it lies in the same places and must be signed by the same
//! keys, a base only if the same is asked of it.

use std::sync::Arc;

use super::base_proof;
use super::plan::PlanError;
use super::sources::{self, NamedRepository, SourcesError};
use crate::apk::index_file::VerifiedIndex;
use crate::arch::Arch;
use crate::digest::Sha256;
use crate::fetch::{self, Fetcher, Repository, TrustRung};
use crate::profile::repository::Mirror;
use crate::profile::support::Day;
use crate::profile::{Alpine, Draft};
use crate::threads::both;
use crate::tree::place::Installation;

/// What planning stands on.
#[derive(Debug, Default)]
pub struct Ground {
    today: Option<Day>,
    indexes: Vec<(Repository, Arc<VerifiedIndex>)>,
    bases: Vec<(Alpine, Arch, fetch::Base)>,
    /// Whether a base, by its digest, is proved by the packages of repositories.
    proofs: Vec<(Sha256, Vec<Repository>, bool)>,
}

/// What a profile is planned with: its indexes, and its base if it has one.
#[derive(Debug)]
pub struct Sources {
    /// The base.
    pub base: Option<fetch::Base>,
    pub(super) repositories: Vec<NamedRepository>,
    pub(super) indexes: Vec<Arc<VerifiedIndex>>,
}

impl Ground {
    /// Nothing obtained yet. `today` decides which branches are past their support; nothing says so without it.
    #[must_use]
    pub fn new(today: Option<Day>) -> Self {
        Self { today, ..Self::default() }
    }

    /// The day it is.
    pub(super) fn today(&self) -> Option<&Day> {
        self.today.as_ref()
    }

    /// What `draft` is planned with for `arch`: fetched, the base beside the indexes, as far as it is not here. Where
    /// documents that were kept may be to blame for a failure, they are asked for anew, and it is done once more.
    pub fn sources(
        &mut self,
        fetcher: &Fetcher<'_>,
        draft: &Draft,
        arch: Arch,
    ) -> Result<Sources, PlanError> {
        let alpine = draft.alpine();
        let sources = match self.sources_once(fetcher, alpine, arch) {
            Err(PlanError::Sources(SourcesError::Fetch(error))) if fetcher.asks_anew_after(&error) => {
                self.sources_once(fetcher, alpine, arch)?
            }
            other => other?,
        };
        if let Some(base) = &sources.base
            && self.known_base(alpine, arch).is_none()
        {
            self.bases.push((alpine.clone(), arch, base.clone()));
        }
        for (named, index) in sources.repositories.iter().zip(&sources.indexes) {
            if self.known_index(&named.repository).is_none() {
                self.indexes.push((named.repository.clone(), Arc::clone(index)));
            }
        }
        Ok(sources)
    }

    fn sources_once(&self, fetcher: &Fetcher<'_>, alpine: &Alpine, arch: Arch) -> Result<Sources, PlanError> {
        let (base, indexes) =
            both(|| self.base(fetcher, alpine, arch), || self.indexes(fetcher, alpine, arch));
        let (base, (repositories, indexes)) = match (base, indexes) {
            (Ok(base), Ok(indexes)) => (base, indexes),
            // What is missing offline is named for both at once.
            (Err(SourcesError::Fetch(one)), Err(SourcesError::Fetch(other))) => {
                return Err(one.and(other).into());
            }
            (Err(error), _) | (_, Err(error)) => return Err(error.into()),
        };
        Ok(Sources { base, repositories, indexes })
    }

    fn base(
        &self,
        fetcher: &Fetcher<'_>,
        alpine: &Alpine,
        arch: Arch,
    ) -> Result<Option<fetch::Base>, SourcesError> {
        match self.known_base(alpine, arch) {
            Some(base) => Ok(Some(base.clone())),
            None => sources::base(fetcher, alpine, arch),
        }
    }

    fn known_base(&self, alpine: &Alpine, arch: Arch) -> Option<&fetch::Base> {
        let mut known = self.bases.iter();
        known.find(|(asked, of, _)| *of == arch && asks_for_same_base(asked, alpine)).map(|(_, _, base)| base)
    }

    /// The repositories of a profile, and their indexes in the same order.
    fn indexes(
        &self,
        fetcher: &Fetcher<'_>,
        alpine: &Alpine,
        arch: Arch,
    ) -> Result<(Vec<NamedRepository>, Vec<Arc<VerifiedIndex>>), SourcesError> {
        let repositories = sources::repositories(fetcher, alpine, arch)?;
        let is_missing = |named: &&NamedRepository| self.known_index(&named.repository).is_none();
        let missing: Vec<Repository> =
            repositories.iter().filter(is_missing).map(|named| named.repository.clone()).collect();
        let mut read = match missing.as_slice() {
            [] => Vec::new(),
            missing => fetch::indexes(fetcher, missing)?,
        }
        .into_iter()
        .map(Arc::new);
        let indexes = repositories
            .iter()
            .filter_map(|named| self.known_index(&named.repository).map(Arc::clone).or_else(|| read.next()));
        let indexes = indexes.collect();
        Ok((repositories, indexes))
    }

    fn known_index(&self, repository: &Repository) -> Option<&Arc<VerifiedIndex>> {
        self.indexes.iter().find(|(known, _)| known == repository).map(|(_, index)| index)
    }

    /// `base` with the rung on which it is believed once the packages of `repositories`, whose `indexes` these
    /// are, are known. `installation` is what is in it.
    pub(super) fn believed(
        &mut self,
        fetcher: &Fetcher<'_>,
        base: fetch::Base,
        installation: &Installation,
        repositories: &[NamedRepository],
        indexes: &[Arc<VerifiedIndex>],
    ) -> fetch::Base {
        if base.trust <= TrustRung::Packages {
            return base;
        }
        let digest = base.sha256;
        let of: Vec<Repository> = repositories.iter().map(|named| named.repository.clone()).collect();
        let is_same = |proof: &&(Sha256, Vec<Repository>, bool)| proof.0 == digest && proof.1 == of;
        let known = self.proofs.iter().find(is_same).map(|proof| proof.2);
        let is_proved =
            known.unwrap_or_else(|| base_proof::is_proved(fetcher, installation, repositories, indexes));
        if known.is_none() {
            self.proofs.push((digest, of, is_proved));
        }
        fetch::Base { trust: if is_proved { TrustRung::Packages } else { base.trust }, ..base }
    }
}

/// Whether two profiles ask for the same base, wherever they say so.
fn asks_for_same_base(one: &Alpine, other: &Alpine) -> bool {
    fn mirrors(alpine: &Alpine) -> impl Iterator<Item = &Mirror> {
        alpine.mirrors.iter().map(|stated| &stated.value)
    }
    one.base == other.base
        && one.base_sha256 == other.base_sha256
        && one.base_trust == other.base_trust
        && one.release.value == other.release.value
        && mirrors(one).eq(mirrors(other))
}
