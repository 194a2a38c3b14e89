//! Packages that come by themselves once everything they wait for is there.
//!
//! A condition may be a provided name, and may ask for an absence (`!x`). An absence is only known when
//! nothing else is left to decide; then it is decided, and holds from then on: a package that later takes the name takes
//! nothing back, so that packages that wait for one another's absence settle in one way or another.

use super::graph::{Condition, NameId, Need, PackageId};
use super::select::Decider;
use super::state::{Holder, Standing};

impl Decider<'_> {
    /// Lets packages come that waited for what was decided about a name.
    pub(super) fn look_at_conditions(&mut self, name: NameId) {
        let graph = self.graph;
        let conditions = &graph.names[name].conditions;
        self.effort.spend(conditions.len());
        for Condition { package, number } in conditions {
            let Some(need) = graph.packages[*package].install_if.get(*number) else { continue };
            let standing = self.standing(need);
            let state = &mut self.state.packages[*package];
            let Some(known) = state.conditions.get_mut(*number) else { continue };
            match (std::mem::replace(known, standing) == Standing::Met, standing == Standing::Met) {
                (true, false) => state.unmet += 1,
                (false, true) => {
                    state.unmet = state.unmet.saturating_sub(1);
                    if state.unmet == 0 {
                        self.let_come(*package);
                    } else {
                        self.note_absences(*package);
                    }
                }
                (true, true) | (false, false) => {}
            }
        }
    }

    /// All conditions of a package are met.
    fn let_come(&mut self, package: PackageId) {
        let graph = self.graph;
        let node = &graph.packages[package];
        let state = &mut self.state.packages[package];
        if state.comes || state.chosen {
            return;
        }
        state.comes = true;
        for need in node.install_if.iter().filter(|need| !need.dependency.conflict) {
            if let Some(met) = self.state.chosen_for(graph, need, None) {
                self.inherit(package, self.legacy(met));
            }
        }
        if self.state.names[node.name].holder == Holder::Open {
            self.state.names[node.name].awaited = true;
            self.mark_dirty(node.name);
            self.note_open(node.name);
        }
    }

    /// Notes which absences a package waits for, if it waits for nothing else.
    pub(super) fn note_absences(&mut self, package: PackageId) {
        let graph = self.graph;
        let state = &self.state.packages[package];
        if state.unmet > graph.packages[package].absences {
            return;
        }
        let open = graph.packages[package].install_if.iter().zip(&state.conditions);
        let mut waits_for = Vec::new();
        for (need, standing) in open {
            match (standing, need.dependency.conflict) {
                (Standing::Met, _) => {}
                (Standing::Open, true) => waits_for.push(need.name),
                (Standing::Open, false) | (Standing::Failed, _) => return,
            }
        }
        self.effort.spend(graph.packages[package].install_if.len());
        self.absences.extend(waits_for.into_iter().map(|name| (graph.names[name].order, name, package)));
    }

    /// Decides that a name is absent which only an absence condition asks about. False if there is none.
    pub(super) fn close_awaited_absence(&mut self) -> bool {
        while let Some((_, name, package)) = self.absences.pop() {
            let state = &self.state.packages[package];
            let waits = !state.comes
                && !state.chosen
                && state.selectable
                && !state.conditions.contains(&Standing::Failed);
            if waits && self.state.names[name].holder == Holder::Open {
                self.choose_nobody(name);
                return true;
            }
        }
        false
    }

    fn standing(&self, need: &Need) -> Standing {
        let there = self.state.chosen_for(self.graph, need, None).is_some();
        let decided = self.state.names[need.name].holder != Holder::Open;
        match (there, need.dependency.conflict, decided) {
            (true, false, _) | (false, true, true) => Standing::Met,
            (true, true, _) | (false, false, true) => Standing::Failed,
            (false, _, false) => Standing::Open,
        }
    }
}
