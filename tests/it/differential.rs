//! The solver against the real apk, request by request: over the real indexes of 3.19 with names drawn at random,
//! and every case of `tests/solve` that apk 2.14 answers as 3.x does. The draws are seeded, so that a request that
//! failed once is asked again.
//!
//! Steps and their order must be equal, and what apk blames in a refusal must be blamed. What may differ is named
//! here: the order of packages that come by themselves with the same one, which in apk follows its hash table
//! (accepted only if [`walk`], told apk's order among those, gives apk's steps), and [`EXCEPTIONS`].

/// What comes out of drawn universes holds.
mod drawn;
/// The recorded answers of apk 3.
mod recorded;
/// Small universes.
mod small;
/// Where apk's order among siblings leads.
mod walk;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use apkcompose::apk::dependency::{Dependency, Provide, Tag};
use apkcompose::apk::index::{Flaw, Index, Package};
use apkcompose::apk::installed::InstalledText;
use apkcompose::arch::Arch;
use apkcompose::report::Silent;
use apkcompose::solve::refusal::Cause;
use apkcompose::solve::{Installed, Options, Refusal, Repository, Request, Solution, solve};

use crate::oracle::{BASE_WORLD, file_in_tar, index};
use crate::solve_text;
use crate::support::need;
use crate::support::reference::{self, Session};

/// How many requests are asked.
const REQUESTS: usize = 1500;
/// How many at a time.
const THREADS: usize = 2;
/// The first number of the draws.
const SEED: u64 = 3_190_400;
/// How many requests may differ as [`EXCEPTIONS`] say: about a sixteenth does.
const MAX_EXCEPTIONS: usize = REQUESTS / 10;

/// What apk 3.x, and so the solver, answers otherwise than 2.14 (spec apk v2, "2.14 vs 3.x").
const EXCEPTIONS: [Exception; 3] = [
    Exception {
        reason: "3.x honours `!x` in install_if",
        ours: &["libcanberra-alsa"],
        theirs: &[],
        holds: |there| there.comes_where_absent("libcanberra-alsa", "pulseaudio"),
    },
    Exception {
        reason: "3.x honours `!x` in install_if",
        ours: &["alsa-plugins-pulse"],
        theirs: &[],
        holds: |there| there.comes_where_absent("alsa-plugins-pulse", "pipewire"),
    },
    Exception {
        reason: "3.x decides names that are only provided last, when another package has come that provides it",
        ours: &[],
        theirs: &["gcr", "gcr-base", "gcr-ssh-agent", "gnome-keyring", "libsecret"],
        holds: |there| {
            there.named("gnome-keyring").is_none() && there.provider("dbus:org.freedesktop.Secrets").is_some()
        },
    },
];

/// Packages that hold one name together without a version, so that what needs the name follows the one that was chosen first.
/// 3.x discovers the own names of providers last, 2.14 with the names they provide, so that another may be first.
const TOGETHER: [&[&str]; 1] = [&["lua5.2", "lua5.4"]];

/// Packages that 3.x refuses because they depend on what is no version.
const MALFORMED: [&str; 1] = ["owfs-dev-3.2p4-r0"];

/// Packages that only one of the two answers has, and why that is right.
struct Exception {
    reason: &'static str,
    /// Those of the solver's answer.
    ours: &'static [&'static str],
    /// Those of apk's, or some of them: others may be there anyway.
    theirs: &'static [&'static str],
    /// Whether the reason holds in the solver's answer.
    holds: fn(&Answer<'_>) -> bool,
}

/// What the solver answers with.
struct Answer<'a> {
    packages: Vec<Package<'a>>,
}

impl Answer<'_> {
    fn named(&self, name: &str) -> Option<Package<'_>> {
        self.packages.iter().copied().find(|package| package.name() == name)
    }

    /// Whether a package is there that comes by itself where another one is not, which it is not.
    fn comes_where_absent(&self, name: &str, absent: &str) -> bool {
        let condition = format!("!{absent}");
        let comes = |package: Package<'_>| package.install_if().any(|stated| stated == condition);
        self.named(name).is_some_and(comes) && self.named(absent).is_none()
    }

    fn provider(&self, name: &str) -> Option<Package<'_>> {
        let provides =
            |package: &&Package<'_>| package.provides().filter_map(Provide::split).any(|(it, _)| it == name);
        self.packages.iter().find(provides).copied()
    }
}

/// A request, drawn.
struct Draw {
    names: Vec<String>,
    over_minirootfs: bool,
    php7: bool,
}

/// Splitmix64: seeded, the same everywhere.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut rolled = self.0;
        rolled = (rolled ^ (rolled >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        rolled = (rolled ^ (rolled >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        rolled ^ (rolled >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(limit).unwrap()).unwrap()
    }

    pub(crate) fn one_of<'a>(&mut self, names: &[&'a str]) -> &'a str {
        names[self.below(names.len())]
    }
}

impl Draw {
    fn roll(dice: &mut Dice, names: &[&str], php7: &[&str]) -> Self {
        let count = [1, 1, 3, 8][dice.below(4)];
        let mut drawn: Vec<String> = Vec::new();
        while drawn.len() < count {
            let name = dice.one_of(names).to_owned();
            if !drawn.contains(&name) {
                drawn.push(name);
            }
        }
        let over_minirootfs = dice.below(2) == 0;
        let with_php7 = dice.below(10) < 3;
        if with_php7 {
            let tagged = format!("{}@php7", dice.one_of(php7));
            drawn[dice.below(count)] = tagged;
        }
        Self { names: drawn, over_minirootfs, php7: with_php7 }
    }
}

/// The indexes and the base that all requests are about.
struct World {
    main: Index,
    community: Index,
    php7: Index,
    base: InstalledText,
    nothing: Index,
}

impl World {
    fn repositories(&self, draw: &Draw) -> Vec<Repository<'_>> {
        let repository = |name: &str, index, tag| Repository { index, tag, name: name.to_owned() };
        let mut repositories =
            vec![repository("main", &self.main, None), repository("community", &self.community, None)];
        if draw.php7 {
            repositories.push(repository("php7", &self.php7, Tag::new("php7")));
        }
        repositories
    }

    fn installed(&self, draw: &Draw) -> Installed<'_> {
        let index = if draw.over_minirootfs { self.base.index() } else { &self.nothing };
        Installed { index, tags: Vec::new() }
    }
}

fn request(draw: &Draw) -> Request {
    let base: &[&str] = if draw.over_minirootfs { &BASE_WORLD } else { &[] };
    let asked = base.iter().copied().chain(draw.names.iter().map(String::as_str));
    Request {
        arch: Arch::X86_64,
        world: asked.map(|text| text.parse().unwrap()).collect(),
        requested: draw.names.iter().map(|text| Dependency::name_in(text).to_owned()).collect(),
        options: Options::default(),
    }
}

#[test]
fn drawn_requests_are_answered_as_the_real_apk_answers_them() {
    let Some(alpine) = need::apk("drawn_requests_are_answered_as_the_real_apk_answers_them") else { return };
    let [main, community, php7] =
        ["v3.19/main", "v3.19/community", "php7"].map(|path| index(&alpine.repository(path)));
    let base = file_in_tar(&alpine.minirootfs("x86_64"), "lib/apk/db/installed");
    let base = InstalledText::parse("minirootfs", base).unwrap();
    let nothing = Index::parse("nothing", Vec::new()).unwrap();
    let world = World { main, community, php7, base, nothing };
    let names: BTreeSet<&str> =
        world.main.packages().chain(world.community.packages()).map(Package::name).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let php7_names: Vec<&str> = world.php7.packages().map(Package::name).collect();
    let mut dice = Dice(SEED);
    let draws: Vec<Draw> = (0..REQUESTS).map(|_| Draw::roll(&mut dice, &names, &php7_names)).collect();

    let next = AtomicUsize::new(0);
    let tally = thread::scope(|scope| {
        let ask = || {
            let with = |reference: reference::Reference| {
                let official = reference.repository("v3.19/main").repository("v3.19/community");
                let tagged = official.clone().key(alpine.php7_key()).tagged("php7", "php7");
                [official.session(), tagged.session()]
            };
            let mut sessions =
                [with(reference::minirootfs(&alpine)), with(reference::scratch(&alpine, "x86_64"))];
            let mut tally = Tally::default();
            while let Some(draw) = draws.get(next.fetch_add(1, Ordering::Relaxed)) {
                let base = usize::from(!draw.over_minirootfs);
                let session = &mut sessions[base][usize::from(draw.php7)];
                tally.take(draw, compare(&world, draw, session));
            }
            tally
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).fold(Tally::default(), Tally::and)
    });

    assert!(tally.different.is_empty(), "{} differ:\n{}", tally.different.len(), tally.different.join("\n"));
    assert!(tally.excepted <= MAX_EXCEPTIONS, "{tally:?}");
    assert_eq!(tally.same + tally.refused + tally.siblings + tally.excepted, REQUESTS, "{tally:?}");
}

/// How the comparisons came out.
#[derive(Debug, Default)]
struct Tally {
    same: usize,
    refused: usize,
    siblings: usize,
    excepted: usize,
    different: Vec<String>,
}

impl Tally {
    fn take(&mut self, draw: &Draw, verdict: Verdict) {
        match verdict {
            Verdict::Same => self.same += 1,
            Verdict::Refused => self.refused += 1,
            Verdict::Siblings => self.siblings += 1,
            Verdict::Excepted => self.excepted += 1,
            Verdict::Different(how) => {
                let base = if draw.over_minirootfs { "the minirootfs" } else { "nothing" };
                self.different.push(format!("{:?} over {base}: {how}", draw.names));
            }
        }
    }

    fn and(mut self, mut other: Self) -> Self {
        self.same += other.same;
        self.refused += other.refused;
        self.siblings += other.siblings;
        self.excepted += other.excepted;
        self.different.append(&mut other.different);
        self
    }
}

/// How the solver's answer compares with apk's.
enum Verdict {
    Same,
    /// Both refuse.
    Refused,
    /// Only siblings stand in another order.
    Siblings,
    /// One of [`EXCEPTIONS`].
    Excepted,
    Different(String),
}

fn compare(world: &World, draw: &Draw, session: &mut Session) -> Verdict {
    let (repositories, installed, request) = (world.repositories(draw), world.installed(draw), request(draw));
    let names: Vec<&str> = draw.names.iter().map(String::as_str).collect();
    let theirs = session.simulate(&names);
    let ours = solve(&repositories, Some(&installed), &request, &Silent);
    match (ours, theirs) {
        (Ok(solution), Ok(theirs)) => {
            let theirs: Vec<String> = theirs.iter().map(|step| solve_text::of_apk(step)).collect();
            compare_steps(&repositories, &installed, &request, &solution, &theirs)
        }
        (Err(refusal), Err(said)) => match unmentioned(&refusal, &said) {
            missing if missing.is_empty() => Verdict::Refused,
            missing => {
                Verdict::Different(format!("apk blames {missing:?}\n{said}\nthe solver says:\n{refusal}"))
            }
        },
        (Err(refusal), Ok(_)) if is_malformed(&refusal) => Verdict::Excepted,
        (Err(refusal), Ok(_)) => Verdict::Different(format!("only the solver refuses: {refusal}")),
        (Ok(_), Err(said)) => Verdict::Different(format!("only apk refuses: {said}")),
    }
}

/// Whether nothing is blamed but [`MALFORMED`].
fn is_malformed(refusal: &Refusal) -> bool {
    let Refusal::Unsatisfiable { culprits, .. } = refusal else { return false };
    culprits.iter().all(|culprit| {
        matches!(&culprit.cause, Cause::Flawed { package, flaw: Flaw::Depends(_) } if MALFORMED.contains(&&**package))
    })
}

/// What apk blames and the solver does not.
fn unmentioned(refusal: &Refusal, said: &str) -> Vec<String> {
    let mentions = refusal.mentions();
    let blamed = solve_text::blamed(said);
    blamed.filter(|name| mentions.iter().all(|mention| mention != name)).map(str::to_owned).collect()
}

fn compare_steps(
    repositories: &[Repository<'_>],
    installed: &Installed<'_>,
    request: &Request,
    solution: &Solution,
    theirs: &[String],
) -> Verdict {
    let ours: Vec<String> =
        solve_text::steps(repositories, Some(installed), solution).lines().map(str::to_owned).collect();
    if ours == theirs {
        return Verdict::Same;
    }
    let packages =
        solution.packages.iter().map(|chosen| chosen.source.package(repositories, Some(installed)).unwrap());
    let answer = Answer { packages: packages.collect() };
    let by_name =
        |steps: &[String]| -> BTreeSet<String> { steps.iter().map(|step| name(step).to_owned()).collect() };
    let (our_names, their_names) = (by_name(&ours), by_name(theirs));
    let mut allowed: (BTreeSet<&str>, BTreeSet<&str>) = Default::default();
    let mut reasons = Vec::new();
    for exception in EXCEPTIONS.iter().filter(|exception| (exception.holds)(&answer)) {
        allowed.0.extend(exception.ours);
        allowed.1.extend(exception.theirs);
        reasons.push(exception.reason);
    }
    let only_ours: Vec<&String> = our_names.difference(&their_names).collect();
    let only_theirs: Vec<&String> = their_names.difference(&our_names).collect();
    let explained = only_ours.iter().all(|name| allowed.0.contains(name.as_str()))
        && only_theirs.iter().all(|name| allowed.1.contains(name.as_str()));
    if !explained {
        return Verdict::Different(format!(
            "only ours {only_ours:?}, only apk's {only_theirs:?}; known: {reasons:?}"
        ));
    }
    let common = |steps: &[String], other: &BTreeSet<String>| -> Vec<String> {
        steps.iter().filter(|step| other.contains(name(step))).cloned().collect()
    };
    let (ours, theirs) = (common(&ours, &their_names), common(theirs, &our_names));
    let excepted = !only_ours.is_empty() || !only_theirs.is_empty();
    let walk = walk::Walk::new(repositories, installed, request, &answer.packages);
    let steps_along = |order: &[String]| -> Vec<String> {
        let walked = walk.along(order.iter().map(|step| name(step)));
        walked.into_iter().filter(|walked| order.iter().any(|step| name(step) == walked)).collect()
    };
    let named =
        |steps: &[String]| -> Vec<String> { steps.iter().map(|step| name(step).to_owned()).collect() };
    let sorted = |steps: &[String]| -> BTreeSet<String> { steps.iter().cloned().collect() };
    // What apk has more brings forward what it needs, so that the order cannot be compared.
    let brought_forward = !only_theirs.is_empty() && sorted(&ours) == sorted(&theirs);
    let held_together = sorted(&ours) == sorted(&theirs)
        && TOGETHER.iter().any(|together| together.iter().all(|name| answer.named(name).is_some()));
    if ours == theirs || brought_forward || held_together {
        Verdict::Excepted
    } else if sorted(&ours) == sorted(&theirs)
        && steps_along(&theirs) == named(&theirs)
        && steps_along(&ours) == named(&ours)
    {
        if excepted { Verdict::Excepted } else { Verdict::Siblings }
    } else {
        let mut how = "the steps stand in another order:\n".to_owned();
        for (ours, theirs) in ours.iter().zip(&theirs) {
            writeln!(how, "  {ours:50} {theirs}").unwrap();
        }
        writeln!(how, "  apk's order leads to {:?}", steps_along(&theirs)).unwrap();
        Verdict::Different(how)
    }
}

/// The package of a step: `install name@tag (version)`.
fn name(step: &str) -> &str {
    let package = step.split(' ').nth(1).unwrap();
    package.split_once('@').map_or(package, |(name, _)| name)
}
