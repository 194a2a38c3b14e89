//! apk's order as a walk, written down once more and in the plainest way: depth first over the sorted world,
//! dependencies in the order they are stated, a package after them; what comes by itself right after the one that
//! completed it. Among several that one package completes, and several that provide one name, those come first that
//! stand first in an order given.

use std::collections::{BTreeSet, HashMap};

use apkcompose::apk::dependency::{Dependency, Provide};
use apkcompose::apk::index::{Index, Package};
use apkcompose::solve::{Installed, Repository, Request};

/// The packages of a tree, and how they hang together.
pub(super) struct Walk<'a> {
    packages: HashMap<&'a str, Package<'a>>,
    /// Who provides a name, the package of that name first.
    providers: HashMap<&'a str, Vec<&'a str>>,
    /// Names of which some package, chosen or not, waits for a name.
    waiting: HashMap<&'a str, BTreeSet<&'a str>>,
    world: Vec<Dependency>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        repositories: &[Repository<'a>],
        installed: &Installed<'a>,
        request: &Request,
        packages: &[Package<'a>],
    ) -> Self {
        let mut providers: HashMap<&str, Vec<&str>> = HashMap::new();
        for package in packages {
            providers.entry(package.name()).or_default().insert(0, package.name());
            for (name, _) in
                package.provides().filter_map(Provide::split).filter(|(name, _)| *name != package.name())
            {
                providers.entry(name).or_default().push(package.name());
            }
        }
        let mut waiting: HashMap<&str, BTreeSet<&str>> = HashMap::new();
        let indexes = repositories.iter().map(|repository| repository.index).chain([installed.index]);
        for package in indexes.flat_map(Index::packages) {
            for condition in package.install_if() {
                waiting.entry(Dependency::name_in(condition)).or_default().insert(package.name());
            }
        }
        let mut world = request.world.clone();
        world.sort_by_key(|dependency| dependency.name.to_ascii_lowercase());
        let packages = packages.iter().map(|package| (package.name(), *package)).collect();
        Self { packages, providers, waiting, world }
    }

    /// All packages in the order of the walk, siblings in the order of `order`.
    pub(super) fn along<'o>(&self, order: impl Iterator<Item = &'o str>) -> Vec<String> {
        let positions = order.enumerate().map(|(position, name)| (name, position)).collect();
        let mut walked = Vec::new();
        let mut entered = BTreeSet::new();
        for dependency in &self.world {
            self.go(&dependency.name, &positions, &mut entered, &mut walked);
        }
        walked
    }

    fn go(
        &self,
        name: &str,
        positions: &HashMap<&str, usize>,
        entered: &mut BTreeSet<&'a str>,
        walked: &mut Vec<String>,
    ) {
        let position = |name: &&str| positions.get(name).copied().unwrap_or(usize::MAX);
        let providers = self.providers.get(name).map(Vec::as_slice).unwrap_or_default();
        let named = providers.iter().find(|provider| **provider == name);
        let Some(provider) = named.or_else(|| providers.iter().min_by_key(|provider| position(provider)))
        else {
            return;
        };
        if !entered.insert(provider) {
            return;
        }
        let package = self.packages[provider];
        for needed in package.depends() {
            self.go(Dependency::name_in(needed), positions, entered, walked);
        }
        walked.push(package.name().to_owned());
        let held = package.provides().filter_map(Provide::split).map(|(name, _)| name);
        let waiting = std::iter::once(package.name()).chain(held).filter_map(|name| self.waiting.get(name));
        let mut completed: Vec<&str> =
            waiting.flatten().copied().filter(|waiting| self.is_complete(waiting, entered)).collect();
        completed.sort_by_key(position);
        for name in completed {
            self.go(name, positions, entered, walked);
        }
    }

    fn is_complete(&self, name: &str, entered: &BTreeSet<&str>) -> bool {
        self.packages.get(name).is_some_and(|package| {
            package.install_if().filter(|condition| !condition.starts_with('!')).all(|condition| {
                let providers = self.providers.get(Dependency::name_in(condition));
                providers.is_some_and(|providers| providers.iter().any(|provider| entered.contains(provider)))
            })
        })
    }
}
