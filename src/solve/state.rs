//! What is decided so far about names and packages. Changed only by [`super::select`] and
//! [`super::install_if`]; read by all that come after.

use std::collections::HashSet;

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
    /// The chosen packages that provide it.
    pub(super) chosen: Vec<PackageId>,
    /// Asked for just now.
    pub(super) requested: bool,
    /// Somebody has to choose its provider and nobody did.
    pub(super) undecidable: bool,
    /// A package of this name comes by itself.
    pub(super) awaited: bool,
    /// Waits to be looked at again.
    pub(super) dirty: bool,
    /// Waits for what follows for others.
    pub(super) concluding: bool,
    /// What its packages depend on has changed, so some of them may be hopeless now.
    pub(super) doubtful: bool,
    /// It was decided, or a further package that provides it was chosen, since it was last looked at.
    pub(super) news: bool,
    /// The turn in which its dependants were last told that it changed.
    pub(super) announced: u64,
    /// Its providers that may still be chosen, when it was last looked at; `None` before the first time.
    pub(super) candidates: Option<Vec<PackageId>>,
    /// The names required because all candidates depend on them.
    pub(super) shared: HashSet<NameId>,
    /// The only candidate, once what it excludes is barred.
    pub(super) narrowed_for: Option<PackageId>,
    /// Which of its providers are barred because one was chosen.
    pub(super) closed: Closed,
}

/// Which providers of a name are barred by those that were chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// None.
    No,
    /// Those that provide it in a version: one was chosen that provides it without.
    Versioned,
    /// All but this one.
    AllBut(PackageId),
    /// All.
    All,
}

/// How a condition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Met,
    Failed,
    /// The name is not decided.
    Open,
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
    /// How many needs stand against it.
    pub(super) objections: u32,
    /// It can be chosen without an error: nothing stands against it, and nothing it depends on is known to be
    /// out of reach.
    pub(super) selectable: bool,
    /// What it depends on is required.
    pub(super) applied: bool,
    /// What it excludes is barred.
    pub(super) excludes: bool,
    /// It is in the solution.
    pub(super) chosen: bool,
    /// Its `install_if` is met.
    pub(super) comes: bool,
    /// It was among the candidates when one of its names was last looked at that had any.
    pub(super) grouped: bool,
    /// How each condition of its `install_if` stands.
    pub(super) conditions: Vec<Standing>,
    /// How many of them are not met.
    pub(super) unmet: usize,
    /// The tags it may come from.
    pub(super) allowed: TagSet,
    /// How to choose between it and others.
    pub(super) choice: Choice,
    /// The tag it should come from.
    pub(super) preferred: TagSet,
}

impl State {
    pub(super) fn new(graph: &Graph<'_>) -> Self {
        let names = graph.names.map(|_| NameState {
            required: 0,
            holder: Holder::Open,
            chosen: Vec::new(),
            requested: false,
            undecidable: false,
            awaited: false,
            dirty: false,
            concluding: false,
            doubtful: false,
            news: false,
            announced: 0,
            candidates: None,
            shared: HashSet::new(),
            narrowed_for: None,
            closed: Closed::No,
        });
        let packages = graph.packages.map(|node| PackageState {
            objections: 0,
            selectable: node.obstacle.is_none(),
            applied: false,
            excludes: false,
            chosen: false,
            comes: false,
            grouped: false,
            conditions: vec![Standing::Open; node.install_if.len()],
            unmet: node.install_if.len(),
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
        holder.or_else(|| self.names[need.name].chosen.iter().copied().find(fits))
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
        node.versions_of(need.name).any(|version| self.accepts(need, package, version))
    }

    /// Whether a need speaks of `version` of its name, in which `package` provides it.
    pub(super) fn accepts(&self, need: &Need, package: PackageId, version: Option<&str>) -> bool {
        need.dependency.constraint.accepts(version, || self.packages[package].package.identity())
    }

    /// The packages that provide the name of a need, each once, and whether it speaks of them.
    pub(super) fn matches<'g>(&'g self, need: &'g Need) -> impl Iterator<Item = (PackageId, bool)> {
        // A package that provides the name in several versions stands there several times in a row.
        let several = self.names[need.name].providers.chunk_by(|a, b| a.package == b.package);
        several.filter_map(|same| {
            let package = same.first()?.package;
            Some((package, same.iter().any(|provider| self.accepts(need, package, provider.version))))
        })
    }

    /// The packages that provide a name, each once.
    pub(super) fn providers_of(&self, name: NameId) -> impl Iterator<Item = PackageId> {
        let several = self.names[name].providers.chunk_by(|a, b| a.package == b.package);
        several.filter_map(|same| Some(same.first()?.package))
    }
}
