//! The packages and names that apk blames when it refuses: the left column of what it prints under "unable to select
//! packages".
//!
//! It names what is required and has no provider; each chosen package that something chosen excludes, that does not satisfy
//! what something chosen requires of a name it provides, or that holds a name beside another; and, once anything else is
//! wrong, packages that exclude their own name.
//!
//! Not for messages: [`super::diagnosis`] says why.
//!
//! Source: the recorded answers of apk 3.0.6.

use std::collections::{BTreeSet, HashMap};

use super::diagnosis::needs_in_force;
use super::graph::{Graph, NameId, Node, PackageId};
use super::reach::Reach;
use super::state::State;

/// The names, and packages as `name-version`, each once; empty if nothing is wrong.
pub(super) fn blamed(graph: &Graph<'_>, state: &State, reach: &Reach) -> Vec<String> {
    let holders = holders(graph, reach);
    let held_by = |name: NameId| holders.get(&name).map(Vec::as_slice).unwrap_or_default();
    let mut names = BTreeSet::new();
    let mut packages = BTreeSet::new();
    let mut exclude_themselves = BTreeSet::new();
    for package in &reach.packages {
        let node = &graph.packages[*package];
        if node.obstacle.is_some() || (node.places.installed.is_none() && !state.is_allowed(graph, *package))
        {
            packages.insert(*package);
        }
    }
    for held in holders.values() {
        let is_versioned = held.iter().any(|(_, version)| version.is_some());
        if is_versioned && held.len() > 1 {
            packages.extend(held.iter().map(|(package, _)| *package));
        }
    }
    for (by, need) in needs_in_force(graph, reach) {
        let held = held_by(need.name);
        let fitting = held.iter().map(|(package, _)| *package).filter(|it| graph.fits(*it, need));
        if need.dependency.conflict {
            for package in fitting {
                if by != Some(package) {
                    packages.insert(package);
                } else if graph.packages[package].name == need.name {
                    exclude_themselves.insert(package);
                }
            }
        } else if fitting.count() == 0 {
            if state.chosen_nearest(graph, need).is_none() {
                names.insert(need.name);
            }
            packages.extend(held.iter().map(|(package, _)| *package));
        }
    }
    if names.is_empty() && packages.is_empty() {
        return Vec::new();
    }
    packages.extend(exclude_themselves);
    let names = names.into_iter().map(|name| graph.names[name].spelling.to_owned());
    names.chain(packages.into_iter().map(|package| graph.packages[package].package.to_string())).collect()
}

/// Whether a package states a name more than once, and in a version: it then excludes itself, as apk tells the holders of a
/// name apart by what they state.
pub(super) fn is_held_twice(node: &Node<'_>, name: NameId) -> bool {
    node.has_version_of(name) && node.versions_of(name).count() > 1
}

/// The packages that hold each name in the attempt, with the version in which they do.
fn holders<'g>(graph: &Graph<'g>, reach: &Reach) -> HashMap<NameId, Vec<(PackageId, Option<&'g str>)>> {
    let mut holders: HashMap<NameId, Vec<_>> = HashMap::new();
    for package in &reach.packages {
        for (name, version) in &graph.packages[*package].provides {
            holders.entry(*name).or_default().push((*package, *version));
        }
    }
    holders
}
