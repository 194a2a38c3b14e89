//! The part of the universe a world can reach, with dependencies parsed.
//!
//! Names are discovered depth first from the world, through the dependencies, conditions and provides of
//! every package that provides a name, and to the packages that come by themselves with it. Each gets a
//! number on the way back: the higher, the nearer the world.
//!
//! A package with `install_if` is reached only when all it waits for is: otherwise `docs` alone would reach
//! nearly everything.

use std::collections::HashMap;

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
    nodes: HashMap<Source, PackageId>,
}

/// A reachable name.
pub(super) struct Name<'a> {
    pub(super) spelling: &'a str,
    pub(super) providers: Vec<Provider<'a>>,
    /// The packages that depend on it, or must not be with it.
    pub(super) dependants: Vec<PackageId>,
    /// The packages that have it among their conditions.
    pub(super) conditional: Vec<PackageId>,
    /// Its number of discovery: higher is nearer the world.
    pub(super) order: u32,
    /// Whether a package has it for its own.
    pub(super) has_package: bool,
    entered: bool,
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
    pub(super) install_if: Vec<Need>,
    pub(super) obstacle: Option<Obstacle>,
    pub(super) tags: TagSet,
}

impl Node<'_> {
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
            nodes: HashMap::new(),
        };
        for dependency in sorted(&request.world) {
            graph.check_tag(dependency)?;
            let name = graph.name(&dependency.name);
            graph.world.push(Need { name, dependency: dependency.clone() });
        }
        let mut walk = Walk { arch: request.arch, numbered: 0 };
        let roots: Vec<NameId> = graph.world.iter().map(|need| need.name).collect();
        for root in roots {
            walk.from(&mut graph, root);
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
                conditional: Vec::new(),
                order: 0,
                has_package: false,
                entered: false,
            })
        })
    }

    /// The node of the package at `source`, made if the package is reached for the first time.
    fn node(&mut self, source: Source, arch: Arch) -> Option<PackageId> {
        if let Some(known) = self.nodes.get(&source) {
            return Some(*known);
        }
        let places = self.universe.places(source);
        let first = places.sources().next()?;
        let package = self.universe.package(first)?;
        let name = self.name(package.name());
        let depends = package.depends().map(|text| (text, Dependency::of_index(text).ok()));
        let depends = depends.filter_map(|(text, parsed)| Some((text, parsed?)));
        let depends = self.needs(depends.collect());
        let install_if = package.install_if().zip(package.parse_install_if()).collect();
        let install_if = self.needs(install_if);
        let provides = package.held().map(|(name, version)| (self.name(name), version)).collect();
        let id = self.packages.push(Node {
            package,
            name,
            depends,
            provides,
            install_if,
            obstacle: if places.installed.is_some() { None } else { obstacle(package, arch) },
            tags: places.tags(&self.universe.tags),
            places,
        });
        for source in self.packages[id].places.sources() {
            self.nodes.insert(source, id);
        }
        self.register(id);
        Some(id)
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
        for need in &node.install_if {
            let conditional = &mut self.names[need.name].conditional;
            if conditional.last() != Some(&id) {
                conditional.push(id);
            }
        }
    }

    /// Whether everything a package waits for is reached, so that it may come by itself.
    fn may_come(&self, source: Source) -> bool {
        let Some(package) = self.universe.package(source) else { return false };
        let mut awaited = package.install_if().filter(|text| !text.starts_with('!')).peekable();
        awaited.peek().is_some()
            && awaited.all(|text| {
                self.id_of(Dependency::name_in(text))
                    .is_some_and(|name| self.names[name].entered)
            })
            // A malformed condition voids them all.
            && !package.parse_install_if().is_empty()
    }
}

/// The depth-first walk, with its own stack: how deep an index leads is up to the index.
struct Walk {
    arch: Arch,
    numbered: u32,
}

struct Frame {
    name: NameId,
    /// The names it leads to that are not walked yet, the next one last.
    ahead: Vec<NameId>,
}

impl Walk {
    fn from(&mut self, graph: &mut Graph<'_>, root: NameId) {
        let mut stack: Vec<Frame> = self.enter(graph, root).into_iter().collect();
        while let Some(frame) = stack.last_mut() {
            if let Some(next) = frame.ahead.pop() {
                stack.extend(self.enter(graph, next));
                continue;
            }
            self.numbered += 1;
            graph.names[frame.name].order = self.numbered;
            stack.pop();
        }
    }

    /// Enters a name, unless that was done.
    fn enter(&self, graph: &mut Graph<'_>, name: NameId) -> Option<Frame> {
        if std::mem::replace(&mut graph.names[name].entered, true) {
            return None;
        }
        let mut ahead = Vec::new();
        let (universe, spelling) = (graph.universe, graph.names[name].spelling);
        for (source, version) in universe.providers(spelling) {
            let Some(package) = graph.node(source, self.arch) else { continue };
            // Each package stands there once, wherever it is.
            if graph.packages[package].places.sources().next() != Some(source) {
                continue;
            }
            graph.names[name].providers.push(Provider { package, version });
            let node = &graph.packages[package];
            graph.names[name].has_package |= node.name == name;
            ahead.extend(node.depends.iter().map(|need| need.name));
            ahead.extend(node.install_if.iter().map(|need| need.name));
            ahead.extend(node.provides.iter().map(|(name, _)| *name));
        }
        ahead.extend(self.awaiting(graph, name));
        ahead.retain(|name| !graph.names[*name].entered);
        ahead.reverse();
        Some(Frame { name, ahead })
    }

    /// The names of the packages that may come by themselves with a name.
    fn awaiting(&self, graph: &mut Graph<'_>, name: NameId) -> Vec<NameId> {
        let (universe, spelling) = (graph.universe, graph.names[name].spelling);
        let mut names = Vec::new();
        for source in universe.awaiting(spelling) {
            if graph.may_come(source) {
                let package = graph.node(source, self.arch);
                names.extend(package.map(|package| graph.packages[package].name));
            }
        }
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
