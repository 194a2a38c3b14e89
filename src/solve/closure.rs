//! The packages of a solution, and who needs whom.
//!
//! The solver keeps the first reason for each package; here are all of them, read from the indexes again: what keeps a
//! package, by which ways the world leads to it, and what would go with it.
//!
//! Not for deciding anything: a closure is of a solution that was found.

use std::collections::HashMap;

use super::{Installed, Repository, Solution, Source};
use crate::apk::dependency::{Dependency, Tag};
use crate::apk::index::Package;

/// The number of a package in a [`Closure`], in the order of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Member(usize);

/// The packages of a solution.
#[derive(Debug)]
pub struct Closure<'a> {
    rows: Vec<Row<'a>>,
    /// Who holds which name, in which version.
    holders: HashMap<&'a str, Vec<(Member, Option<&'a str>)>>,
}

#[derive(Debug)]
struct Row<'a> {
    source: Source,
    package: Package<'a>,
    tag: Option<Tag>,
    dependants: Vec<Dependant>,
    /// How far it is from the world, counted in packages; nothing if nothing leads to it.
    distance: Option<usize>,
}

/// What keeps a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dependant {
    /// The world asks for it.
    World(Dependency),
    /// A package depends on it, by one name or several.
    Package(Member, Vec<Dependency>),
    /// It comes by itself because all of these are there, each by one of its conditions.
    InstallIf(Vec<(Member, Dependency)>),
}

/// The shortest ways from the world to a package.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Chains {
    /// Some of them, or all; each from the package the world asks for to the one that is looked at.
    pub chains: Vec<Chain>,
    /// How many there are.
    pub total: u64,
}

/// A way from the world to a package: each link is a package and what leads to it.
pub type Chain = Vec<(Dependant, Member)>;

impl<'a> Closure<'a> {
    /// The closure of `solution`, which `world` was solved to; nothing if it is of other repositories.
    #[must_use]
    pub fn of(
        solution: &Solution,
        world: &[Dependency],
        repositories: &'a [Repository<'_>],
        installed: Option<&'a Installed<'_>>,
    ) -> Option<Self> {
        let mut rows = Vec::with_capacity(solution.packages.len());
        for chosen in &solution.packages {
            let package = chosen.source.package(repositories, installed)?;
            let (source, tag) = (chosen.source, chosen.tag.clone());
            rows.push(Row { source, package, tag, dependants: Vec::new(), distance: None });
        }
        let mut holders: HashMap<&str, Vec<_>> = HashMap::new();
        for (member, row) in (0..).map(Member).zip(&rows) {
            for (name, version) in row.package.held() {
                holders.entry(name).or_default().push((member, version));
            }
        }
        let mut closure = Self { rows, holders };
        for dependency in world {
            closure.note(dependency, None);
        }
        for by in closure.members() {
            let Some(package) = closure.package(by) else { continue };
            for dependency in package.depends().filter_map(|text| Dependency::of_index(text).ok()) {
                closure.note(&dependency, Some(by));
            }
        }
        for member in closure.members() {
            let with = closure.package(member).and_then(|package| closure.companions(package));
            if let (Some(with), Some(row)) = (with, closure.rows.get_mut(member.0)) {
                row.dependants.push(Dependant::InstallIf(with));
            }
        }
        closure.measure();
        Some(closure)
    }

    /// All packages, by name.
    pub fn members(&self) -> impl DoubleEndedIterator<Item = Member> + use<> {
        (0..self.rows.len()).map(Member)
    }

    /// The package with this number.
    #[must_use]
    pub fn package(&self, member: Member) -> Option<Package<'a>> {
        self.rows.get(member.0).map(|row| row.package)
    }

    /// Where the package with this number is described.
    #[must_use]
    pub fn source(&self, member: Member) -> Option<Source> {
        self.rows.get(member.0).map(|row| row.source)
    }

    /// The tag the package is pinned to.
    #[must_use]
    pub fn tag(&self, member: Member) -> Option<&Tag> {
        self.rows.get(member.0)?.tag.as_ref()
    }

    /// The packages that satisfy `dependency`, each once; if it is a conflict, those that it forbids.
    #[must_use]
    pub fn satisfying(&self, dependency: &Dependency) -> Vec<Member> {
        let holders = self.holders.get(&*dependency.name).map(Vec::as_slice).unwrap_or_default();
        let satisfies = |(member, version): &&(Member, Option<&str>)| {
            let identity = || self.package(*member).and_then(Package::identity);
            dependency.constraint.accepts(*version, identity)
        };
        let mut members: Vec<Member> = holders.iter().filter(satisfies).map(|(member, _)| *member).collect();
        members.dedup();
        members
    }

    /// Everything that keeps a package: the world first, then packages by name, then what it comes with.
    #[must_use]
    pub fn dependants(&self, member: Member) -> &[Dependant] {
        self.rows.get(member.0).map(|row| row.dependants.as_slice()).unwrap_or_default()
    }

    /// Notes what keeps each package that satisfies `dependency` of a package, or of the world. What a package needs of
    /// itself keeps nothing.
    fn note(&mut self, dependency: &Dependency, by: Option<Member>) {
        if dependency.conflict {
            return;
        }
        for member in self.satisfying(dependency) {
            let Some(row) = self.rows.get_mut(member.0).filter(|_| by != Some(member)) else { continue };
            match (by, row.dependants.last_mut()) {
                (Some(by), Some(Dependant::Package(known, needs))) if *known == by => {
                    if !needs.contains(dependency) {
                        needs.push(dependency.clone());
                    }
                }
                (Some(by), _) => row.dependants.push(Dependant::Package(by, vec![dependency.clone()])),
                (None, _) => row.dependants.push(Dependant::World(dependency.clone())),
            }
        }
    }

    /// What a package comes with by itself, if it waits for something and all of that is there.
    fn companions(&self, package: Package<'_>) -> Option<Vec<(Member, Dependency)>> {
        let conditions = package.parse_install_if();
        let positive = conditions.into_iter().filter(|condition| !condition.conflict);
        let with: Option<Vec<_>> =
            positive.map(|condition| Some((*self.satisfying(&condition).first()?, condition))).collect();
        with.filter(|with| !with.is_empty())
    }

    /// Finds how far each package is from the world.
    fn measure(&mut self) {
        let mut distance = 0;
        loop {
            distance += 1;
            let reached: Vec<Member> = self
                .members()
                .filter(|member| self.distance(*member).is_none())
                .filter(|member| {
                    self.dependants(*member)
                        .iter()
                        .any(|dependant| self.distance_behind(dependant) == Some(distance))
                })
                .collect();
            for member in &reached {
                if let Some(row) = self.rows.get_mut(member.0) {
                    row.distance = Some(distance);
                }
            }
            if reached.is_empty() {
                return;
            }
        }
    }

    fn distance(&self, member: Member) -> Option<usize> {
        self.rows.get(member.0)?.distance
    }

    /// How far from the world that is which a dependant leads to.
    fn distance_behind(&self, dependant: &Dependant) -> Option<usize> {
        match dependant {
            Dependant::World(_) => Some(1),
            Dependant::Package(by, _) => Some(self.distance(*by)? + 1),
            Dependant::InstallIf(with) => {
                let distances: Option<Vec<usize>> = with.iter().map(|(by, _)| self.distance(*by)).collect();
                Some(distances?.into_iter().max()? + 1)
            }
        }
    }

    /// The package before a dependant on the way from the world: of several that a package comes with, the one that is
    /// farthest.
    fn before(&self, dependant: &Dependant) -> Option<Member> {
        match dependant {
            Dependant::World(_) => None,
            Dependant::Package(by, _) => Some(*by),
            Dependant::InstallIf(with) => {
                // The first of those that are equally far.
                with.iter().rev().map(|(by, _)| *by).max_by_key(|by| self.distance(*by))
            }
        }
    }

    /// The dependants of a package that are on shortest ways to it.
    fn nearest(&self, member: Member) -> impl Iterator<Item = &Dependant> {
        let distance = self.distance(member);
        let dependants = self.dependants(member).iter();
        dependants.filter(move |dependant| distance.is_some() && self.distance_behind(dependant) == distance)
    }

    /// The shortest ways from the world to a package, at most `limit` of them.
    #[must_use]
    pub fn chains(&self, member: Member, limit: usize) -> Chains {
        let total = self.count_ways(member);
        let mut chains = Vec::new();
        let mut ahead = vec![(member, Chain::new())];
        while let Some((member, behind)) = ahead.pop() {
            if chains.len() == limit {
                break;
            }
            let mut more = Vec::new();
            for dependant in self.nearest(member) {
                let mut chain = vec![(dependant.clone(), member)];
                chain.extend(behind.iter().cloned());
                match self.before(dependant) {
                    Some(before) => more.push((before, chain)),
                    None if chains.len() < limit => chains.push(chain),
                    None => {}
                }
            }
            ahead.extend(more.into_iter().rev());
        }
        Chains { chains, total }
    }

    /// How many shortest ways lead to a package: as many as to all that are right before it.
    fn count_ways(&self, member: Member) -> u64 {
        let mut counts = vec![0_u64; self.rows.len()];
        let mut nearer: Vec<Member> =
            self.members().filter(|other| self.distance(*other) <= self.distance(member)).collect();
        nearer.sort_by_key(|member| self.distance(*member));
        for member in nearer {
            let ways = self.nearest(member).map(|dependant| match self.before(dependant) {
                None => 1,
                Some(before) => counts.get(before.0).copied().unwrap_or_default(),
            });
            let count = ways.fold(0, u64::saturating_add);
            if let Some(known) = counts.get_mut(member.0) {
                *known = count;
            }
        }
        counts.get(member.0).copied().unwrap_or_default()
    }

    /// Everything that keeps a package beside what is on the shortest ways to it.
    pub fn others(&self, member: Member) -> impl Iterator<Item = &Dependant> {
        let distance = self.distance(member);
        let dependants = self.dependants(member).iter();
        dependants.filter(move |dependant| self.distance_behind(dependant) != distance)
    }

    /// What nothing would need any more if nothing needed these: themselves, and all that only they lead to.
    #[must_use]
    pub fn exclusive(&self, without: &[Member]) -> Vec<Member> {
        let mut needed = vec![false; self.rows.len()];
        let stays = |member: Member, needed: &[bool]| {
            self.dependants(member).iter().any(|dependant| match dependant {
                Dependant::World(_) => true,
                Dependant::Package(by, _) => needed.get(by.0) == Some(&true),
                Dependant::InstallIf(with) => with.iter().all(|(by, _)| needed.get(by.0) == Some(&true)),
            })
        };
        loop {
            let more: Vec<Member> = self
                .members()
                .filter(|member| !without.contains(member) && needed.get(member.0) == Some(&false))
                .filter(|member| stays(*member, &needed))
                .collect();
            for member in &more {
                if let Some(needed) = needed.get_mut(member.0) {
                    *needed = true;
                }
            }
            if more.is_empty() {
                break;
            }
        }
        self.members().filter(|member| needed.get(member.0) == Some(&false)).collect()
    }

    /// The bytes that packages take when they are installed.
    pub fn size(&self, members: impl IntoIterator<Item = Member>) -> u64 {
        members.into_iter().filter_map(|member| self.package(member)).map(Package::installed_size).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{made, solve};
    use super::*;

    /// Looks at the closure of `world`.
    fn look(packages: &[&str], world: &[&str], at: impl FnOnce(&Closure<'_>, &dyn Fn(&str) -> Member)) {
        let index = made::index(packages);
        let (repositories, request) = (made::repository(&index), made::request(world));
        let solution = solve(&repositories, None, &request, &crate::report::Silent).unwrap();
        let closure = Closure::of(&solution, &request.world, &repositories, None).unwrap();
        let named = |name: &str| {
            let is_it = |member: &Member| closure.package(*member).unwrap().name() == name;
            closure.members().find(is_it).unwrap()
        };
        at(&closure, &named);
    }

    fn names(closure: &Closure<'_>, members: &[Member]) -> Vec<String> {
        members.iter().map(|member| closure.package(*member).unwrap().name().to_owned()).collect()
    }

    /// Each way as the names on it.
    fn ways(closure: &Closure<'_>, member: Member) -> Vec<String> {
        let chains = closure.chains(member, 10).chains;
        let way = |chain: &Chain| {
            let members: Vec<Member> = chain.iter().map(|(_, member)| *member).collect();
            names(closure, &members).join(" ")
        };
        chains.iter().map(way).collect()
    }

    #[test]
    fn only_the_shortest_ways_are_told_and_all_of_them_counted() {
        let packages =
            ["a 1;D:b c long", "b 1;D:x so:x", "c 1;D:x", "long 1;D:longer", "longer 1;D:x", "x 1;p:so:x=1"];
        look(&packages, &["a"], |closure, named| {
            assert_eq!(ways(closure, named("x")), ["a b x", "a c x"]);
            assert_eq!(closure.chains(named("x"), 1).total, 2);
            let others: Vec<&Dependant> = closure.others(named("x")).collect();
            assert_eq!(others, [&Dependant::Package(named("longer"), vec![Dependency::on("x")])]);
            // Two names of one package are one way.
            let both = vec![Dependency::on("x"), Dependency::on("so:x")];
            assert_eq!(closure.dependants(named("x")).first(), Some(&Dependant::Package(named("b"), both)));
        });
    }

    #[test]
    fn ways_end_where_needs_go_round() {
        look(&["a 1;D:b", "b 1;D:c", "c 1;D:a b"], &["a"], |closure, named| {
            assert_eq!(ways(closure, named("c")), ["a b c"]);
            assert_eq!(names(closure, &closure.exclusive(&[named("b")])), ["b", "c"]);
            assert_eq!(closure.size(closure.members()), 30);
        });
    }

    #[test]
    fn what_comes_by_itself_is_as_far_as_the_farthest_it_comes_with() {
        let packages = ["a 1;D:b", "b 1;D:c", "c 1", "docs 1", "c-doc 1;i:docs c=1 !none"];
        look(&packages, &["a", "docs"], |closure, named| {
            assert_eq!(ways(closure, named("c-doc")), ["a b c c-doc"]);
            for going in ["docs", "c"] {
                let going = closure.exclusive(&[named(going)]);
                assert!(going.contains(&named("c-doc")), "{going:?}");
            }
        });
    }

    #[test]
    fn what_the_world_asks_for_stays_whoever_else_goes() {
        look(&["a 1;D:b", "b 1;D:c", "c 1", "d 1;D:c"], &["a", "b"], |closure, named| {
            assert_eq!(names(closure, &closure.exclusive(&[named("a")])), ["a"]);
            assert_eq!(names(closure, &closure.exclusive(&[named("a"), named("b")])), ["a", "b", "c"]);
            assert_eq!(closure.dependants(named("b")).first(), Some(&Dependant::World(Dependency::on("b"))));
        });
    }
}
