//! Where bytes come from: mirrors, repositories, releases and the base, and what makes them believed.
//!
//! [`Source`] is the one place that knows how bytes are reached; everything else asks it for paths below
//! it. What comes back is checked here before anybody sees it: an index by its signature, a package by
//! the [`crate::store`], a base by what states its digest ([`TrustRung`]).
//!
//! Results never depend on how many threads work: they come in the order asked for, and of several
//! failures the first in that order is told.
//!
//! Source: design, "Trust", "The profile"; spec apk v2, "APKINDEX.tar.gz" and "Verification and trust".

mod base;
mod base_image;
mod branch;
mod document;
mod error;
mod failover;
mod fetcher;
mod file;
mod given_index;
mod http;
mod packages;
mod parallel;
mod releases;
mod repository;
mod source;

pub use base::{Base, Minirootfs, TrustRung, minirootfs};
pub use base_image::{BaseImage, BaseImageError, BaseImageFlaw, local_base};
pub use branch::resolve_branch;
pub use error::{FetchError, ReleaseListFlaw, Statement};
pub use fetcher::Fetcher;
pub use file::file;
pub use given_index::{IndexPlace, Reading, Unsigned, given_indexes};
pub use http::{Access, HttpError, Network, NetworkOptions, Shown, Status};
pub use packages::{PackageRequest, packages};
pub use repository::{Repository, Surroundings, index, indexes};
pub use source::{Source, SourceError};
