//! Finding a profile by name, reading it, and reading what it extends.
//!
//! A profile that is reached twice counts once, at its first place, so that a shared ancestor does not
//! override what lies between. Depth and number are bounded; a circle is named.
//!
//! Source: design, "The profile".

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::builtin::BuiltIn;
use super::document::{self, Node, Value};
use super::error::{Flaw, Problem, ProfileError};
use super::origin::{Location, Origin, Source};
use super::schema;
use super::value::Invalid;
use crate::kind::nearest;
use crate::root;

/// The largest profile, in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// The longest chain of profiles that extend each other.
const MAX_DEPTH: usize = 16;
/// The most profiles that one can extend, itself included.
const MAX_PROFILES: usize = 64;
/// The version that `requires` is about.
const THIS_VERSION: &str = env!("CARGO_PKG_VERSION");

/// A profile that was found, not yet looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is called: the name of a built-in one, or the file's name without `.toml`.
    pub name: String,
    /// Where it was found. Its text form is what the user is told.
    pub source: Arc<Source>,
    /// Its text.
    pub text: String,
}

/// Finds the profile that `--profile` names: a path if `name` has a slash or ends in `.toml`; else
/// `NAME.toml` and `profiles/NAME.toml` below `directory`; else a built-in one.
pub fn find(name: &str, directory: &Path, built_ins: &'static [BuiltIn]) -> Result<Found, ProfileError> {
    if is_path(name) {
        let path = directory.join(name);
        return read(&path)
            .map_err(|error| ProfileError::Unreadable { error, stated: None })?
            .ok_or(ProfileError::NotFound { path, stated: None })
            .and_then(Unchecked::checked);
    }
    let file = format!("{name}.toml");
    let tried = [directory.join(&file), directory.join("profiles").join(&file)];
    if is_name(name) {
        for path in &tried {
            let read = read(path).map_err(|error| ProfileError::Unreadable { error, stated: None })?;
            if let Some(found) = read {
                return found.checked();
            }
        }
    }
    built_in(name, built_ins).ok_or_else(|| unknown(name, None, tried.to_vec(), built_ins))
}

fn is_path(name: &str) -> bool {
    name.contains('/') || Path::new(name).extension().is_some_and(|extension| extension == "toml")
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 200 && super::value::is_plain_line(name)
}

fn unknown(
    name: &str,
    stated: Option<Origin>,
    tried: Vec<PathBuf>,
    built_ins: &'static [BuiltIn],
) -> ProfileError {
    let built_in: Box<[&'static str]> = built_ins.iter().map(|profile| profile.name).collect();
    let near = nearest(name, built_in.iter().copied()).into();
    ProfileError::Unknown { name: name.into(), stated, tried: tried.into(), built_in, near }
}

fn built_in(name: &str, built_ins: &'static [BuiltIn]) -> Option<Found> {
    let profile = built_ins.iter().find(|profile| profile.name == name)?;
    let source = Source { name: name.to_owned(), location: Location::BuiltIn(profile) };
    Some(Found { name: name.to_owned(), source: Arc::new(source), text: profile.text.to_owned() })
}

/// The bytes of a profile's file.
struct Unchecked {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// Reads the profile at `path`; nothing if there is no such file.
fn read(path: &Path) -> Result<Option<Unchecked>, root::FileError> {
    match root::read_file(path, MAX_BYTES) {
        Ok(bytes) => Ok(Some(Unchecked { path: path.to_owned(), bytes })),
        Err(error)
            if matches!(error.error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl Unchecked {
    fn checked(self) -> Result<Found, ProfileError> {
        let Self { path, bytes } = self;
        let shown = path.display().to_string();
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let before = error.as_bytes().iter().take(valid);
            let line = 1 + before.filter(|byte| **byte == b'\n').count();
            ProfileError::NotUtf8 { profile: shown.clone(), line }
        })?;
        let directory = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let source = Source { name: shown, location: Location::Directory(directory) };
        Ok(Found { name, source: Arc::new(source), text })
    }
}

/// Reads `found` and what it extends. The profiles come in the order in which they are merged: what is
/// extended before what extends it.
pub(super) fn read_all(found: &Found, built_ins: &'static [BuiltIn]) -> Result<Vec<Node>, ProfileError> {
    let mut loader = Loader { built_ins, known: Vec::new(), layers: Vec::new() };
    let start = Origin::Profile { source: Arc::clone(&found.source), line: 1 };
    loader.load(found, &start, &mut Vec::new())?;
    Ok(loader.layers)
}

struct Loader {
    built_ins: &'static [BuiltIn],
    /// What was read, by what tells profiles apart.
    known: Vec<PathBuf>,
    layers: Vec<Node>,
}

/// A profile on the way from the first one.
struct Step {
    key: PathBuf,
    name: String,
}

impl Loader {
    fn load(&mut self, found: &Found, stated: &Origin, way: &mut Vec<Step>) -> Result<(), ProfileError> {
        let key = key_of(found);
        if let Some(at) = way.iter().position(|step| step.key == key) {
            let circle = way.iter().skip(at).map(|step| step.name.clone());
            let chain = circle.chain([found.source.to_string()]).collect();
            return Err(ProfileError::Cycle { origin: stated.clone(), chain });
        }
        if self.known.contains(&key) {
            return Ok(());
        }
        if way.len() == MAX_DEPTH {
            return Err(ProfileError::TooMany { origin: stated.clone(), limit: MAX_DEPTH });
        }
        if self.known.len() == MAX_PROFILES {
            return Err(ProfileError::TooMany { origin: stated.clone(), limit: MAX_PROFILES });
        }
        self.known.push(key.clone());
        let profile = parse_checked(found)?;
        way.push(Step { key, name: found.source.to_string() });
        for node in profile.get("extends").map(Node::elements).unwrap_or_default() {
            let extended = self.extended(node, &found.source)?;
            self.load(&extended, &node.origin, way)?;
        }
        way.pop();
        self.layers.push(profile);
        Ok(())
    }

    fn extended(&self, node: &Node, by: &Source) -> Result<Found, ProfileError> {
        let name = node.as_text().unwrap_or_default();
        let stated = || Some(node.origin.clone());
        let is_file = Path::new(name).extension().is_some_and(|extension| extension == "toml");
        match &by.location {
            _ if !is_file => built_in(name, self.built_ins)
                .ok_or_else(|| unknown(name, stated(), Vec::new(), self.built_ins)),
            Location::BuiltIn(_) => {
                Err(ProfileError::BuiltInExtendsFile { origin: node.origin.clone(), path: name.to_owned() })
            }
            Location::Directory(directory) => {
                let path = directory.join(name);
                read(&path)
                    .map_err(|error| ProfileError::Unreadable { error, stated: stated() })?
                    .ok_or_else(|| ProfileError::NotFound { path, stated: stated() })?
                    .checked()
            }
        }
    }
}

/// What tells profiles apart. Two spellings of one path are one profile; where a link makes two paths of
/// one file, the bound on the depth ends a circle.
fn key_of(found: &Found) -> PathBuf {
    let mut key = PathBuf::new();
    if matches!(found.source.location, Location::BuiltIn(_)) {
        return PathBuf::from(format!("\0{}", found.name));
    }
    for component in Path::new(&found.source.name).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(key.components().next_back(), Some(Component::Normal(_))) => {
                key.pop();
            }
            _ => key.push(component),
        }
    }
    key
}

/// Parses a profile and checks its keys and types. What it requires comes first: a profile for another
/// version may well have keys that this one does not know.
fn parse_checked(found: &Found) -> Result<Node, ProfileError> {
    let profile = document::parse(&found.text, &found.source)?;
    check_required(&profile)?;
    ProfileError::of_problems(schema::check(&profile))?;
    Ok(profile)
}

fn check_required(profile: &Node) -> Result<(), ProfileError> {
    let Some(Node { origin, value: Value::Text(text) }) = profile.get("requires") else {
        return Ok(());
    };
    let required: semver::VersionReq = text.parse().map_err(|_| {
        let flaw = Flaw::Invalid(Invalid::new(text, "a requirement on apkcompose's version (\">=0.1\")"));
        ProfileError::Problems(vec![Problem { origin: origin.clone(), key: "requires".to_owned(), flaw }])
    })?;
    let this = THIS_VERSION.parse().is_ok_and(|version| required.matches(&version));
    if this {
        return Ok(());
    }
    Err(ProfileError::Requires { origin: origin.clone(), required, this: THIS_VERSION })
}
