//! What is decided so far about names and packages. Changed only by [`super::select`] and
//! [`super::install_if`]; read by all that come after.

use super::graph::{Graph, NameId, Need, PackageId};
use super::table::Table;
use super::tags::TagSet;
use super::{Ambition, Availability, Options, Upgrade};

/// What is decided.
pub(super) struct State {
    pub(super) names: Table<NameId, NameState>,
    pub(super) packages: Table<PackageId, PackageState>,
}

/// Who holds a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// Not decided yet.
    Open,
    /// Nobody does, and nobody will.
    Nobody,
    /// The first chosen package that provides it.
    Package(PackageId),
}

/// What is decided about a name.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own; any of them go together")]
pub(super) struct NameState {
    /// How many dependencies want it to be there.
    pub(super) required: u32,
    pub(super) holder: Holder,
    /// Asked for just now.
    pub(super) requested: bool,
    /// Only one candidate is left.
    pub(super) settled: bool,
    /// How many packages that depend on it, or must not be with it, are of names not decided yet.
    pub(super) open_dependants: usize,
    /// Nothing more will come of it for the names its packages depend on.
    pub(super) passed: bool,
    /// Somebody has to choose its provider and nobody did.
    pub(super) undecidable: bool,
    /// A package of this name comes by itself.
    pub(super) awaited: bool,
    /// It is among the names that need a decision.
    pub(super) undecided: bool,
    /// Waits to be looked at again.
    pub(super) dirty: bool,
    /// Who provides it has changed, which its dependants have to look at.
    pub(super) changed: bool,
    /// What its packages depend on has changed, so some of them may be hopeless now.
    pub(super) doubtful: bool,
    /// The names required because all candidates depend on them.
    pub(super) shared: Vec<NameId>,
    /// Providers that another required name can do without.
    pub(super) shunned: Vec<PackageId>,
}

/// What of the request's options holds for a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Choice {
    pub(super) upgrade: bool,
    pub(super) available: bool,
    pub(super) latest: bool,
}

impl Choice {
    pub(super) fn of(options: Options) -> Self {
        Self {
            upgrade: options.upgrade == Upgrade::Yes,
            available: options.availability == Availability::Repositories,
            latest: options.ambition == Ambition::Latest,
        }
    }

    /// What holds for one or the other.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            upgrade: self.upgrade | other.upgrade,
            available: self.available | other.available,
            latest: self.latest | other.latest,
        }
    }

    /// What holds for both.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            upgrade: self.upgrade & other.upgrade,
            available: self.available & other.available,
            latest: self.latest & other.latest,
        }
    }
}

/// What is decided about a package.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own; any of them go together")]
pub(super) struct PackageState {
    /// How many needs and rivals stand against it.
    pub(super) objections: u32,
    /// It can be chosen without an error: nothing stands against it, and nothing it depends on is known to be
    /// out of reach.
    pub(super) selectable: bool,
    /// Its dependencies are required.
    pub(super) applied: bool,
    /// It is in the solution.
    pub(super) chosen: bool,
    /// Its `install_if` is met.
    pub(super) comes: bool,
    /// It was among the candidates when its name was last looked at.
    pub(super) grouped: bool,
    /// The tags it may come from.
    pub(super) allowed: TagSet,
    /// How to choose between it and others.
    pub(super) choice: Choice,
    /// The tag it should come from.
    pub(super) preferred: TagSet,
}

impl State {
    pub(super) fn new(graph: &Graph<'_>) -> Self {
        let names = graph.names.map(|name| NameState {
            required: 0,
            holder: Holder::Open,
            requested: false,
            settled: false,
            open_dependants: name.dependants.len(),
            passed: false,
            undecidable: false,
            awaited: false,
            undecided: false,
            dirty: false,
            changed: false,
            doubtful: false,
            shared: Vec::new(),
            shunned: Vec::new(),
        });
        let packages = graph.packages.map(|node| PackageState {
            objections: 0,
            selectable: node.obstacle.is_none(),
            applied: false,
            chosen: false,
            comes: false,
            grouped: false,
            allowed: TagSet::UNTAGGED,
            choice: Choice::default(),
            preferred: TagSet::UNTAGGED,
        });
        Self { names, packages }
    }

    pub(super) fn is_selectable(&self, package: PackageId) -> bool {
        self.packages[package].selectable
    }

    /// Whether a package may come from where it can be had.
    pub(super) fn is_allowed(&self, graph: &Graph<'_>, package: PackageId) -> bool {
        graph.packages[package].tags.meets(self.packages[package].allowed)
    }

    /// The package that holds a name.
    pub(super) fn holder(&self, name: NameId) -> Option<PackageId> {
        match self.names[name].holder {
            Holder::Package(package) => Some(package),
            Holder::Open | Holder::Nobody => None,
        }
    }

    /// A chosen package other than `but` that fits the name and versions a need speaks of. The holder of
    /// the name comes first.
    pub(super) fn chosen_for(
        &self,
        graph: &Graph<'_>,
        need: &Need,
        but: Option<PackageId>,
    ) -> Option<PackageId> {
        let fits = |package: &PackageId| {
            self.packages[*package].chosen && Some(*package) != but && graph.fits(*package, need)
        };
        let holder = self.holder(need.name).filter(fits);
        holder.or_else(|| graph.names[need.name].providers.iter().map(|p| p.package).find(fits))
    }

    /// The chosen package that fits a need, or else the one that holds its name: of an attempt that fails, what
    /// was chosen against a need is a part too.
    pub(super) fn chosen_nearest(&self, graph: &Graph<'_>, need: &Need) -> Option<PackageId> {
        self.chosen_for(graph, need, None).or_else(|| self.holder(need.name))
    }
}

impl Graph<'_> {
    /// Whether a package provides the name and one of the versions a need speaks of, be it wanted or not.
    pub(super) fn fits(&self, package: PackageId, need: &Need) -> bool {
        let node = &self.packages[package];
        let constraint = &need.dependency.constraint;
        node.provides.iter().any(|(name, version)| {
            *name == need.name && constraint.accepts(*version, || node.package.identity())
        })
    }
}
