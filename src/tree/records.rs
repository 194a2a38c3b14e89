//! Writing down, in the tree itself, what is installed: the last thing before a tree is proved.
//!
//! These files are what an `apk` inside the image reads, and what scanners read in any image, so they are
//! there whether the image keeps apk or not.
//!
//! Source: spec apk v2, "Installed database"; design, "What is written into the image".

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use super::own_files::{self, OwnFileError};
use super::place::Installation;
use super::{Mode, NameError, Tree};
use crate::apk::dependency::Tag;
use crate::apk::installed::InstalledPackage;
use crate::arch::Arch;
use crate::archive::tar_write::{self, Entry, EntryKind, TarWriteError};
use crate::kind::{Explain, Kind};
use crate::path::TreePath;

/// What the records say beside what is installed.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    /// The architecture of the tree.
    pub arch: Arch,
    /// The lines of `etc/apk/repositories`.
    pub repositories: &'a [String],
    /// The tags that those lines have. A tag without a line is left out of the world and of the database:
    /// apk refuses to do anything with a tag it does not know.
    pub tags: &'a [Tag],
    /// Keys, by file name, to put where an apk in the image looks for them.
    pub keys: &'a [(String, Vec<u8>)],
}

/// Why the records cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Something stands in the place of a file.
    #[error(transparent)]
    Own(#[from] OwnFileError),
    /// A name is in the way.
    #[error("the installed database cannot be written: {0}")]
    Name(#[from] NameError),
    /// A script's name is none an archive can have.
    #[error("the scripts of the installed packages cannot be written: {0}")]
    Scripts(#[from] TarWriteError),
}

impl Explain for RecordError {
    fn kind(&self) -> Kind {
        match self {
            Self::Own(error) => error.kind(),
            Self::Name(error) => error.kind(),
            Self::Scripts(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Own(error) => error.hint(),
            Self::Name(_) | Self::Scripts(_) => None,
        }
    }
}

impl Installation {
    /// Writes the installed database, the world, the architecture, the repositories and keys.
    pub fn write_records(&mut self, records: &Records<'_>) -> Result<(), RecordError> {
        self.forget_tags(records.tags);
        self.forget_removed();
        // The owners of paths are not needed any more, and what is written is as large as what it is made of.
        self.database.forget_owners();
        let scripts = self.scripts_tar()?;
        let files = [
            ("lib/apk/db/installed", self.database.installed_text().into_bytes()),
            ("lib/apk/db/triggers", self.database.triggers_text().into_bytes()),
            ("lib/apk/db/scripts.tar", scripts),
            ("etc/apk/world", self.database.world_text().into_bytes()),
            ("etc/apk/arch", format!("{}\n", records.arch).into_bytes()),
            ("etc/apk/repositories", lines(records.repositories)),
        ];
        for (path, text) in files {
            write(&mut self.tree, path, text)?;
        }
        // One of the two forms is read; two would be two truths.
        remove(&mut self.tree, "lib/apk/db/scripts.tar.gz")?;
        for (name, pem) in records.keys {
            let path = format!("etc/apk/keys/{name}");
            // A package of keys has it already, as a rule.
            if self.tree.get(&TreePath::relative(&path).unwrap_or_default()).is_none() {
                write(&mut self.tree, &path, pem.clone())?;
            }
        }
        Ok(())
    }

    fn forget_tags(&mut self, known: &[Tag]) {
        let is_unknown = |tag: &Option<Tag>| tag.as_ref().is_some_and(|tag| !known.contains(tag));
        for dependency in &mut self.database.world {
            if is_unknown(&dependency.tag) {
                dependency.tag = None;
            }
        }
        self.database.change_all(|package: &mut InstalledPackage| {
            if is_unknown(&package.tag) {
                package.tag = None;
            }
        });
    }

    /// The scripts and triggers of packages that are no more.
    fn forget_removed(&mut self) {
        let names: HashSet<Box<str>> = self.database.names().into_iter().map(Box::from).collect();
        self.database.scripts.retain(|name, _| names.contains(name));
        self.database.triggers.retain(|name, _| names.contains(name));
    }

    fn scripts_tar(&self) -> Result<Vec<u8>, TarWriteError> {
        let mut tar = Vec::new();
        for (name, time, text) in self.database.script_entries() {
            let size = text.len() as u64;
            let entry = Entry { mode: 0o755, mtime: time, ..Entry::new(&name, EntryKind::File { size }) };
            entry.append_head(&mut tar)?;
            tar.extend_from_slice(text);
            tar.extend_from_slice(tar_write::padding(size));
        }
        tar.extend_from_slice(tar_write::END);
        Ok(tar)
    }
}

fn lines(lines: &[String]) -> Vec<u8> {
    lines.iter().fold(String::new(), |text, line| text + line + "\n").into_bytes()
}

/// Writes a generated file; owner and mode of one that is there stay.
fn write(tree: &mut Tree, path: &str, text: Vec<u8>) -> Result<(), OwnFileError> {
    own_files::write(tree, &TreePath::relative(path).unwrap_or_default(), text.into(), Mode::FILE)
}

/// Takes a generated file away, under its own name: what a link there points at stays.
fn remove(tree: &mut Tree, path: &str) -> Result<(), RecordError> {
    let path = TreePath::relative(path).unwrap_or_default();
    if let Some(directory) = path.parent() {
        let directory = own_files::directory(tree, &path, &directory)?;
        if let Ok(path) = directory.join(path.name()) {
            tree.remove(&path)?;
        }
    }
    Ok(())
}
