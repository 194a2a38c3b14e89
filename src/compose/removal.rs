//! What is said of the packages that a profile wants removed, when they are not, or never were there.
//!
//! A package is removed by taking it out of what the base asks for; it stays if what is left needs it. As apk does,
//! that is said with the names of those that keep it, and is no failure.
//!
//! Source: measured on apk 2.14.4 ("World updated, but the following packages are not removed due to").

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use super::lint::Answer;
use crate::apk::dependency::{Dependency, Provide};
use crate::apk::index::Package;
use crate::kind::nearest;
use crate::profile::{Finding, Lint};

/// What is said of the packages that the profile removes; `world` is what the base asks for.
pub(super) fn lints(answer: &Answer<'_>, world: &[Dependency]) -> Vec<Lint> {
    let removed = &answer.profile.packages.remove;
    if removed.is_empty() {
        return Vec::new();
    }
    let installed: BTreeSet<&str> =
        answer.installed.iter().flat_map(|installed| installed.index.packages()).map(Package::name).collect();
    let needs = Needs::of(answer);
    let finding = |name: &str| {
        let keepers = needs.keepers(name);
        if !keepers.is_empty() {
            return Some(Finding::NotRemoved { package: name.to_owned(), keepers });
        }
        let is_known = installed.contains(name) || world.iter().any(|dependency| *dependency.name == *name);
        let near = || nearest(name, installed.iter().copied()).into_iter().map(str::to_owned).collect();
        (!is_known).then(|| Finding::NothingToRemove { package: name.to_owned(), near: near() })
    };
    removed
        .iter()
        .filter_map(|stated| {
            let finding = finding(stated.value.as_str())?;
            Some(Lint { origin: Some(stated.origin.clone()), finding })
        })
        .collect()
}

/// The packages of an answer and who needs whom. By name alone: what was chosen fits.
struct Needs<'a> {
    packages: Vec<Package<'a>>,
    /// Of each package, those that it is there for.
    holders: Vec<Vec<(usize, Hold)>>,
    /// Of each package that is asked for, by whom.
    asked: HashMap<usize, String>,
}

/// Why a package is there for another.
#[derive(Clone, Copy)]
enum Hold {
    /// The other depends on it.
    Needs,
    /// The other is among those that it comes by itself with.
    Brings,
}

impl<'a> Needs<'a> {
    fn of(answer: &Answer<'a>) -> Self {
        let packages: Vec<Package<'a>> = answer.packages().collect();
        let mut providers: HashMap<&str, Vec<usize>> = HashMap::new();
        for (number, package) in packages.iter().enumerate() {
            let provided = package.provides().filter_map(Provide::split).map(|(name, _)| name);
            for name in std::iter::once(package.name()).chain(provided) {
                providers.entry(name).or_default().push(number);
            }
        }
        let of = |text: &str| providers.get(Dependency::name_in(text)).into_iter().flatten().copied();
        let mut holders = vec![Vec::new(); packages.len()];
        for (number, package) in packages.iter().enumerate() {
            for needed in package.depends().filter(|text| !text.starts_with('!')).flat_map(of) {
                if let Some(holders) = holders.get_mut(needed) {
                    holders.push((number, Hold::Needs));
                }
            }
            // One that comes by itself stays as long as all that it waits for is there.
            let conditions = || package.install_if().filter(|text| !text.starts_with('!'));
            if conditions().all(|text| of(text).next().is_some())
                && let Some(holders) = holders.get_mut(number)
            {
                holders.extend(conditions().flat_map(of).map(|holder| (holder, Hold::Brings)));
            }
        }
        let mut asked = HashMap::new();
        for (dependency, by) in answer.asked() {
            for number in of(&dependency.name) {
                asked.entry(number).or_insert_with(|| by.clone());
            }
        }
        Self { packages, holders, asked }
    }

    /// Why the package `name` is there, if it is: the shortest way to it from each that is asked for.
    fn keepers(&self, name: &str) -> Vec<String> {
        let Some(package) = self.packages.iter().position(|package| package.name() == name) else {
            return Vec::new();
        };
        let mut keepers = Vec::new();
        let mut known = HashSet::from([package]);
        let mut waiting = VecDeque::from([(package, String::new())]);
        while let Some((number, way)) = waiting.pop_front() {
            let name = self.packages.get(number).map_or("", |package| package.name());
            if let Some(asker) = self.asked.get(&number) {
                keepers.push(format!("{asker} asks for {name}{way}"));
            }
            for (holder, hold) in self.holders.get(number).into_iter().flatten() {
                if known.insert(*holder) {
                    let verb = match hold {
                        Hold::Needs => "needs",
                        Hold::Brings => "brings",
                    };
                    waiting.push_back((*holder, format!(", which {verb} {name}{way}")));
                }
            }
        }
        keepers
    }
}
