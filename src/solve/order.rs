//! The order of the steps.
//!
//! Depth first over the sorted world, dependencies in the order they are stated, a package after them; a
//! package that comes by itself right after the one that completed what it waits for; cycles are cut where
//! they are entered again. Installed packages that stay are walked through too.
//!
//! Source: spec apk v2, "Solver", Order.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap, HashSet};

use super::graph::{Condition, Graph, NameId, Need, PackageId, compare_names};
use super::names::Resident;
use super::purge::Purger;
use super::reach::{self, Reach};
use super::solution::{Action, Chosen, Reason, Solution, Source, Step};
use super::state::State;
use super::table::Table;
use super::tags::TagSet;
use crate::apk::dependency::Tag;
use crate::apk::version;

/// Arranges what was decided into steps.
pub(super) fn arrange(graph: &Graph<'_>, state: &State, reach: &Reach) -> Solution {
    let residents = residents(graph);
    let mut arranger = Arranger {
        graph,
        state,
        purger: Purger::new(graph, state),
        residents,
        walked: graph.packages.map(|_| Walked::No),
        missing: graph.packages.map(|node| {
            let stated = node.install_if.iter().enumerate().filter(|(_, need)| !need.dependency.conflict);
            stated.map(|(number, _)| number).collect()
        }),
        steps: Vec::new(),
        order: Vec::new(),
    };
    arranger.purger.purge_what_nothing_holds(&mut arranger.steps);
    for need in &graph.world {
        if let Some(task) = arranger.task_for(need) {
            arranger.walk(task);
        }
    }
    arranger.purger.purge_the_rest(&mut arranger.steps);
    let packages = arranger.packages(reach);
    Solution { steps: arranger.steps, packages, order: arranger.order }
}

struct Arranger<'g> {
    graph: &'g Graph<'g>,
    state: &'g State,
    purger: Purger,
    /// The installed package of each name.
    residents: HashMap<&'g str, (Resident<'g>, &'g str)>,
    walked: Table<PackageId, Walked>,
    /// The conditions of each package with `install_if` that no entered package meets yet, by their place.
    missing: Table<PackageId, BTreeSet<usize>>,
    steps: Vec<Step>,
    order: Vec<Source>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Walked {
    No,
    Entered,
    Done,
}

enum Task<'g> {
    Enter(PackageId),
    Finish(PackageId),
    /// What has this name and goes is in the way.
    Exclude(&'g str),
}

impl<'g> Arranger<'g> {
    fn walk(&mut self, root: Task<'g>) {
        let mut tasks = vec![root];
        while let Some(task) = tasks.pop() {
            match task {
                Task::Enter(package) if self.walked[package] == Walked::No => {
                    self.walked[package] = Walked::Entered;
                    self.meet_conditions(package);
                    self.make_room(package);
                    tasks.push(Task::Finish(package));
                    let graph = self.graph;
                    let depends = graph.packages[package].depends.iter().rev();
                    tasks.extend(depends.filter_map(|need| self.task_for(need)));
                }
                Task::Enter(_) => {}
                Task::Finish(package) => {
                    self.walked[package] = Walked::Done;
                    self.emit(package);
                    tasks.extend(self.completed_by(package).into_iter().rev().map(Task::Enter));
                }
                Task::Exclude(name) => self.purger.purge_what_is_excluded(name, &mut self.steps),
            }
        }
    }

    /// What is to be done for a need. A conflict leads to whoever holds the name in a version that is not meant; if
    /// there is nobody, what had the name goes.
    fn task_for(&self, need: &'g Need) -> Option<Task<'g>> {
        if !need.dependency.conflict {
            return self.state.chosen_for(self.graph, need, None).map(Task::Enter);
        }
        let holder = self.state.holder(need.name).filter(|package| self.state.packages[*package].chosen);
        Some(holder.map_or(Task::Exclude(&need.dependency.name), Task::Enter))
    }

    /// The chosen packages whose last condition this one meets.
    fn completed_by(&self, package: PackageId) -> Vec<PackageId> {
        let graph = self.graph;
        let mut completed = Vec::new();
        let mut known = HashSet::new();
        for (name, _) in &graph.packages[package].provides {
            for condition in &graph.names[*name].conditions {
                // apk looks at the name: whichever of its packages waits, the chosen one may go on.
                let Some(waiting) = self.chosen_of(graph.packages[condition.package].name) else { continue };
                if self.walked[waiting] == Walked::No
                    && self.missing[waiting].is_empty()
                    && known.insert(waiting)
                {
                    completed.push(waiting);
                }
            }
        }
        completed
    }

    /// Purges what cannot hold a name beside a package that comes.
    fn make_room(&mut self, package: PackageId) {
        let node = &self.graph.packages[package];
        if node.places.installed.is_none() {
            for (name, version) in &node.provides {
                let name = self.graph.names[*name].spelling;
                self.purger.purge_what_clashes(name, version.is_some(), &mut self.steps);
            }
        }
    }

    /// Notes the conditions that a package meets once it is entered.
    fn meet_conditions(&mut self, package: PackageId) {
        let graph = self.graph;
        for (name, _) in &graph.packages[package].provides {
            for Condition { package: waiting, number } in &graph.names[*name].conditions {
                let need = graph.packages[*waiting].install_if.get(*number);
                if need.is_some_and(|need| graph.fits(package, need)) {
                    self.missing[*waiting].remove(number);
                }
            }
        }
    }

    /// The chosen package of a name.
    fn chosen_of(&self, name: NameId) -> Option<PackageId> {
        let chosen = self.state.names[name].chosen.iter().copied();
        let mut own = chosen.filter(|package| self.graph.packages[*package].name == name);
        own.find(|package| self.state.packages[*package].chosen)
    }

    fn emit(&mut self, package: PackageId) {
        let node = &self.graph.packages[package];
        let Some((source, tag)) = self.source(package) else { return };
        self.order.push(source);
        let old = self.residents.get(node.package.name()).copied();
        let action = match (node.places.installed, old) {
            (Some(resident), _) if resident.tag == tag.as_ref() => return,
            (Some(_), _) => Action::Repin,
            (None, None) => Action::Install,
            (None, Some((resident, version))) => {
                let old = resident.number;
                match version::compare(node.package.version(), version) {
                    Ordering::Greater => Action::Upgrade { old },
                    Ordering::Less => Action::Downgrade { old },
                    Ordering::Equal => Action::Replace { old },
                }
            }
        };
        self.steps.push(Step { action, source, tag });
        if let (None, Some((resident, _))) = (node.places.installed, old) {
            self.purger.purge_what_is_released(resident.number, &mut self.steps);
        }
    }

    /// Where a chosen package comes from and what it is pinned to: an untagged repository if one may be
    /// used, else the first that may.
    fn source(&self, package: PackageId) -> Option<(Source, Option<Tag>)> {
        let (node, universe) = (&self.graph.packages[package], self.graph.universe);
        let allowed = self.state.packages[package].allowed;
        let from = |allowed: TagSet| node.places.first_copy(&universe.tags, allowed);
        let copy = from(TagSet::UNTAGGED).or_else(|| from(allowed));
        let is_unpinned = node.places.installed.is_some_and(|resident| resident.tag.is_none());
        let tag = match copy {
            // What is installed without a pin stays so.
            _ if is_unpinned => None,
            Some(copy) => copy.tag,
            // Of a package that no repository has any more only its own pin is known.
            None => node
                .places
                .installed
                .and_then(|it| it.tag)
                .filter(|tag| universe.tags.set_of(Some(tag)).meets(allowed)),
        };
        let tag = tag.cloned();
        let source = match (node.places.installed, copy) {
            (Some(resident), _) => Source::Installed(resident.number),
            (None, Some(copy)) => Source::Repository(copy.repository, copy.number),
            // Diagnosis refuses a package that may come from nowhere.
            (None, None) => return None,
        };
        Some((source, tag))
    }

    fn chosen(&self, package: PackageId, reach: &Reach) -> Option<Chosen> {
        let (source, tag) = self.source(package)?;
        let of = |package: PackageId| Some(self.source(package)?.0);
        // What was chosen and has no reason is not needed, and was taken back.
        let reason = match reach.reason(package)? {
            reach::Reason::World(dependency) => Reason::World(dependency.clone()),
            reach::Reason::Package(by, dependency) => Reason::Package(of(*by)?, dependency.clone()),
            reach::Reason::With(by) => Reason::With(of(*by)?),
        };
        Some(Chosen { source, tag, reason })
    }

    fn packages(&self, reach: &Reach) -> Vec<Chosen> {
        let mut chosen: Vec<PackageId> =
            self.graph.packages.keys().filter(|package| self.state.packages[*package].chosen).collect();
        let name = |package: &PackageId| self.graph.packages[*package].package.name();
        chosen.sort_by(|a, b| compare_names(name(a), name(b)));
        chosen.into_iter().filter_map(|package| self.chosen(package, reach)).collect()
    }
}

/// The installed packages by name, with their versions.
fn residents<'g>(graph: &Graph<'g>) -> HashMap<&'g str, (Resident<'g>, &'g str)> {
    let mut residents = HashMap::new();
    for (resident, package) in graph.universe.residents() {
        residents.entry(package.name()).or_insert((resident, package.version()));
    }
    residents
}
