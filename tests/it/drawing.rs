//! Tests that draw: the same cases in every usual run, and a seed by which a failure is repeated.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use proptest::prelude::*;

use crate::support::draws;
use crate::support::files;

/// What only `tests/support/draws.rs` may use: cases drawn by these would be others in every run.
const UNSEEDED: [&str; 11] = [
    "proptest! {",
    "proptest!{",
    "proptest! [",
    "ProptestConfig",
    "test_runner::Config",
    "TestRunner",
    "RandomState::new",
    "thread_rng",
    "rand::random",
    "getrandom",
    "OsRng",
];
/// Where one of them draws nothing for a test.
const ALLOWED: [(&str, &str); 3] =
    // The pauses between attempts, which must differ from machine to machine.
    [
        ("src/fetch/http/transfer.rs", "RandomState::new"),
        // This list.
        ("tests/it/drawing.rs", ""),
        // The keys that users make, and the blinding of signatures.
        ("src/apk/sign.rs", "OsRng"),
    ];

fn drawn(seed: u64) -> Vec<u64> {
    let values = RefCell::new(Vec::new());
    draws::check_seed(20, seed, &any::<u64>(), |value| {
        values.borrow_mut().push(value);
        Ok(())
    });
    values.into_inner()
}

#[test]
fn the_same_seed_draws_the_same_and_another_draws_something_else() {
    assert_eq!(drawn(1).len(), 20);
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

#[test]
fn a_property_that_fails_fails_by_the_same_minimal_case_with_the_same_seed() {
    let said = || {
        let failing = || {
            draws::check_seed(200, 7, &any::<u64>(), |value| {
                prop_assert!(value < 1_000_000, "too large");
                Ok(())
            });
        };
        let panic = catch_unwind(AssertUnwindSafe(failing)).unwrap_err();
        panic.downcast_ref::<String>().unwrap().clone()
    };
    let once = said();
    assert!(once.contains("1000000"), "{once}");
    assert_eq!(once, said());
}

#[test]
fn a_soak_begins_with_its_seed_and_goes_on_with_others() {
    let rounds = draws::Rounds::new(Some(17), Some(0.0));
    let seeds: BTreeSet<u64> = (0..100).map(|round| rounds.seed(round)).collect();
    assert_eq!((rounds.seed(0), seeds.len()), (17, 100));
    let usual = || draws::Rounds::new(None, None);
    assert_eq!(usual(), usual());
    assert!(usual().share.is_zero());
    // Without a seed each soak is another one.
    assert_ne!(draws::Rounds::new(None, Some(1.0)).seed(0), draws::Rounds::new(None, Some(1.0)).seed(0));
}

/// What in `text`, the source file at `path`, draws without the seeds.
fn unseeded<'t>(path: &str, text: &'t str) -> Vec<&'t str> {
    let is_allowed = |line: &str| ALLOWED.iter().any(|(file, what)| path == *file && line.contains(what));
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.filter(|line| UNSEEDED.iter().any(|what| line.contains(what)) && !is_allowed(line)).collect()
}

#[test]
fn every_test_that_draws_takes_its_seed_from_the_environment() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = draws::sources(&[root.join("src"), root.join("tests")]);
    assert!(sources.len() > 100);
    for (path, text) in sources {
        let path = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        if path != "tests/support/draws.rs" {
            assert_eq!(unseeded(&path, &text), [""; 0], "{path} draws without tests/support/draws.rs");
        }
    }
    assert_eq!(unseeded("src/x.rs", "    proptest! {\n").len(), 1);
    assert_eq!(unseeded("src/x.rs", "let r = TestRunner::default();").len(), 1);
}

#[test]
fn the_soak_of_continuous_integration_runs_every_test_that_draws() {
    let script = files::read_text(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/run"));
    assert!(script.contains("APKCOMPOSE_SOAK=5"), "no soak in .ci/run");
    let names = draws::names();
    for known in ["texts_are_read_line_by_line", "made_versions_are_ordered_as_apk_orders_them"] {
        assert!(names.iter().any(|name| name == known), "{known} is not among {names:?}");
    }
    // The script finds them by the same words.
    for word in ["property ", "draws::each_seed(\""] {
        assert!(script.contains(&word.replace('(', "\\(")), "{word}");
    }
}
