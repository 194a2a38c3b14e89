//! The solver's answer to a request, with what it was chosen from, and what it comes to for people and programs.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::apk::dependency::Dependency;
use crate::apk::index::Package;
use crate::apk::version;
use crate::solve::closure::Closure;
use crate::solve::{Action, Chosen, Installed, Repository, Solution, Source};

/// A solution and what it is of.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The repositories that were asked.
    pub repositories: Vec<Repository<'a>>,
    /// What is installed.
    pub installed: Option<Installed<'a>>,
    /// The world that was solved.
    pub world: &'a [Dependency],
    /// What was found.
    pub solution: &'a Solution,
}

/// What would be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resolution {
    /// The steps, in apk's order.
    pub steps: Vec<ResolvedStep>,
    /// How many packages there would be.
    pub packages: usize,
    /// The bytes to be fetched.
    pub download: u64,
    /// The bytes that more, or less, would be taken by what is installed.
    pub growth: i64,
}

/// A step, as programs read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResolvedStep {
    /// `install`, `upgrade`, `downgrade`, `replace`, `purge` or `repin`.
    pub op: &'static str,
    /// The package's name.
    pub name: String,
    /// The tag it is pinned to from then on; empty without one.
    pub tag: String,
    /// The version that was there.
    pub old: Option<String>,
    /// The version that is there from then on.
    pub new: Option<String>,
}

impl<'a> Answer<'a> {
    /// The package at `source`.
    pub fn package(&self, source: Source) -> Option<Package<'_>> {
        source.package(&self.repositories, self.installed.as_ref())
    }

    /// The packages that there would be.
    pub fn chosen(&self) -> impl Iterator<Item = (&'a Chosen, Package<'_>)> {
        self.solution.packages.iter().filter_map(|chosen| Some((chosen, self.package(chosen.source)?)))
    }

    /// The packages and who needs whom; nothing if the solution is of something else.
    pub fn closure(&self) -> Option<Closure<'_>> {
        Closure::of(self.solution, self.world, &self.repositories, self.installed.as_ref())
    }

    /// What would be done to what is installed.
    pub fn resolution(&self) -> Option<Resolution> {
        let mut resolution = Resolution::of_packages(self.solution.packages.len());
        for step in &self.solution.steps {
            let package = self.package(step.source)?;
            let old = match step.action.old(step.source) {
                Some(number) => Some(self.package(Source::Installed(number))?),
                None => None,
            };
            let new = (step.action != Action::Purge).then_some(package);
            let is_fetched = matches!(step.source, Source::Repository(..)) && !package.is_virtual();
            let tag = step.tag.as_ref().map(|tag| tag.as_str().to_owned()).unwrap_or_default();
            resolution.add(step.action.word(), tag, old, new, is_fetched);
        }
        Some(resolution)
    }

    /// What this answer has otherwise than `before`: the steps from that one's packages to these, in the order in which
    /// these are installed; what is not there any more comes last.
    pub fn since(&self, before: &Answer<'_>) -> Resolution {
        let mut resolution = Resolution::of_packages(self.solution.packages.len());
        let by_name: HashMap<&str, (&Chosen, Package<'_>)> =
            before.chosen().map(|(chosen, package)| (package.name(), (chosen, package))).collect();
        // What stays as it is has no step.
        let mut left: HashMap<Source, (&Chosen, Package<'_>)> =
            self.chosen().map(|(chosen, package)| (chosen.source, (chosen, package))).collect();
        let steps = self.solution.steps.iter().map(|step| step.source);
        for source in steps.chain(self.solution.packages.iter().map(|chosen| chosen.source)) {
            let Some((chosen, new)) = left.remove(&source) else { continue };
            let known = by_name.get(new.name());
            if known.is_some_and(|(known, _)| known.source == source && known.tag == chosen.tag) {
                continue;
            }
            let op = match known {
                None => "install",
                Some((known, _)) if known.source == source => "repin",
                Some((_, old)) => match version::compare(new.version(), old.version()) {
                    Ordering::Greater => "upgrade",
                    Ordering::Less => "downgrade",
                    Ordering::Equal => "replace",
                },
            };
            let is_fetched = matches!(source, Source::Repository(..)) && !new.is_virtual() && op != "repin";
            let tag = chosen.tag.as_ref().map(|tag| tag.as_str().to_owned()).unwrap_or_default();
            resolution.add(op, tag, known.map(|(_, old)| *old), Some(new), is_fetched);
        }
        let names: HashSet<&str> = self.chosen().map(|(_, package)| package.name()).collect();
        for (_, old) in before.chosen() {
            if !names.contains(old.name()) {
                resolution.add("purge", String::new(), Some(old), None, false);
            }
        }
        resolution
    }
}

impl Resolution {
    fn of_packages(packages: usize) -> Self {
        Self { steps: Vec::new(), packages, download: 0, growth: 0 }
    }

    fn add(
        &mut self,
        op: &'static str,
        tag: String,
        old: Option<Package<'_>>,
        new: Option<Package<'_>>,
        is_fetched: bool,
    ) {
        let size = |package: Option<Package<'_>>| {
            i64::try_from(package.map_or(0, Package::installed_size)).unwrap_or(i64::MAX)
        };
        if is_fetched {
            self.download += new.map_or(0, Package::size);
        }
        self.growth = self.growth.saturating_add(size(new)).saturating_sub(size(old));
        self.steps.push(ResolvedStep {
            op,
            name: new.or(old).map_or("", Package::name).to_owned(),
            tag,
            old: old.map(|package| package.version().to_owned()),
            new: new.map(|package| package.version().to_owned()),
        });
    }
}
