//! The library's error: what can go wrong between a profile and an image.

use crate::fetch::FetchError;
use crate::kind::{Explain, Kind};
use crate::profile::units::Size;
use crate::solve::Refusal;
use crate::store::StoreError;

use super::contents::ContentsError;
use super::output::OutputError;
use super::plan::PlanError;
use super::prove::ProofError;
use super::squash::SquashError;
use super::stage::StageError;

/// What can go wrong between a profile and an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An output cannot be what is asked for.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// There is no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A package could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The store does not work.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of the profile cannot be read.
    #[error(transparent)]
    Contents(#[from] ContentsError),
    /// The tree cannot be staged.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// Something the image starts cannot start.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The layer cannot be made or written.
    #[error(transparent)]
    Squash(#[from] SquashError),
    /// The profile is not for the wanted architecture.
    #[error("the profile is for {listed}, not for {wanted}")]
    Arch {
        /// What the profile lists.
        listed: String,
        /// What was wanted.
        wanted: crate::arch::Arch,
    },
    /// The image's user is not one that the image has.
    #[error("the image's user is `{name}`, and the image has no such {what}")]
    User {
        /// "user" or "group".
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The layer is larger than the profile allows.
    #[error("the layer has {size} bytes of tar, more than the {limit} that the profile allows ({origin})")]
    TooLarge {
        /// Its size, uncompressed, in bytes.
        size: u64,
        /// What is allowed.
        limit: Size,
        /// Where the profile says so.
        origin: String,
    },
    /// The accounts of the finished tree cannot be read.
    #[error(transparent)]
    Accounts(#[from] crate::tree::accounts::AccountError),
    /// One of several architectures cannot be built.
    #[error("for {arch}: {error}")]
    OneOfSeveral {
        /// The architecture.
        arch: crate::arch::Arch,
        /// Why not.
        error: Box<Error>,
    },
}

/// Asks whichever error it is.
macro_rules! ask {
    ($error:expr, $method:ident, $otherwise:expr) => {
        match $error {
            Error::Output(error) => error.$method(),
            Error::Plan(error) => error.$method(),
            Error::Fetch(error) => error.$method(),
            Error::Store(error) => error.$method(),
            Error::Contents(error) => error.$method(),
            Error::Stage(error) => error.$method(),
            Error::Proof(error) => error.$method(),
            Error::Squash(error) => error.$method(),
            Error::Accounts(error) => error.$method(),
            Error::OneOfSeveral { error, .. } => error.$method(),
            Error::Arch { .. } | Error::User { .. } | Error::TooLarge { .. } => $otherwise,
        }
    };
}

impl Error {
    /// Why what the profile asks for cannot be had, if that is what went wrong.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Plan(PlanError::Refusal(refusal) | PlanError::NoProvider { refusal, .. }) => Some(refusal),
            Self::OneOfSeveral { error, .. } => error.refusal(),
            _ => None,
        }
    }
}

impl Explain for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::TooLarge { .. } => Kind::Limit,
            other => ask!(other, kind, Kind::Profile),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::TooLarge { .. } => {
                Some("leave more out with [prune], or raise `size` under [limits]".to_owned())
            }
            Self::User { .. } => {
                Some("give its number, as in user = \"82:82\"; or add it with [[users]]".to_owned())
            }
            other => ask!(other, hint, None),
        }
    }

    fn is_transient(&self) -> bool {
        ask!(self, is_transient, false)
    }
}
