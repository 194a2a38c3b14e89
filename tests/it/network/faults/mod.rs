//! Tables of faults, and what each of them must come to.
//!
//! Each fault is of one file of a mirror, and is tried in up to three ways: it happens once and the build goes on;
//! it always happens with the first of two mirrors and the other is taken; it always happens with the only mirror
//! and the build ends with a message. All messages of a table are one snapshot.

/// What is served under the name of something else, or changed on the way.
mod contents;
/// Downloads that break and are gone on with.
mod resuming;
/// What the server says in place of a file.
mod statuses;
/// What goes wrong below HTTP, or with its form.
mod wire;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;

use super::Scene;
use crate::support::command::TestCommand;
use crate::support::server::fault::{Fault, Times};

/// How many faults are tried at a time: mostly they wait.
const AT_ONCE: usize = 8;

/// A way a fault is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It meets the first request alone.
    Once,
    /// It meets every request to the first of two mirrors, which is warned of.
    Elsewhere,
    /// It meets every request to the first of two mirrors, and that is nothing to speak of.
    Lacking,
    /// It meets every request to the only mirror.
    Refused {
        /// What the build ends with.
        code: i32,
        words: Words,
    },
}

/// What is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Words {
    /// The same every time.
    Same,
    /// Something else every time, by the clock or by the keys that the tests make for themselves.
    OfToday,
}

/// A fault of a file.
struct Case {
    name: &'static str,
    /// The end of the file's path.
    file: &'static str,
    faults: Box<dyn Fn() -> Vec<(Times, Fault)> + Send + Sync>,
    ways: Vec<Way>,
    /// Options of the build.
    options: &'static [&'static str],
}

/// `fault` of `file`.
fn case(name: &'static str, file: &'static str, fault: impl Fn() -> Fault + Send + Sync + 'static) -> Case {
    script(name, file, move || vec![(Times::Always, fault())])
}

/// Several faults of `file`, each at its time.
fn script(
    name: &'static str,
    file: &'static str,
    faults: impl Fn() -> Vec<(Times, Fault)> + Send + Sync + 'static,
) -> Case {
    Case { name, file, faults: Box::new(faults), ways: Vec::new(), options: &[] }
}

impl Case {
    fn way(mut self, way: Way) -> Self {
        self.ways.push(way);
        self
    }

    /// Once, it changes nothing.
    fn passes(self) -> Self {
        self.way(Way::Once)
    }

    /// Another mirror makes good for it.
    fn elsewhere(self) -> Self {
        self.way(Way::Elsewhere)
    }

    /// Another mirror has it.
    fn lacking(self) -> Self {
        self.way(Way::Lacking)
    }

    /// Without another mirror it ends with `code`.
    fn refused(self, code: i32) -> Self {
        self.way(Way::Refused { code, words: Words::Same })
    }

    /// Without another mirror it ends with `code`, and words that are no part of the snapshot.
    fn refused_somehow(self, code: i32) -> Self {
        self.way(Way::Refused { code, words: Words::OfToday })
    }

    /// What passes by itself: once it is tried again, and otherwise it is an error of the network.
    fn transient(self) -> Self {
        self.passes().elsewhere().refused(4)
    }

    /// A request that waits is given up after one second.
    fn impatient(self) -> Self {
        Self { options: &["--timeout", "1"], ..self }
    }

    /// It is tried again twice.
    fn patient(self) -> Self {
        Self { options: &["--retries", "2"], ..self }
    }

    /// Tries it in every way, and gives what was said where it was refused.
    fn check(&self) -> String {
        let mut said = String::new();
        for way in &self.ways {
            let what = format!("{} ({way:?})", self.name);
            let scene = Scene::new(if matches!(way, Way::Elsewhere | Way::Lacking) { 2 } else { 1 });
            for (times, fault) in (self.faults)() {
                let times = if *way == Way::Once && times == Times::Always { Times::First(1) } else { times };
                scene.mirror().plan(self.file, times, fault);
            }
            match way {
                Way::Once | Way::Lacking => drop(scene.builds(&what, self.build(&scene))),
                Way::Elsewhere => {
                    let outcome = scene.builds(&what, self.build(&scene));
                    let text = scene.said(&outcome);
                    let warned = text.contains("warning: ") && text.contains("http://first.mirror/");
                    assert!(warned, "{what} says nothing of the first mirror: {text}");
                }
                Way::Refused { code, words } => {
                    let outcome = scene.refused(&what, *code, self.build(&scene).arg("--quiet"));
                    let text = scene.said(&outcome);
                    assert!(text.contains("http://first.mirror/"), "{what} names no place: {text}");
                    if *words == Words::Same {
                        said = format!("### {}: {code}\n{text}\n", self.name);
                    }
                }
            }
            assert!(!scene.mirror().log().of(self.file).is_empty(), "{what}: nobody asked for {}", self.file);
            scene.mirror().mend();
            scene.builds(&format!("the build after {what}"), self.build(&scene));
        }
        said
    }

    fn build<'a>(&self, scene: &'a Scene) -> TestCommand<'a> {
        scene.build().args(self.options)
    }
}

/// Tries all `cases`, each of which changes nothing.
fn all_pass(cases: Vec<Case>) {
    assert_eq!(all(cases), "");
}

/// Tries all `cases`; what is said where they are refused is the snapshot `name`.
fn check(name: &str, cases: Vec<Case>) {
    // What was flipped is elsewhere where a signature is longer.
    let digests = [("[0-9a-f]{64}", "[SHA-256]")];
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true, filters => digests }, {
        insta::assert_snapshot!(name, all(cases));
    });
}

/// Tries all `cases`, and gives what was said where they are refused.
fn all(cases: Vec<Case>) -> String {
    let order: Vec<&str> = cases.iter().map(|case| case.name).collect();
    let (said, failed) = (Mutex::new(BTreeMap::new()), Mutex::new(Vec::new()));
    let left = Mutex::new(cases.into_iter());
    let next = || left.lock().unwrap().next();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = next() {
                    match catch_unwind(AssertUnwindSafe(|| case.check())) {
                        Ok(text) => drop(said.lock().unwrap().insert(case.name, text)),
                        Err(_) => failed.lock().unwrap().push(case.name),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {}: {failed:?}", failed.len(), order.len());
    let mut said = said.into_inner().unwrap();
    order.iter().filter_map(|name| said.remove(name)).collect()
}
