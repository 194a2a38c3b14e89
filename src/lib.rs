//! apkcompose composes a minimal Alpine Linux image from a short profile, without Docker, without root
//! and without `apk`.
//!
//! # The way the data goes
//!
//! ```text
//! profile ──► indexes ──► plan ──► fetch ──► stage ──► prove ──► squash ──► emit
//! what the    verified,   Plan of  verified  Tree      needs     layers     archive, OCI layout,
//! user wants  then vars   steps    packages  (value)   closed    (bytes)    rootfs, Dockerfile
//! ```
//!
//! One direction; no step looks back. Types carry the order: only [`apk::keys::Keyring`] makes a
//! verified index; only a plan reaches fetch; only a verified package is placed in a [`tree::Tree`];
//! only a tree that `prove` accepted is squashed.
//!
//! # The floors
//!
//! A module imports only from floors below its own, equals never; `tests/it/floors.rs` checks it.
//!
//! | floor | modules | what lives there |
//! |---|---|---|
//! | 8 | `main.rs`, [`cli`] | arguments, a file per command, progress, error rendering: all that prints |
//! | 6 | [`compose`] | the pipeline, a file a step |
//! | 5 | [`fetch`] | where bytes come from: http, directories, releases, repositories, the base |
//! | 4 | [`store`], [`sandbox`], [`image`] | the content-addressed cache; programs run inside a root; layer, config, archive, OCI layout, Dockerfile |
//! | 3 | [`tree`], [`solve`], [`profile`], [`elf`] | the root filesystem, the solver, the profile, facts of one file |
//! | 2 | [`apk`] | apk's formats, pure: bytes in, values out |
//! | 1 | [`archive`] | gzip members, chunked compression, tar framing |
//! | 0 | [`arch`], [`content`], [`digest`], [`kind`], [`path`], [`report`], [`root`], [`threads`], [`wildcard`] | small leaves |
//!
//! Floors 0 to 3 touch neither network nor disk, [`root`] aside. All unsafe code is in one file of [`sandbox`].

pub mod apk;
pub mod arch;
pub mod archive;
pub mod cli;
pub mod compose;
pub mod content;
pub mod digest;
pub mod elf;
pub mod fetch;
pub mod image;
pub mod kind;
pub mod path;
pub mod profile;
pub mod report;
pub mod root;
pub mod sandbox;
pub mod solve;
pub mod store;
pub mod threads;
pub mod tree;
pub mod wildcard;

// The unit tests draw as the integration tests do.
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    unused_imports,
    reason = "shared with the integration tests, which use another part of it"
)]
#[path = "../tests/support/draws.rs"]
mod draws;
