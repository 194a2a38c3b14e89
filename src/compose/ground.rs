//! What planning stands on: indexes, verified, and bases, each obtained once however many profiles are planned.
//!
//! An index of Alpine's has 23,000 packages, and every profile asks for the same few: what was read for one is
//! read for all. Two profiles share an index only if it lies in the same places and must be signed by the same
//! keys, a base only if the same is asked of it.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::base_proof;
use super::plan::PlanError;
use super::sources::{self, NamedRepository};
use crate::apk::index_file::VerifiedIndex;
use crate::arch::Arch;
use crate::digest::Sha256;
use crate::fetch::{self, Repository, TrustRung};
use crate::profile::Alpine;
use crate::profile::repository::Mirror;
use crate::profile::support::Day;
use crate::report::Reporter;
use crate::store::Store;
use crate::tree::place::Installation;

/// What planning stands on.
#[derive(Debug)]
pub struct Ground<'a> {
    store: &'a Store,
    jobs: NonZeroUsize,
    today: Option<Day>,
    indexes: Vec<(Repository, Arc<VerifiedIndex>)>,
    bases: Vec<(Alpine, Arch, fetch::Base)>,
    /// Whether a base, by its digest, is proved by the packages of repositories.
    proofs: Vec<(Sha256, Vec<Repository>, bool)>,
}

impl<'a> Ground<'a> {
    /// Nothing obtained yet. `today` decides which branches are past their support; nothing says so without it.
    #[must_use]
    pub fn new(store: &'a Store, jobs: NonZeroUsize, today: Option<Day>) -> Self {
        Self { store, jobs, today, indexes: Vec::new(), bases: Vec::new(), proofs: Vec::new() }
    }

    /// The day it is.
    pub(super) fn today(&self) -> Option<&Day> {
        self.today.as_ref()
    }

    /// The base that `alpine` asks for; nothing if it asks for none.
    pub fn base(
        &mut self,
        alpine: &Alpine,
        arch: Arch,
        reporter: &dyn Reporter,
    ) -> Result<Option<fetch::Base>, PlanError> {
        let known = self.bases.iter().find(|(asked, of, _)| *of == arch && asks_for_same_base(asked, alpine));
        if let Some((_, _, base)) = known {
            return Ok(Some(base.clone()));
        }
        let base = sources::base(self.store, alpine, arch, reporter)?;
        self.bases.extend(base.clone().map(|base| (alpine.clone(), arch, base)));
        Ok(base)
    }

    /// The indexes of `repositories`, in their order.
    pub(super) fn indexes(
        &mut self,
        repositories: &[NamedRepository],
        reporter: &dyn Reporter,
    ) -> Result<Vec<Arc<VerifiedIndex>>, PlanError> {
        let mut missing: Vec<Repository> = Vec::new();
        for NamedRepository { repository, .. } in repositories {
            if self.index(repository).is_none() && !missing.contains(repository) {
                missing.push(repository.clone());
            }
        }
        if !missing.is_empty() {
            let read = fetch::indexes(&missing, self.jobs, reporter)?;
            self.indexes.extend(missing.into_iter().zip(read.into_iter().map(Arc::new)));
        }
        repositories.iter().map(|named| self.index(&named.repository).ok_or(PlanError::Lost)).collect()
    }

    fn index(&self, repository: &Repository) -> Option<Arc<VerifiedIndex>> {
        self.indexes.iter().find(|(known, _)| known == repository).map(|(_, index)| Arc::clone(index))
    }

    /// `base` with the rung on which it is believed once the packages of `repositories`, whose `indexes` these
    /// are, are known. `installation` is what is in it.
    pub(super) fn believed(
        &mut self,
        base: fetch::Base,
        installation: &Installation,
        repositories: &[NamedRepository],
        indexes: &[Arc<VerifiedIndex>],
    ) -> fetch::Base {
        if base.trust <= TrustRung::Packages {
            return base;
        }
        let digest = base.rootfs.blob();
        let of: Vec<Repository> = repositories.iter().map(|named| named.repository.clone()).collect();
        let known =
            self.proofs.iter().find(|(known, repositories, _)| *known == digest && *repositories == of);
        let is_proved = match known {
            Some((_, _, is_proved)) => *is_proved,
            None => {
                let is_proved =
                    base_proof::is_proved(self.store, installation, repositories, indexes, self.jobs);
                self.proofs.push((digest, of, is_proved));
                is_proved
            }
        };
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
