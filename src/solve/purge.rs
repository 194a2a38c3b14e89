//! What goes, and when.
//!
//! First everything that no package holds which is still to be replaced; then, with each replacement, what
//! only the old version needed; last what needs each other in a circle. A package goes after those that
//! depend on it and before those it depends on.
//!
//! Source: measured on apk 2.14.4, whose order among packages that are independent of each other is not
//! always this one.

use std::collections::{HashMap, HashSet};

use super::graph::Graph;
use super::solution::{Action, Source, Step};
use super::state::State;
use super::table::{Table, key};
use crate::apk::dependency::{Dependency, Provide};
use crate::apk::index::{Package, PackageNumber};

key!(
    /// An installed package.
    ResidentId
);

/// What becomes of an installed package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stays,
    /// Another package of its name replaces it.
    Changes,
    Changed,
    Goes,
    Gone,
}

struct Resident {
    number: PackageNumber,
    fate: Fate,
    /// Those that depend on it or came because of it.
    dependants: Vec<ResidentId>,
    /// Those it depends on or came because of.
    needs: Vec<ResidentId>,
    entered: bool,
    /// After how many steps, and how, it was last tried: before another there is no use in trying again.
    tried: Option<(usize, Circle)>,
}

/// Whether a circle may be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Circle {
    Holds,
    Breaks,
}

enum Task {
    Enter(ResidentId, Circle),
    Leave(ResidentId, Circle),
}

/// The installed packages on their way out.
pub(super) struct Purger {
    residents: Table<ResidentId, Resident>,
}

impl Purger {
    pub(super) fn new(graph: &Graph<'_>, state: &State) -> Self {
        let chosen = graph.packages.iter().filter(|(package, _)| state.packages[*package].chosen);
        let staying: HashMap<&str, bool> =
            chosen.map(|(_, node)| (node.package.name(), node.places.installed.is_some())).collect();
        let installed: Vec<(PackageNumber, Package<'_>)> =
            graph.universe.residents().map(|(resident, package)| (resident.number, package)).collect();
        let mut residents = Table::new();
        for (number, package) in &installed {
            let fate = match staying.get(package.name()) {
                Some(true) => Fate::Stays,
                Some(false) => Fate::Changes,
                None => Fate::Goes,
            };
            residents.push(Resident {
                number: *number,
                fate,
                dependants: Vec::new(),
                needs: Vec::new(),
                entered: false,
                tried: None,
            });
        }
        connect(&mut residents, &installed);
        Self { residents }
    }

    /// Before anything else: what nothing holds.
    pub(super) fn purge_what_nothing_holds(&mut self, steps: &mut Vec<Step>) {
        for resident in self.residents.keys() {
            self.purge(resident, Circle::Holds, steps);
        }
    }

    /// After a package was replaced: what only its old version needed.
    pub(super) fn purge_what_is_released(&mut self, old: PackageNumber, steps: &mut Vec<Step>) {
        let Some(old) = self.residents.keys().find(|resident| self.residents[*resident].number == old) else {
            return;
        };
        self.residents[old].fate = Fate::Changed;
        for need in self.residents[old].needs.clone() {
            self.purge(need, Circle::Holds, steps);
        }
    }

    /// At the end: circles.
    pub(super) fn purge_the_rest(&mut self, steps: &mut Vec<Step>) {
        for resident in self.residents.keys() {
            self.purge(resident, Circle::Breaks, steps);
        }
    }

    fn purge(&mut self, root: ResidentId, circle: Circle, steps: &mut Vec<Step>) {
        let mut tasks = vec![Task::Enter(root, circle)];
        while let Some(task) = tasks.pop() {
            match task {
                Task::Enter(resident, circle) => {
                    let known = &mut self.residents[resident];
                    let attempt = Some((steps.len(), circle));
                    if known.fate != Fate::Goes || known.entered || known.tried == attempt {
                        continue;
                    }
                    (known.entered, known.tried) = (true, attempt);
                    tasks.push(Task::Leave(resident, circle));
                    tasks.extend(known.dependants.iter().rev().map(|next| Task::Enter(*next, circle)));
                }
                Task::Leave(resident, circle) => {
                    self.residents[resident].entered = false;
                    if self.is_held(resident, circle) {
                        continue;
                    }
                    let known = &mut self.residents[resident];
                    known.fate = Fate::Gone;
                    steps.push(Step {
                        action: Action::Purge,
                        source: Source::Installed(known.number),
                        tag: None,
                    });
                    tasks.extend(known.needs.iter().rev().map(|next| Task::Enter(*next, Circle::Holds)));
                }
            }
        }
    }

    fn is_held(&self, resident: ResidentId, circle: Circle) -> bool {
        self.residents[resident].dependants.iter().filter(|by| **by != resident).any(|by| {
            let by = &self.residents[*by];
            match by.fate {
                Fate::Stays | Fate::Changed | Fate::Gone => false,
                Fate::Changes => true,
                Fate::Goes => !(circle == Circle::Breaks && by.entered),
            }
        })
    }
}

/// Finds who needs whom. By name alone: what is installed fits.
fn connect(residents: &mut Table<ResidentId, Resident>, installed: &[(PackageNumber, Package<'_>)]) {
    let mut providers: HashMap<&str, Vec<ResidentId>> = HashMap::new();
    for (resident, (_, package)) in residents.keys().zip(installed) {
        let provided = package.provides().filter_map(Provide::split).map(|(name, _)| name);
        for name in std::iter::once(package.name()).chain(provided) {
            providers.entry(name).or_default().push(resident);
        }
    }
    for (resident, (_, package)) in residents.keys().zip(installed) {
        let stated = package.depends().chain(package.install_if()).filter(|text| !text.starts_with('!'));
        let mut known = HashSet::new();
        for needed in stated.filter_map(|text| providers.get(Dependency::name_in(text))).flatten() {
            if known.insert(*needed) {
                residents[resident].needs.push(*needed);
                residents[*needed].dependants.push(resident);
            }
        }
    }
}
