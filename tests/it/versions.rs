//! Versions and their order against the real apk, which tells of any two texts which is the lesser.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use apkcompose::apk::version;

use crate::oracle::file_in_tar;
use crate::support::command::Dir;
use crate::support::{draws, need};

/// How many pairs of made versions are compared.
const PAIRS: usize = 1200;

/// The apk of the minirootfs, run by its own loader: nothing but its words are wanted.
pub(crate) struct Apk {
    root: PathBuf,
    _dir: Dir,
}

impl Apk {
    pub(crate) fn find(test: &str) -> Option<Self> {
        let alpine = need::apk(test)?;
        let dir = Dir::new();
        let root = dir.join("root");
        std::fs::create_dir(&root).unwrap();
        let mut command = Command::new("tar");
        command.arg("-C").arg(&root).arg("-xf").arg(alpine.minirootfs("x86_64"));
        command.args(["./lib", "./sbin/apk"]);
        assert!(command.stderr(Stdio::null()).status().unwrap().success(), "cannot unpack the minirootfs");
        Some(Self { root, _dir: dir })
    }

    /// apk, without arguments yet.
    pub(crate) fn command(&self) -> Command {
        let path = |relative: &str| self.root.join(relative);
        let mut command = Command::new(path("lib/ld-musl-x86_64.so.1"));
        command.arg("--library-path").arg(path("lib")).arg(path("sbin/apk"));
        command
    }

    fn version(&self, arguments: &[&str]) -> String {
        let output = self.command().arg("version").args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn compare(&self, a: &str, b: &str) -> Ordering {
        match self.version(&["-t", a, b]).trim() {
            "<" => Ordering::Less,
            "=" => Ordering::Equal,
            ">" => Ordering::Greater,
            other => panic!("apk version -t {a} {b} says `{other}`"),
        }
    }

    /// Those of `texts` that are no versions.
    fn invalid(&self, texts: &[String]) -> Vec<String> {
        let mut arguments = vec!["--check"];
        arguments.extend(texts.iter().map(String::as_str));
        self.version(&arguments).lines().map(str::to_owned).collect()
    }
}

/// Numbers by a seed, which is not 0.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }
}

impl Dice {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// A version, made of few different pieces, so that two of them often differ late.
    fn version(&mut self) -> String {
        let mut text = self.pick(&["0", "1", "2", "10", "01"]).to_owned();
        for _ in 0..self.below(3) {
            text += ".";
            text += self.pick(&["0", "1", "2", "9", "10", "01", "001", "010", "20230717"]);
        }
        if self.below(4) == 0 {
            text += self.pick(&["a", "b", "z"]);
        }
        for _ in 0..self.below(3).saturating_sub(1) + self.below(2) {
            text += "_";
            text += self.pick(&["alpha", "beta", "pre", "rc", "cvs", "svn", "git", "hg", "p"]);
            text += self.pick(&["", "", "0", "1", "2", "10", "20230717"]);
        }
        if self.below(3) > 0 {
            text += "-r";
            text += self.pick(&["0", "1", "2", "10"]);
        }
        text
    }
}

/// Every pair with the real apk's answer, on two threads.
fn answers(apk: &Apk, pairs: &[(String, String)]) -> Vec<Ordering> {
    let (first, second) = pairs.split_at(pairs.len() / 2);
    let of = |pairs: &[(String, String)]| -> Vec<Ordering> {
        pairs.iter().map(|(a, b)| apk.compare(a, b)).collect()
    };
    thread::scope(|scope| {
        let first = scope.spawn(|| of(first));
        let second = of(second);
        [first.join().unwrap(), second].concat()
    })
}

/// Whether apk 3 orders them otherwise than 2.14, which is the one that answers: of two numbers behind dots that both
/// begin with a zero, apk 3 takes the lesser text (spec apk v2, "Comparison": `8.2.0 < 8.2.001`), 2.14 that with more zeros.
fn is_of_other_zeros(a: &str, b: &str) -> bool {
    let numbers = |text: &str| -> Vec<String> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        text[..end].split('.').skip(1).map(str::to_owned).collect()
    };
    let pairs = numbers(a).into_iter().zip(numbers(b));
    pairs.into_iter().any(|(a, b)| a.starts_with('0') && b.starts_with('0') && a != b)
}

#[test]
fn made_versions_are_ordered_as_apk_orders_them() {
    let Some(apk) = Apk::find("made_versions_are_ordered_as_apk_orders_them") else { return };
    draws::each_seed("made_versions_are_ordered_as_apk_orders_them", |seed| {
        let mut dice = Dice::new(seed);
        let pairs = std::iter::repeat_with(|| (dice.version(), dice.version()));
        let pairs: Vec<(String, String)> =
            pairs.filter(|(a, b)| !is_of_other_zeros(a, b)).take(PAIRS).collect();

        let mut wrong = String::new();
        for ((a, b), expected) in pairs.iter().zip(answers(&apk, &pairs)) {
            let got = version::compare(a, b);
            if got != expected {
                writeln!(wrong, "{a} {b}: apk {expected:?}, here {got:?}").unwrap();
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    });
}

#[test]
fn the_versions_of_a_real_index_are_ordered_as_apk_orders_them() {
    let test = "the_versions_of_a_real_index_are_ordered_as_apk_orders_them";
    let (Some(apk), Some(alpine)) = (Apk::find(test), need::alpine(test)) else { return };
    let archive = alpine.repository("v3.19/community").join("x86_64/APKINDEX.tar.gz");
    let text = String::from_utf8(file_in_tar(&archive, "APKINDEX")).unwrap();
    let versions: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("V:")).collect();
    draws::each_seed("the_versions_of_a_real_index_are_ordered_as_apk_orders_them", |seed| {
        let mut dice = Dice::new(seed);
        let mut any = || versions[dice.below(versions.len())].to_owned();
        let pairs: Vec<(String, String)> = (0..PAIRS / 3).map(|_| (any(), any())).collect();

        for ((a, b), expected) in pairs.iter().zip(answers(&apk, &pairs)) {
            assert!(
                is_of_other_zeros(a, b) || version::compare(a, b) == expected,
                "{a} {b}: apk {expected:?}"
            );
        }
    });
    // 2.14 takes all of them for versions; apk 3 not those with a number behind a letter (spec apk v2, "APKINDEX.tar.gz").
    let mut all: Vec<String> = versions.iter().map(ToString::to_string).collect();
    all.sort();
    all.dedup();
    assert_eq!(apk.invalid(&all), [""; 0]);
    let invalid: Vec<String> = all.into_iter().filter(|text| !version::is_valid(text)).collect();
    assert!(invalid.contains(&"1.1.0b1-r7".to_owned()), "{invalid:?}");
    for text in invalid {
        let numbers_behind_letters = |pair: &[u8]| pair[0].is_ascii_lowercase() && pair[1].is_ascii_digit();
        let (version, _) = text.rsplit_once("-r").unwrap();
        assert!(version.as_bytes().windows(2).any(numbers_behind_letters), "{text}");
    }
}

#[test]
fn what_is_a_version_is_what_apk_takes_for_one() {
    let Some(apk) = Apk::find("what_is_a_version_is_what_apk_takes_for_one") else { return };
    let pieces = [
        "1", "0", "23", ".", "..", "a", "ab", "_", "_p", "_alpha", "_foo", "-r", "-r1", "-1", "v", "+", "A",
        "r1",
    ];
    draws::each_seed("what_is_a_version_is_what_apk_takes_for_one", |seed| {
        let mut dice = Dice::new(seed);
        let texts: Vec<String> =
            (0..2000).map(|_| (0..=dice.below(5)).map(|_| dice.pick(&pieces)).collect()).collect();
        let texts: Vec<String> = texts.into_iter().filter(|text: &String| !text.starts_with('-')).collect();

        // 2.14 takes some for versions that apk 3 does not (spec apk v2, "Version"): `1_` and `a` among them.
        let refused = apk.invalid(&texts);

        let accepted: Vec<&String> = refused.iter().filter(|text| version::is_valid(text)).collect();
        assert!(refused.len() > 500 && refused.len() < texts.len());
        assert_eq!(accepted, [""; 0]);
    });
}
