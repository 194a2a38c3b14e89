//! The solver: which packages a world needs, in which order they are installed, or why it cannot be had.
//!
//! It gives apk's own answer, by apk's own way: greedy propagation without backtracking, so that where apk
//! picks one provider among several, this picks the same, and where apk refuses, this refuses and says
//! why in words. What always holds: an answer that leaves [`solve`] has passed [`check`], which knows
//! nothing of how it was found, but for packages with `install_if` that apk would leave out too; the same input gives the same answer, in the same order.
//!
//! | file | what is in it |
//! |---|---|
//! | `names` | every package of every repository, and who provides which name |
//! | `graph` | the part of it a world can reach, dependencies parsed |
//! | `state`, `select`, `propagate` | what is decided, in which order, and what follows from it |
//! | `effort` | how much work that may be |
//! | `preference` | which of several candidates is the better |
//! | `install_if` | packages that come by themselves |
//! | `reach` | why each chosen package is needed |
//! | `order`, `purge` | the order of the steps |
//! | `closure` | the packages of a solution, and all that keeps each |
//! | `diagnosis`, `blame`, `refusal` | what is wrong with an attempt, what apk blames for it, and how that reads |
//! | `check` | the independent checker |
//!
//! Not for fetching or placing: a solution names packages by their place in an index.
//!
//! Source: spec apk v2, "Solver"; the order of purges is measured on apk 2.14.4.

mod blame;
pub mod check;
pub mod closure;
mod diagnosis;
mod effort;
mod graph;
mod install_if;
#[cfg(test)]
mod made;
mod names;
mod order;
mod preference;
mod propagate;
mod purge;
mod reach;
pub mod refusal;
mod select;
pub mod solution;
mod state;
mod table;
mod tags;

use crate::apk::dependency::{Dependency, Tag};
use crate::apk::index::Index;
use crate::apk::installed::InstalledText;
use crate::arch::Arch;
use crate::report::Reporter;

pub use refusal::Refusal;
pub use solution::{Action, Chosen, Reason, RepositoryNumber, Solution, Source, Step};

/// A repository packages may come from. Their order matters: the earlier is preferred.
#[derive(Debug, Clone)]
pub struct Repository<'a> {
    /// What it offers.
    pub index: &'a Index,
    /// With a tag only what the world asks for under that tag comes from it, and what that needs.
    pub tag: Option<Tag>,
    /// What messages call it.
    pub name: String,
}

/// The packages a base already has.
#[derive(Debug, Clone)]
pub struct Installed<'a> {
    /// The installed database.
    pub index: &'a Index,
    /// The tag each package is pinned to (`s:`), by its number; missing ones are not pinned.
    pub tags: Vec<Option<Tag>>,
}

impl<'a> Installed<'a> {
    /// The packages of an installed database.
    #[must_use]
    pub fn of_text(text: &'a InstalledText) -> Self {
        Self {
            index: text.index(),
            tags: text.packages().iter().map(|package| package.tag.clone()).collect(),
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The architecture; packages for another cannot be installed, `noarch` ones can.
    pub arch: Arch,
    /// The whole world: all that was asked for, before and now.
    pub world: Vec<Dependency>,
    /// The names asked for just now, as with `apk add NAME`: they are decided first.
    pub requested: Vec<String>,
    /// How to choose where there is a choice.
    pub options: Options,
}

/// How to choose among candidates that would all do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// What becomes of installed packages that would do.
    pub upgrade: Upgrade,
    /// Whether an installed package counts that no repository has.
    pub availability: Availability,
    /// Whether the version counts more than whether the candidate can be installed.
    pub ambition: Ambition,
    /// For which packages this holds.
    pub scope: Scope,
}

/// For which packages options hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// For all of them, as with `apk upgrade`.
    #[default]
    Everything,
    /// For those asked for just now and what they need, as with `apk add --upgrade NAME`.
    Requested,
}

/// What becomes of installed packages that satisfy all that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Upgrade {
    /// They stay as they are.
    #[default]
    No,
    /// They give way to higher versions, as with `apk upgrade`.
    Yes,
}

/// Where a candidate has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Availability {
    /// In a repository or installed.
    #[default]
    InstalledToo,
    /// Rather in a repository, as with `apk upgrade --available`: others are replaced, even by lower versions.
    Repositories,
}

/// How far to go for the highest version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ambition {
    /// The highest that can be installed.
    #[default]
    Installable,
    /// The highest there is, or a refusal, as with `apk add --latest`.
    Latest,
}

/// Finds the packages that satisfy the world, and the steps from what is installed to them.
///
/// # Errors
///
/// A [`Refusal`] names everything that stands against the world, or a limit that was passed. [`Refusal::Unproven`] is a
/// bug in the solver itself.
pub fn solve(
    repositories: &[Repository<'_>],
    installed: Option<&Installed<'_>>,
    request: &Request,
    reporter: &dyn Reporter,
) -> Result<Solution, Refusal> {
    let effort = effort::Effort::new(reporter);
    let universe = names::Universe::new(repositories, installed)?;
    let graph = graph::Graph::discover(&universe, request)?;
    let mut state = select::decide(&graph, request, &effort);
    effort.outcome()?;
    let reach = reach::Reach::keep_what_is_needed(&graph, &mut state);
    if let Some(findings) = diagnosis::diagnose(&graph, &state, &reach, repositories, request.arch) {
        let diagnosis::Findings { culprits, more, blamed } = findings;
        return Err(Refusal::Unsatisfiable { culprits, more, blamed });
    }
    let solution = order::arrange(&graph, &state, &reach);
    match check::check(repositories, installed, request, &solution) {
        // Greedy as apk is, it may decide against a package before everything that the package waits for is there, and
        // does not return to it. All that was asked for holds all the same.
        Ok(()) | Err(check::Violation::LeftOut(_)) => Ok(solution),
        Err(violation) => Err(Refusal::Unproven { violation }),
    }
}
