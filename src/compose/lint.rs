//! What is seldom meant, seen in the packages that answer a profile.
//!
//! Nothing here changes an image, and the day is given by whoever asks.
//!
//! Source: spec/image, "Files scanners read"; the names of packages in the indexes of Alpine 3.19 and 3.22.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::answer::Answer;
use super::sources::NamedRepository;
use crate::apk::dependency::Dependency;
use crate::apk::index::{Index, Package, PackageNumber};
use crate::fetch;
use crate::path::TreePath;
use crate::profile::release::{Branch, Series};
use crate::profile::repository::RepositoryLocation;
use crate::profile::support::{Day, Support};
use crate::profile::{Finding, Lint, Origin, PhpPackages, Profile};
use crate::solve::{Chosen, Reason, Source};
use crate::tree::{InodeKind, Tree};

/// How many packages of a version of PHP are named.
const MAX_NAMED: usize = 6;
/// How many packages are named that may have been meant.
const MAX_MEANT: usize = 3;
/// What says which release an image is.
const OS_RELEASE: &str = "etc/os-release";
/// The longest such file that is read, in bytes.
const MAX_OS_RELEASE: u64 = 4096;

/// What is said of the branches that an image's packages and base are of.
pub(super) fn of_branches(
    profile: &Profile,
    repositories: &[NamedRepository],
    base: Option<&fetch::Base>,
    today: &Day,
) -> Vec<Lint> {
    let release = &profile.alpine.release.origin;
    let base = base.and_then(|base| Some((base.release.as_ref()?.series()?, release)));
    let mut lints: Vec<Lint> = Vec::new();
    for (series, origin) in branches(profile, repositories).chain(base) {
        let since = match Support::of(series, today) {
            Support::Goes => continue,
            Support::Ended(day) => Some(day),
            Support::Over => None,
        };
        let finding = Finding::Unsupported { series, since };
        if lints.iter().all(|lint| lint.finding != finding) {
            lints.push(Lint { origin: Some(origin.clone()), finding });
        }
    }
    lints
}

/// The stable branches of Alpine's own repositories among `repositories`, each with what names it.
fn branches<'a>(
    profile: &'a Profile,
    repositories: &'a [NamedRepository],
) -> impl Iterator<Item = (Series, &'a Origin)> {
    let entries = profile.alpine.repositories.iter().zip(repositories);
    entries.filter_map(|(entry, named)| match named.official.as_ref()?.0 {
        Branch::Stable(series) if matches!(entry.location, RepositoryLocation::BelowMirror { .. }) => {
            Some((series, &entry.origin))
        }
        Branch::Stable(series) => Some((series, &profile.alpine.release.origin)),
        Branch::Edge | Branch::LatestStable => None,
    })
}

/// What is said of a tree that states another release than its packages are of.
pub(super) fn of_release(profile: &Profile, repositories: &[NamedRepository], tree: &Tree) -> Option<Lint> {
    let (first, origin) = branches(profile, repositories).next()?;
    let stated = version_of(tree)?;
    let is_of = |series: Series| {
        stated
            .strip_prefix(&series.to_string())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '_']))
    };
    let is_known = branches(profile, repositories).any(|(series, _)| is_of(series));
    (!is_known).then(|| Lint {
        origin: Some(origin.clone()),
        finding: Finding::OtherRelease { stated, series: first },
    })
}

/// `VERSION_ID` of the tree's `os-release`, if it has one that is Alpine's.
fn version_of(tree: &Tree) -> Option<String> {
    let path = tree.resolve(&TreePath::relative(OS_RELEASE).ok()?).ok()?;
    let InodeKind::File(content) = &tree.get(&path)?.kind else { return None };
    let bytes = if content.length() > MAX_OS_RELEASE { return None } else { content.to_vec().ok()? };
    let text = String::from_utf8(bytes).ok()?;
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(line.trim_matches('"').to_owned())
    };
    value("VERSION_ID").filter(|_| value("ID").as_deref() == Some("alpine"))
}

/// What is said of the packages that answer a profile.
pub(super) fn of_answer(profile: &Profile, answer: &Answer<'_>) -> Vec<Lint> {
    let answered = Answered { profile, answer };
    answered.several_phps().into_iter().chain(answered.nothing_in_it()).collect()
}

/// A profile, and the packages that answer it.
struct Answered<'a> {
    profile: &'a Profile,
    answer: &'a Answer<'a>,
}

impl<'a> Answered<'a> {
    fn package(&self, source: Source) -> Option<Package<'a>> {
        self.answer.package(source)
    }

    fn chosen(&self) -> impl Iterator<Item = (&'a Chosen, Package<'a>)> {
        self.answer.chosen()
    }

    fn several_phps(&self) -> Option<Lint> {
        let mut versions: BTreeMap<&str, Vec<(&Chosen, Package<'a>)>> = BTreeMap::new();
        for (chosen, package) in self.chosen() {
            if let Some(version) = php_version(package.name()) {
                versions.entry(version).or_default().push((chosen, package));
            }
        }
        if versions.len() < 2 {
            return None;
        }
        // Somebody asked without a version: that is the line to look at.
        let asked = |(chosen, _): &(&'a Chosen, Package<'a>)| match &chosen.reason {
            Reason::World(dependency) => Some((dependency, self.profile.packages.origin(dependency)?)),
            Reason::Package(..) | Reason::With(_) => None,
        };
        let lines: Vec<(&Dependency, &Origin)> = versions.values().flatten().filter_map(asked).collect();
        let unversioned = lines.iter().find(|(dependency, _)| php_version(&dependency.name).is_none());
        let without_version = unversioned.map(|(dependency, _)| dependency.to_string());
        let origin = unversioned.or_else(|| lines.first()).map(|(_, origin)| (*origin).clone());
        let of_version = |(version, mut packages): (&str, Vec<(&Chosen, Package<'a>)>)| {
            packages.sort_by_key(|(chosen, _)| !matches!(chosen.reason, Reason::World(_)));
            let named = packages.iter().take(MAX_NAMED);
            PhpPackages {
                version: version.to_owned(),
                packages: named.map(|(chosen, package)| self.how_it_came(chosen, *package)).collect(),
                more: packages.len().saturating_sub(MAX_NAMED),
            }
        };
        let versions = versions.into_iter().map(of_version).collect();
        Some(Lint { origin, finding: Finding::SeveralPhps { versions, without_version } })
    }

    fn how_it_came(&self, chosen: &Chosen, package: Package<'_>) -> String {
        let name = package.name();
        let of = |source| self.package(source).map_or("", Package::name);
        match &chosen.reason {
            Reason::World(dependency) => {
                let origin = self
                    .profile
                    .packages
                    .origin(dependency)
                    .map_or("the base".to_owned(), ToString::to_string);
                if *dependency.name == *name {
                    format!("{name}: asked for by {origin}")
                } else {
                    format!("{name}: provides {dependency}, which {origin} asks for")
                }
            }
            Reason::Package(by, _) => format!("{name}: needed by {}", of(*by)),
            Reason::With(by) => format!("{name}: comes by itself with {}", of(*by)),
        }
    }

    fn nothing_in_it(&self) -> Vec<Lint> {
        let used = self.used_names();
        let lint = |(chosen, package): (&Chosen, Package<'_>)| {
            let Reason::World(dependency) = &chosen.reason else { return None };
            let origin = self.profile.packages.origin(dependency)?.clone();
            let is_used = package.held().any(|(name, _)| used.contains(name));
            let is_empty = package.has_no_files() && package.depends().next().is_none();
            if !is_empty || is_used {
                return None;
            }
            let finding = Finding::NothingInIt {
                wanted: dependency.to_string(),
                package: package.to_string(),
                meant: self.meant(package),
            };
            Some(Lint { origin: Some(origin), finding })
        };
        self.chosen().filter_map(lint).collect()
    }

    /// The names that chosen packages depend on, or wait for.
    fn used_names(&self) -> HashSet<&'a str> {
        let of = |(_, package): (&Chosen, Package<'a>)| {
            let stated = package.depends().chain(package.install_if());
            stated.filter(|text| !text.starts_with('!')).map(Dependency::name_in).collect::<Vec<_>>()
        };
        self.chosen().flat_map(of).collect()
    }

    /// The packages that would come by themselves with an empty one, if what they wait for beside it were there:
    /// those of a version of PHP that is there, or else all.
    fn meant(&self, empty: Package<'a>) -> Vec<String> {
        let waiting_in = |index: &'a Index| {
            let waiting: BTreeSet<PackageNumber> =
                empty.held().flat_map(|(name, _)| index.awaiting(name)).collect();
            waiting.into_iter().filter_map(|number| Some(index.package(number)?.name())).collect::<Vec<_>>()
        };
        let repositories = self.answer.repositories.iter();
        let waiting: Vec<&str> = repositories.flat_map(|repository| waiting_in(repository.index)).collect();
        let there: HashSet<&str> =
            self.chosen().filter_map(|(_, package)| php_version(package.name())).collect();
        let fits = |name: &&&str| php_version(name).is_some_and(|version| there.contains(version));
        let mut meant: Vec<String> = waiting.iter().filter(fits).map(ToString::to_string).collect();
        if meant.is_empty() {
            meant = waiting.iter().map(ToString::to_string).collect();
        }
        meant.truncate(MAX_MEANT);
        meant
    }
}

/// The version of PHP that a package is of, as it has it in its name: the 83 of `php83-fpm`.
fn php_version(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("php")?;
    let end = rest.find(|next: char| !next.is_ascii_digit()).unwrap_or(rest.len());
    let (version, rest) = rest.split_at_checked(end)?;
    (!version.is_empty() && (rest.is_empty() || rest.starts_with('-'))).then_some(version)
}
