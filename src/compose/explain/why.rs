//! Why something is in an image: the shortest ways from the profile to it, what else would keep it, what it costs.
//!
//! For a path the image's tree is staged, so that what became of a package's file in the end is what is told; for anything
//! else nothing is fetched but indexes and the base.

use std::collections::BTreeSet;

use serde::Serialize;

use super::super::answer::Answer;
use super::super::build::{BuildOptions, asks_anew, fetch_and_stage};
use super::super::drawing::Drawing;
use super::super::plan::Prepared;
use super::super::stage::Staged;
use super::{ExplainError, dependency, prepare};
use crate::apk::dependency::{Dependency, Provide};
use crate::apk::index::Package;
use crate::apk::installed::InstalledPackage;
use crate::fetch::Fetcher;
use crate::kind;
use crate::path::TreePath;
use crate::profile::{Draft, Profile};
use crate::solve::Source;
use crate::solve::closure::{Chain, Closure, Dependant, Member};
use crate::tree::{InodeKind, Origin, Tree};

/// How many shortest ways to a package are told.
const MAX_CHAINS: usize = 24;

/// Why something is in an image.
#[derive(Debug, Clone, Serialize)]
pub struct Why {
    /// What was asked about.
    pub subject: String,
    /// The image's architecture.
    pub arch: String,
    /// If a path was asked about, what it is.
    pub path: Option<WhyPath>,
    /// The packages it is of.
    pub packages: Vec<WhyPackage>,
    /// The ways from the world to them.
    #[serde(skip)]
    pub drawing: Drawing,
}

/// What a path of an image is.
#[derive(Debug, Clone, Serialize)]
pub struct WhyPath {
    /// The path, which no link leads to.
    pub path: String,
    /// If it is a symbolic link, what it says.
    pub target: Option<String>,
    /// Where it comes from: `package`, `base`, `profile` or `generated`.
    pub origin: &'static str,
}

/// Why a package is in an image.
#[derive(Debug, Clone, Serialize)]
pub struct WhyPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it comes from: a repository, or `base`.
    pub repository: String,
    /// The tag it is pinned to; empty without one.
    pub tag: String,
    /// What it provides of what was asked about, if that is not its own name.
    pub provides: Option<String>,
    /// Where the profile takes it out again, if it does.
    pub pruned: Option<String>,
    /// The shortest ways from the world to it, or some of them.
    pub chains: Vec<Vec<Link>>,
    /// How many there are.
    pub chain_count: u64,
    /// What else would keep it.
    pub kept_by: Vec<Bond>,
    /// The bytes it takes.
    pub size: u64,
    /// What nothing else needs, the package itself among it.
    pub exclusive: Vec<Sized>,
    /// The bytes of that.
    pub exclusive_size: u64,
}

/// A package on the way to another, and what leads to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// The package, as `name-version`.
    pub package: String,
    /// What leads to it.
    #[serde(flatten)]
    pub bond: Bond,
}

/// What keeps a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bond {
    /// `world`, `depends` or `install_if`.
    pub how: &'static str,
    /// The packages that need it or that it comes with, as `name-version`; of the world none.
    pub by: Vec<String>,
    /// What each of those needs, or what the package waits for.
    pub needs: Vec<String>,
    /// Where the profile asks for it; nothing if it is the base's world that does.
    pub at: Option<String>,
}

/// A package and what it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sized {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The bytes it takes when it is installed.
    pub size: u64,
}

/// Why `subject` is in the image of `draft`.
pub fn why(
    fetcher: &Fetcher<'_>,
    draft: &Draft,
    options: &BuildOptions,
    subject: &str,
) -> Result<Why, ExplainError> {
    let once = || why_once(fetcher, draft, options, subject);
    match once() {
        Err(ExplainError::Compose(error)) if asks_anew(&error, fetcher) => once(),
        other => other,
    }
}

fn why_once(
    fetcher: &Fetcher<'_>,
    draft: &Draft,
    options: &BuildOptions,
    subject: &str,
) -> Result<Why, ExplainError> {
    let prepared = prepare(fetcher, draft, options)?;
    let answer = prepared.answer();
    let closure = answer.closure().ok_or(ExplainError::Lost)?;
    let explainer = Explainer { prepared: &prepared, answer: &answer, closure: &closure };
    // A path may also be a name that a package provides, as /bin/sh is; that is what packages depend on.
    let is_path = subject.starts_with('/');
    let named = match dependency(subject) {
        Ok(dependency) => Some((closure.satisfying(&dependency), dependency)),
        Err(_) if is_path => None,
        Err(error) => return Err(error),
    };
    if let Some((members, dependency)) = &named
        && !members.is_empty()
    {
        return Ok(explainer.why(subject, None, members, Some(dependency)));
    }
    if is_path {
        let path = TreePath::absolute(subject)?;
        let (staged, _) = fetch_and_stage(fetcher, &prepared, options, &mut Vec::new())?;
        return explainer.why_path(subject, &path, &staged);
    }
    let names = closure
        .members()
        .filter_map(|member| closure.package(member))
        .flat_map(Package::held)
        .map(|(name, _)| name);
    let near = kind::nearest(subject, names.collect::<BTreeSet<_>>());
    let near = near.into_iter().map(str::to_owned).collect();
    Err(ExplainError::NotThere { subject: subject.to_owned(), pruned: None, near, is_path })
}

struct Explainer<'a> {
    prepared: &'a Prepared,
    answer: &'a Answer<'a>,
    closure: &'a Closure<'a>,
}

impl Explainer<'_> {
    fn profile(&self) -> &Profile {
        &self.prepared.profile
    }

    fn why(
        &self,
        subject: &str,
        path: Option<WhyPath>,
        members: &[Member],
        dependency: Option<&Dependency>,
    ) -> Why {
        let mut chains: Vec<Chain> = Vec::new();
        let packages = members.iter().filter_map(|member| {
            let ways = self.closure.chains(*member, MAX_CHAINS);
            chains.extend(ways.chains.iter().cloned());
            self.package(*member, &ways.chains, ways.total, dependency)
        });
        let packages = packages.collect();
        Why {
            subject: subject.to_owned(),
            arch: self.prepared.plan.arch.to_string(),
            path,
            packages,
            drawing: Drawing::of_chains(self.closure, &chains),
        }
    }

    fn package(
        &self,
        member: Member,
        chains: &[Chain],
        chain_count: u64,
        dependency: Option<&Dependency>,
    ) -> Option<WhyPackage> {
        let package = self.closure.package(member)?;
        let repository = match self.closure.source(member)? {
            Source::Installed(_) => "base".to_owned(),
            Source::Repository(number, _) => self.answer.repositories.get(number.0 as usize)?.name.clone(),
        };
        let link = |(dependant, member): &(Dependant, Member)| Link {
            package: self.text(*member),
            bond: self.bond(dependant),
        };
        let exclusive = self.closure.exclusive(&[member]);
        Some(WhyPackage {
            name: package.name().to_owned(),
            version: package.version().to_owned(),
            repository,
            tag: self.closure.tag(member).map(|tag| tag.as_str().to_owned()).unwrap_or_default(),
            provides: dependency.and_then(|dependency| provided(package, &dependency.name)),
            pruned: self.pruned(package.name()),
            chains: chains.iter().map(|chain| chain.iter().map(link).collect()).collect(),
            chain_count,
            kept_by: self.closure.others(member).map(|dependant| self.bond(dependant)).collect(),
            size: package.installed_size(),
            exclusive_size: self.closure.size(exclusive.iter().copied()),
            exclusive: exclusive
                .iter()
                .filter_map(|member| self.closure.package(*member))
                .map(Sized::of)
                .collect(),
        })
    }

    /// Where the profile takes the package out again.
    fn pruned(&self, name: &str) -> Option<String> {
        let pruned = self.profile().prune.packages.iter().find(|pruned| pruned.value.as_str() == name);
        pruned.map(|pruned| pruned.origin.to_string())
    }

    fn text(&self, member: Member) -> String {
        self.closure.package(member).map(|package| package.to_string()).unwrap_or_default()
    }

    fn bond(&self, dependant: &Dependant) -> Bond {
        let bond = |how, by: Vec<String>, needs: Vec<String>| Bond { how, by, needs, at: None };
        match dependant {
            Dependant::World(dependency) => Bond {
                at: self.profile().packages.origin(dependency).map(ToString::to_string),
                ..bond("world", Vec::new(), vec![dependency.to_string()])
            },
            Dependant::Package(by, needs) => {
                bond("depends", vec![self.text(*by)], needs.iter().map(ToString::to_string).collect())
            }
            Dependant::InstallIf(with) => bond(
                "install_if",
                with.iter().map(|(by, _)| self.text(*by)).collect(),
                with.iter().map(|(_, condition)| condition.to_string()).collect(),
            ),
        }
    }

    fn why_path(&self, subject: &str, path: &TreePath, staged: &Staged) -> Result<Why, ExplainError> {
        let tree = &staged.installation.tree;
        let physical = tree.physical(path).unwrap_or_else(|_| path.clone());
        let Some(inode) = tree.get(&physical) else {
            return Err(self.no_such_path(subject, path, staged));
        };
        let target = match &inode.kind {
            InodeKind::Symlink(target) => Some(target.to_string()),
            _ => None,
        };
        let database = &staged.installation.database;
        let mut owners: Vec<&str> = if inode.is_directory() {
            database.directory_owners(&physical).map(InstalledPackage::name).collect()
        } else {
            Vec::new()
        };
        let origin = match &inode.origin {
            Origin::Package(name) => {
                if owners.is_empty() {
                    owners.push(name);
                }
                "package"
            }
            Origin::Base => "base",
            Origin::Profile => "profile",
            Origin::Generated => "generated",
        };
        // A link that no package has, as scripts make them, is there because of what it leads to.
        let led_to = tree.resolve(&physical).ok().and_then(|end| tree.get(&end)).map(|end| &end.origin);
        if let (Some(Origin::Package(name)), true, Origin::Generated | Origin::Base) =
            (led_to, target.is_some(), &inode.origin)
        {
            owners.push(name);
        }
        let is_owner = |member: &Member| {
            self.closure.package(*member).is_some_and(|package| owners.contains(&package.name()))
        };
        let members: Vec<Member> = self.closure.members().filter(is_owner).collect();
        let path = WhyPath { path: format!("/{}", physical.as_str()), target, origin };
        Ok(self.why(subject, Some(path), &members, None))
    }

    fn no_such_path(&self, subject: &str, path: &TreePath, staged: &Staged) -> ExplainError {
        let pruned =
            self.profile().prune.paths.iter().find(|stated| {
                path.ancestors().chain([path.clone()]).any(|path| stated.value.matches(&path))
            });
        // What is taken out was spelt right.
        let siblings = if pruned.is_some() { Vec::new() } else { siblings(path, &staged.installation.tree) };
        let near = kind::nearest(subject, siblings.iter().map(String::as_str));
        ExplainError::NotThere {
            subject: subject.to_owned(),
            pruned: pruned.map(|stated| format!("{} ({})", stated.value.as_str(), stated.origin)),
            near: near.into_iter().map(str::to_owned).collect(),
            is_path: true,
        }
    }
}

/// What else is in the directory of `path`.
fn siblings(path: &TreePath, tree: &Tree) -> Vec<String> {
    let directory = path.parent().map(|parent| tree.physical(&parent).unwrap_or(parent));
    let children = directory.iter().flat_map(|directory| tree.children(directory));
    children.map(|path| format!("/{}", path.as_str())).collect()
}

impl Sized {
    fn of(package: Package<'_>) -> Self {
        Self {
            name: package.name().to_owned(),
            version: package.version().to_owned(),
            size: package.installed_size(),
        }
    }
}

/// The provide by which a package is `name`, if that is not its own.
fn provided(package: Package<'_>, name: &str) -> Option<String> {
    let mut provided = package.provides();
    let found = provided.find(|text| Provide::split(text).is_some_and(|(provided, _)| provided == name));
    found.filter(|_| package.name() != name).map(str::to_owned)
}
