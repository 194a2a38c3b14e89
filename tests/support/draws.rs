//! Tests that draw their input: from a fixed seed in the usual run, from new ones in a soak.
//!
//! ```text
//! cargo test                                  the same cases on every machine and in every run
//! APKCOMPOSE_SOAK=5 cargo test                new cases, for five minutes in all: each test that draws gets an equal
//!                                             share; the first seed is printed
//! APKCOMPOSE_SEED=17 cargo test NAME          the cases of that seed, once: what a failure says how to repeat
//! APKCOMPOSE_SOAK=5 APKCOMPOSE_SEED=17 ...    the soak that began with that seed
//! ```
//!
//! Properties are written with [`properties!`]; tests that draw by other means take their seed from [`each_seed`]. Both
//! the unit tests and the integration tests use this file. What a soak finds becomes a test of its own.

use std::hash::{BuildHasher as _, RandomState};
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestCaseResult, TestRunner};

/// The seed of the usual run.
const SEED: u64 = 20_260_101;

/// Tests of properties over drawn values, as `proptest!` has them, with the seeds of this module.
#[allow(unused_macros, reason = "not for the benchmark")]
macro_rules! properties {
    (cases = $cases:expr; $($(#[$meta:meta])* property $name:ident($($argument:pat in $strategy:expr),+ $(,)?) $body:block)+) => {
        $(
            $(#[$meta])*
            #[test]
            fn $name() {
                let name = concat!(module_path!(), "::", stringify!($name));
                draws::check(name, $cases, &($($strategy,)+), |($($argument,)+)| {
                    $body
                    Ok(())
                });
            }
        )+
    };
}
pub(crate) use properties;

/// Asserts that `test` holds for `cases` values of `strategy`, and in a soak for more. `name` is the test's.
pub(crate) fn check<S: Strategy>(
    name: &str,
    cases: u32,
    strategy: &S,
    test: impl Fn(S::Value) -> TestCaseResult,
) {
    each_seed(name, |seed| check_seed(cases, seed, strategy, &test));
}

/// The same for the values of one seed.
pub(crate) fn check_seed<S: Strategy>(
    cases: u32,
    seed: u64,
    strategy: &S,
    test: impl Fn(S::Value) -> TestCaseResult,
) {
    // Failures are kept by their seeds, not in files that proptest writes.
    let config =
        Config { cases, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..Config::default() };
    if let Err(failure) = TestRunner::new(config).run(strategy, test) {
        panic!("{failure}");
    }
}

/// Runs `test` with each seed there is to try: one in the usual run, as many as there is time for in a soak.
pub(crate) fn each_seed(name: &str, mut test: impl FnMut(u64)) {
    let (rounds, begun) = (Rounds::of_environment(), Instant::now());
    let mut round = 0;
    loop {
        let repeat = Repeat { name, seed: rounds.seed(round) };
        test(repeat.seed);
        round += 1;
        if begun.elapsed() >= rounds.share {
            return;
        }
    }
}

/// Says how to repeat a round that fails.
struct Repeat<'a> {
    name: &'a str,
    seed: u64,
}

impl Drop for Repeat<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let test = self.name.split_once("::").map_or(self.name, |(_, test)| test);
            say(&format!("repeat with: APKCOMPOSE_SEED={} cargo test {test}\n", self.seed));
        }
    }
}

/// Which seeds are tried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rounds {
    first: u64,
    /// For how long a test goes on with new seeds.
    pub(crate) share: Duration,
}

impl Rounds {
    fn of_environment() -> Self {
        static ROUNDS: OnceLock<Rounds> = OnceLock::new();
        *ROUNDS.get_or_init(|| {
            let (seed, minutes) = (variable("APKCOMPOSE_SEED"), variable("APKCOMPOSE_SOAK"));
            let rounds = Self::new(seed, minutes);
            if minutes.is_some() {
                say(&format!("soak: APKCOMPOSE_SEED={}, {:.1?} for each test\n", rounds.first, rounds.share));
            }
            rounds
        })
    }

    pub(crate) fn new(seed: Option<u64>, minutes: Option<f64>) -> Self {
        let Some(minutes) = minutes else {
            return Self { first: seed.unwrap_or(SEED), share: Duration::ZERO };
        };
        let threads = variable("RUST_TEST_THREADS").or_else(|| std::thread::available_parallelism().ok());
        let threads = u32::try_from(threads.map_or(1, NonZeroUsize::get)).unwrap_or(1);
        let tests = u32::try_from(names().len()).unwrap_or(u32::MAX);
        let share = Duration::from_secs_f64(minutes * 60.0) * threads.min(tests) / tests;
        Self { first: seed.unwrap_or_else(|| RandomState::new().hash_one(tests)), share }
    }

    /// The seed of a round; the first is the one that is printed.
    pub(crate) fn seed(self, round: u64) -> u64 {
        self.first.wrapping_add(round.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Writes to standard error, also where the output of tests is captured.
fn say(text: &str) {
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}

/// The names of all tests that draw, read from the sources: those of lines that begin with `property NAME(` or with a call
/// of [`each_seed`].
pub(crate) fn names() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found: Vec<String> = sources(&[root.join("src"), root.join("tests")])
        .iter()
        .flat_map(|(_, text)| {
            text.lines().filter_map(|line| drawing_test(line).map(str::to_owned)).collect::<Vec<_>>()
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The name of the test that begins in a line of a source, if it draws.
fn drawing_test(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let begin = line.strip_prefix("property ").or_else(|| line.strip_prefix("draws::each_seed(\""))?;
    let end = begin.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    begin.get(..end).filter(|name| !name.is_empty())
}

/// All Rust files below `places`, with their paths.
pub(crate) fn sources(places: &[std::path::PathBuf]) -> Vec<(std::path::PathBuf, String)> {
    let mut left = places.to_vec();
    let mut found = Vec::new();
    while let Some(place) = left.pop() {
        let entries =
            std::fs::read_dir(&place).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
        for entry in entries {
            let path = entry.unwrap_or_else(|error| panic!("{}: {error}", place.display())).path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path);
                found
                    .push((path.clone(), text.unwrap_or_else(|error| panic!("{}: {error}", path.display()))));
            }
        }
    }
    found.sort();
    found
}
