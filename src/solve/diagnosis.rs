//! What is wrong with an attempt: every need of a chosen package, or of the world, that is not met.
//!
//! An attempt in which nothing is wrong is a solution; there is no other definition of one.

use std::collections::{BTreeSet, HashMap};

use super::Repository;
use super::blame;
use super::graph::{Graph, NameId, Need, Obstacle, PackageId};
use super::reach::{Reach, Reason};
use super::refusal::{Against, Cause, Culprit, Offer, WORLD, library};
use super::state::State;
use crate::apk::dependency::Dependency;
use crate::apk::version;
use crate::arch::Arch;
use crate::kind;

/// What is wrong with an attempt.
pub(super) struct Findings {
    /// The needs that are not met, nearest to the world first; of very many the first.
    pub(super) culprits: Vec<Culprit>,
    /// How many more there are.
    pub(super) more: usize,
    /// The names and packages apk blames.
    pub(super) blamed: Vec<String>,
}

/// How many packages a cause names at most; a message shows fewer.
const MAX_OFFERS: usize = 1000;

/// Of how many needs that are not met the cause is looked for.
const MAX_CULPRITS: usize = 100;

/// All that is wrong with an attempt; `None` if it is a solution.
pub(super) fn diagnose(
    graph: &Graph<'_>,
    state: &State,
    reach: &Reach,
    repositories: &[Repository<'_>],
    arch: Arch,
) -> Option<Findings> {
    let diagnosis = Diagnosis { graph, state, reach, repositories, arch, needs: needs_by_name(graph, reach) };
    let mut findings = Findings { culprits: Vec::new(), more: 0, blamed: blame::blamed(graph, state, reach) };
    for need in &graph.world {
        findings.note(diagnosis.is_unmet(None, need), || diagnosis.of_need(None, need));
    }
    for package in &reach.packages {
        findings.note(diagnosis.is_at_fault(*package), || diagnosis.of_package(*package));
        for need in &graph.packages[*package].depends {
            findings
                .note(diagnosis.is_unmet(Some(*package), need), || diagnosis.of_need(Some(*package), need));
        }
    }
    (!findings.culprits.is_empty() || !findings.blamed.is_empty()).then_some(findings)
}

impl Findings {
    fn note(&mut self, is_wrong: bool, culprit: impl FnOnce() -> Option<Culprit>) {
        if !is_wrong {
        } else if self.culprits.len() < MAX_CULPRITS {
            self.culprits.extend(culprit());
        } else {
            self.more += 1;
        }
    }
}

/// A need and the package that has it; `None` for the world.
type InForce<'g> = (Option<PackageId>, &'g Need);

/// The needs of the world and of every chosen package, by the name they speak of.
fn needs_by_name<'g>(graph: &'g Graph<'_>, reach: &'g Reach) -> HashMap<NameId, Vec<InForce<'g>>> {
    let mut needs: HashMap<NameId, Vec<InForce<'g>>> = HashMap::new();
    for in_force in needs_in_force(graph, reach) {
        needs.entry(in_force.1.name).or_default().push(in_force);
    }
    needs
}

/// The needs of the world and of every chosen package.
pub(super) fn needs_in_force<'g>(
    graph: &'g Graph<'_>,
    reach: &'g Reach,
) -> impl Iterator<Item = InForce<'g>> {
    let of_packages = reach
        .packages
        .iter()
        .flat_map(|package| graph.packages[*package].depends.iter().map(|need| (Some(*package), need)));
    graph.world.iter().map(|need| (None, need)).chain(of_packages)
}

struct Diagnosis<'d> {
    graph: &'d Graph<'d>,
    state: &'d State,
    reach: &'d Reach,
    repositories: &'d [Repository<'d>],
    arch: Arch,
    needs: HashMap<NameId, Vec<InForce<'d>>>,
}

impl Diagnosis<'_> {
    /// Whether a need of a package, or of the world, is not met.
    fn is_unmet(&self, by: Option<PackageId>, need: &Need) -> bool {
        if need.dependency.conflict {
            self.state.chosen_for(self.graph, need, by).is_some()
        } else {
            self.state.chosen_for(self.graph, need, None).is_none()
        }
    }

    /// Whether something is wrong with a chosen package itself.
    fn is_at_fault(&self, package: PackageId) -> bool {
        let node = &self.graph.packages[package];
        node.obstacle.is_some()
            || (node.places.installed.is_none() && !self.state.is_allowed(self.graph, package))
            || self.twice(package).is_some()
            || node.provides.iter().any(|(name, version)| {
                let others = self.state.names[*name].chosen.iter().filter(|other| **other != package);
                others
                    .into_iter()
                    .any(|other| version.is_some() || self.graph.packages[*other].has_version_of(*name))
            })
    }

    /// A name that a package holds twice, so that it excludes itself.
    fn twice(&self, package: PackageId) -> Option<NameId> {
        let node = &self.graph.packages[package];
        node.provides.iter().map(|(name, _)| *name).find(|name| blame::is_held_twice(node, *name))
    }

    /// What is wrong with a need of a package, or of the world.
    fn of_need(&self, by: Option<PackageId>, need: &Need) -> Option<Culprit> {
        let cause = if need.dependency.conflict {
            let present = self.state.chosen_for(self.graph, need, by)?;
            Cause::Present { package: self.text(present), wanted: self.wanted(present, by) }
        } else {
            if self.state.chosen_for(self.graph, need, None).is_some() {
                return None;
            }
            self.why_not_met(need)
        };
        Some(self.culprit(by, &need.dependency, cause))
    }

    /// What is wrong with a chosen package itself.
    fn of_package(&self, package: PackageId) -> Option<Culprit> {
        let (by, need) = match self.reach.reason(package)? {
            Reason::World(need) => (None, need.clone()),
            Reason::Package(by, need) => (Some(*by), need.clone()),
            Reason::With(by) => (Some(*by), Dependency::on(self.graph.packages[package].package.name())),
        };
        let twice = || {
            let name = self.graph.names[self.twice(package)?].spelling.to_owned();
            Some(Cause::Twice { package: self.text(package), name })
        };
        let clashes = || {
            let against = self.name_clashes(package);
            (!against.is_empty()).then(|| Cause::Excluded { package: self.text(package), against })
        };
        let cause = self.obstacle(package).or_else(|| self.only_under_tag(package));
        let cause = cause.or_else(twice).or_else(clashes)?;
        Some(self.culprit(by, &need, cause))
    }

    fn why_not_met(&self, need: &Need) -> Cause {
        let providers = &self.graph.names[need.name].providers;
        if providers.is_empty() {
            return self.unknown(&need.dependency.name);
        }
        let fitting = self.graph.matches(need).filter_map(|(package, fits)| fits.then_some(package));
        let fitting: Vec<PackageId> = fitting.collect();
        let Some(best) = fitting.iter().copied().min_by_key(|p| self.state.packages[*p].objections) else {
            return Cause::NoSuchVersion { offers: self.offers(need) };
        };
        if self.state.names[need.name].undecidable {
            return Cause::MustChoose { candidates: self.package_names(&fitting) };
        }
        self.obstacle(best).unwrap_or_else(|| Cause::Excluded {
            package: self.text(best),
            against: self.against(best, need),
        })
    }

    fn unknown(&self, name: &str) -> Cause {
        let universe = self.graph.universe;
        let similar = library(name).map(|library| self.versions_of_library(library)).unwrap_or_default();
        // Every short name is near to every other.
        let near = if name.len() > 2 {
            kind::nearest(name, universe.provided_names().collect::<BTreeSet<_>>())
        } else {
            Vec::new()
        };
        Cause::Unknown { near: near.into_iter().map(str::to_owned).collect(), similar }
    }

    /// Who provides a library under other sonames, the newest package of each.
    fn versions_of_library(&self, wanted: &str) -> Vec<Offer> {
        let universe = self.graph.universe;
        let mut offers = Vec::new();
        let libraries = universe.provided_names().filter(|name| library(name) == Some(wanted));
        for spelling in libraries.collect::<BTreeSet<_>>() {
            let packages = universe.providers(spelling).filter_map(|(source, _)| universe.package(source));
            if let Some(newest) = packages.max_by(|a, b| version::compare(a.version(), b.version())) {
                offers.push(Offer { package: newest.to_string(), provides: Some(spelling.to_owned()) });
            }
        }
        offers.sort_by(|a, b| a.provides.cmp(&b.provides));
        offers
    }

    fn offers(&self, need: &Need) -> Vec<Offer> {
        let mut offers = Vec::new();
        for provider in self.graph.names[need.name].providers.iter().take(MAX_OFFERS) {
            let node = &self.graph.packages[provider.package];
            let provides = (node.name != need.name).then(|| match provider.version {
                Some(version) => format!("{}={version}", need.dependency.name),
                None => need.dependency.name.to_string(),
            });
            let offer = Offer { package: node.package.to_string(), provides };
            if !offers.contains(&offer) {
                offers.push(offer);
            }
        }
        offers
    }

    fn obstacle(&self, package: PackageId) -> Option<Cause> {
        let node = &self.graph.packages[package];
        Some(match node.obstacle.as_ref()? {
            Obstacle::Flaw(flaw) => Cause::Flawed { package: self.text(package), flaw: flaw.clone() },
            Obstacle::ForeignArch => Cause::ForeignArch {
                package: self.text(package),
                arch: node.package.arch().to_owned(),
                expected: self.arch,
            },
        })
    }

    fn only_under_tag(&self, package: PackageId) -> Option<Cause> {
        let node = &self.graph.packages[package];
        if node.places.installed.is_some() || self.state.is_allowed(self.graph, package) {
            return None;
        }
        let (copy, tag) = node.places.copies.iter().find_map(|copy| Some((copy, copy.tag?)))?;
        let repository = self.repositories.get(copy.repository.0 as usize)?;
        Some(Cause::OnlyUnderTag {
            package: self.text(package),
            name: node.package.name().to_owned(),
            tag: tag.clone(),
            repository: repository.name.clone(),
        })
    }

    /// Everything that stands against a package that would satisfy `need`.
    fn against(&self, package: PackageId, need: &Need) -> Vec<Against> {
        let mut against = Vec::new();
        let node = &self.graph.packages[package];
        for (by, other) in self.needs_on(package) {
            let unmet = self.graph.fits(package, other) == other.dependency.conflict;
            if unmet && by != Some(package) && against.len() < MAX_OFFERS {
                against.push(self.rule(by, &other.dependency));
            }
        }
        for own in node.depends.iter().filter(|own| own.dependency.conflict) {
            if self.state.chosen_for(self.graph, own, Some(package)).is_some() {
                against.push(self.rule(Some(package), &own.dependency));
            }
        }
        if against.is_empty() {
            against = self.name_clashes(package);
        }
        // Greedy as apk is, it may have decided otherwise before the need was known.
        let holder = self.state.holder(need.name).filter(|holder| *holder != package);
        let taken = holder.map(|holder| Against::Name {
            holder: self.text(holder),
            name: need.dependency.name.to_string(),
        });
        against.extend(taken.filter(|taken| !against.contains(taken)));
        against
    }

    /// Who needs a package, besides the one that excludes it.
    fn wanted(&self, package: PackageId, but: Option<PackageId>) -> Vec<Against> {
        let needs = self.needs_on(package).filter(|(by, need)| {
            (by.is_none() || *by != but)
                && *by != Some(package)
                && !need.dependency.conflict
                && self.state.chosen_for(self.graph, need, None) == Some(package)
        });
        needs.take(MAX_OFFERS).map(|(by, need)| self.rule(by, &need.dependency)).collect()
    }

    /// The needs in force on a name that a package provides.
    fn needs_on(&self, package: PackageId) -> impl Iterator<Item = InForce<'_>> {
        let names: BTreeSet<NameId> =
            self.graph.packages[package].provides.iter().map(|(name, _)| *name).collect();
        names.into_iter().filter_map(|name| self.needs.get(&name)).flatten().copied()
    }

    /// The chosen packages that hold a name this one cannot hold beside them.
    fn name_clashes(&self, package: PackageId) -> Vec<Against> {
        let graph = self.graph;
        let mut clashes = Vec::new();
        for (name, _) in &graph.packages[package].provides {
            let is_versioned = |package: PackageId| graph.packages[package].has_version_of(*name);
            for other in self.state.names[*name].chosen.iter().copied() {
                if other == package
                    || !self.state.packages[other].chosen
                    || clashes.len() >= MAX_OFFERS
                    || !(is_versioned(package) || is_versioned(other))
                {
                    continue;
                }
                let clash =
                    Against::Name { holder: self.text(other), name: graph.names[*name].spelling.to_owned() };
                if !clashes.contains(&clash) {
                    clashes.push(clash);
                }
            }
        }
        clashes
    }

    fn rule(&self, by: Option<PackageId>, rule: &Dependency) -> Against {
        let by = by.map_or_else(|| WORLD.to_owned(), |package| self.text(package));
        Against::Rule { by, rule: rule.clone() }
    }

    fn package_names(&self, packages: &[PackageId]) -> Vec<String> {
        let mut names: Vec<String> =
            packages.iter().map(|package| self.graph.packages[*package].package.name().to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn text(&self, package: PackageId) -> String {
        self.graph.packages[package].package.to_string()
    }

    /// The culprit with the way from the world to it.
    fn culprit(&self, by: Option<PackageId>, need: &Dependency, cause: Cause) -> Culprit {
        let mut chain = Vec::new();
        let mut asked = need.clone();
        let mut at = by;
        while let Some(package) = at {
            chain.push(self.text(package));
            at = match self.reach.reason(package) {
                Some(Reason::Package(by, _) | Reason::With(by)) => Some(*by),
                Some(Reason::World(need)) => {
                    asked = need.clone();
                    None
                }
                None => None,
            };
        }
        Culprit { asked, chain, need: need.clone(), cause }
    }
}
