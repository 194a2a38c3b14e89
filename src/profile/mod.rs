//! The profile: what the user wants, read, merged and checked.
//!
//! ```text
//! find ──► Draft::load ───────────────────────► Draft ──► resolve ──► Profile
//! which    parse, check keys and types, extends  layers    merge,      for one architecture,
//! profile  (each file's problems together)                 variables   every value valid
//! ```
//!
//! A [`Draft`] knows all but the values of `provider-of` variables, which only the solver can say; its
//! [`Alpine`] part, which says where packages come from, may not use them. Every value keeps its
//! [`Origin`]. Not for reading what a profile names: a [`ProfilePath`] says where that is.
//!
//! Source: design, "The profile".

pub mod account;
pub mod builtin;
mod demo_files;
mod document;
mod draft;
mod error;
mod lint;
mod load;
mod lower;
mod merge;
pub mod model;
pub mod names;
pub mod origin;
mod overrides;
pub mod pattern;
mod reader;
pub mod release;
pub mod repository;
mod schema;
mod show;
pub mod support;
#[cfg(test)]
mod tests;
pub mod units;
mod value;
mod vars;

pub use builtin::{BUILT_INS, BuiltIn};
pub use draft::{Draft, Values};
pub use error::{Flaw, Problem, ProfileError};
pub use lint::{Finding, Lint, PhpPackages};
pub use load::{Found, find};
pub use model::*;
pub use origin::{Location, Origin, Place, ProfilePath, Source, Stated};
pub use overrides::{Overrides, Setting};
pub use show::Merged;
pub use value::Invalid;
pub use vars::{ProviderVariable, Variable};
