//! What goes, and when.
//!
//! First everything that no package holds which is still to be replaced; then, with each replacement, what
//! only the old version needed, and, before a package that excludes it or takes a name from it, and before what that package
//! needs, what is excluded, whoever holds it; last what needs each other in a circle. A package goes after those that depend on it and before those it depends on.
//!
//! Source: measured on apk 2.14.4, whose order among packages that are independent of each other is not
//! always this one.

use std::collections::{HashMap, HashSet};

use super::graph::Graph;
use super::solution::{Action, Source, Step};
use super::state::State;
use super::table::{Table, key};
use crate::apk::dependency::Dependency;
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
    tried: Option<(usize, Hold)>,
}

/// What holds a package that others depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// All of them that are still to be replaced or to go.
    Firm,
    /// The same, but for those that wait for it themselves: a circle is broken.
    Loose,
    /// None of them.
    None,
}

enum Task {
    Enter(ResidentId, Hold),
    Leave(ResidentId, Hold),
}

/// The installed packages on their way out.
pub(super) struct Purger {
    residents: Table<ResidentId, Resident>,
    /// Those that have each name, and whether in a version.
    providers: HashMap<Box<str>, Vec<(ResidentId, bool)>>,
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
        let providers = connect(&mut residents, &installed);
        Self { residents, providers }
    }

    /// Before anything else: what nothing holds.
    pub(super) fn purge_what_nothing_holds(&mut self, steps: &mut Vec<Step>) {
        for resident in self.residents.keys() {
            self.purge(resident, Hold::Firm, steps);
        }
    }

    /// After a package was replaced: what only its old version needed.
    pub(super) fn purge_what_is_released(&mut self, old: PackageNumber, steps: &mut Vec<Step>) {
        let Some(old) = self.residents.keys().find(|resident| self.residents[*resident].number == old) else {
            return;
        };
        self.residents[old].fate = Fate::Changed;
        for need in self.residents[old].needs.clone() {
            self.purge(need, Hold::Firm, steps);
        }
    }

    /// Before a package that excludes `name`: what has it, and what depends on that.
    pub(super) fn purge_what_is_excluded(&mut self, name: &str, steps: &mut Vec<Step>) {
        for (resident, _) in self.providers.get(name).cloned().unwrap_or_default() {
            self.purge(resident, Hold::None, steps);
        }
    }

    /// Before a package that comes and has `name`, in a version or without: what cannot hold the name beside it, and what
    /// depends on that.
    pub(super) fn purge_what_clashes(&mut self, name: &str, is_versioned: bool, steps: &mut Vec<Step>) {
        for (resident, versioned) in self.providers.get(name).cloned().unwrap_or_default() {
            if is_versioned || versioned {
                self.purge(resident, Hold::None, steps);
            }
        }
    }

    /// At the end: circles.
    pub(super) fn purge_the_rest(&mut self, steps: &mut Vec<Step>) {
        for resident in self.residents.keys() {
            self.purge(resident, Hold::Loose, steps);
        }
    }

    fn purge(&mut self, root: ResidentId, hold: Hold, steps: &mut Vec<Step>) {
        let mut tasks = vec![Task::Enter(root, hold)];
        while let Some(task) = tasks.pop() {
            match task {
                Task::Enter(resident, hold) => {
                    let known = &mut self.residents[resident];
                    let attempt = Some((steps.len(), hold));
                    if known.fate != Fate::Goes || known.entered || known.tried == attempt {
                        continue;
                    }
                    (known.entered, known.tried) = (true, attempt);
                    tasks.push(Task::Leave(resident, hold));
                    tasks.extend(known.dependants.iter().rev().map(|next| Task::Enter(*next, hold)));
                }
                Task::Leave(resident, hold) => {
                    self.residents[resident].entered = false;
                    if self.is_held(resident, hold) {
                        continue;
                    }
                    let known = &mut self.residents[resident];
                    known.fate = Fate::Gone;
                    steps.push(Step {
                        action: Action::Purge,
                        source: Source::Installed(known.number),
                        tag: None,
                    });
                    tasks.extend(known.needs.iter().rev().map(|next| Task::Enter(*next, Hold::Firm)));
                }
            }
        }
    }

    fn is_held(&self, resident: ResidentId, hold: Hold) -> bool {
        if hold == Hold::None {
            return false;
        }
        self.residents[resident].dependants.iter().filter(|by| **by != resident).any(|by| {
            let by = &self.residents[*by];
            match by.fate {
                Fate::Stays | Fate::Changed | Fate::Gone => false,
                Fate::Changes => true,
                Fate::Goes => !(hold == Hold::Loose && by.entered),
            }
        })
    }
}

/// Finds who needs whom, and returns who has which name. By name alone: what is installed fits.
fn connect(
    residents: &mut Table<ResidentId, Resident>,
    installed: &[(PackageNumber, Package<'_>)],
) -> HashMap<Box<str>, Vec<(ResidentId, bool)>> {
    let mut providers: HashMap<Box<str>, Vec<(ResidentId, bool)>> = HashMap::new();
    for (resident, (_, package)) in residents.keys().zip(installed) {
        for (name, version) in package.held() {
            providers.entry(name.into()).or_default().push((resident, version.is_some()));
        }
    }
    for (resident, (_, package)) in residents.keys().zip(installed) {
        let stated = package.depends().chain(package.install_if()).filter(|text| !text.starts_with('!'));
        let mut known = HashSet::new();
        for (needed, _) in stated.filter_map(|text| providers.get(Dependency::name_in(text))).flatten() {
            if known.insert(*needed) {
                residents[resident].needs.push(*needed);
                residents[*needed].dependants.push(resident);
            }
        }
    }
    providers
}
