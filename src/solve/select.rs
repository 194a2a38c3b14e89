//! Deciding: which package holds which name.
//!
//! Greedy, as apk is. The most urgent open name gets its best candidate, what follows from that is drawn
//! ([`super::propagate`]), and so on. Nothing is ever taken back: a name without a candidate that can be installed gets one
//! that cannot, so that all that stands against the world comes to light, and [`super::diagnosis`] finds it.
//!
//! Source: spec apk v2, "Solver", steps 2 and 3; what the spec leaves open fits the recorded answers of apk 3.0.6.

use std::collections::{BinaryHeap, VecDeque};

use super::effort::Effort;
use super::graph::{Graph, NameId, Need, PackageId};
use super::preference::Preference;
use super::propagate::Part;
use super::state::{Choice, Closed, Holder, State};
use super::tags::TagSet;
use super::{Options, Request, Scope};

/// Decides every name the world needs.
pub(super) fn decide(graph: &Graph<'_>, request: &Request, effort: &Effort<'_>) -> State {
    let mut decider = Decider {
        graph,
        effort,
        state: State::new(graph),
        options: request.options,
        dirty: VecDeque::new(),
        conclusions: VecDeque::new(),
        turn: 1,
        open: BinaryHeap::new(),
        absences: BinaryHeap::new(),
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
    for (package, node) in graph.packages.iter() {
        if node.install_if.iter().all(|need| need.dependency.conflict) {
            decider.note_absences(package);
        }
    }
    decider.run();
    decider.state
}

/// The work of deciding.
pub(super) struct Decider<'g> {
    pub(super) graph: &'g Graph<'g>,
    pub(super) effort: &'g Effort<'g>,
    pub(super) state: State,
    options: Options,
    /// Names to look at again, in the order they became so.
    pub(super) dirty: VecDeque<NameId>,
    /// Names that were looked at, whose consequences for others are to be drawn.
    pub(super) conclusions: VecDeque<NameId>,
    /// Counts the names that were looked at.
    pub(super) turn: u64,
    /// The names that need a decision with how urgent they were when that was noted; some no longer do.
    open: BinaryHeap<(Urgency, NameId)>,
    /// The names whose absence is all that a package with `install_if` waits for, by their number of discovery.
    pub(super) absences: BinaryHeap<(u32, NameId, PackageId)>,
}

/// What the world gives to packages, and they to what they need.
#[derive(Debug, Clone, Copy)]
pub(super) struct Legacy {
    /// The tags they may come from.
    pub(super) allowed: TagSet,
    /// How to choose between them and others.
    pub(super) choice: Choice,
}

/// What makes a name more urgent than another, the greater: that it selects itself, that it was asked for, that a package
/// has it for its own, how near the world it is.
type Urgency = (bool, bool, bool, u32);

impl Decider<'_> {
    fn run(&mut self) {
        while !self.effort.is_over() {
            if let Some(name) = self.dirty.pop_front() {
                self.turn += 1;
                self.state.names[name].dirty = false;
                self.examine(name);
            } else if let Some(name) = self.conclusions.pop_front() {
                self.state.names[name].concluding = false;
                self.conclude(name);
            } else if let Some(name) = self.most_urgent() {
                self.settle(name);
            } else if !self.close_awaited_absence() {
                return;
            }
        }
    }

    fn require_of_world(&mut self, need: &Need) {
        let tag = need.dependency.tag.as_ref();
        let allowed = self.graph.universe.tags.set_of(tag);
        let is_requested = self.state.names[need.name].requested;
        let choice = if is_requested { Choice::of(self.options) } else { Choice::default() };
        self.require(need, None, Legacy { allowed, choice });
        let graph = self.graph;
        for package in graph.providers_of(need.name) {
            // The options hold for whoever gets a name that was asked for, also where it is not what was meant.
            self.inherit(package, Legacy { allowed: TagSet::EMPTY, choice });
        }
        if !need.dependency.conflict {
            for (package, fits) in graph.matches(need) {
                if fits {
                    self.state.packages[package].preferred = allowed;
                }
            }
        }
    }

    // Choosing.

    /// A name needs a decision, or may be more urgent than it was.
    pub(super) fn note_open(&mut self, name: NameId) {
        if self.needs_decision(name) {
            let urgency = self.urgency(name);
            self.open.push((urgency, name));
        }
    }

    fn needs_decision(&self, name: NameId) -> bool {
        let state = &self.state.names[name];
        state.holder == Holder::Open && (state.required > 0 || state.awaited) && !state.undecidable
    }

    /// Of the open names that need a decision, the one to decide next.
    fn most_urgent(&mut self) -> Option<NameId> {
        let best = self.next_open()?;
        if self.state.names[best].required > 0 {
            return Some(best);
        }
        // What comes by itself waits for what was asked for.
        let mut waiting = vec![best];
        let mut requested = None;
        while let Some(name) = self.next_open() {
            if self.state.names[name].requested {
                requested = Some(name);
                break;
            }
            waiting.push(name);
        }
        let chosen = requested.unwrap_or(best);
        for name in waiting.into_iter().filter(|name| *name != chosen) {
            self.note_open(name);
        }
        Some(chosen)
    }

    /// Takes the most urgent name out of the open ones.
    fn next_open(&mut self) -> Option<NameId> {
        while let Some((urgency, name)) = self.open.pop() {
            self.effort.spend(1);
            if !self.needs_decision(name) {
                continue;
            }
            let now = self.urgency(name);
            if now == urgency {
                return Some(name);
            }
            // It is less urgent than when it was noted: had it become more so, that would have been noted.
            self.open.push((now, name));
        }
        None
    }

    /// How urgent a name is that needs a decision.
    fn urgency(&self, name: NameId) -> Urgency {
        let (state, known) = (&self.state.names[name], &self.graph.names[name]);
        (self.can_select_itself(name), state.requested, known.has_package, known.order)
    }

    /// Whether one of the candidates for a name may be chosen without anybody naming it.
    fn can_select_itself(&self, name: NameId) -> bool {
        let mut providers = self.graph.names[name].providers.iter();
        self.state.names[name].awaited
            || providers.any(|provider| {
                self.state.is_selectable(provider.package)
                    && self.selects_itself(provider.package, provider.version)
            })
    }

    /// Whether a provider may be chosen without anybody naming it.
    pub(super) fn selects_itself(&self, package: PackageId, version: Option<&str>) -> bool {
        let node = &self.graph.packages[package];
        version.is_some()
            || node.package.provider_priority() != 0
            || self.state.names[node.name].required > 0
            || self.state.packages[package].chosen
    }

    /// Gives a name its best candidate, or nothing.
    fn settle(&mut self, name: NameId) {
        self.effort.spend(self.graph.names[name].providers.len());
        if self.state.names[name].required == 0 {
            self.settle_awaited(name);
            return;
        }
        if let Some(best) = self.preference().best(name, |it| self.selects_itself(it.package, it.version)) {
            self.choose(best);
            return;
        }
        self.state.names[name].undecidable = true;
        if self.graph.names[name].providers.is_empty() {
            self.choose_nobody(name);
        }
    }

    /// Gives a name the package that comes by itself, if that can be installed.
    fn settle_awaited(&mut self, name: NameId) {
        let best = self.preference().best(name, |it| {
            self.state.packages[it.package].comes
                && self.state.is_selectable(it.package)
                && self.state.is_allowed(self.graph, it.package)
        });
        match best {
            Some(best) => self.choose(best),
            None => self.state.names[name].awaited = false,
        }
    }

    fn preference(&self) -> Preference<'_> {
        Preference { graph: self.graph, state: &self.state }
    }

    /// Takes a package in: it holds its names, and what it needs is required.
    fn choose(&mut self, package: PackageId) {
        let graph = self.graph;
        self.state.packages[package].chosen = true;
        self.apply(package, Part::All);
        for (name, _) in &graph.packages[package].provides {
            let state = &mut self.state.names[*name];
            // A name that somebody has to choose the provider of is not taken by what comes for another reason.
            if !state.undecidable {
                if !matches!(state.holder, Holder::Package(_)) {
                    state.holder = Holder::Package(package);
                }
                if state.chosen.last() != Some(&package) {
                    state.chosen.push(package);
                }
            }
            state.news = true;
            self.announce(*name);
            self.mark_dirty(*name);
            self.close(*name, package);
        }
    }

    /// Bars the providers of a name that cannot hold it beside a chosen one: unless both provide it without a version.
    fn close(&mut self, name: NameId, chosen: PackageId) {
        let graph = self.graph;
        let is_versioned = graph.packages[chosen].has_version_of(name);
        match (self.state.names[name].closed, is_versioned) {
            (Closed::AllBut(first), _) if first != chosen => {
                self.state.names[name].closed = Closed::All;
                self.bar(first);
            }
            (Closed::No, false) => {
                self.state.names[name].closed = Closed::Versioned;
                self.effort.spend(graph.names[name].providers.len());
                for rival in graph.names[name].providers.iter().filter(|it| it.version.is_some()) {
                    if rival.package != chosen {
                        self.bar(rival.package);
                    }
                }
            }
            (Closed::No | Closed::Versioned, true) => {
                self.state.names[name].closed = Closed::AllBut(chosen);
                self.effort.spend(graph.names[name].providers.len());
                for rival in graph.providers_of(name).filter(|rival| *rival != chosen) {
                    self.bar(rival);
                }
            }
            (Closed::AllBut(_) | Closed::All, _) | (Closed::Versioned, false) => {}
        }
    }

    pub(super) fn choose_nobody(&mut self, name: NameId) {
        let state = &mut self.state.names[name];
        (state.holder, state.news) = (Holder::Nobody, true);
        self.announce(name);
        self.mark_dirty(name);
    }
}
