//! Which of several candidates for a name is the better.
//!
//! Source: spec apk v2, "Solver", Preference: the first difference decides.

use std::cmp::{Ordering, Reverse};

use super::graph::{Graph, NameId, PackageId, Provider};
use super::state::State;
use crate::apk::version;

/// Compares candidates; the greater is the better.
pub(super) struct Preference<'s> {
    pub(super) graph: &'s Graph<'s>,
    pub(super) state: &'s State,
}

impl Preference<'_> {
    /// The best candidate for `name` among those that `eligible` lets through; the earlier of equals.
    pub(super) fn best(&self, name: NameId, eligible: impl Fn(&Provider<'_>) -> bool) -> Option<PackageId> {
        let candidates = self.graph.names[name].providers.iter().filter(|provider| eligible(provider));
        candidates
            .reduce(|best, next| if self.compare(next, best) == Ordering::Greater { next } else { best })
            .map(|provider| provider.package)
    }

    fn compare(&self, a: &Provider<'_>, b: &Provider<'_>) -> Ordering {
        let choices = [a, b].map(|provider| self.state.packages[provider.package].choice);
        let choice = choices[0].and(choices[1]);
        // The highest version counts more than whether it can be installed, but only of what may be used at all.
        let latest = if choices.iter().any(|choice| choice.latest) {
            compare_by(a, b, |package| self.state.is_allowed(self.graph, package))
                .then_with(|| self.compare_versions(a, b))
        } else {
            Ordering::Equal
        };
        latest
            .then_with(|| compare_by(a, b, |package| self.state.is_selectable(package)))
            .then_with(|| compare_by(a, b, |package| self.state.packages[package].grouped))
            .then_with(|| compare_by(a, b, |package| Reverse(self.state.packages[package].objections)))
            .then_with(|| compare_by(a, b, |package| self.state.is_allowed(self.graph, package)))
            .then_with(|| {
                let available = |package| choice.available && self.is_available(package);
                compare_by(a, b, available)
            })
            .then_with(|| {
                compare_by(a, b, |package| {
                    self.graph.packages[package].tags.meets(self.state.packages[package].preferred)
                })
            })
            .then_with(|| compare_by(a, b, |package| !choice.upgrade && self.is_installed(package)))
            .then_with(|| self.compare_versions(a, b))
            .then_with(|| {
                compare_by(a, b, |package| self.graph.packages[package].package.provider_priority())
            })
            .then_with(|| compare_by(a, b, |package| self.is_installed(package)))
            .then_with(|| compare_by(a, b, |package| Reverse(self.repository_rank(package))))
    }

    /// By the version under the requested name, then, of the same package, by its own.
    fn compare_versions(&self, a: &Provider<'_>, b: &Provider<'_>) -> Ordering {
        let requested = match (a.version, b.version) {
            (Some(a), Some(b)) => version::compare(a, b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        let (a, b) = (&self.graph.packages[a.package], &self.graph.packages[b.package]);
        requested.then_with(|| {
            if a.name == b.name {
                version::compare(a.package.version(), b.package.version())
            } else {
                Ordering::Equal
            }
        })
    }

    fn is_installed(&self, package: PackageId) -> bool {
        self.graph.packages[package].places.installed.is_some()
    }

    fn is_available(&self, package: PackageId) -> bool {
        self.repository_rank(package) != u32::MAX
    }

    /// The number of the first repository it may come from; the greatest if none has it.
    fn repository_rank(&self, package: PackageId) -> u32 {
        let allowed = self.state.packages[package].allowed;
        let copy = self.graph.packages[package].places.first_copy(&self.graph.universe.tags, allowed);
        copy.map_or(u32::MAX, |copy| copy.repository.0)
    }
}

fn compare_by<O: Ord>(a: &Provider<'_>, b: &Provider<'_>, key: impl Fn(PackageId) -> O) -> Ordering {
    key(a.package).cmp(&key(b.package))
}
