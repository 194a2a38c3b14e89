//! What follows from a decision: what it requires, what it makes impossible, what is left.
//!
//! Source: spec apk v2, "Solver", step 3; what the spec leaves open fits the recorded answers of apk 3.0.6.

use std::collections::HashMap;

use super::graph::{NameId, Need, PackageId};
use super::select::{Decider, Legacy};
use super::state::{Choice, Holder};
use super::tags::TagSet;

/// Which of a package's dependencies are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// What it needs: it is not chosen yet, but nothing else can be.
    Needs,
    /// What it needs and what it excludes.
    All,
}

impl Decider<'_> {
    /// What the packages of a name depend on has changed.
    fn mark_doubtful(&mut self, name: NameId) {
        self.state.names[name].doubtful = true;
        self.mark_dirty(name);
    }

    pub(super) fn mark_dirty(&mut self, name: NameId) {
        let state = &mut self.state.names[name];
        if !std::mem::replace(&mut state.dirty, true) {
            self.dirty.push_back(name);
        }
    }

    /// Tells the packages that depend on a name that it changed, all their names with it.
    pub(super) fn announce(&mut self, name: NameId) {
        // Until another name is looked at, all of them still know.
        if std::mem::replace(&mut self.state.names[name].announced, self.turn) == self.turn {
            return;
        }
        let graph = self.graph;
        for dependant in &graph.names[name].dependants {
            let provides = &graph.packages[*dependant].provides;
            self.effort.spend(provides.len());
            for (provided, _) in provides {
                self.mark_doubtful(*provided);
            }
        }
    }

    // Requiring.

    /// Requires the dependencies of a package, each once.
    pub(super) fn apply(&mut self, package: PackageId, part: Part) {
        let graph = self.graph;
        let legacy = self.legacy(package);
        let state = &mut self.state.packages[package];
        let requires = !std::mem::replace(&mut state.applied, true);
        let excludes = part == Part::All && !std::mem::replace(&mut state.excludes, true);
        for need in &graph.packages[package].depends {
            if (need.dependency.conflict && excludes) || (!need.dependency.conflict && requires) {
                self.require(need, Some(package), legacy);
            }
        }
    }

    /// What what a package needs inherits from it.
    pub(super) fn legacy(&self, package: PackageId) -> Legacy {
        let state = &self.state.packages[package];
        Legacy { allowed: state.allowed, choice: state.choice }
    }

    /// Requires a name.
    fn want(&mut self, name: NameId) {
        let graph = self.graph;
        self.mark_dirty(name);
        self.state.names[name].required += 1;
        if self.state.names[name].required > 1 {
            return;
        }
        self.note_open(name);
        // Its packages may now be chosen for the other names they provide without anybody naming them.
        let own = graph.names[name].providers.iter().map(|provider| &graph.packages[provider.package]);
        for (provided, _) in own.filter(|node| node.name == name).flat_map(|node| &node.provides) {
            self.mark_dirty(*provided);
            self.note_open(*provided);
        }
    }

    /// Drops the providers that do not fit a need, or, of a conflict, those that do.
    pub(super) fn require(&mut self, need: &Need, by: Option<PackageId>, legacy: Legacy) {
        let graph = self.graph;
        let conflict = need.dependency.conflict;
        if !conflict {
            self.want(need.name);
        }
        let gives = legacy.allowed != TagSet::UNTAGGED || legacy.choice != Choice::default();
        if !conflict && !gives && need.dependency.constraint.is_any() {
            return;
        }
        self.effort.spend(graph.names[need.name].providers.len());
        for (package, fits) in graph.matches(need) {
            match (conflict, fits) {
                (false, true) => self.inherit(package, legacy),
                (true, true) if by != Some(package) => self.object(package),
                (false, false) => self.object(package),
                (true, _) => {}
            }
        }
    }

    /// Lets a package come from more tags, or be chosen otherwise, and what it needs with it.
    pub(super) fn inherit(&mut self, package: PackageId, legacy: Legacy) {
        let graph = self.graph;
        let mut growing = vec![package];
        while let Some(package) = growing.pop() {
            let state = &mut self.state.packages[package];
            let known = (state.allowed, state.choice);
            state.allowed = known.0.union(legacy.allowed);
            state.choice = known.1.or(legacy.choice);
            if known == (state.allowed, state.choice) || !state.applied {
                continue;
            }
            for need in graph.packages[package].depends.iter().filter(|need| !need.dependency.conflict) {
                self.effort.spend(graph.names[need.name].providers.len());
                growing.extend(graph.matches(need).filter_map(|(package, fits)| fits.then_some(package)));
            }
        }
    }

    /// A need stands against a package.
    fn object(&mut self, package: PackageId) {
        self.state.packages[package].objections += 1;
        self.bar(package);
    }

    /// A package cannot be chosen any more without an error.
    pub(super) fn bar(&mut self, package: PackageId) {
        if std::mem::replace(&mut self.state.packages[package].selectable, false) {
            let graph = self.graph;
            for (name, _) in &graph.packages[package].provides {
                self.announce(*name);
            }
        }
    }

    // Concluding.

    /// Looks at a name of which something changed: which of its candidates are left.
    pub(super) fn examine(&mut self, name: NameId) {
        let graph = self.graph;
        let state = &mut self.state.names[name];
        if (state.required > 0 || state.awaited) && std::mem::take(&mut state.doubtful) {
            for package in graph.providers_of(name) {
                self.drop_if_hopeless(package);
            }
        }
        if std::mem::take(&mut self.state.names[name].news) {
            self.look_at_conditions(name);
        }
        if self.is_to_be_held(name) {
            let candidates = self.remaining_candidates(name);
            for package in &candidates {
                self.state.packages[*package].grouped = true;
            }
            self.state.names[name].candidates = Some(candidates);
        }
        if !std::mem::replace(&mut self.state.names[name].concluding, true) {
            self.conclusions.push_back(name);
        }
    }

    /// Draws the conclusions for others from the candidates that are left for a name. Only when no name is left to
    /// look at, so that all of them are known.
    pub(super) fn conclude(&mut self, name: NameId) {
        if !self.is_to_be_held(name) {
            return;
        }
        let candidates = self.remaining_candidates(name);
        if let [only] = candidates.as_slice() {
            self.expect(name, *only);
        } else {
            self.require_what_all_need(name, &candidates);
            self.bar_what_excludes_all(name, &candidates);
        }
        self.state.names[name].candidates = Some(candidates);
    }

    /// Whether a name is required and not decided.
    fn is_to_be_held(&self, name: NameId) -> bool {
        let state = &self.state.names[name];
        state.holder == Holder::Open && state.required > 0
    }

    /// Drops a package one of whose dependencies cannot be had. One that never could be had is only noticed
    /// when something else changes that a package of the same name depends on, as apk notices it.
    fn drop_if_hopeless(&mut self, package: PackageId) {
        let state = &self.state.packages[package];
        if !state.selectable || state.chosen || self.effort.is_over() {
            return;
        }
        if self.graph.packages[package].depends.iter().any(|need| self.is_hopeless(package, need)) {
            self.bar(package);
        }
    }

    fn is_hopeless(&self, package: PackageId, need: &Need) -> bool {
        let state = &self.state.names[need.name];
        if need.dependency.conflict {
            return self.state.chosen_for(self.graph, need, Some(package)).is_some()
                || (state.required > 0 && self.is_unavoidable(package, need));
        }
        if state.holder == Holder::Nobody {
            return true;
        }
        if need.dependency.constraint.is_any() && !state.chosen.is_empty() {
            return false;
        }
        let mut looked_at = 0;
        let possible = self.graph.matches(need).any(|(provider, fits)| {
            looked_at += 1;
            let provider = &self.state.packages[provider];
            fits && (provider.selectable || provider.chosen)
        });
        self.effort.spend(looked_at);
        !possible
    }

    /// Whether whoever gets the name a conflict speaks of is meant by it.
    fn is_unavoidable(&self, package: PackageId, need: &Need) -> bool {
        if self.graph.packages[package].has_name(need.name) {
            return false;
        }
        self.effort.spend(self.graph.names[need.name].providers.len());
        let mut left =
            self.graph.matches(need).filter(|(other, _)| self.state.is_selectable(*other)).peekable();
        left.peek().is_some() && left.all(|(_, fits)| fits)
    }

    /// The packages a required name may be given, each once. Not each selects itself.
    fn remaining_candidates(&mut self, name: NameId) -> Vec<PackageId> {
        let known = self.state.names[name].candidates.take();
        let known = known.unwrap_or_else(|| self.graph.providers_of(name).collect());
        self.effort.spend(known.len());
        let (left, barred): (Vec<PackageId>, Vec<PackageId>) =
            known.into_iter().partition(|package| self.state.is_selectable(*package));
        // While there is no other, what was a candidate last stays the nearest to one.
        if !left.is_empty() {
            for package in barred {
                self.state.packages[package].grouped = false;
            }
        }
        left
    }

    /// Only one candidate is left: it will be this one, and what cannot be beside it will not. Which of its names it
    /// gets is another matter, and comes in its turn.
    fn expect(&mut self, name: NameId, only: PackageId) {
        self.apply(only, Part::Needs);
        if self.state.names[name].narrowed_for.replace(only) != Some(only) {
            self.bar_what_excludes_all(name, &[only]);
        }
    }

    /// Whichever candidate it will be, some names are needed by all of them.
    fn require_what_all_need(&mut self, name: NameId, candidates: &[PackageId]) {
        let graph = self.graph;
        let Some((first, others)) = candidates.split_first() else { return };
        // How many candidates need each name, as long as none did without.
        let mut needed: HashMap<NameId, usize> = HashMap::new();
        let needs = |package: PackageId| {
            let depends = &graph.packages[package].depends;
            self.effort.spend(depends.len());
            depends.iter().filter(|need| !need.dependency.conflict).map(|need| need.name)
        };
        needed.extend(needs(*first).map(|need| (need, 1)));
        for (count, other) in (1..).zip(others) {
            if needed.is_empty() {
                return;
            }
            for need in needs(*other) {
                if let Some(known) = needed.get_mut(&need).filter(|known| **known == count) {
                    *known += 1;
                }
            }
        }
        for need in &graph.packages[*first].depends {
            let by_all = needed.get(&need.name) == Some(&candidates.len()) && !need.dependency.conflict;
            if by_all && self.state.names[name].shared.insert(need.name) {
                self.want(need.name);
            }
        }
    }

    /// Whichever candidate it will be, some names all of them provide, and other providers of those cannot be beside
    /// it.
    fn bar_what_excludes_all(&mut self, name: NameId, candidates: &[PackageId]) {
        let graph = self.graph;
        let Some((first, others)) = candidates.split_first() else { return };
        for (provided, _) in graph.packages[*first].provides.iter().filter(|(provided, _)| *provided != name)
        {
            self.effort.spend(others.len());
            if !others.iter().all(|other| graph.packages[*other].has_name(*provided)) {
                continue;
            }
            let are_versioned =
                candidates.iter().all(|candidate| graph.packages[*candidate].has_version_of(*provided));
            self.bar_rivals(name, *provided, are_versioned);
        }
    }

    /// Bars the providers of `provided` that cannot hold it beside the candidates for `name`, which all provide it too.
    fn bar_rivals(&mut self, name: NameId, provided: NameId, are_versioned: bool) {
        let graph = self.graph;
        self.effort.spend(graph.names[provided].providers.len());
        for rival in &graph.names[provided].providers {
            let package = rival.package;
            let clashes = are_versioned || rival.version.is_some();
            if clashes && !self.state.packages[package].chosen && !graph.packages[package].has_name(name) {
                self.state.packages[package].grouped = false;
                self.bar(package);
            }
        }
    }
}
