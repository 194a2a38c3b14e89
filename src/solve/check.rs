//! The independent checker: whether a solution holds, whoever found it and however.
//!
//! It shares no data structure and no decision with the solver: it reads the indexes again, builds the tree
//! the solution describes, and looks. A solution that fails is a mistake of the solver and never leaves it.
//!
//! What it checks: every package exists, may be installed and may come from where it comes; the world and
//! every dependency is met, no conflict is violated, no two packages hold one name; each package is needed;
//! the steps lead from what is installed to the tree; and last, what comes by itself is there unless something stands
//! against it. That alone is no bug of the solver: see [`super::solve`].

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use super::solution::{Action, Solution, Source};
use super::{Installed, Repository, Request};
use crate::apk::dependency::{Dependency, Tag};
use crate::apk::index::{Flaw, Package, PackageNumber};

/// Why a solution does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// It names a package that no index has.
    #[error("{0:?} is no package")]
    NoPackage(Source),
    /// Something is wrong with a package.
    #[error("{package} cannot be installed: {flaw}")]
    Flawed {
        /// The package.
        package: String,
        /// What is wrong.
        flaw: Flaw,
    },
    /// A package is for another architecture.
    #[error("{package} is for {arch}")]
    ForeignArch {
        /// The package.
        package: String,
        /// Its architecture.
        arch: String,
    },
    /// A package is pinned to a tag the world does not name.
    #[error("{package} comes from {tag}, which the world does not ask for")]
    Tag {
        /// The package.
        package: String,
        /// The tag.
        tag: Tag,
    },
    /// A dependency is not met, or a conflict violated.
    #[error("{dependency} of {by} does not hold")]
    Dependency {
        /// The package that states it, or the world.
        by: String,
        /// The dependency.
        dependency: Dependency,
    },
    /// Two packages hold a name only one can hold.
    #[error("{first} and {second} both hold {name}")]
    Name {
        /// The one.
        first: String,
        /// The other.
        second: String,
        /// The name.
        name: String,
    },
    /// Nothing needs a package.
    #[error("nothing needs {0}")]
    Unneeded(String),
    /// A package should have come by itself.
    #[error("all {0} waits for is there, but it is not")]
    LeftOut(String),
    /// The steps do not lead to the packages.
    #[error("the steps do not lead to {0}")]
    Steps(String),
}

/// Checks a solution of `request` over the same repositories and base.
///
/// # Errors
///
/// The first [`Violation`] found.
pub fn check(
    repositories: &[Repository<'_>],
    installed: Option<&Installed<'_>>,
    request: &Request,
    solution: &Solution,
) -> Result<(), Violation> {
    let mut packages = Vec::with_capacity(solution.packages.len());
    for chosen in &solution.packages {
        let package = chosen.source.package(repositories, installed);
        let package = package.ok_or(Violation::NoPackage(chosen.source))?;
        if let Source::Repository(..) = chosen.source {
            installable(package, request)?;
        }
        let asked = |tag: &&Tag| request.world.iter().any(|dependency| dependency.tag.as_ref() == Some(tag));
        if let Some(tag) = chosen.tag.as_ref().filter(|tag| !asked(tag)) {
            return Err(Violation::Tag { package: package.to_string(), tag: tag.clone() });
        }
        packages.push(package);
    }
    let tree = Tree::new(packages);
    tree.names_are_held_once()?;
    tree.needs_are_met(&request.world)?;
    tree.packages_are_needed(&request.world)?;
    steps_lead_to(repositories, installed, solution)?;
    let exclusions = tree.exclusions(&request.world);
    for package in tree.waiting_for_its_names(repositories) {
        if tree.should_have(package, &exclusions) && installable(package, request).is_ok() {
            return Err(Violation::LeftOut(package.to_string()));
        }
    }
    Ok(())
}

fn installable(package: Package<'_>, request: &Request) -> Result<(), Violation> {
    if let Some(flaw) = package.flaw() {
        return Err(Violation::Flawed { package: package.to_string(), flaw });
    }
    let arch = package.arch();
    if !arch.is_empty() && arch != "noarch" && arch != request.arch.as_str() {
        return Err(Violation::ForeignArch { package: package.to_string(), arch: arch.to_owned() });
    }
    Ok(())
}

/// The packages of the resulting tree and the names they hold.
struct Tree<'a> {
    packages: Vec<Package<'a>>,
    /// What each of them depends on.
    depends: Vec<Vec<Dependency>>,
    names: HashMap<&'a str, Vec<Holding<'a>>>,
}

/// That the package with a number holds a name.
#[derive(Clone, Copy)]
struct Holding<'a> {
    package: usize,
    version: Option<&'a str>,
}

impl<'a> Tree<'a> {
    fn new(packages: Vec<Package<'a>>) -> Self {
        let mut names: HashMap<&str, Vec<Holding<'a>>> = HashMap::new();
        for (number, package) in packages.iter().enumerate() {
            for (name, version) in package.held() {
                names.entry(name).or_default().push(Holding { package: number, version });
            }
        }
        let depends = packages.iter().map(|package| dependencies(*package)).collect();
        Self { packages, depends, names }
    }

    fn text(&self, number: usize) -> String {
        self.packages.get(number).map(Package::to_string).unwrap_or_default()
    }

    /// The packages that satisfy a dependency, or violate it if it is a conflict.
    fn matching<'t>(&'t self, dependency: &'t Dependency) -> impl Iterator<Item = usize> + 't {
        let holdings = self.names.get(&*dependency.name).map(Vec::as_slice).unwrap_or_default();
        let accepted = holdings.iter().filter(|holding| {
            let identity = || self.packages.get(holding.package).and_then(|package| package.identity());
            dependency.constraint.accepts(holding.version, identity)
        });
        accepted.map(|holding| holding.package)
    }

    fn holds(&self, dependency: &Dependency, by: Option<usize>) -> bool {
        let mut matching = self.matching(dependency);
        if dependency.conflict {
            matching.all(|package| Some(package) == by)
        } else {
            matching.next().is_some()
        }
    }

    fn names_are_held_once(&self) -> Result<(), Violation> {
        let sorted: BTreeMap<_, _> = self.names.iter().collect();
        for (name, holdings) in sorted {
            let Some((first, others)) = holdings.split_first() else { continue };
            let versioned = holdings.iter().any(|holding| holding.version.is_some());
            if let Some(second) = others.iter().find(|other| versioned && other.package != first.package) {
                return Err(Violation::Name {
                    first: self.text(first.package),
                    second: self.text(second.package),
                    name: (*name).to_owned(),
                });
            }
        }
        Ok(())
    }

    fn needs_are_met(&self, world: &[Dependency]) -> Result<(), Violation> {
        let violated = |by: String, dependency: &Dependency| {
            Err(Violation::Dependency { by, dependency: dependency.clone() })
        };
        if let Some(dependency) = world.iter().find(|dependency| !self.holds(dependency, None)) {
            return violated("the world".to_owned(), dependency);
        }
        for (number, depends) in self.depends.iter().enumerate() {
            if let Some(dependency) = depends.iter().find(|dependency| !self.holds(dependency, Some(number)))
            {
                return violated(self.text(number), dependency);
            }
        }
        Ok(())
    }

    fn packages_are_needed(&self, world: &[Dependency]) -> Result<(), Violation> {
        let mut needed = vec![false; self.packages.len()];
        let mut ahead: VecDeque<usize> = VecDeque::new();
        let wanted = world.iter().filter(|dependency| !dependency.conflict);
        ahead.extend(wanted.flat_map(|dependency| self.matching(dependency)));
        // The packages with `install_if`, with how many of their conditions no needed package meets yet.
        let conditions: Vec<Vec<Dependency>> =
            self.packages.iter().map(|package| package.parse_install_if()).collect();
        let mut missing: Vec<usize> = Vec::with_capacity(conditions.len());
        let mut waiting: HashMap<usize, Vec<(usize, usize)>> = HashMap::new();
        for (number, conditions) in conditions.iter().enumerate() {
            let stated = conditions.iter().enumerate().filter(|(_, condition)| !condition.conflict);
            for (place, condition) in stated.clone() {
                for package in self.matching(condition).collect::<BTreeSet<_>>() {
                    waiting.entry(package).or_default().push((number, place));
                }
            }
            let holds = conditions.iter().filter(|it| it.conflict).all(|it| self.holds(it, Some(number)));
            missing.push(if conditions.is_empty() || !holds { usize::MAX } else { stated.count() });
        }
        let mut met = HashSet::new();
        while let Some(number) = ahead.pop_front() {
            let Some(seen) = needed.get_mut(number).filter(|seen| !**seen) else { continue };
            *seen = true;
            let depends = self.depends.get(number).map(Vec::as_slice).unwrap_or_default();
            for dependency in depends.iter().filter(|dependency| !dependency.conflict) {
                ahead.extend(self.matching(dependency));
            }
            for (waits, place) in waiting.get(&number).into_iter().flatten() {
                if !met.insert((*waits, *place)) {
                    continue;
                }
                if let Some(missing) = missing.get_mut(*waits).filter(|missing| **missing != usize::MAX) {
                    *missing -= 1;
                    ahead.extend((*missing == 0).then_some(*waits));
                }
            }
        }
        match needed.iter().position(|needed| !needed) {
            Some(number) => Err(Violation::Unneeded(self.text(number))),
            None => Ok(()),
        }
    }

    /// The packages of untagged repositories that wait for a name that is there, in the repositories' order.
    fn waiting_for_its_names(&self, repositories: &[Repository<'a>]) -> Vec<Package<'a>> {
        let mut waiting = Vec::new();
        for repository in repositories.iter().filter(|repository| repository.tag.is_none()) {
            let index = repository.index;
            let numbers: BTreeSet<_> = self.names.keys().flat_map(|name| index.awaiting(name)).collect();
            waiting.extend(numbers.into_iter().filter_map(|number| index.package(number)));
        }
        waiting
    }

    /// All that excludes packages, by the name it speaks of: conflicts of the world and of the packages, and the absences
    /// because of which packages came by themselves. Those hold: of two packages that wait for one another's absence, one
    /// comes.
    fn exclusions(&self, world: &[Dependency]) -> HashMap<String, Vec<Dependency>> {
        let awaited = self.packages.iter().flat_map(|package| package.parse_install_if());
        let stated = world.iter().chain(self.depends.iter().flatten()).cloned();
        let mut exclusions: HashMap<String, Vec<Dependency>> = HashMap::new();
        for dependency in stated.chain(awaited).filter(|dependency| dependency.conflict) {
            exclusions.entry(dependency.name.to_string()).or_default().push(dependency);
        }
        exclusions
    }

    /// Whether a package that is not in the tree should have come by itself: all it waits for is there, also once it is
    /// there itself; its dependencies are too, and nothing stands against it.
    fn should_have(&self, package: Package<'_>, exclusions: &HashMap<String, Vec<Dependency>>) -> bool {
        let mut stated = package.install_if().filter(|text| !text.starts_with('!')).peekable();
        if stated.peek().is_none() || !stated.all(|text| self.names.contains_key(Dependency::name_in(text))) {
            return false;
        }
        let conditions = package.parse_install_if();
        if conditions.is_empty() || !conditions.iter().all(|condition| self.holds(condition, None)) {
            return false;
        }
        let held: Vec<(&str, Option<&str>)> = package.held().collect();
        let clashes = held.iter().any(|(name, version)| {
            let holdings = self.names.get(name).map(Vec::as_slice).unwrap_or_default();
            holdings.iter().any(|holding| version.is_some() || holding.version.is_some())
        });
        let concerns = |exclusion: &Dependency, name: &str, version: Option<&str>| {
            name == &*exclusion.name && exclusion.constraint.accepts(version, || package.identity())
        };
        let excluded = held.iter().any(|(name, version)| {
            let stated = exclusions.get(*name).into_iter().flatten();
            let own = conditions.iter().filter(|condition| condition.conflict);
            stated.chain(own).any(|exclusion| concerns(exclusion, name, *version))
        });
        let depends = dependencies(package);
        !clashes && !excluded && depends.iter().all(|dependency| self.holds(dependency, None))
    }
}

/// What a package depends on; of an installed package with a malformed entry, what can be read.
fn dependencies(package: Package<'_>) -> Vec<Dependency> {
    package.depends().filter_map(|text| Dependency::of_index(text).ok()).collect()
}

fn steps_lead_to(
    repositories: &[Repository<'_>],
    installed: Option<&Installed<'_>>,
    solution: &Solution,
) -> Result<(), Violation> {
    let text = |source: Source| {
        source.package(repositories, installed).map_or_else(String::new, |package| package.to_string())
    };
    let tag_of = |number: PackageNumber| {
        installed.and_then(|installed| installed.tags.get(number.0 as usize).cloned().flatten())
    };
    let mut tree: BTreeMap<Source, Option<Tag>> = BTreeMap::new();
    for number in (0..).map(PackageNumber).take(installed.map_or(0, |installed| installed.index.len())) {
        tree.insert(Source::Installed(number), tag_of(number));
    }
    for step in &solution.steps {
        let went = match step.action {
            Action::Install => None,
            Action::Upgrade { old } | Action::Downgrade { old } | Action::Replace { old } => {
                Some(Source::Installed(old))
            }
            Action::Repin | Action::Purge => Some(step.source),
        };
        if went.is_some_and(|went| tree.remove(&went).is_none()) {
            return Err(Violation::Steps(text(step.source)));
        }
        if step.action != Action::Purge {
            tree.insert(step.source, step.tag.clone());
        }
    }
    for chosen in &solution.packages {
        if tree.remove(&chosen.source).as_ref() != Some(&chosen.tag) {
            return Err(Violation::Steps(text(chosen.source)));
        }
    }
    match tree.keys().next() {
        Some(left) => Err(Violation::Steps(text(*left))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::made;
    use super::super::solution::{Chosen, Reason, RepositoryNumber, Step};
    use super::*;

    /// The verdict on installing the packages with these numbers.
    fn verdict(packages: &[&str], world: &[&str], installing: &[u32]) -> Result<(), Violation> {
        let index = made::index(packages);
        let (repositories, request) = (made::repository(&index), made::request(world));
        let sources =
            installing.iter().map(|number| Source::Repository(RepositoryNumber(0), PackageNumber(*number)));
        let solution = Solution {
            steps: sources
                .clone()
                .map(|source| Step { action: Action::Install, source, tag: None })
                .collect(),
            packages: sources
                .clone()
                .map(|source| Chosen { source, tag: None, reason: Reason::World(Dependency::on("a")) })
                .collect(),
            order: sources.collect(),
        };
        check(&repositories, None, &request, &solution)
    }

    #[test]
    fn what_holds_is_accepted() {
        let packages = ["a 1;D:b so:x", "b 1;p:so:x=1", "c 1;i:a b"];
        assert_eq!(verdict(&packages, &["a"], &[1, 0, 2]), Ok(()));
        assert_eq!(verdict(&packages, &["a", "!c"], &[1, 0]), Ok(()));
        assert_eq!(verdict(&["a 1;D:!v;p:v=1"], &["a"], &[0]), Ok(()), "a conflict with oneself");
    }

    #[test]
    fn an_unmet_need_is_found() {
        let unmet = |by: &str, text: &str| {
            Err(Violation::Dependency { by: by.to_owned(), dependency: text.parse().unwrap() })
        };
        assert_eq!(verdict(&["a 1"], &["a>1"], &[0]), unmet("the world", "a>1"));
        assert_eq!(verdict(&["a 1"], &["a", "!a"], &[0]), unmet("the world", "!a"));
        assert_eq!(verdict(&["a 1;D:b", "b 1"], &["a"], &[0]), unmet("a-1", "b"));
        assert_eq!(verdict(&["a 1;D:!b", "b 1"], &["a", "b"], &[0, 1]), unmet("a-1", "!b"));
    }

    #[test]
    fn a_package_nothing_needs_is_found_and_one_that_should_have_come() {
        assert_eq!(verdict(&["a 1", "b 1"], &["a"], &[0, 1]), Err(Violation::Unneeded("b-1".to_owned())));
        let two = ["a 1", "b 1;i:a !c"];
        assert_eq!(verdict(&two, &["a"], &[0]), Err(Violation::LeftOut("b-1".to_owned())));
        let circle = ["a 1", "b 1;D:c", "c 1;D:b"];
        assert_eq!(verdict(&circle, &["a"], &[0, 1, 2]), Err(Violation::Unneeded("b-1".to_owned())));
    }

    #[test]
    fn two_holders_of_a_versioned_name_are_found() {
        let holders = |second: &str| verdict(&["a 1;p:v=1", second], &["a", "b"], &[0, 1]);
        let clash =
            Violation::Name { first: "a-1".to_owned(), second: "b-1".to_owned(), name: "v".to_owned() };
        assert_eq!(holders("b 1;p:v"), Err(clash));
        assert_eq!(holders("b 1;p:w"), Ok(()));
    }

    #[test]
    fn what_cannot_be_installed_is_found() {
        let flawed = verdict(&["a 1;D:b=v1", "b 1"], &["a"], &[0]);
        assert!(matches!(flawed, Err(Violation::Flawed { .. })), "{flawed:?}");
        let foreign = verdict(&["a 1;A:armv7"], &["a"], &[0]);
        assert!(matches!(foreign, Err(Violation::ForeignArch { .. })), "{foreign:?}");
        let nothing = verdict(&["a 1"], &["a"], &[7]);
        assert!(matches!(nothing, Err(Violation::NoPackage(_))), "{nothing:?}");
    }

    #[test]
    fn steps_that_lead_elsewhere_are_found() {
        let index = made::index(&["a 1"]);
        let installed = Installed { index: &index, tags: Vec::new() };
        let request = made::request(&[]);
        let steps = Violation::Steps("a-1".to_owned());
        assert_eq!(check(&[], Some(&installed), &request, &Solution::default()), Err(steps));
    }
}
