//! What a profile can be answered from, and what is asked of it.
//!
//! Variables that are what the solver would pick are settled here, and the world is put together: the base's without what
//! the profile removes, and all that the profile wants.
//!
//! Source: design, "The profile".

use std::sync::Arc;

use super::answer::Answer;
use super::plan::PlanError;
use super::sources::NamedRepository;
use crate::apk::dependency::Dependency;
use crate::apk::index::Package;
use crate::apk::index_file::VerifiedIndex;
use crate::apk::installed::InstalledText;
use crate::arch::Arch;
use crate::profile::{Draft, Profile, Upgrade, Values};
use crate::report::Reporter;
use crate::solve::{self, Refusal, Solution};
use crate::tree::database::Database;

/// The packages of some repositories, and of a base if there is one.
#[derive(Clone, Copy)]
pub(super) struct Stock<'a> {
    pub(super) repositories: &'a [NamedRepository],
    pub(super) indexes: &'a [Arc<VerifiedIndex>],
    pub(super) installed: Option<&'a InstalledText>,
    pub(super) arch: Arch,
}

impl<'a> Stock<'a> {
    fn repositories(&self) -> Vec<solve::Repository<'a>> {
        let pairs = self.repositories.iter().zip(self.indexes);
        pairs
            .map(|(named, index)| solve::Repository {
                index: index.index(),
                tag: named.tag.clone(),
                name: named.repository.name().to_owned(),
            })
            .collect()
    }

    fn installed(&self) -> Option<solve::Installed<'a>> {
        self.installed.map(solve::Installed::of_text)
    }

    /// The values of the variables that are what the solver would pick.
    pub(super) fn variables(&self, draft: &Draft, reporter: &dyn Reporter) -> Result<Values, PlanError> {
        let repositories = self.repositories();
        let mut values = Values::new();
        for (name, stated) in draft.provider_variables() {
            let names = &stated.value.provided;
            // If nobody has any of them, the refusal is about the first.
            let found = names.iter().find(|name| self.is_provided(name)).or_else(|| names.first());
            let wanted = found.ok_or(PlanError::Lost)?;
            let request = solve::Request {
                arch: self.arch,
                world: vec![wanted.clone()],
                requested: vec![wanted.name.to_string()],
                options: solve::Options::default(),
            };
            let solution = solve::solve(&repositories, None, &request, reporter).map_err(|refusal| {
                PlanError::NoProvider { name: name.to_string(), origin: stated.origin.to_string(), refusal }
            })?;
            let chosen =
                solution.packages.iter().filter_map(|chosen| chosen.source.package(&repositories, None));
            let provider = chosen
                .clone()
                .find(|package| package.name() == &*wanted.name)
                .or_else(|| {
                    chosen.clone().find(|package| package.held().any(|(name, _)| *name == *wanted.name))
                })
                .ok_or(PlanError::Lost)?;
            let value =
                stated.value.pattern.value_in(provider.name()).ok_or_else(|| PlanError::Variable {
                    name: name.to_string(),
                    origin: stated.origin.to_string(),
                    package: provider.to_string(),
                    provided: wanted.to_string(),
                    pattern: stated.value.pattern.to_string(),
                })?;
            if let Some(first) = names.first().filter(|first| *first != wanted) {
                reporter.note(&format!("`{name}` is {value}: no repository has {first}"));
            }
            values.insert(name.clone(), value.to_owned());
        }
        Ok(values)
    }

    /// What the solver is asked.
    pub(super) fn request(
        &self,
        profile: &Profile,
        base: &Database,
        reporter: &dyn Reporter,
    ) -> solve::Request {
        let wanted = self.wanted(profile, reporter);
        solve::Request {
            arch: self.arch,
            world: world(&base.world, profile, &wanted),
            requested: wanted.iter().map(|dependency| dependency.name.to_string()).collect(),
            options: solve::Options {
                upgrade: match profile.alpine.upgrade {
                    Upgrade::ToIndex => solve::Upgrade::Yes,
                    Upgrade::Keep => solve::Upgrade::No,
                },
                ..solve::Options::default()
            },
        }
    }

    pub(super) fn solve(
        &self,
        request: &solve::Request,
        reporter: &dyn Reporter,
    ) -> Result<Solution, Refusal> {
        solve::solve(&self.repositories(), self.installed().as_ref(), request, reporter)
    }

    pub(super) fn answer(&self, request: &'a solve::Request, solution: &'a Solution) -> Answer<'a> {
        Answer {
            repositories: self.repositories(),
            installed: self.installed(),
            world: &request.world,
            solution,
        }
    }

    /// What the profile asks for: the runtime packages, and those optional ones that somebody provides.
    fn wanted(&self, profile: &Profile, reporter: &dyn Reporter) -> Vec<Dependency> {
        let mut wanted: Vec<Dependency> =
            profile.packages.runtime.iter().map(|stated| stated.value.clone()).collect();
        for stated in &profile.packages.optional {
            if self.is_provided(&stated.value) {
                wanted.push(stated.value.clone());
            } else {
                reporter.note(&format!("optional {} is left out: no repository has it", stated.value));
            }
        }
        wanted
    }

    fn is_provided(&self, dependency: &Dependency) -> bool {
        let Dependency { name, constraint, .. } = dependency;
        let pairs = self.repositories.iter().zip(self.indexes);
        pairs
            .filter(|(named, _)| named.tag.is_none() || named.tag == dependency.tag)
            .map(|(_, index)| index.index())
            .any(|index| {
                index.providers(name).any(|provider| {
                    let identity = || index.package(provider.package).and_then(Package::identity);
                    constraint.accepts(provider.version, identity)
                })
            })
    }
}

/// The base's world without what the profile removes, and all that the profile wants, which takes the place
/// of what the base says of the same name.
fn world(base: &[Dependency], profile: &Profile, wanted: &[Dependency]) -> Vec<Dependency> {
    let is_removed =
        |name: &str| profile.packages.remove.iter().any(|removed| removed.value.as_str() == name);
    let is_wanted = |name: &str| wanted.iter().any(|dependency| *dependency.name == *name);
    let kept = base.iter().filter(|dependency| !is_removed(&dependency.name) && !is_wanted(&dependency.name));
    let mut world: Vec<Dependency> = Vec::new();
    for dependency in kept.chain(wanted) {
        if !world.contains(dependency) {
            world.push(dependency.clone());
        }
    }
    world
}
