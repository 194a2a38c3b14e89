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
use super::stock::Stock;
use crate::apk::dependency::{Dependency, Tag};
use crate::apk::index::{Flaw, Package};
use crate::apk::index_file::VerifiedIndex;
use crate::apk::installed::{InstalledPackage, InstalledText};
use crate::apk::package::Expected;
use crate::arch::Arch;
use crate::fetch::{self, FetchError, Fetcher, PackageRequest, TrustRung};
use crate::kind::{Explain, Kind};
use crate::profile::release::Branch;
use crate::profile::{BaseTrust, Draft, Lint, Profile, ProfileError};
use crate::report::Reporter;
use crate::solve::{self, Action, Refusal, RepositoryNumber, Solution, Source};
use crate::tree::Tree;
use crate::tree::base::{Base, BaseError};
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
    /// The names of all packages of the image in the order in which apk comes to them, those that stay as they are
    /// among the others: the order of triggers.
    pub order: Vec<String>,
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
    let stock = Stock { repositories: &repositories, indexes: &indexes, installed: installed.as_ref(), arch };
    let profile = draft.resolve(arch, &stock.variables(draft, fetcher.reporter)?)?;
    let request = stock.request(&profile, &installation.database, fetcher.reporter);
    let solution = stock.solve(&request, fetcher.reporter)?;
    let answer = stock.answer(&request, &solution);
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
    pub fn solve(&self, request: &solve::Request, reporter: &dyn Reporter) -> Result<Solution, Refusal> {
        self.stock().solve(request, reporter)
    }

    /// Such an answer, with what it is of.
    pub fn answer_to<'s>(&'s self, request: &'s solve::Request, solution: &'s Solution) -> Answer<'s> {
        self.stock().answer(request, solution)
    }

    fn stock(&self) -> Stock<'_> {
        Stock {
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
    let order =
        answer.solution.order.iter().filter_map(|source| Some(answer.package(*source)?.name().to_owned()));
    let order = order.collect();
    Ok(Plan { arch: request.arch, world: request.world.clone(), steps, order, newest_build, package_count })
}

/// A package of which its index does not say which file it is.
fn unfetchable(package: Package<'_>, answer: &Answer<'_>, repository: RepositoryNumber) -> PlanError {
    let repository = answer.repositories.get(repository.0 as usize);
    let repository = repository.map(|repository| repository.name.clone()).unwrap_or_default();
    FetchError::Unfetchable { package: package.to_string(), repository, flaw: Flaw::Identity }.into()
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
                    let expected =
                        Expected::of(package).ok_or_else(|| unfetchable(package, answer, repository))?;
                    Step::Place(PlannedPackage { entry, expected, repository: repository.0 as usize })
                }
            }
            (_, Source::Installed(_)) => return Err(PlanError::Lost),
        });
    }
    Ok(steps)
}
