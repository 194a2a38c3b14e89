//! The pipeline, a file a step, and what the commands beside it do.
//!
//! ```text
//! plan ──► (fetch) ──► stage ──► prove ──► squash ──► emit
//! ```
//!
//! [`build`] goes the whole way; [`sources`], [`contents`] and [`output`] say where things come from and go
//! to. [`resolve`] asks the solver without a profile, [`explain`] says why something is in an image or not; both tell of
//! an [`answer`]. [`author`] makes packages and indexes. What can go wrong is an [`Error`].

pub mod answer;
pub mod apk_records;
pub mod author;
mod base_proof;
mod build;
pub mod contents;
pub mod drawing;
pub mod emit;
mod error;
pub mod explain;
mod foreign;
pub mod ground;
mod image_config;
mod lint;
pub mod output;
pub mod plan;
pub mod prove;
mod removal;
mod report;
pub mod resolve;
pub mod scripts;
pub mod sources;
pub mod squash;
pub mod stage;
mod starts;
mod stock;

pub use build::{Architectures, BuildOptions, build};
pub use error::Error;
pub use report::{ArchReport, Report, ReportedBase, ReportedImage, ReportedOutput};
