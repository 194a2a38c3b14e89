//! Packages that come by themselves once everything they wait for is there.
//!
//! A condition may be a provided name, and may ask for an absence (`!x`). An absence is only known when
//! nothing else is left to decide; then it is decided, and holds from then on.

use super::graph::{Need, PackageId};
use super::select::Decider;
use super::state::Holder;

/// How a condition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Met,
    Failed,
    /// The name is not decided.
    Open,
}

impl Decider<'_> {
    /// Lets a package come if all its conditions are met.
    pub(super) fn consider_install_if(&mut self, package: PackageId) {
        let graph = self.graph;
        let node = &graph.packages[package];
        if self.state.packages[package].comes || self.state.packages[package].chosen {
            return;
        }
        if node.install_if.iter().any(|need| self.standing(need) != Standing::Met) {
            return;
        }
        self.state.packages[package].comes = true;
        let conditions = node.install_if.iter().filter(|need| !need.dependency.conflict);
        for met in conditions.filter_map(|need| self.state.chosen_for(graph, need, None)).collect::<Vec<_>>()
        {
            self.inherit(package, self.legacy(met));
        }
        if self.state.names[node.name].holder == Holder::Open {
            self.state.names[node.name].awaited = true;
            self.mark_undecided(node.name);
            self.mark_dirty(node.name);
        }
    }

    /// Decides that a name is absent which only an absence condition asks about. False if there is none.
    pub(super) fn close_awaited_absence(&mut self) -> bool {
        let graph = self.graph;
        let waiting = graph.packages.iter().filter(|(package, node)| {
            let state = &self.state.packages[*package];
            let absences = node.install_if.iter().any(|need| need.dependency.conflict);
            absences && !state.comes && !state.chosen && self.state.is_selectable(*package)
        });
        let absent = waiting
            .filter(|(_, node)| node.install_if.iter().all(|need| self.waits_only_for_absence(need)))
            .flat_map(|(_, node)| &node.install_if)
            .filter(|need| self.standing(need) == Standing::Open)
            .map(|need| need.name)
            .max_by_key(|name| graph.names[*name].order);
        absent.inspect(|name| self.choose_nobody(*name)).is_some()
    }

    fn waits_only_for_absence(&self, need: &Need) -> bool {
        match self.standing(need) {
            Standing::Met => true,
            Standing::Open => need.dependency.conflict,
            Standing::Failed => false,
        }
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
