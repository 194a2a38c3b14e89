//! Deciding: which package holds which name, and how deciding one thing decides others.
//!
//! Greedy propagation. What a decision makes impossible is dropped, what it makes necessary is required,
//! until nothing follows any more; then the most urgent open name gets its best candidate, and so on. Nothing
//! is ever taken back: a name without a candidate that can be installed gets one that cannot, so that all
//! that stands against the world comes to light, and [`super::diagnosis`] finds it.
//!
//! Source: spec apk v2, "Solver", steps 2 and 3.

use std::collections::VecDeque;

use super::graph::{Graph, NameId, Need, Node, PackageId};
use super::preference::Preference;
use super::state::{Choice, Holder, State};
use super::tags::TagSet;
use super::{Options, Request, Scope};

/// Decides every name the world needs.
pub(super) fn decide(graph: &Graph<'_>, request: &Request) -> State {
    let mut decider = Decider {
        graph,
        state: State::new(graph),
        options: request.options,
        dirty: VecDeque::new(),
        undecided: Vec::new(),
    };
    if request.options.scope == Scope::Everything {
        for package in graph.packages.keys() {
            decider.state.packages[package].choice = Choice::of(request.options);
        }
    }
    for name in request.requested.iter().filter_map(|name| graph.id_of(name)) {
        decider.state.names[name].requested = true;
    }
    for need in &graph.world {
        decider.require_of_world(need);
    }
    for name in graph.names.keys() {
        decider.pass_if_unwanted(name);
    }
    decider.run();
    decider.state
}

/// The work of deciding.
pub(super) struct Decider<'g> {
    pub(super) graph: &'g Graph<'g>,
    pub(super) state: State,
    options: Options,
    /// Names to look at again, in the order they became so.
    dirty: VecDeque<NameId>,
    /// The names that need a decision, and some that did, in no order.
    undecided: Vec<NameId>,
}

/// What the world gives to packages, and they to what they need.
#[derive(Debug, Clone, Copy)]
pub(super) struct Legacy {
    /// The tags they may come from.
    allowed: TagSet,
    /// How to choose between them and others.
    choice: Choice,
}

/// What makes a name more urgent than another, the greater: that nothing more can come of it, that it selects itself,
/// that it was asked for, that a package has it for its own, how near the world it is.
type Urgency = (bool, bool, bool, bool, u32);

impl Decider<'_> {
    fn run(&mut self) {
        loop {
            while let Some(name) = self.dirty.pop_front() {
                self.state.names[name].dirty = false;
                self.reconsider(name);
            }
            if let Some(name) = self.most_urgent() {
                self.settle(name);
            } else if !self.close_awaited_absence() {
                return;
            }
        }
    }

    /// What can provide a name has changed.
    fn mark_changed(&mut self, name: NameId) {
        self.state.names[name].changed = true;
        self.mark_dirty(name);
    }

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

    /// A name has come to need a decision.
    pub(super) fn mark_undecided(&mut self, name: NameId) {
        if !std::mem::replace(&mut self.state.names[name].undecided, true) {
            self.undecided.push(name);
        }
    }

    fn preference(&self) -> Preference<'_> {
        Preference { graph: self.graph, state: &self.state }
    }

    // Requiring.

    fn require_of_world(&mut self, need: &Need) {
        let tag = need.dependency.tag.as_ref();
        let allowed = self.graph.universe.tags.set_of(tag);
        let is_requested = self.state.names[need.name].requested;
        let choice = if is_requested { Choice::of(self.options) } else { Choice::default() };
        self.require(need, None, Legacy { allowed, choice });
        if tag.is_some() && !need.dependency.conflict {
            for provider in &self.graph.names[need.name].providers {
                if self.graph.fits(provider.package, need) {
                    self.state.packages[provider.package].preferred = allowed;
                }
            }
        }
    }

    /// Requires the dependencies of a package, once.
    fn apply(&mut self, package: PackageId) {
        if std::mem::replace(&mut self.state.packages[package].applied, true) {
            return;
        }
        let graph = self.graph;
        let legacy = self.legacy(package);
        for need in &graph.packages[package].depends {
            self.require(need, Some(package), legacy);
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
        self.mark_undecided(name);
        // Its packages may now be chosen for the other names they provide without anybody naming them.
        let own = graph.names[name].providers.iter().map(|provider| &graph.packages[provider.package]);
        for (provided, _) in own.filter(|node| node.name == name).flat_map(|node| &node.provides) {
            self.mark_dirty(*provided);
        }
    }

    /// Drops the providers that do not fit a need, or, of a conflict, those that do.
    fn require(&mut self, need: &Need, by: Option<PackageId>, legacy: Legacy) {
        let graph = self.graph;
        if !need.dependency.conflict {
            self.want(need.name);
        }
        let mut previous = None;
        for provider in &graph.names[need.name].providers {
            // A package that provides the name in several versions stands there several times.
            if previous.replace(provider.package) == Some(provider.package) {
                continue;
            }
            match (need.dependency.conflict, graph.fits(provider.package, need)) {
                (false, true) => self.inherit(provider.package, legacy),
                (true, true) if by != Some(provider.package) => self.object(provider.package),
                (false, false) => self.object(provider.package),
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
                let providers = graph.names[need.name].providers.iter().map(|provider| provider.package);
                growing.extend(providers.filter(|provider| graph.fits(*provider, need)));
            }
        }
    }

    /// Something stands against a package.
    fn object(&mut self, package: PackageId) {
        self.state.packages[package].objections += 1;
        self.bar(package);
    }

    /// A package cannot be chosen any more without an error.
    fn bar(&mut self, package: PackageId) {
        if std::mem::replace(&mut self.state.packages[package].selectable, false) {
            let graph = self.graph;
            for (name, _) in &graph.packages[package].provides {
                self.mark_changed(*name);
            }
        }
    }

    // Propagating.

    /// Draws the conclusions of what changed about a name.
    fn reconsider(&mut self, name: NameId) {
        let graph = self.graph;
        if std::mem::take(&mut self.state.names[name].changed) {
            for dependant in &graph.names[name].dependants {
                for (provided, _) in &graph.packages[*dependant].provides {
                    self.mark_doubtful(*provided);
                }
            }
        }
        let state = &mut self.state.names[name];
        if (state.required > 0 || state.awaited) && std::mem::take(&mut state.doubtful) {
            for provider in &graph.names[name].providers {
                self.drop_if_hopeless(provider.package);
            }
        }
        for conditional in &graph.names[name].conditional {
            self.consider_install_if(*conditional);
        }
        if self.state.names[name].holder != Holder::Open || self.state.names[name].required == 0 {
            return;
        }
        let candidates = self.candidates(name);
        self.state.names[name].settled = candidates.len() == 1;
        if let [only] = candidates.as_slice() {
            // It will be this one; which of its names it gets is another matter, and comes in its turn.
            self.apply(*only);
        }
        for candidate in self.graph.names[name].providers.iter().map(|provider| provider.package) {
            self.state.packages[candidate].grouped = candidates.contains(&candidate);
        }
        self.require_what_all_need(name, &candidates);
        self.shun_what_none_provides(name, &candidates);
    }

    /// Drops a package one of whose dependencies cannot be had. One that never could be had is only noticed
    /// when something else changes that a package of the same name depends on, as apk notices it.
    fn drop_if_hopeless(&mut self, package: PackageId) {
        let state = &self.state.packages[package];
        if !state.selectable || state.chosen {
            return;
        }
        if self.graph.packages[package].depends.iter().any(|need| self.is_hopeless(package, need)) {
            self.bar(package);
        }
    }

    fn is_hopeless(&self, package: PackageId, need: &Need) -> bool {
        if need.dependency.conflict {
            return self.state.chosen_for(self.graph, need, Some(package)).is_some()
                || (self.state.names[need.name].required > 0 && self.is_unavoidable(package, need));
        }
        match self.state.names[need.name].holder {
            Holder::Nobody => true,
            Holder::Open | Holder::Package(_) => {
                !self.graph.names[need.name].providers.iter().any(|provider| {
                    let state = &self.state.packages[provider.package];
                    (state.selectable || state.chosen) && self.graph.fits(provider.package, need)
                })
            }
        }
    }

    /// Whether whoever gets the name a conflict speaks of is meant by it.
    fn is_unavoidable(&self, package: PackageId, need: &Need) -> bool {
        let providers = self.graph.names[need.name].providers.iter().map(|provider| provider.package);
        let mut left =
            providers.filter(|other| *other != package && self.state.is_selectable(*other)).peekable();
        left.peek().is_some() && left.all(|other| self.graph.fits(other, need))
    }

    /// The packages a required name may be given, each once. Not each selects itself.
    fn candidates(&self, name: NameId) -> Vec<PackageId> {
        let mut candidates = Vec::new();
        for provider in &self.graph.names[name].providers {
            let package = provider.package;
            if self.state.is_selectable(package) && candidates.last() != Some(&package) {
                candidates.push(package);
            }
        }
        candidates
    }

    /// Whether a provider may be chosen without anybody naming it.
    fn selects_itself(&self, package: PackageId, version: Option<&str>) -> bool {
        let node = &self.graph.packages[package];
        version.is_some()
            || node.package.provider_priority() != 0
            || self.state.names[node.name].required > 0
            || self.state.packages[package].chosen
    }

    /// Whichever candidate it will be, some names are needed by all of them.
    fn require_what_all_need(&mut self, name: NameId, candidates: &[PackageId]) {
        let graph = self.graph;
        let Some((first, others)) = candidates.split_first() else { return };
        for need in &graph.packages[*first].depends {
            let needs_it = |other: &PackageId| {
                let depends = &graph.packages[*other].depends;
                depends.iter().any(|of_other| of_other.name == need.name && !of_other.dependency.conflict)
            };
            let shared = !need.dependency.conflict
                && !self.state.names[name].shared.contains(&need.name)
                && others.iter().all(needs_it);
            if shared {
                self.state.names[name].shared.push(need.name);
                self.want(need.name);
            }
        }
    }

    /// Whichever candidate it will be, some names all of them provide, and other providers of those are
    /// not needed, or cannot even be there beside it.
    fn shun_what_none_provides(&mut self, name: NameId, candidates: &[PackageId]) {
        let graph = self.graph;
        let Some((first, others)) = candidates.split_first() else { return };
        for (provided, _) in &graph.packages[*first].provides {
            if *provided == name || !others.iter().all(|other| graph.provides(*other, *provided)) {
                continue;
            }
            for rival in &graph.names[*provided].providers {
                if graph.provides(rival.package, name) || self.state.packages[rival.package].chosen {
                    continue;
                }
                let clashes = candidates.iter().all(|candidate| graph.clash(*candidate, rival.package));
                if clashes && self.state.is_selectable(rival.package) {
                    self.object(rival.package);
                }
                let shunned = &mut self.state.names[*provided].shunned;
                if !shunned.contains(&rival.package) {
                    shunned.push(rival.package);
                }
            }
        }
    }

    /// A name that nobody wants, and that nobody undecided can come to want, has no say any more.
    fn pass_if_unwanted(&mut self, name: NameId) {
        let state = &self.state.names[name];
        if state.open_dependants == 0 && state.required == 0 && !state.awaited {
            self.pass(name);
        }
    }

    /// The packages of a name are no open dependants any more.
    fn pass(&mut self, name: NameId) {
        let graph = self.graph;
        let mut passed = vec![name];
        while let Some(name) = passed.pop() {
            if std::mem::replace(&mut self.state.names[name].passed, true) {
                continue;
            }
            let own = graph.names[name].providers.iter().map(|provider| &graph.packages[provider.package]);
            for need in own.filter(|node| node.name == name).flat_map(Node::distinct_needs) {
                let state = &mut self.state.names[need];
                state.open_dependants = state.open_dependants.saturating_sub(1);
                if state.open_dependants == 0 && state.required == 0 && !state.awaited {
                    passed.push(need);
                }
            }
        }
    }

    // Choosing.

    /// Of the open names that need a decision, the one to decide next.
    fn most_urgent(&mut self) -> Option<NameId> {
        let names = &mut self.state.names;
        self.undecided.retain(|name| {
            let state = &mut names[*name];
            state.undecided =
                state.holder == Holder::Open && (state.required > 0 || state.awaited) && !state.undecidable;
            state.undecided
        });
        let mut most_urgent: Option<(Urgency, NameId)> = None;
        for name in &self.undecided {
            let at_best = self.urgency(*name, true);
            // Whether it selects itself is only looked at where it matters: that takes the most time.
            if most_urgent.is_some_and(|(known, _)| at_best < known) {
                continue;
            }
            let urgency = self.urgency(*name, self.can_select_itself(*name));
            if most_urgent.is_none_or(|known| (urgency, *name) > known) {
                most_urgent = Some((urgency, *name));
            }
        }
        most_urgent.map(|(_, name)| name)
    }

    /// How urgent a name is that needs a decision, if it selects itself or not.
    fn urgency(&self, name: NameId, selects_itself: bool) -> Urgency {
        let (state, known) = (&self.state.names[name], &self.graph.names[name]);
        let settled = state.settled && state.open_dependants == 0;
        (settled, selects_itself, state.requested, known.has_package, known.order)
    }

    /// Whether one of the candidates for a name may be chosen without anybody naming it.
    fn can_select_itself(&self, name: NameId) -> bool {
        self.state.names[name].awaited
            || self.graph.names[name]
                .providers
                .iter()
                .any(|provider| self.selects_itself(provider.package, provider.version))
    }

    /// Gives a name its best candidate, or nothing.
    fn settle(&mut self, name: NameId) {
        if self.state.names[name].required == 0 {
            self.settle_awaited(name);
            return;
        }
        let providers = &self.graph.names[name].providers;
        let decides_itself = |package: PackageId| {
            providers.iter().any(|p| p.package == package && self.selects_itself(package, p.version))
        };
        if let Some(best) = self.preference().best(name, decides_itself) {
            self.choose(best);
            return;
        }
        self.state.names[name].undecidable = true;
        if providers.is_empty() {
            self.choose_nobody(name);
        }
    }

    /// Gives a name the package that comes by itself, if that can be installed.
    fn settle_awaited(&mut self, name: NameId) {
        let best = self.preference().best(name, |package| {
            self.state.packages[package].comes
                && self.state.is_selectable(package)
                && self.state.is_allowed(self.graph, package)
        });
        match best {
            Some(best) => self.choose(best),
            None => self.state.names[name].awaited = false,
        }
    }

    /// Takes a package in: it holds its names, and what it needs is required.
    fn choose(&mut self, package: PackageId) {
        let graph = self.graph;
        self.state.packages[package].chosen = true;
        self.apply(package);
        for (name, _) in &graph.packages[package].provides {
            let state = &mut self.state.names[*name];
            if !matches!(state.holder, Holder::Package(_)) {
                state.holder = Holder::Package(package);
            }
            self.pass(*name);
            self.mark_changed(*name);
            for rival in &graph.names[*name].providers {
                if rival.package != package && graph.clash_on(*name, package, rival.package) {
                    self.object(rival.package);
                }
            }
        }
    }

    pub(super) fn choose_nobody(&mut self, name: NameId) {
        self.state.names[name].holder = Holder::Nobody;
        self.mark_changed(name);
    }
}

impl Graph<'_> {
    pub(super) fn provides(&self, package: PackageId, name: NameId) -> bool {
        self.packages[package].provides.iter().any(|(provided, _)| *provided == name)
    }

    /// Whether two packages cannot both hold a name: unless both provide it without a version.
    pub(super) fn clash_on(&self, name: NameId, a: PackageId, b: PackageId) -> bool {
        let versions = |package: PackageId| {
            let provides = self.packages[package].provides.iter();
            provides.filter(|(provided, _)| *provided == name).map(|(_, version)| version.is_some())
        };
        let any = |package: PackageId| versions(package).next().is_some();
        any(a) && any(b) && (versions(a).any(|has| has) || versions(b).any(|has| has))
    }

    /// Whether two packages cannot be together because of a name both provide.
    pub(super) fn clash(&self, a: PackageId, b: PackageId) -> bool {
        a != b && self.packages[a].provides.iter().any(|(name, _)| self.clash_on(*name, a, b))
    }
}
