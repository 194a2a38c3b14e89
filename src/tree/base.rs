//! A tree made of a base: a minirootfs, any root filesystem's archive, or the layers of an image.
//!
//! Everything the base holds becomes an inode; what its installed database lists belongs to packages,
//! the rest to nobody. What the base says of itself (world, scripts, triggers) is taken as data. Keys in it
//! are files and never trust.
//!
//! Source: spec apk v2, "Installed database"; design, "Staging".

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use super::database::Database;
use super::layers::{self, LayersError, TableLayer};
use super::place::Installation;
use super::{InodeKind, NameError, Origin, Tree};
use crate::apk::dependency::{Dependency, DependencyError};
use crate::apk::index::IndexError;
use crate::apk::installed::InstalledText;
use crate::apk::package::{ScriptKind, Scripts};
use crate::archive::gzip::{self, GzipError};
use crate::archive::tar_read::{TarError, TarReader};
use crate::content::ContentError;
use crate::digest::Identity;
use crate::kind::{Explain, Kind};
use crate::path::TreePath;

/// The longest installed database of a base, in bytes.
const MAX_INSTALLED: u64 = 64 << 20;
/// The most files and directories that it may list.
const MAX_LISTED: usize = 750_000;
/// How long the scripts of a base may be together, in bytes of their tar.
const MAX_SCRIPTS: u64 = 64 << 20;
/// The longest list of triggers of a base, in bytes.
const MAX_TRIGGERS: u64 = 4 << 20;
/// The longest world, and the longest name of an architecture, of a base, in bytes.
const MAX_TEXT: u64 = 1 << 20;
/// The longest script of a base, in bytes.
const MAX_SCRIPT: u64 = 256 * 1024;

/// Why a base cannot be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaseError {
    /// Its entries do not make a tree.
    #[error("the base cannot be used: {0}")]
    Layers(#[from] LayersError),
    /// A link in it leads nowhere.
    #[error("the base cannot be used: {0}")]
    Name(#[from] NameError),
    /// A file of it could not be read.
    #[error("the base cannot be used: {0}")]
    Content(#[from] ContentError),
    /// A file of it is larger than its kind can be.
    #[error("the base cannot be used: {path} has {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// The file.
        path: TreePath,
        /// Its size, in bytes.
        size: u64,
        /// How long it may be, in bytes.
        limit: u64,
    },
    /// Its installed database lists too much.
    #[error(
        "the base cannot be used: its installed database lists more files and directories than the limit of \
         {MAX_LISTED}"
    )]
    TooManyListed,
    /// Its installed database is malformed.
    #[error("the base cannot be used: {0}")]
    Installed(#[from] IndexError),
    /// Its world is malformed.
    #[error("the base cannot be used: its /etc/apk/world is malformed: {0}")]
    World(#[from] DependencyError),
    /// Its compressed scripts are malformed.
    #[error("the base cannot be used: its package scripts are malformed: {0}")]
    CompressedScripts(#[from] GzipError),
    /// Its scripts are malformed.
    #[error("the base cannot be used: its package scripts are malformed: {0}")]
    Scripts(#[from] TarError),
}

impl Explain for BaseError {
    fn kind(&self) -> Kind {
        match self {
            Self::Content(error) => error.kind(),
            Self::Layers(error) => error.kind(),
            Self::Name(error) => error.kind(),
            Self::Scripts(error) => error.kind(),
            Self::TooLarge { .. }
            | Self::TooManyListed
            | Self::CompressedScripts(GzipError::TooLarge { .. }) => Kind::Limit,
            Self::Installed(_) | Self::World(_) | Self::CompressedScripts(_) => Kind::Integrity,
        }
    }
}

/// A base: its files, its database, and that database as the solver looks at it.
#[derive(Debug)]
pub struct Base {
    /// The files and the packages.
    pub installation: Installation,
    /// The text of the installed database; nothing if the base has none.
    pub installed: Option<InstalledText>,
    /// The architecture that its apk is told it is for, if it is told.
    pub arch: Option<String>,
}

impl Base {
    /// Makes a tree of a base's layers, the lowest first; a root filesystem is a single one.
    pub fn of_layers(layers: &[TableLayer<'_>]) -> Result<Self, BaseError> {
        let mut tree = layers::tree_of(layers)?;
        let mut database = Database::default();
        let installed = match text(&tree, "lib/apk/db/installed", MAX_INSTALLED)? {
            Some(text) if lists_too_much(&text) => return Err(BaseError::TooManyListed),
            Some(text) => Some(InstalledText::parse("the base's /lib/apk/db/installed", text)?),
            None => None,
        };
        for package in installed.iter().flat_map(InstalledText::packages) {
            database.insert(package.clone());
        }
        attribute(&mut tree, &database);
        database.world = world(&tree)?;
        read_scripts(&tree, &mut database)?;
        read_triggers(&tree, &mut database)?;
        let arch = text(&tree, "etc/apk/arch", MAX_TEXT)?
            .map(|text| String::from_utf8_lossy(&text).trim().to_owned());
        Ok(Self { installation: Installation::new(tree, database), installed, arch })
    }
}

/// Says of every file and directory that a package owns whose it is.
fn attribute(tree: &mut Tree, database: &Database) {
    for package in database.packages() {
        let origin = Origin::Package(package.name().into());
        let directories = package.directories.iter().map(|directory| directory.path.clone());
        let files = package.files().filter_map(|(directory, file)| directory.join(&file.name).ok());
        for path in directories.chain(files) {
            let Ok(physical) = tree.physical(&path) else { continue };
            if let Some(inode) = tree.get_mut(&physical)
                && inode.origin == Origin::Base
            {
                inode.origin = origin.clone();
            }
        }
    }
}

/// Whether the text of an installed database has more lines of files and directories than it may.
fn lists_too_much(text: &[u8]) -> bool {
    let lines = text.split(|byte| *byte == b'\n');
    lines.filter(|line| matches!(line, [b'F' | b'R', b':', ..])).nth(MAX_LISTED).is_some()
}

fn text(tree: &Tree, path: &str, limit: u64) -> Result<Option<Vec<u8>>, BaseError> {
    let path = tree.resolve(&TreePath::relative(path).unwrap_or_default())?;
    let Some(InodeKind::File(content)) = tree.get(&path).map(|inode| &inode.kind) else { return Ok(None) };
    if content.length() > limit {
        return Err(BaseError::TooLarge { path, size: content.length(), limit });
    }
    Ok(Some(content.to_vec()?))
}

fn world(tree: &Tree) -> Result<Vec<Dependency>, BaseError> {
    let text = text(tree, "etc/apk/world", MAX_TEXT)?.unwrap_or_default();
    let words = String::from_utf8_lossy(&text);
    Ok(words.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>()?)
}

/// Reads `scripts.tar`; entries are named `name-version.identity.kind`.
fn read_scripts(tree: &Tree, database: &mut Database) -> Result<(), BaseError> {
    let Some(tar) = scripts_tar(tree)? else { return Ok(()) };
    let names = names_by_identity(database);
    let mut scripts: HashMap<Box<str>, Scripts> = HashMap::new();
    let mut reader = TarReader::new(tar.as_slice());
    while let Some(entry) = reader.next_entry()? {
        let name = String::from_utf8_lossy(&entry.path).into_owned();
        let owner = name.rsplit_once('.').and_then(|(rest, kind)| {
            let (_, identity) = rest.rsplit_once('.')?;
            Some((names.get(&identity.parse().ok()?)?, ScriptKind::named(kind)?))
        });
        // Scripts of packages that are gone stay behind in some databases; they belong to nobody.
        if let Some((package, kind)) = owner {
            scripts.entry(package.clone()).or_default().insert(kind, reader.read_small(MAX_SCRIPT)?);
        }
    }
    database.scripts.extend(scripts);
    Ok(())
}

/// `scripts.tar` if there is one, else what `scripts.tar.gz` inflates to.
fn scripts_tar(tree: &Tree) -> Result<Option<Vec<u8>>, BaseError> {
    if let Some(tar) = text(tree, "lib/apk/db/scripts.tar", MAX_SCRIPTS)? {
        return Ok(Some(tar));
    }
    let Some(compressed) = text(tree, "lib/apk/db/scripts.tar.gz", MAX_SCRIPTS)? else { return Ok(None) };
    Ok(Some(gzip::inflate_member(&mut compressed.as_slice(), MAX_SCRIPTS)?))
}

/// Reads `triggers`; lines are an identity and globs.
fn read_triggers(tree: &Tree, database: &mut Database) -> Result<(), BaseError> {
    let text = text(tree, "lib/apk/db/triggers", MAX_TRIGGERS)?.unwrap_or_default();
    let names = names_by_identity(database);
    for line in String::from_utf8_lossy(&text).lines() {
        let mut words = line.split_ascii_whitespace();
        let owner = words.next().and_then(|identity| names.get(&identity.parse().ok()?));
        if let Some(package) = owner {
            database.triggers.insert(package.clone(), words.map(str::to_owned).collect());
        }
    }
    Ok(())
}

fn names_by_identity(database: &Database) -> HashMap<Identity, Box<str>> {
    let packages = database.packages();
    packages
        .iter()
        .filter_map(|package| Some((package.field('C').parse().ok()?, package.name().into())))
        .collect()
}
