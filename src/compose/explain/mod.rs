//! Why something is in an image, why something is not, and what something more would cost.
//!
//! What is asked about is a package, a name that packages provide (`so:libz.so.1`, `cmd:nginx`), or a path of the image.
//! Nothing is written.

mod adding;
mod why;
mod why_not;

use super::build::{BuildOptions, architectures};
use super::error::Error;
use super::ground::Ground;
use super::plan::{self, Prepared};
use crate::apk::dependency::{Dependency, DependencyError};
use crate::fetch::Fetcher;
use crate::kind::{Explain, Kind};
use crate::path::PathError;
use crate::profile::Draft;
use crate::solve::Refusal;

pub use adding::{Added, adding};
pub use why::{Bond, Link, Sized, Why, WhyPackage, WhyPath, why};
pub use why_not::{Verdict, Waiting, WhyNot, why_not};

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExplainError {
    /// There is no image to speak of.
    #[error(transparent)]
    Compose(Box<Error>),
    /// What is asked about is no name.
    #[error(transparent)]
    Subject(#[from] DependencyError),
    /// What is asked about is no path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// What is asked about is an absence.
    #[error("`{0}` is what must not be there: ask about `{name}`", name = .0.name)]
    Conflict(Dependency),
    /// It is not in the image.
    #[error("{subject} is not in the image{}", .pruned.as_ref().map(|at| format!("\n  {at} takes it out")).unwrap_or_default())]
    NotThere {
        /// What was asked about.
        subject: String,
        /// Where the profile takes it out, if it does.
        pruned: Option<String>,
        /// What is in the image and spelt nearly so.
        near: Vec<String>,
        /// Whether it is a path.
        is_path: bool,
    },
    /// What is asked for beside the profile cannot be had.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// The solver's answer speaks of a package that is nowhere.
    #[error("the solver chose a package that no index has: this is a mistake of apkcompose")]
    Lost,
}

impl From<Error> for ExplainError {
    fn from(error: Error) -> Self {
        Self::Compose(Box::new(error))
    }
}

impl Explain for ExplainError {
    fn kind(&self) -> Kind {
        match self {
            Self::Compose(error) => error.kind(),
            Self::Refusal(error) => error.kind(),
            Self::Subject(_) | Self::Path(_) | Self::Conflict(_) => Kind::Usage,
            Self::NotThere { .. } => Kind::Profile,
            Self::Lost => Kind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Compose(error) => error.hint(),
            Self::Refusal(error) => error.hint(),
            Self::Subject(_) => {
                Some("ask about a package, a name as so:libz.so.1 or cmd:nginx, or a path".to_owned())
            }
            Self::NotThere { near, .. } if !near.is_empty() => {
                Some(format!("did you mean {}?", near.join(", ")))
            }
            Self::NotThere { subject, is_path: false, .. } => {
                Some(format!("apkcompose why-not {subject} says what stands against it"))
            }
            Self::Path(_) | Self::Conflict(_) | Self::NotThere { .. } | Self::Lost => None,
        }
    }
}

/// The image that is asked about: of one architecture.
pub fn prepare(fetcher: &Fetcher<'_>, draft: &Draft, options: &BuildOptions) -> Result<Prepared, Error> {
    let wanted = architectures(draft, &options.architectures, fetcher.reporter)?;
    let arch = wanted.first().copied().unwrap_or(crate::arch::Arch::X86_64);
    let mut ground = Ground::new(options.today.clone());
    let sources = ground.sources(fetcher, draft, arch)?;
    Ok(plan::prepare(fetcher, &mut ground, draft, sources, arch)?)
}

/// What is asked about, where it is no path.
fn dependency(subject: &str) -> Result<Dependency, ExplainError> {
    let dependency: Dependency = subject.parse()?;
    if dependency.conflict { Err(ExplainError::Conflict(dependency)) } else { Ok(dependency) }
}
