//! The integration tests, one binary, a module a subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed expectation is the test's failure, in the functions tests share too"
)]

// A support function may be used by the tests alone or by the benchmark alone.
#[allow(dead_code, unused_imports, reason = "shared with the benchmark, which uses another part of it")]
#[path = "../support/mod.rs"]
mod support;

/// Accounts that scripts add keep their numbers.
mod account_numbers;
/// Scripts that only add accounts, against BusyBox.
mod account_scripts;
/// Layers and archives as other programs read them.
mod archive;
/// Every parser under attack.
mod attacks;
/// A base that is believed for the signed packages it was made of.
mod base_proof;
/// The built-in profiles against real indexes, and built where their packages are here.
mod built_in_profiles;
/// The command line as its users meet it.
mod command_line;
/// Package scripts in every confinement: the same bytes.
mod confinement;
// The example that builds the repository uses another part of it.
#[allow(dead_code, reason = "shared with the example")]
#[path = "../../demo/mod.rs"]
mod demo;
/// The main job on the embedded default: no network, no root.
mod demo_image;
/// The repository of the `demo` profile against its sources and the real apk.
mod demo_repository;
/// The solver against the real apk, request by request.
mod differential;
/// Tests that draw: the same cases in every usual run.
mod drawing;
/// Images in Docker, podman and skopeo.
mod engines;
/// Why something is in an image, and why not.
mod explaining;
/// Where bytes come from: indexes, packages, releases, and what is refused of them.
mod fetch;
/// What fetching needs, for tests of the library.
mod fetching;
/// Which module may import which.
mod floors;
/// Archives that other programs wrote.
mod foreign_tars;
/// The formats against the real apk and the real packages: what we write, and what we read.
mod formats;
/// What the tests run with: commands, needs, mirrors to damage, figures.
mod harness;
/// The limits that the system sets for a process.
mod limits;
/// Packages, indexes and keys made by the tests themselves.
mod made;
/// Mirrors over the network, and everything that goes wrong there.
mod network;
/// The solver against the recorded answers of the real apk.
mod oracle;
/// The oracles themselves: what the comparison with the real apk, Docker and the others rests on.
mod oracles;
/// Every form of output: who accepts it, what they read back, what is in it; and images as bases.
mod outputs;
/// The built-in profiles of PHP-FPM and nginx, run by Docker.
mod php_images;
/// Every bad input, end to end: its exit code, its message, and that nothing is left behind.
mod refusals;
/// Which release a word of the profile comes to, the same everywhere.
mod releases;
/// Fields of a stanza that come twice, against the real apk.
mod repeated_fields;
/// The same bytes whatever the surroundings.
mod reproducible;
/// The solver asked without a profile.
mod resolving;
/// Package scripts that mean harm.
mod sandbox;
/// What is warned of once a profile is answered, and what scanners are told by an image.
mod scanners;
/// The server that tests have for a mirror, as curl sees it.
mod server;
/// Requests to the solver as small texts.
mod solve_case;
/// The solver's case files.
mod solve_cases;
/// Solutions in the words of apk, shared by the case files and the recorded answers.
mod solve_text;
/// Pipes, sockets, devices, links and directories where a file is expected.
mod special_files;
/// The store: what it keeps, what it refuses, and that damage never gets past it.
mod store;
/// Trees and installed databases against the real apk's.
mod trees;
/// The order of versions against the real apk.
mod versions;
