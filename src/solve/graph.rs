//! The part of the universe a world can reach, with dependencies parsed.
//!
//! Names are discovered depth first from the world: from a name to what the packages that provide it depend on, then to
//! their conditions, then to the names they provide, then to the packages that come by themselves with it. Each gets a
//! number on the way back: the higher, the nearer the world. The own names of packages that are reached by a provided name
//! alone come last.
//!
//! A package with `install_if` is reached only when all it waits for is: otherwise `docs` alone would reach
//! nearly everything.
//!
//! Source: spec apk v2, "Solver", step 1; the order of the walk fits the recorded answers of apk 3.0.6 best.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use super::names::{Places, Universe};
use super::refusal::Refusal;
use super::table::{Table, key};
use super::tags::TagSet;
use super::{Request, Source};
use crate::apk::dependency::Dependency;
use crate::apk::index::{Flaw, Package};
use crate::arch::Arch;

key!(
    /// A reachable name.
    NameId
);
key!(
    /// A reachable package.
    PackageId
);

/// What the world can reach.
pub(super) struct Graph<'a> {
    pub(super) universe: &'a Universe<'a>,
    pub(super) names: Table<NameId, Name<'a>>,
    pub(super) packages: Table<PackageId, Node<'a>>,
    /// The world, sorted by name.
    pub(super) world: Vec<Need>,
    ids: HashMap<&'a str, NameId>,
    /// Everywhere each package is, of the names that a package was reached of, until it is a node.
    places: HashMap<Source, Option<Places<'a>>>,
    /// The first source of each of those packages, by all its sources.
    first: HashMap<Source, Source>,
    nodes: HashMap<Source, PackageId>,
    /// How many of the conditions of a package with `install_if` are of names not reached yet.
    unreached: HashMap<Source, usize>,
}

/// A reachable name.
pub(super) struct Name<'a> {
    pub(super) spelling: &'a str,
    pub(super) providers: Vec<Provider<'a>>,
    /// The packages that depend on it, or must not be with it.
    pub(super) dependants: Vec<PackageId>,
    /// The conditions on it.
    pub(super) conditions: Vec<Condition>,
    /// Its number of discovery: higher is nearer the world.
    pub(super) order: u32,
    /// Whether a package has it for its own.
    pub(super) has_package: bool,
    entered: bool,
    /// The packages of this name are grouped by identity.
    gathered: bool,
}

/// A condition of a package's `install_if`.
#[derive(Clone, Copy)]
pub(super) struct Condition {
    pub(super) package: PackageId,
    /// Its place among the package's conditions.
    pub(super) number: usize,
}

/// That a package provides a name.
#[derive(Clone, Copy)]
pub(super) struct Provider<'a> {
    pub(super) package: PackageId,
    pub(super) version: Option<&'a str>,
}

/// A dependency and the name it is on.
pub(super) struct Need {
    pub(super) name: NameId,
    pub(super) dependency: Dependency,
}

/// A reachable package.
pub(super) struct Node<'a> {
    pub(super) places: Places<'a>,
    pub(super) package: Package<'a>,
    pub(super) name: NameId,
    pub(super) depends: Vec<Need>,
    /// Its own name and version first.
    pub(super) provides: Vec<(NameId, Option<&'a str>)>,
    /// The same by name.
    by_name: Vec<(NameId, Option<&'a str>)>,
    pub(super) install_if: Vec<Need>,
    /// How many of its conditions are that a name is absent.
    pub(super) absences: usize,
    pub(super) obstacle: Option<Obstacle>,
    pub(super) tags: TagSet,
    entered: Entered,
}

impl<'a> Node<'a> {
    /// The versions in which it provides a name; `None` for a provide without one.
    pub(super) fn versions_of(&self, name: NameId) -> impl Iterator<Item = Option<&'a str>> {
        let from = self.by_name.partition_point(|(known, _)| *known < name);
        let same = self.by_name.iter().skip(from).take_while(move |(known, _)| *known == name);
        same.map(|(_, version)| *version)
    }

    /// Whether it provides a name in a version, so that no other package can hold the name beside it.
    pub(super) fn has_version_of(&self, name: NameId) -> bool {
        self.versions_of(name).any(|version| version.is_some())
    }

    /// Whether it provides a name.
    pub(super) fn has_name(&self, name: NameId) -> bool {
        self.versions_of(name).next().is_some()
    }

    /// The names it depends on or must not be with, each once.
    pub(super) fn distinct_needs(&self) -> Vec<NameId> {
        let mut names: Vec<NameId> = self.depends.iter().map(|need| need.name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Why a package cannot be installed whatever the world is.
#[derive(Debug, Clone)]
pub(super) enum Obstacle {
    Flaw(Flaw),
    ForeignArch,
}

impl<'a> Graph<'a> {
    pub(super) fn discover(universe: &'a Universe<'a>, request: &'a Request) -> Result<Self, Refusal> {
        let mut graph = Self {
            universe,
            names: Table::new(),
            packages: Table::new(),
            world: Vec::new(),
            ids: HashMap::new(),
            places: HashMap::new(),
            first: HashMap::new(),
            nodes: HashMap::new(),
            unreached: HashMap::new(),
        };
        for dependency in sorted(&request.world) {
            graph.check_tag(dependency)?;
            let name = graph.name(&dependency.name);
            graph.world.push(Need { name, dependency: dependency.clone() });
        }
        let mut walk = Walk { arch: request.arch, numbered: 0, own: VecDeque::new() };
        let roots: Vec<NameId> = graph.world.iter().map(|need| need.name).collect();
        for root in roots {
            walk.from(&mut graph, root);
        }
        while let Some(name) = walk.own.pop_front() {
            walk.from(&mut graph, name);
        }
        Ok(graph)
    }

    fn check_tag(&self, dependency: &Dependency) -> Result<(), Refusal> {
        let Some(tag) = &dependency.tag else { return Ok(()) };
        let known = self.universe.tags.known();
        if known.contains(&tag) {
            return Ok(());
        }
        let known = known.iter().map(|tag| (*tag).clone()).collect();
        Err(Refusal::UnknownTag { dependency: dependency.clone(), tag: tag.clone(), known })
    }

    /// The name with this spelling, if the world reaches it.
    pub(super) fn id_of(&self, spelling: &str) -> Option<NameId> {
        self.ids.get(spelling).copied()
    }

    fn name(&mut self, spelling: &'a str) -> NameId {
        *self.ids.entry(spelling).or_insert_with(|| {
            self.names.push(Name {
                spelling,
                providers: Vec::new(),
                dependants: Vec::new(),
                conditions: Vec::new(),
                order: 0,
                has_package: false,
                entered: false,
                gathered: false,
            })
        })
    }

    /// The node of the package at `source`, made if the package is reached for the first time.
    fn node(&mut self, source: Source, arch: Arch) -> Option<PackageId> {
        if let Some(known) = self.nodes.get(&source) {
            return Some(*known);
        }
        let name = self.name(self.universe.package(source)?.name());
        self.gather(name);
        let first = *self.first.get(&source)?;
        let places = self.places.get_mut(&first)?.take()?;
        let package = self.universe.package(first)?;
        let depends = package.depends().map(|text| (text, Dependency::of_index(text).ok()));
        let depends = depends.filter_map(|(text, parsed)| Some((text, parsed?)));
        let depends = self.needs(depends.collect());
        let install_if = package.install_if().zip(package.parse_install_if()).collect();
        let install_if = self.needs(install_if);
        let absences = install_if.iter().filter(|need| need.dependency.conflict).count();
        let provides: Vec<_> = package.held().map(|(name, version)| (self.name(name), version)).collect();
        let mut by_name = provides.clone();
        by_name.sort_by_key(|(name, _)| *name);
        let id = self.packages.push(Node {
            package,
            name,
            depends,
            provides,
            by_name,
            install_if,
            absences,
            obstacle: if places.installed.is_some() { None } else { obstacle(package, arch) },
            tags: places.tags(&self.universe.tags),
            entered: Entered::default(),
            places,
        });
        for source in self.packages[id].places.sources() {
            self.nodes.insert(source, id);
        }
        self.register(id);
        Some(id)
    }

    /// Groups the packages of a name by what they are, once.
    fn gather(&mut self, name: NameId) {
        if std::mem::replace(&mut self.names[name].gathered, true) {
            return;
        }
        for places in self.universe.packages_named(self.names[name].spelling) {
            let Some(first) = places.sources().next() else { continue };
            self.first.extend(places.sources().map(|source| (source, first)));
            self.places.insert(first, Some(places));
        }
    }

    fn needs(&mut self, parsed: Vec<(&'a str, Dependency)>) -> Vec<Need> {
        parsed
            .into_iter()
            .map(|(text, dependency)| Need { name: self.name(Dependency::name_in(text)), dependency })
            .collect()
    }

    /// Tells the names a package speaks of that it does.
    fn register(&mut self, id: PackageId) {
        let node = &self.packages[id];
        for name in node.distinct_needs() {
            self.names[name].dependants.push(id);
        }
        for (number, need) in node.install_if.iter().enumerate() {
            self.names[need.name].conditions.push(Condition { package: id, number });
        }
    }

    /// The next name in a section of a package that is not entered.
    fn unentered(&mut self, package: PackageId, section: Section) -> Option<NameId> {
        let Node { depends, install_if, provides, entered, .. } = &mut self.packages[package];
        loop {
            let (name, read) = match section {
                Section::Depends => (depends.get(entered.depends)?.name, &mut entered.depends),
                Section::InstallIf => (install_if.get(entered.install_if)?.name, &mut entered.install_if),
                // Its own name comes last, after everything else.
                Section::Provides => (provides.get(entered.provides + 1)?.0, &mut entered.provides),
                Section::Awaiting => return None,
            };
            *read += 1;
            if !self.names[name].entered {
                return Some(name);
            }
        }
    }

    /// One of the names a package waits for is reached. Whether that was the last, so that it may come by itself.
    fn may_come(&mut self, source: Source) -> bool {
        let Some(package) = self.universe.package(source) else { return false };
        let unreached = match self.unreached.entry(source) {
            Entry::Occupied(unreached) => unreached.into_mut(),
            Entry::Vacant(unreached) => {
                let stated = package.install_if().filter(|text| !text.starts_with('!')).count();
                unreached.insert(stated)
            }
        };
        *unreached = unreached.saturating_sub(1);
        // A malformed condition voids them all.
        *unreached == 0 && !package.parse_install_if().is_empty()
    }
}

/// The depth-first walk, with its own stack: how deep an index leads is up to the index.
struct Walk {
    arch: Arch,
    numbered: u32,
    /// The own names of packages that were reached by another.
    own: VecDeque<NameId>,
}

struct Frame {
    name: NameId,
    /// What its packages lead to by.
    section: Section,
    /// Which of its packages comes next.
    provider: usize,
    /// The names of the packages that come by themselves with it, once that is the section, the next one last.
    awaiting: Vec<NameId>,
}

/// What a name leads to, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Depends,
    InstallIf,
    Provides,
    Awaiting,
}

/// How many of a package's names of each section are known to be entered. All frames share it, as entered names stay so:
/// a package is read through once, however many names it provides.
#[derive(Debug, Clone, Copy, Default)]
struct Entered {
    depends: usize,
    install_if: usize,
    provides: usize,
}

impl Walk {
    fn from(&mut self, graph: &mut Graph<'_>, root: NameId) {
        let mut stack: Vec<Frame> = self.enter(graph, root).into_iter().collect();
        while let Some(frame) = stack.last_mut() {
            if let Some(next) = self.next(graph, frame) {
                stack.extend(self.enter(graph, next));
                continue;
            }
            self.numbered += 1;
            graph.names[frame.name].order = self.numbered;
            stack.pop();
        }
    }

    /// The next name a name leads to that is not entered.
    fn next(&self, graph: &mut Graph<'_>, frame: &mut Frame) -> Option<NameId> {
        while frame.section != Section::Awaiting {
            while let Some(provider) = graph.names[frame.name].providers.get(frame.provider) {
                let package = provider.package;
                if let Some(name) = graph.unentered(package, frame.section) {
                    return Some(name);
                }
                frame.provider += 1;
            }
            frame.provider = 0;
            frame.section = match frame.section {
                Section::Depends => Section::InstallIf,
                Section::InstallIf => Section::Provides,
                Section::Provides | Section::Awaiting => {
                    frame.awaiting = self.awaiting(graph, frame.name);
                    Section::Awaiting
                }
            };
        }
        while let Some(name) = frame.awaiting.pop() {
            if !graph.names[name].entered {
                return Some(name);
            }
        }
        None
    }

    /// Enters a name, unless that was done.
    fn enter(&mut self, graph: &mut Graph<'_>, name: NameId) -> Option<Frame> {
        if std::mem::replace(&mut graph.names[name].entered, true) {
            return None;
        }
        let (universe, spelling) = (graph.universe, graph.names[name].spelling);
        for (source, version) in universe.providers(spelling) {
            let Some(package) = graph.node(source, self.arch) else { continue };
            // Each package stands there once, wherever it is.
            if graph.packages[package].places.sources().next() == Some(source) {
                graph.names[name].providers.push(Provider { package, version });
            }
        }
        let nodes = || graph.names[name].providers.iter().map(|provider| &graph.packages[provider.package]);
        self.own.extend(nodes().map(|node| node.name).filter(|own| !graph.names[*own].entered));
        graph.names[name].has_package = nodes().any(|node| node.name == name);
        Some(Frame { name, section: Section::Depends, provider: 0, awaiting: Vec::new() })
    }

    /// The names of the packages that may come by themselves now that a name is reached, the first one last.
    fn awaiting(&self, graph: &mut Graph<'_>, name: NameId) -> Vec<NameId> {
        let (universe, spelling) = (graph.universe, graph.names[name].spelling);
        let mut names = Vec::new();
        for source in universe.awaiting(spelling) {
            if graph.may_come(source) {
                let package = graph.node(source, self.arch);
                names.extend(package.map(|package| graph.packages[package].name));
            }
        }
        names.reverse();
        names
    }
}

fn obstacle(package: Package<'_>, arch: Arch) -> Option<Obstacle> {
    if let Some(flaw) = package.flaw() {
        return Some(Obstacle::Flaw(flaw));
    }
    let ours = ["", "noarch", arch.as_str()].contains(&package.arch());
    (!ours).then_some(Obstacle::ForeignArch)
}

/// The world in apk's order: by name, letters of either case alike.
pub(super) fn sorted(world: &[Dependency]) -> Vec<&Dependency> {
    let mut world: Vec<&Dependency> = world.iter().collect();
    world.sort_by(|a, b| compare_names(&a.name, &b.name));
    world
}

/// apk's order of names.
pub(super) fn compare_names(a: &str, b: &str) -> std::cmp::Ordering {
    let lower = |text: &str| text.bytes().map(|byte| byte.to_ascii_lowercase()).collect::<Vec<u8>>();
    lower(a).cmp(&lower(b)).then_with(|| a.cmp(b))
}
