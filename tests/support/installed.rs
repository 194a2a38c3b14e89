//! The installed database read field by field, and what differs between two of them.
//!
//! Order within a package's files is not compared: apk 2.14 writes directories in hash-table order.
//!
//! Source: the specification's section 1, "Installed database".

use std::collections::{BTreeMap, BTreeSet};

/// Where it is in a root filesystem.
pub(crate) const PATH: &str = "lib/apk/db/installed";

/// A package's record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Package {
    /// The fields before the files by their letter.
    pub(crate) fields: BTreeMap<char, String>,
    /// Their letters in the order they stand.
    pub(crate) order: String,
    /// Its directories by path; the root is the empty path.
    pub(crate) directories: BTreeMap<String, Option<String>>,
    /// Its files by path, each with its `a:` and `Z:`.
    pub(crate) files: BTreeMap<String, File>,
}

/// A file's record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct File {
    /// Owner, group and mode (`a:`), nothing for 0:0:644.
    pub(crate) access: Option<String>,
    /// The checksum (`Z:`).
    pub(crate) checksum: Option<String>,
}

/// A named rule for a field that may differ.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exception {
    /// What it is about, in a few words.
    pub(crate) name: &'static str,
    /// Why that may differ.
    pub(crate) reason: &'static str,
    /// Whether it covers a difference.
    pub(crate) covers: fn(&Difference<'_>) -> bool,
}

/// One difference.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Difference<'a> {
    /// The package.
    pub(crate) package: &'a str,
    /// The letter of the field: of the stanza, or `F` (presence), `M`, `R` (presence), `a`, `Z` below it;
    /// `P` alone if a whole package is there on one side only.
    pub(crate) field: char,
    /// The directory or file it is about, for the last five.
    pub(crate) path: Option<&'a str>,
    /// The value there should be.
    pub(crate) expected: Option<&'a str>,
    /// The value there is.
    pub(crate) got: Option<&'a str>,
}

/// apk 2.14 writes `r:` and `q:` fields that the package does not have: whatever replaced the last one it read.
/// What stands there is compared with the packages' own `.PKGINFO` instead (see [`replaces`]).
pub(crate) const STRAY_REPLACES: Exception = Exception {
    name: "r: and q:",
    reason: "apk 2.14 writes stray ones; they are compared with .PKGINFO",
    covers: |difference| matches!(difference.field, 'r' | 'q'),
};

/// The records in the text of a database by the packages' names.
pub(crate) fn parse(text: &str) -> BTreeMap<String, Package> {
    let mut packages = BTreeMap::new();
    for stanza in text.split("\n\n").map(str::trim).filter(|stanza| !stanza.is_empty()) {
        let package = parse_package(stanza);
        let name =
            package.fields.get(&'P').unwrap_or_else(|| panic!("a stanza without a name:\n{stanza}")).clone();
        let earlier = packages.insert(name.clone(), package);
        assert!(earlier.is_none(), "{name} is in the installed database twice");
    }
    packages
}

/// The names of the packages in the order they stand.
pub(crate) fn names(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.strip_prefix("P:")).map(str::to_owned).collect()
}

/// What a package's `r:` says, as a set.
pub(crate) fn replaces(package: &Package) -> BTreeSet<String> {
    let text = package.fields.get(&'r').map(String::as_str).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

fn parse_package(stanza: &str) -> Package {
    let mut package = Package::default();
    let mut directory = None;
    let mut file = None;
    for line in stanza.lines() {
        let (letter, value) =
            line.split_once(':').unwrap_or_else(|| panic!("a line without a colon: {line}"));
        let letter = letter.parse::<char>().unwrap_or_else(|_| panic!("a field of several letters: {line}"));
        let value = value.to_owned();
        match (letter, &directory, &file) {
            ('F', _, _) => {
                once(package.directories.insert(value.clone(), None).is_none(), line);
                (directory, file) = (Some(value), None);
            }
            ('M', Some(directory), _) => drop(package.directories.insert(directory.clone(), Some(value))),
            ('R', Some(directory), _) => {
                let path = if directory.is_empty() { value } else { format!("{directory}/{value}") };
                once(package.files.insert(path.clone(), File::default()).is_none(), line);
                file = Some(path);
            }
            ('a', _, Some(file)) => package.files.entry(file.clone()).or_default().access = Some(value),
            ('Z', _, Some(file)) => package.files.entry(file.clone()).or_default().checksum = Some(value),
            // apk 2.14 writes stray ones beside a package's own.
            ('r', None, _) if package.fields.contains_key(&'r') => {
                package.fields.entry('r').and_modify(|replaces| replaces.extend([" ", value.as_str()]));
            }
            (_, None, _) => {
                once(package.fields.insert(letter, value).is_none(), line);
                package.order.push(letter);
            }
            _ => panic!("a line where none may be: {line}"),
        }
    }
    package
}

fn once(is_first: bool, line: &str) {
    assert!(is_first, "twice in one package: {line}");
}

/// What differs between the texts of two databases and is covered by none of `exceptions`, a line each with
/// both sides; and the exceptions that covered nothing.
pub(crate) fn diff(expected: &str, got: &str, exceptions: &[Exception]) -> Vec<String> {
    let (expected, got) = (parse(expected), parse(got));
    let mut differences = Vec::new();
    for name in keys(&expected, &got) {
        match (expected.get(name), got.get(name)) {
            (Some(expected), Some(got)) => compare(name, expected, got, &mut differences),
            (expected, got) => {
                let (expected, got) = (expected.and_then(version), got.and_then(version));
                differences.push(Difference { package: name, field: 'P', path: None, expected, got });
            }
        }
    }
    let mut used = BTreeSet::new();
    let mut lines = Vec::new();
    for difference in &differences {
        let covering: Vec<_> =
            exceptions.iter().filter(|rule| (rule.covers)(difference)).map(|rule| rule.name).collect();
        if covering.is_empty() {
            lines.push(difference.to_string());
        }
        used.extend(covering);
    }
    lines.extend(orders(&expected, &got));
    let unused = exceptions.iter().filter(|rule| !used.contains(rule.name));
    lines.extend(
        unused.map(|rule| format!("the exception `{}` ({}) covered nothing", rule.name, rule.reason)),
    );
    lines
}

fn version(package: &Package) -> Option<&str> {
    package.fields.get(&'V').map(String::as_str)
}

fn keys<'a, V>(expected: &'a BTreeMap<String, V>, got: &'a BTreeMap<String, V>) -> BTreeSet<&'a str> {
    expected.keys().chain(got.keys()).map(String::as_str).collect()
}

fn compare<'a>(package: &'a str, expected: &'a Package, got: &'a Package, found: &mut Vec<Difference<'a>>) {
    let mut note = |field, path, expected: Option<&'a str>, got: Option<&'a str>| {
        if expected != got {
            found.push(Difference { package, field, path, expected, got });
        }
    };
    let letters: BTreeSet<char> = expected.fields.keys().chain(got.fields.keys()).copied().collect();
    for letter in letters {
        let value = |package: &'a Package| package.fields.get(&letter).map(String::as_str);
        note(letter, None, value(expected), value(got));
    }
    for path in keys(&expected.directories, &got.directories) {
        match (expected.directories.get(path), got.directories.get(path)) {
            (Some(expected), Some(got)) => note('M', Some(path), expected.as_deref(), got.as_deref()),
            (expected, got) => note('F', Some(path), expected.map(|_| path), got.map(|_| path)),
        }
    }
    for path in keys(&expected.files, &got.files) {
        match (expected.files.get(path), got.files.get(path)) {
            (Some(expected), Some(got)) => {
                note('a', Some(path), expected.access.as_deref(), got.access.as_deref());
                note('Z', Some(path), expected.checksum.as_deref(), got.checksum.as_deref());
            }
            (expected, got) => note('R', Some(path), expected.map(|_| path), got.map(|_| path)),
        }
    }
}

/// Packages whose fields stand in another order, those that only one side has left out.
fn orders(expected: &BTreeMap<String, Package>, got: &BTreeMap<String, Package>) -> Vec<String> {
    let common = |of: &Package, other: &Package| -> String {
        of.order.chars().filter(|letter| other.fields.contains_key(letter)).collect()
    };
    let pairs = expected.iter().filter_map(|(name, expected)| got.get(name).map(|got| (name, expected, got)));
    pairs
        .map(|(name, expected, got)| (name, common(expected, got), common(got, expected)))
        .filter(|(_, expected, got)| expected != got)
        .map(|(name, expected, got)| format!("{name}: order of fields: expected {expected}, got {got}"))
        .collect()
}

impl std::fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { package, field, path, expected, got } = *self;
        let path = path.map(|path| format!(" of `{path}`")).unwrap_or_default();
        let shown =
            |value: Option<&str>| value.map_or_else(|| "none".to_owned(), |value| format!("`{value}`"));
        write!(f, "{package}: field {field}{path}: expected {}, got {}", shown(expected), shown(got))
    }
}
