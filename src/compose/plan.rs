//! Planning: from a profile to the packages of the image, and the steps that put them there.
//!
//! Indexes are read and verified first, then variables get the values that depend on them, then the solver
//! is asked, over the base's packages if there is a base. A [`Plan`] owns all it says: whoever carries it out
//! needs no index.
//!
//! Source: design, "The way the data goes", "The profile".

use std::collections::HashSet;
use std::sync::Arc;

use super::answer::Answer;
use super::apk_records::ApkRecords;
use super::ground::{Ground, Sources};
use super::lint;
use super::removal;
use super::sources::{NamedRepository, SourcesError};
use crate::apk::dependency::{Dependency, Tag};
use crate::apk::index::Package;
use crate::apk::index_file::VerifiedIndex;
use crate::apk::installed::{InstalledPackage, InstalledText};
use crate::apk::package::Expected;
use crate::arch::Arch;
use crate::fetch::{self, FetchError, Fetcher, PackageRequest, TrustRung};
use crate::kind::{Explain, Kind};
use crate::profile::release::Branch;
use crate::profile::{BaseTrust, Draft, Lint, Profile, ProfileError, Upgrade, Values};
use crate::report::Reporter;
use crate::solve::{self, Action, Refusal, Solution, Source};
use crate::tree::Tree;
use crate::tree::base::{Base, BaseError};
use crate::tree::database::Database;
use crate::tree::layers::TableLayer;
use crate::tree::place::Installation;

/// The packages of an image and the steps that put them there.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The architecture.
    pub arch: Arch,
    /// What was asked for: the base's world and the profile's.
    pub world: Vec<Dependency>,
    /// What to do, in apk's order.
    pub steps: Vec<Step>,
    /// When the newest package of the image was built, in seconds since 1970.
    pub newest_build: Option<i64>,
    /// How many packages the image has.
    pub package_count: usize,
}

/// A step of a plan.
#[derive(Debug, Clone)]
pub enum Step {
    /// Put a package there, in place of another version of it if there is one.
    Place(PlannedPackage),
    /// Record a package that has no file.
    Record(InstalledPackage),
    /// Pin an installed package to another tag.
    Repin {
        /// Its name.
        name: String,
        /// The tag, or none.
        tag: Option<Tag>,
    },
    /// Take an installed package out.
    Purge {
        /// Its name.
        name: String,
    },
}

/// A package to be fetched and placed.
#[derive(Debug, Clone)]
pub struct PlannedPackage {
    /// What the installed database will say of it.
    pub entry: InstalledPackage,
    /// What its file must be.
    pub expected: Expected,
    /// Which of the profile's repositories has it, counted from 0.
    pub repository: usize,
}

impl Step {
    /// The name of the package it is about.
    pub fn name(&self) -> &str {
        match self {
            Self::Place(planned) => planned.entry.name(),
            Self::Record(entry) => entry.name(),
            Self::Repin { name, .. } | Self::Purge { name } => name,
        }
    }
}

impl Plan {
    /// The names of the packages that are taken out.
    pub fn leaving(&self) -> HashSet<&str> {
        let purged = |step: &'_ Step| matches!(step, Step::Purge { .. });
        self.steps.iter().filter(|step| purged(step)).map(Step::name).collect()
    }

    /// The packages to be fetched, in order.
    pub fn packages(&self) -> impl Iterator<Item = &PlannedPackage> {
        self.steps.iter().filter_map(|step| match step {
            Step::Place(planned) => Some(planned),
            Step::Record(_) | Step::Repin { .. } | Step::Purge { .. } => None,
        })
    }

    /// The sum of their lengths, in bytes: what is fetched into an empty store.
    pub fn download(&self) -> u64 {
        self.packages().map(|planned| planned.expected.size).sum()
    }
}

/// Everything that is known before a package is fetched.
#[derive(Debug)]
pub struct Prepared {
    /// The profile, every value settled.
    pub profile: Profile,
    /// What to do.
    pub plan: Plan,
    /// What the packages are installed over.
    pub base: Installation,
    /// Where the base came from and why it is believed; nothing without a base.
    pub provenance: Option<fetch::Base>,
    /// What the image's own apk is told.
    pub records: ApkRecords,
    /// What is seldom meant.
    pub lints: Vec<Lint>,
    /// What the solver was asked.
    request: solve::Request,
    /// What it answered.
    solution: Solution,
    installed: Option<InstalledText>,
    repositories: Vec<NamedRepository>,
    indexes: Vec<Arc<VerifiedIndex>>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The profile is wrong.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// Where packages come from, or whose signatures are accepted, is not clear.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// An index or the base could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The base cannot be used.
    #[error("{error}\n  read from {file}")]
    Base {
        /// The archive's file name.
        file: String,
        /// What is wrong with it.
        error: BaseError,
    },
    /// The base is for another architecture.
    #[error("the base {file} is for {other}, not for {arch}")]
    BaseArch {
        /// The archive's file name.
        file: String,
        /// What is built for.
        arch: Arch,
        /// What it says it is for.
        other: String,
    },
    /// What is asked for cannot be had.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// The package that a variable's value depends on cannot be had.
    #[error("the variable `{name}` ({origin}) has no value: {refusal}")]
    NoProvider {
        /// Its name.
        name: String,
        /// Where it is stated.
        origin: String,
        /// Why the package cannot be had.
        refusal: Refusal,
    },
    /// A variable's value does not have the form it should have.
    #[error("the variable `{name}` ({origin}): {package} provides {provided}, and does not fit `{pattern}`")]
    Variable {
        /// Its name.
        name: String,
        /// Where it is stated.
        origin: String,
        /// The package that was found.
        package: String,
        /// The name it was looked for by.
        provided: String,
        /// The form it should have.
        pattern: String,
    },
    /// The solver's answer speaks of a package that is nowhere.
    #[error("the solver chose a package that no index has: this is a mistake of apkcompose")]
    Lost,
    /// More packages than the profile allows.
    #[error(
        "the image would have {count} packages, more than the {limit} that the profile allows ({origin})"
    )]
    TooManyPackages {
        /// How many there would be.
        count: usize,
        /// How many there may be.
        limit: u32,
        /// Where the profile says so.
        origin: String,
    },
}

impl Explain for PlanError {
    fn kind(&self) -> Kind {
        match self {
            Self::Profile(error) => error.kind(),
            Self::Sources(error) => error.kind(),
            Self::Fetch(error) => error.kind(),
            Self::Base { error, .. } => error.kind(),
            Self::Refusal(error) | Self::NoProvider { refusal: error, .. } => error.kind(),
            Self::Variable { .. } | Self::BaseArch { .. } => Kind::Profile,
            Self::Lost => Kind::Internal,
            Self::TooManyPackages { .. } => Kind::Limit,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Profile(error) => error.hint(),
            Self::Sources(error) => error.hint(),
            Self::Fetch(error) => error.hint(),
            Self::Refusal(error) => error.hint(),
            Self::NoProvider { name, refusal, .. } => {
                let hint = refusal.hint().map(|hint| hint + "\n").unwrap_or_default();
                Some(format!("{hint}or set the variable yourself: --set {name}=VALUE"))
            }
            Self::Variable { name, .. } => Some(format!("set it yourself: --set {name}=VALUE")),
            Self::TooManyPackages { .. } => {
                Some("take packages out, or raise `packages` under [limits]".to_owned())
            }
            Self::Base { .. } => {
                Some("take another base, or begin with nothing: base = \"scratch\"".to_owned())
            }
            Self::BaseArch { .. } => {
                Some("take one for this architecture, or build for the base's: --arch".to_owned())
            }
            Self::Lost => None,
        }
    }
}

/// Settles the profile for `arch`, and plans with `sources`, those that `ground` has for it.
pub fn prepare(
    fetcher: &Fetcher<'_>,
    ground: &mut Ground,
    draft: &Draft,
    sources: Sources,
    arch: Arch,
) -> Result<Prepared, PlanError> {
    let Sources { base, repositories, indexes } = sources;
    let Base { installation, installed, .. } = match &base {
        Some(base) => read_base(base, arch)?,
        None => Base { installation: Installation::default(), installed: None, arch: None },
    };
    let provenance = base.map(|base| ground.believed(fetcher, base, &installation, &repositories, &indexes));
    if let Some(fetch::Base { trust: TrustRung::SidecarInTheClear, file, .. }) = &provenance
        && draft.alpine().base_trust == BaseTrust::Proven
    {
        return Err(FetchError::BaseInTheClear { file: file.clone() }.into());
    }
    let solver =
        Solver { repositories: &repositories, indexes: &indexes, installed: installed.as_ref(), arch };
    let profile = draft.resolve(arch, &solver.variables(draft, fetcher.reporter)?)?;
    let request = solver.request(&profile, &installation.database, fetcher.reporter);
    let solution = solver.solve(&request)?;
    let answer = solver.answer(&request, &solution);
    let plan = plan(&profile, &request, &answer)?;
    let mut lints = profile.lints();
    if let Some(today) = ground.today() {
        lints.extend(lint::of_branches(&profile, &repositories, provenance.as_ref(), today));
    }
    lints.extend(lint::of_answer(&profile, &answer));
    lints.extend(removal::lints(&profile, &answer, &installation.database.world));
    let records = ApkRecords::of(&profile, &repositories, &indexes);
    Ok(Prepared {
        profile,
        plan,
        base: installation,
        provenance,
        records,
        lints,
        request,
        solution,
        installed,
        repositories,
        indexes,
    })
}

/// The base, which must be one for `arch` if it says for which it is.
fn read_base(base: &fetch::Base, arch: Arch) -> Result<Base, PlanError> {
    let file = || base.file.clone();
    let layers: Vec<TableLayer<'_>> =
        base.layers.iter().map(|layer| TableLayer { table: layer.table(), tar: layer.tar() }).collect();
    let read = Base::of_layers(&layers).map_err(|error| PlanError::Base { file: file(), error })?;
    match &read.arch {
        Some(other) if other != arch.as_str() => {
            Err(PlanError::BaseArch { file: file(), arch, other: other.clone() })
        }
        _ => Ok(read),
    }
}

impl Prepared {
    /// The packages to be fetched, in the plan's order.
    pub fn requests(&self) -> Result<Vec<PackageRequest<'_>>, PlanError> {
        self.plan
            .packages()
            .map(|planned| {
                let named = self.repositories.get(planned.repository).ok_or(PlanError::Lost)?;
                Ok(PackageRequest::new(planned.expected.clone(), &named.repository))
            })
            .collect()
    }

    /// The branches of Alpine's own repositories that it is from, each once: `v3.19`.
    pub fn branches(&self) -> Vec<Branch> {
        let mut branches: Vec<Branch> =
            self.repositories.iter().filter_map(|named| Some(named.official.as_ref()?.0)).collect();
        branches.sort_unstable();
        branches.dedup();
        branches
    }

    /// What the solver was asked.
    pub fn request(&self) -> &solve::Request {
        &self.request
    }

    /// What it answered.
    pub fn answer(&self) -> Answer<'_> {
        self.answer_to(&self.request, &self.solution)
    }

    /// What the solver answers to another request about the same packages.
    pub fn solve(&self, request: &solve::Request) -> Result<Solution, Refusal> {
        self.solver().solve(request)
    }

    /// Such an answer, with what it is of.
    pub fn answer_to<'s>(&'s self, request: &'s solve::Request, solution: &'s Solution) -> Answer<'s> {
        self.solver().answer(request, solution)
    }

    fn solver(&self) -> Solver<'_> {
        Solver {
            repositories: &self.repositories,
            indexes: &self.indexes,
            installed: self.installed.as_ref(),
            arch: self.plan.arch,
        }
    }

    /// What is seldom meant about `tree`, which was staged by the plan.
    pub fn lint_of(&self, tree: &Tree) -> Option<Lint> {
        lint::of_release(&self.profile, &self.repositories, tree)
    }

    /// The package that provides `name` in one of the indexes, for hints: the first by repository.
    pub fn provider(&self, name: &str) -> Option<String> {
        let mut indexes = self.indexes.iter().map(|index| index.index());
        let found = indexes.find_map(|index| index.package(index.providers(name).next()?.package));
        found.map(|package| package.name().to_owned())
    }
}

/// What is asked about the packages of some repositories over a base.
#[derive(Clone, Copy)]
struct Solver<'a> {
    repositories: &'a [NamedRepository],
    indexes: &'a [Arc<VerifiedIndex>],
    installed: Option<&'a InstalledText>,
    arch: Arch,
}

impl<'a> Solver<'a> {
    fn repositories(&self) -> Vec<solve::Repository<'a>> {
        let pairs = self.repositories.iter().zip(self.indexes);
        pairs
            .map(|(named, index)| solve::Repository {
                index: index.index(),
                tag: named.tag.clone(),
                name: named.repository.name().to_owned(),
            })
            .collect()
    }

    fn installed(&self) -> Option<solve::Installed<'a>> {
        self.installed.map(solve::Installed::of_text)
    }

    /// The values of the variables that are what the solver would pick.
    fn variables(&self, draft: &Draft, reporter: &dyn Reporter) -> Result<Values, PlanError> {
        let repositories = self.repositories();
        let mut values = Values::new();
        for (name, stated) in draft.provider_variables() {
            let names = &stated.value.provided;
            // If nobody has any of them, the refusal is about the first.
            let found = names.iter().find(|name| self.is_provided(name)).or_else(|| names.first());
            let wanted = found.ok_or(PlanError::Lost)?;
            let request = solve::Request {
                arch: self.arch,
                world: vec![wanted.clone()],
                requested: vec![wanted.name.to_string()],
                options: solve::Options::default(),
            };
            let solution = solve::solve(&repositories, None, &request).map_err(|refusal| {
                PlanError::NoProvider { name: name.to_string(), origin: stated.origin.to_string(), refusal }
            })?;
            let chosen =
                solution.packages.iter().filter_map(|chosen| chosen.source.package(&repositories, None));
            let provider = chosen
                .clone()
                .find(|package| package.name() == &*wanted.name)
                .or_else(|| {
                    chosen.clone().find(|package| package.parse_provides().any(|p| p.name == wanted.name))
                })
                .ok_or(PlanError::Lost)?;
            let value =
                stated.value.pattern.value_in(provider.name()).ok_or_else(|| PlanError::Variable {
                    name: name.to_string(),
                    origin: stated.origin.to_string(),
                    package: provider.to_string(),
                    provided: wanted.to_string(),
                    pattern: stated.value.pattern.to_string(),
                })?;
            if let Some(first) = names.first().filter(|first| *first != wanted) {
                reporter.note(&format!("`{name}` is {value}: no repository has {first}"));
            }
            values.insert(name.clone(), value.to_owned());
        }
        Ok(values)
    }

    /// What the solver is asked.
    fn request(&self, profile: &Profile, base: &Database, reporter: &dyn Reporter) -> solve::Request {
        let wanted = self.wanted(profile, reporter);
        solve::Request {
            arch: self.arch,
            world: world(&base.world, profile, &wanted),
            requested: wanted.iter().map(|dependency| dependency.name.to_string()).collect(),
            options: solve::Options {
                upgrade: match profile.alpine.upgrade {
                    Upgrade::ToIndex => solve::Upgrade::Yes,
                    Upgrade::Keep => solve::Upgrade::No,
                },
                ..solve::Options::default()
            },
        }
    }

    fn solve(&self, request: &solve::Request) -> Result<Solution, Refusal> {
        solve::solve(&self.repositories(), self.installed().as_ref(), request)
    }

    fn answer(&self, request: &'a solve::Request, solution: &'a Solution) -> Answer<'a> {
        Answer {
            repositories: self.repositories(),
            installed: self.installed(),
            world: &request.world,
            solution,
        }
    }

    /// What the profile asks for: the runtime packages, and those optional ones that somebody provides.
    fn wanted(&self, profile: &Profile, reporter: &dyn Reporter) -> Vec<Dependency> {
        let mut wanted: Vec<Dependency> =
            profile.packages.runtime.iter().map(|stated| stated.value.clone()).collect();
        for stated in &profile.packages.optional {
            if self.is_provided(&stated.value) {
                wanted.push(stated.value.clone());
            } else {
                reporter.note(&format!("optional {} is left out: no repository has it", stated.value));
            }
        }
        wanted
    }

    fn is_provided(&self, dependency: &Dependency) -> bool {
        let Dependency { name, constraint, .. } = dependency;
        let pairs = self.repositories.iter().zip(self.indexes);
        pairs
            .filter(|(named, _)| named.tag.is_none() || named.tag == dependency.tag)
            .map(|(_, index)| index.index())
            .any(|index| {
                index.providers(name).any(|provider| {
                    let identity = || index.package(provider.package).and_then(Package::identity);
                    constraint.accepts(provider.version, identity)
                })
            })
    }
}

/// What the answer comes to.
fn plan(profile: &Profile, request: &solve::Request, answer: &Answer<'_>) -> Result<Plan, PlanError> {
    let steps = steps(answer)?;
    // What is pruned in the end is not of the image.
    let is_pruned = |package: &Package<'_>| {
        profile.prune.packages.iter().any(|pruned| pruned.value.as_str() == package.name())
    };
    let of_image = || answer.chosen().map(|(_, package)| package).filter(|package| !is_pruned(package));
    let package_count = of_image().count();
    if let Some(limit) = &profile.limits.packages
        && package_count > limit.value as usize
    {
        return Err(PlanError::TooManyPackages {
            count: package_count,
            limit: limit.value,
            origin: limit.origin.to_string(),
        });
    }
    let newest_build = of_image().filter_map(Package::build_time).max();
    Ok(Plan { arch: request.arch, world: request.world.clone(), steps, newest_build, package_count })
}

/// The base's world without what the profile removes, and all that the profile wants, which takes the place
/// of what the base says of the same name.
fn world(base: &[Dependency], profile: &Profile, wanted: &[Dependency]) -> Vec<Dependency> {
    let is_removed =
        |name: &str| profile.packages.remove.iter().any(|removed| removed.value.as_str() == name);
    let is_wanted = |name: &str| wanted.iter().any(|dependency| *dependency.name == *name);
    let kept = base.iter().filter(|dependency| !is_removed(&dependency.name) && !is_wanted(&dependency.name));
    let mut world: Vec<Dependency> = Vec::new();
    for dependency in kept.chain(wanted) {
        if !world.contains(dependency) {
            world.push(dependency.clone());
        }
    }
    world
}

fn steps(answer: &Answer<'_>) -> Result<Vec<Step>, PlanError> {
    let mut steps = Vec::with_capacity(answer.solution.steps.len());
    for step in &answer.solution.steps {
        let package = answer.package(step.source).ok_or(PlanError::Lost)?;
        let name = package.name().to_owned();
        steps.push(match (step.action, step.source) {
            (Action::Purge, _) => Step::Purge { name },
            (Action::Repin, _) => Step::Repin { name, tag: step.tag.clone() },
            (
                Action::Install | Action::Upgrade { .. } | Action::Downgrade { .. } | Action::Replace { .. },
                Source::Repository(repository, _),
            ) => {
                let entry = InstalledPackage { tag: step.tag.clone(), ..InstalledPackage::of_index(package) };
                if package.is_virtual() {
                    Step::Record(entry)
                } else {
                    let expected = Expected::of(package).ok_or(PlanError::Lost)?;
                    Step::Place(PlannedPackage { entry, expected, repository: repository.0 as usize })
                }
            }
            (_, Source::Installed(_)) => return Err(PlanError::Lost),
        });
    }
    Ok(steps)
}
