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

/// Which module may import which.
mod floors;
/// The solver against the recorded answers of the real apk.
mod oracle;
/// The oracles themselves: what the comparison with the real apk, Docker and the others rests on.
mod oracles;
/// The solver's case files.
mod solve_cases;
/// Solutions in the words of apk, shared by the two.
mod solve_text;
