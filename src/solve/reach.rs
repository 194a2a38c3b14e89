//! Why each chosen package is needed: the way from the world to it.

use std::collections::{HashSet, VecDeque};

use super::graph::{Condition, Graph, PackageId};
use super::state::State;
use super::table::Table;
use crate::apk::dependency::Dependency;

/// Why a package is needed.
#[derive(Debug, Clone)]
pub(super) enum Reason {
    /// The world asks for it.
    World(Dependency),
    /// A package depends on it.
    Package(PackageId, Dependency),
    /// It comes by itself with that package.
    With(PackageId),
}

/// The first reason found for each package, nearest to the world.
pub(super) struct Reach {
    reasons: Table<PackageId, Option<Reason>>,
    /// The conditions of each package with `install_if` that no needed package meets yet, by their place.
    missing: Table<PackageId, Option<HashSet<usize>>>,
    /// The needed packages, nearest to the world first.
    pub(super) packages: Vec<PackageId>,
}

impl Reach {
    /// Finds the reasons, and takes back the choice of packages for which there is none: those of names
    /// that all candidates for another needed, but not the candidate that was chosen.
    pub(super) fn keep_what_is_needed(graph: &Graph<'_>, state: &mut State) -> Self {
        let mut reach = Self {
            reasons: graph.packages.map(|_| None),
            missing: graph.packages.map(|_| None),
            packages: Vec::new(),
        };
        let mut ahead = VecDeque::new();
        for need in graph.world.iter().filter(|need| !need.dependency.conflict) {
            if let Some(package) = state.chosen_nearest(graph, need) {
                reach.find(package, Reason::World(need.dependency.clone()), &mut ahead);
            }
        }
        while let Some(package) = ahead.pop_front() {
            reach.packages.push(package);
            for need in graph.packages[package].depends.iter().filter(|need| !need.dependency.conflict) {
                if let Some(needed) = state.chosen_nearest(graph, need) {
                    reach.find(needed, Reason::Package(package, need.dependency.clone()), &mut ahead);
                }
            }
            for (name, _) in &graph.packages[package].provides {
                for condition in &graph.names[*name].conditions {
                    let waiting = condition.package;
                    if reach.completes(graph, package, *condition) && state.packages[waiting].chosen {
                        reach.find(waiting, Reason::With(package), &mut ahead);
                    }
                }
            }
        }
        for package in graph.packages.keys() {
            state.packages[package].chosen &= reach.reasons[package].is_some();
        }
        reach
    }

    fn find(&mut self, package: PackageId, reason: Reason, ahead: &mut VecDeque<PackageId>) {
        let known = &mut self.reasons[package];
        if known.is_none() {
            *known = Some(reason);
            ahead.push_back(package);
        }
    }

    /// Whether a needed package meets a condition, and that was the last its package waited for.
    fn completes(&mut self, graph: &Graph<'_>, package: PackageId, condition: Condition) -> bool {
        let node = &graph.packages[condition.package];
        let Some(need) = node.install_if.get(condition.number).filter(|need| !need.dependency.conflict)
        else {
            return false;
        };
        let missing = &mut self.missing[condition.package];
        let missing = missing.get_or_insert_with(|| {
            let stated = node.install_if.iter().enumerate().filter(|(_, need)| !need.dependency.conflict);
            stated.map(|(number, _)| number).collect()
        });
        if graph.fits(package, need) {
            missing.remove(&condition.number);
        }
        missing.is_empty()
    }

    /// Why a package is needed, if it is.
    pub(super) fn reason(&self, package: PackageId) -> Option<&Reason> {
        self.reasons[package].as_ref()
    }
}
