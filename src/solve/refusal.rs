//! Why a world cannot be had, in words.
//!
//! A refusal names everything that stands against the world, not only the first: each [`Culprit`] is one
//! need that is not met, with who has it, why it is not met, and what led there.

use std::collections::HashSet;
use std::fmt;

use super::check::Violation;
use crate::apk::dependency::{Dependency, Tag};
use crate::apk::index::Flaw;
use crate::arch::Arch;
use crate::kind::{Explain, Kind};

/// Why there is no solution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Needs that cannot be met.
    #[error("{}", Report { culprits, more: *more })]
    Unsatisfiable {
        /// They, nearest to the world first; of very many the first.
        culprits: Vec<Culprit>,
        /// How many more there are.
        more: usize,
        /// The names, and packages as `name-version`, that apk blames.
        blamed: Vec<String>,
    },
    /// The world names a tag that no repository has.
    #[error("{dependency} cannot be installed\n  no repository has the tag {tag}")]
    UnknownTag {
        /// What the world asks for.
        dependency: Dependency,
        /// The tag.
        tag: Tag,
        /// The tags there are.
        known: Vec<Tag>,
    },
    /// There are more tagged repositories than the solver can tell apart.
    #[error("the repositories have more than {limit} different tags")]
    TooManyTags {
        /// How many different tags there may be.
        limit: usize,
    },
    /// The solver made as many comparisons as it may.
    #[error("the request requires more than {limit} comparisons of packages with dependencies")]
    TooMuchWork {
        /// How many it may make.
        limit: u64,
    },
    /// The user asked to stop.
    #[error("interrupted while solving")]
    Interrupted,
    /// The solution found does not hold; a bug in the solver.
    #[error("the solution that was found does not hold: {violation}")]
    Unproven {
        /// What is wrong with it.
        violation: Violation,
    },
}

/// A need that is not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Culprit {
    /// What the world asks for that led here.
    pub asked: Dependency,
    /// The packages from the one that has the need (first) to the one the world asks for; empty if the need is
    /// the world's own.
    pub chain: Vec<String>,
    /// What is needed, or, of a conflict, must not be there.
    pub need: Dependency,
    /// Why that is not so.
    pub cause: Cause,
}

/// Why a need is not met.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// No package has or provides the name.
    Unknown {
        /// Known names that are spelt nearly so.
        near: Vec<String>,
        /// Other versions of the same library.
        similar: Vec<Offer>,
    },
    /// There are packages, but none in a version that would do.
    NoSuchVersion {
        /// What there is.
        offers: Vec<Offer>,
    },
    /// Only repositories with a tag have it, and the tag was not asked for.
    OnlyUnderTag {
        /// The package.
        package: String,
        /// Its name, by which it can be asked for.
        name: String,
        /// The tag.
        tag: Tag,
        /// The repository.
        repository: String,
    },
    /// It is a name that packages only provide; which of them, somebody has to say.
    MustChoose {
        /// The names of the packages.
        candidates: Vec<String>,
    },
    /// Something is wrong with the package.
    Flawed {
        /// The package.
        package: String,
        /// What is wrong.
        flaw: Flaw,
    },
    /// The package is for another architecture.
    ForeignArch {
        /// The package.
        package: String,
        /// Its architecture.
        arch: String,
        /// The one asked for.
        expected: Arch,
    },
    /// The package provides a name twice, in different versions, so that it excludes itself.
    Twice {
        /// The package.
        package: String,
        /// The name.
        name: String,
    },
    /// The package that would do cannot be there.
    Excluded {
        /// The package.
        package: String,
        /// What stands against it.
        against: Vec<Against>,
    },
    /// What must not be there is needed.
    Present {
        /// The package.
        package: String,
        /// Who needs it, and how.
        wanted: Vec<Against>,
    },
}

/// A package and the name under which it would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The package.
    pub package: String,
    /// The name, with its version, if it is not the package's own.
    pub provides: Option<String>,
}

/// What stands against a package, or for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Against {
    /// A dependency of a package, or of the world.
    Rule {
        /// The package; `world` for the world.
        by: String,
        /// The dependency.
        rule: Dependency,
    },
    /// Another package holds a name that only one can hold.
    Name {
        /// The other package.
        holder: String,
        /// The name.
        name: String,
    },
}

/// How the world is called where packages are named.
pub(super) const WORLD: &str = "world";

/// How many packages of the way from the world to a need are shown.
const MAX_WAY: usize = 12;

/// How many needs that are not met a message shows.
const SHOWN: usize = 12;

struct Report<'a> {
    culprits: &'a [Culprit],
    more: usize,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut heading = None;
        for culprit in self.culprits.iter().take(SHOWN) {
            if heading != Some(&culprit.asked) {
                let line_break = if heading.is_some() { "\n" } else { "" };
                let verb = if culprit.asked.conflict { "had" } else { "installed" };
                write!(f, "{line_break}{} cannot be {verb}", culprit.asked)?;
                heading = Some(&culprit.asked);
            }
            write!(f, "\n  {culprit}\n  required by: ")?;
            for package in culprit.way() {
                write!(f, "{package} <- ")?;
            }
            f.write_str(WORLD)?;
        }
        match self.culprits.len().saturating_sub(SHOWN) + self.more {
            0 => Ok(()),
            more => write!(f, "\n{more} more requirements are not met"),
        }
    }
}

/// The need and its cause, in one line.
impl fmt::Display for Culprit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.chain.first(), self.need.conflict) {
            (Some(package), false) => write!(f, "{package} needs {}", self.need)?,
            (Some(package), true) => write!(f, "{package} excludes {}", self.need.without_conflict())?,
            (None, false) => write!(f, "the world asks for {}", self.need)?,
            (None, true) => write!(f, "the world excludes {}", self.need.without_conflict())?,
        }
        match &self.cause {
            Cause::Unknown { .. } => f.write_str(", which nothing provides"),
            Cause::NoSuchVersion { offers } => write!(f, ", but there is only {}", list(offers)),
            Cause::OnlyUnderTag { package, tag, repository, .. } => {
                write!(f, ", but {package} is only under the tag {tag}, in {repository}")
            }
            Cause::MustChoose { candidates } => {
                write!(f, ", which has to be chosen among its providers: {}", list(candidates))
            }
            Cause::Flawed { package, flaw } => write!(f, ", but {package} cannot be installed: {flaw}"),
            Cause::ForeignArch { package, arch, expected } => {
                write!(f, ", but {package} is for {arch}, not for {expected}")
            }
            Cause::Twice { package, name } => write!(f, ", but {package} provides {name} in two versions"),
            Cause::Excluded { package, against } => {
                write!(f, ", but {package} cannot be there: {}", list(against))
            }
            Cause::Present { package, wanted } => write!(f, ", but {package} is needed: {}", list(wanted)),
        }
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.provides {
            Some(provides) => write!(f, "{} as {provides}", self.package),
            None => f.write_str(&self.package),
        }
    }
}

impl fmt::Display for Against {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule { by, rule } if by == WORLD && rule.conflict => {
                write!(f, "the world excludes {}", rule.without_conflict())
            }
            Self::Rule { by, rule } if by == WORLD => write!(f, "the world asks for {rule}"),
            Self::Rule { by, rule } if rule.conflict => {
                write!(f, "{by} excludes {}", rule.without_conflict())
            }
            Self::Rule { by, rule } => write!(f, "{by} needs {rule}"),
            Self::Name { holder, name } => match holder.strip_prefix(name.as_str()) {
                // Another version of the same package.
                Some(version) if version.starts_with('-') => write!(f, "{holder} takes its place"),
                _ => write!(f, "{holder} is already {name}"),
            },
        }
    }
}

/// The first few, and how many more.
fn list<T: fmt::Display>(items: &[T]) -> String {
    const SHOWN: usize = 6;
    let mut shown: Vec<String> = items.iter().take(SHOWN).map(T::to_string).collect();
    if items.len() > SHOWN {
        shown.push(format!("{} more", items.len() - SHOWN));
    }
    shown.join(", ")
}

impl Refusal {
    /// What kind it is, for programs: `unsat`; `tag` for one that no repository has; `internal`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unsatisfiable { .. } | Self::TooManyTags { .. } => "unsat",
            Self::TooMuchWork { .. } => "limit",
            Self::Interrupted => "interrupted",
            Self::UnknownTag { .. } => "tag",
            Self::Unproven { .. } => "internal",
        }
    }

    /// The names, and packages as `name-version`, that are to blame, each once: what apk names beneath "unable to select
    /// packages", and more.
    #[must_use]
    pub fn mentions(&self) -> Vec<String> {
        let mut mentions: Vec<String> = Vec::new();
        let mut known = HashSet::new();
        let mut mention = |text: &str| {
            if text != WORLD && known.insert(text.to_owned()) {
                mentions.push(text.to_owned());
            }
        };
        match self {
            Self::Unsatisfiable { culprits, blamed, .. } => {
                for text in blamed {
                    mention(text);
                }
                for culprit in culprits {
                    culprit.mention(&mut mention);
                }
            }
            Self::UnknownTag { dependency, .. } => mention(&dependency.name),
            Self::TooManyTags { .. }
            | Self::TooMuchWork { .. }
            | Self::Interrupted
            | Self::Unproven { .. } => {}
        }
        mentions
    }
}

impl Culprit {
    fn mention(&self, mention: &mut impl FnMut(&str)) {
        mention(&self.need.name);
        self.chain.iter().take(1).for_each(|package| mention(package));
        match &self.cause {
            Cause::Unknown { .. } => {}
            Cause::NoSuchVersion { offers } => offers.iter().for_each(|offer| mention(&offer.package)),
            Cause::MustChoose { candidates } => candidates.iter().for_each(|name| mention(name)),
            Cause::OnlyUnderTag { package, .. }
            | Cause::Flawed { package, .. }
            | Cause::Twice { package, .. }
            | Cause::ForeignArch { package, .. } => mention(package),
            Cause::Excluded { package, against } | Cause::Present { package, wanted: against } => {
                mention(package);
                for against in against {
                    match against {
                        Against::Rule { by, .. } => mention(by),
                        Against::Name { holder, name } => {
                            mention(holder);
                            mention(name);
                        }
                    }
                }
            }
        }
    }

    /// The packages between the one that has the need and the world; of a long way both ends.
    fn way(&self) -> Vec<String> {
        let between = self.chain.get(1..).unwrap_or_default();
        let (first, rest) = between.split_at(between.len().min(MAX_WAY / 2));
        match rest.len().checked_sub(MAX_WAY / 2) {
            None | Some(0) => between.to_vec(),
            Some(hidden) => {
                let last = rest.get(hidden..).unwrap_or_default();
                [first, &[format!("... {hidden} more")], last].concat()
            }
        }
    }

    fn hint(&self) -> Option<String> {
        let name = &self.need.name;
        Some(match &self.cause {
            Cause::Unknown { similar, .. } if !similar.is_empty() => {
                let library = library(name).unwrap_or(name);
                let offers: Vec<String> = similar
                    .iter()
                    .filter_map(|offer| {
                        Some(format!(
                            "{library} is provided by {} as {}",
                            offer.package,
                            offer.provides.as_ref()?
                        ))
                    })
                    .collect();
                offers.join("\n")
            }
            Cause::Unknown { near, .. } if !near.is_empty() => format!("did you mean {}?", near.join(", ")),
            Cause::Unknown { .. } => format!("add a repository that has {name}, or leave it out"),
            Cause::NoSuchVersion { .. } => {
                format!(
                    "ask for a version of {name} that there is, or add a repository that has {}",
                    self.need
                )
            }
            Cause::OnlyUnderTag { tag, name, .. } => format!("ask for it by its tag: {name}{tag}"),
            Cause::MustChoose { candidates } => format!("name one of them: {}", candidates.join(", ")),
            Cause::Flawed { package, .. } | Cause::Twice { package, .. } => {
                format!("ask for another version than {package}, or for another repository")
            }
            Cause::ForeignArch { expected, .. } => format!("use the repository for {expected}"),
            Cause::Excluded { .. } | Cause::Present { .. } => return None,
        })
    }

    /// Of which packages, or lines of the world, one has to be left out.
    fn contenders(&self) -> Vec<String> {
        let by = self.chain.first();
        match &self.cause {
            Cause::Present { wanted: against, .. } => {
                let stated = by.cloned().unwrap_or_else(|| self.need.to_string());
                std::iter::once(stated).chain(against.iter().map(Against::contender)).collect()
            }
            Cause::Excluded { package, against } => {
                let stated = by.unwrap_or(package).clone();
                // Where a rule stands against it, who has the name instead goes with the rule.
                let rules = against.iter().filter(|against| matches!(against, Against::Rule { .. }));
                let contenders: Vec<String> = rules.map(Against::contender).collect();
                if contenders.is_empty() {
                    std::iter::once(stated).chain(against.iter().map(Against::contender)).collect()
                } else {
                    std::iter::once(stated).chain(contenders).collect()
                }
            }
            _ => Vec::new(),
        }
    }
}

impl Against {
    /// What would have to be left out for it not to stand against anything: a package, or a line of the world.
    fn contender(&self) -> String {
        match self {
            Self::Rule { by, rule } if by == WORLD => rule.to_string(),
            Self::Rule { by: package, .. } | Self::Name { holder: package, .. } => package.clone(),
        }
    }
}

/// The library a `so:` name speaks of: `so:libcrypto.so.38` is of `libcrypto`.
pub(super) fn library(name: &str) -> Option<&str> {
    name.strip_prefix("so:")?.split_once(".so").map(|(library, _)| library)
}

impl Explain for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Unsatisfiable { .. } | Self::UnknownTag { .. } => Kind::Unsolvable,
            Self::TooManyTags { .. } | Self::TooMuchWork { .. } => Kind::Limit,
            Self::Interrupted => Kind::Interrupted,
            Self::Unproven { .. } => Kind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unsatisfiable { culprits, .. } => {
                let culprits = culprits.get(..SHOWN).unwrap_or(culprits);
                let mut hints: Vec<String> = Vec::new();
                for hint in culprits.iter().filter_map(Culprit::hint) {
                    if !hints.contains(&hint) {
                        hints.push(hint);
                    }
                }
                let mut contenders: Vec<String> = Vec::new();
                for contender in culprits.iter().flat_map(Culprit::contenders) {
                    if !contenders.contains(&contender) {
                        contenders.push(contender);
                    }
                }
                if contenders.len() > 1 {
                    hints.push(format!("leave out one of {}", contenders.join(", ")));
                }
                (!hints.is_empty()).then(|| hints.join("\n"))
            }
            Self::UnknownTag { known, tag, .. } if known.is_empty() => {
                Some(format!("give the repository that is meant the tag, as in \"{tag} edge/community\""))
            }
            Self::UnknownTag { known, .. } => {
                let known: Vec<String> = known.iter().map(Tag::to_string).collect();
                Some(format!("the tags there are: {}", known.join(", ")))
            }
            Self::TooManyTags { .. } => Some("give repositories that belong together one tag".to_owned()),
            Self::TooMuchWork { .. } => Some(
                "request fewer packages, or leave out the repository whose index states so many alternatives"
                    .to_owned(),
            ),
            Self::Interrupted => None,
            Self::Unproven { .. } => Some("please report this, with the profile and the indexes".to_owned()),
        }
    }
}
