//! The profile: what the user wants, read, merged and checked.
//!
//! ```text
//! find ──► load ──────────────────────────────► Draft ──► resolve ──► Profile
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
pub mod model;
pub mod names;
pub mod origin;
pub mod pattern;
pub mod release;
pub mod repository;
pub mod units;
mod value;

pub use model::*;
pub use origin::{Location, Origin, Place, ProfilePath, Source, Stated};
pub use value::Invalid;
