//! Where a value of a profile comes from, and what its relative paths are relative to.
//!
//! Every value keeps its [`Origin`]: messages name file and line, `profiles show` prints them, and a
//! relative path is meant from the directory of the profile that states it, not of the one that extends
//! it. Nothing here touches the disk.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::builtin::BuiltIn;
use super::value::Shown;

/// Where a value was stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In a profile.
    Profile {
        /// Which profile.
        source: Arc<Source>,
        /// The line, from 1.
        line: u32,
    },
    /// By an option of the command line.
    CommandLine {
        /// The option, with its dashes.
        option: &'static str,
        /// The directory that relative paths are meant from.
        directory: Arc<Path>,
    },
    /// Nowhere: apkcompose's own default.
    Default,
}

/// A profile that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What messages call it: its path, or the name of a built-in one.
    pub name: String,
    /// What its relative paths are relative to.
    pub location: Location,
}

/// A directory that relative paths are meant from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// On disk.
    Directory(PathBuf),
    /// In the program.
    BuiltIn(&'static BuiltIn),
}

/// A path that a profile states, together with what it is relative to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfilePath {
    /// The directory it is relative to.
    pub location: Location,
    /// As it was written; absolute paths are possible.
    pub path: PathBuf,
}

/// Where a [`ProfilePath`] leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// To a file or directory on disk.
    Disk(PathBuf),
    /// To a file or directory among those of a built-in profile.
    Embedded {
        /// The profile.
        profile: &'static BuiltIn,
        /// The path relative to it, without `.` components; empty for the profile's own directory.
        path: String,
    },
}

/// A value with the place where it was stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated<T> {
    /// The value.
    pub value: T,
    /// Where it was stated.
    pub origin: Origin,
}

impl Origin {
    /// What a relative path stated here is relative to.
    #[must_use]
    pub fn location(&self) -> Location {
        match self {
            Self::Profile { source, .. } => source.location.clone(),
            Self::CommandLine { directory, .. } => Location::Directory(directory.to_path_buf()),
            Self::Default => Location::Directory(PathBuf::new()),
        }
    }
}

/// `php.toml:12`, `base (built-in):3`, `--set`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Profile { source, line } => write!(f, "{source}:{line}"),
            Self::CommandLine { option, .. } => f.write_str(option),
            Self::Default => f.write_str("default"),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Shown(&self.name))?;
        match self.location {
            Location::BuiltIn(_) => f.write_str(" (built-in)"),
            Location::Directory(_) => Ok(()),
        }
    }
}

impl ProfilePath {
    /// Where it leads. A path of a built-in profile leads to an embedded file, unless it is absolute;
    /// nothing if it leaves the profile through `..`, where there is nothing.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        let profile = match &self.location {
            _ if self.path.is_absolute() => return Some(Place::Disk(self.path.clone())),
            Location::Directory(directory) => return Some(Place::Disk(directory.join(&self.path))),
            Location::BuiltIn(profile) => *profile,
        };
        let mut names: Vec<&str> = Vec::new();
        for component in self.path.components() {
            match component {
                Component::Normal(name) => names.push(name.to_str()?),
                Component::CurDir => {}
                Component::ParentDir => {
                    names.pop()?;
                }
                Component::RootDir | Component::Prefix(_) => return None,
            }
        }
        Some(Place::Embedded { profile, path: names.join("/") })
    }
}

impl fmt::Display for ProfilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Location::Directory(directory) => write!(f, "{}", directory.join(&self.path).display()),
            Location::BuiltIn(profile) => write!(f, "{} ({}, built-in)", self.path.display(), profile.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::builtin::EmbeddedFile;

    static DEMO: BuiltIn = BuiltIn {
        name: "demo",
        text: "",
        files: &[
            EmbeddedFile { path: "demo.rsa.pub", bytes: b"key" },
            EmbeddedFile { path: "repository/x86_64/APKINDEX.tar.gz", bytes: b"index" },
        ],
    };

    fn embedded(path: &str) -> Option<String> {
        match (ProfilePath { location: Location::BuiltIn(&DEMO), path: path.into() }).place()? {
            Place::Embedded { path, .. } => Some(path),
            Place::Disk(path) => panic!("{}", path.display()),
        }
    }

    #[test]
    fn a_relative_path_of_a_built_in_profile_leads_to_its_embedded_files() {
        let path = embedded("./repository").unwrap();
        let below: Vec<&str> = DEMO.files_below(&path).map(|(path, _)| path).collect();
        assert_eq!(below, ["x86_64/APKINDEX.tar.gz"]);
        assert_eq!(DEMO.file(&embedded("a/../demo.rsa.pub").unwrap()).unwrap().bytes, b"key");
        assert_eq!(embedded("../demo.rsa.pub"), None);
    }

    #[test]
    fn a_relative_path_of_a_profile_on_disk_is_beside_it() {
        let location = Location::Directory("/profiles".into());
        let place = |path: &str| ProfilePath { location: location.clone(), path: path.into() }.place();
        assert_eq!(place("app"), Some(Place::Disk("/profiles/app".into())));
        assert_eq!(place("/srv/app"), Some(Place::Disk("/srv/app".into())));
    }
}
