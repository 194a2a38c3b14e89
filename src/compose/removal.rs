//! What is said of the packages that a profile wants removed, when they are not, or never were there.
//!
//! A package is removed by taking it out of what the base asks for; it stays if what is left needs it. As apk does,
//! that is said with the names of those that keep it, and is no failure.
//!
//! Source: measured on apk 2.14.4 ("World updated, but the following packages are not removed due to").

use std::collections::{BTreeSet, HashSet, VecDeque};

use super::answer::Answer;
use crate::apk::dependency::Dependency;
use crate::apk::index::Package;
use crate::kind::nearest;
use crate::profile::{Finding, Lint, Profile};
use crate::solve::closure::{Closure, Dependant, Member};

/// What is said of the packages that `profile` removes; `world` is what the base asks for.
pub(super) fn lints(profile: &Profile, answer: &Answer<'_>, world: &[Dependency]) -> Vec<Lint> {
    let removed = &profile.packages.remove;
    if removed.is_empty() {
        return Vec::new();
    }
    let Some(closure) = answer.closure() else { return Vec::new() };
    let installed: BTreeSet<&str> =
        answer.installed.iter().flat_map(|installed| installed.index.packages()).map(Package::name).collect();
    let is_known =
        |name: &str| installed.contains(name) || world.iter().any(|dependency| *dependency.name == *name);
    let finding = |name: &str| {
        let package = name.to_owned();
        let is_it = |member: &Member| closure.package(*member).is_some_and(|package| package.name() == name);
        if let Some(member) = closure.members().find(is_it) {
            let keepers = keepers(profile, &closure, member);
            return Some(Finding::NotRemoved { package, keepers });
        }
        let near = || nearest(name, installed.iter().copied()).into_iter().map(str::to_owned).collect();
        (!is_known(name)).then(|| Finding::NothingToRemove { package, near: near() })
    };
    let lint = |finding, origin| Lint { origin: Some(origin), finding };
    let lints = removed.iter().filter_map(|stated| {
        finding(stated.value.as_str()).map(|finding| lint(finding, stated.origin.clone()))
    });
    lints.collect()
}

/// The shortest way to a package from each that is asked for and keeps it, the nearest first.
fn keepers(profile: &Profile, closure: &Closure<'_>, member: Member) -> Vec<String> {
    let mut keepers = Vec::new();
    let mut known = HashSet::from([member]);
    let mut waiting = VecDeque::from([(member, String::new())]);
    while let Some((member, way)) = waiting.pop_front() {
        let name = closure.package(member).map_or("", |package| package.name());
        let mut by = |next: Member, verb: &str| {
            if known.insert(next) {
                waiting.push_back((next, format!(", which {verb} {name}{way}")));
            }
        };
        for dependant in closure.dependants(member) {
            match dependant {
                Dependant::World(dependency) => {
                    let origin = profile.packages.origin(dependency);
                    let asker = origin.map_or("the base".to_owned(), ToString::to_string);
                    let wanted = if *dependency.name == *name {
                        name.to_owned()
                    } else {
                        format!("{dependency}, which {name} provides")
                    };
                    keepers.push(format!("{asker} asks for {wanted}{way}"));
                }
                Dependant::Package(next, _) => by(*next, "needs"),
                Dependant::InstallIf(with) => with.iter().for_each(|(next, _)| by(*next, "brings")),
            }
        }
    }
    keepers
}
