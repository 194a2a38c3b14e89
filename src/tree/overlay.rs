//! What the profile puts into a tree itself: files, directories and links.
//!
//! The profile has the last word: what it names replaces what packages put there, but a directory is never
//! replaced by something else, nor something else by a directory, unseen.
//!
//! Source: design, "The profile".

#[cfg(test)]
mod tests;

use super::accounts::{Account, AccountError, Accounts};
use super::{Inode, InodeKind, Mode, NameError, Origin, Owner, Tree};
use crate::content::Content;
use crate::kind::{Explain, Kind};
use crate::path::TreePath;

/// Something the profile puts into the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlaid {
    /// Where.
    pub path: TreePath,
    /// What.
    pub kind: OverlaidKind,
    /// Its permission bits; nothing leaves those of a directory that is there, and is the usual ones else.
    pub mode: Option<Mode>,
    /// Its user and group; nothing leaves those of a directory that is there, and is root else.
    pub owner: Option<(Account, Account)>,
}

/// What the profile puts into the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OverlaidKind {
    /// A file.
    File(Content),
    /// A directory.
    Directory,
    /// A symbolic link and its target.
    Symlink(String),
}

/// Why something cannot be put into the tree.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OverlayError {
    /// A name is in the way.
    #[error("the profile's {path} cannot be put into the image: {error}")]
    Name {
        /// Which of the profile's.
        path: TreePath,
        /// What is in the way.
        error: NameError,
    },
    /// An owner is not known.
    #[error("the owner of the profile's {path}: the image has no {what} `{name}`")]
    Owner {
        /// Which of the profile's.
        path: TreePath,
        /// "user" or "group".
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The tree's accounts cannot be read.
    #[error(transparent)]
    Accounts(#[from] AccountError),
}

impl Explain for OverlayError {
    fn kind(&self) -> Kind {
        match self {
            Self::Accounts(error) => error.kind(),
            Self::Name { error: NameError::TooMany { .. }, .. } => Kind::Limit,
            Self::Name { .. } | Self::Owner { .. } => Kind::Profile,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Owner { what, name, .. } => {
                Some(format!("give the number, or add the {what}: [[{what}s]] name = \"{name}\""))
            }
            Self::Accounts(error) => error.hint(),
            Self::Name { .. } => None,
        }
    }
}

impl Tree {
    /// Puts all of `overlaid` in, in order. Directories above that are missing are made, of root and 0755.
    pub fn overlay(&mut self, overlaid: &[Overlaid]) -> Result<(), OverlayError> {
        let accounts = Accounts::of(self)?;
        for item in overlaid {
            let owner = resolve_owner(item, &accounts)?;
            self.overlay_one(item, owner)
                .map_err(|error| OverlayError::Name { path: item.path.clone(), error })?;
        }
        Ok(())
    }

    fn overlay_one(&mut self, item: &Overlaid, owner: Option<Owner>) -> Result<(), NameError> {
        let parent = item.path.parent().unwrap_or_default();
        let parent = self.resolve(&parent)?;
        let path = parent.join(item.path.name()).unwrap_or(parent);
        self.make_parents(&path, &Origin::Profile)?;
        let (kind, usual) = match &item.kind {
            OverlaidKind::File(content) => (InodeKind::File(content.clone()), Mode::FILE),
            OverlaidKind::Directory => (InodeKind::Directory, Mode::DIRECTORY),
            OverlaidKind::Symlink(target) => (InodeKind::Symlink(target.as_str().into()), Mode::SYMLINK),
        };
        if let (OverlaidKind::Directory, Some(there)) = (&item.kind, self.get_mut(&path))
            && there.is_directory()
        {
            there.mode = item.mode.unwrap_or(there.mode);
            there.owner = owner.unwrap_or(there.owner);
            // It stays even if the package it came from does not.
            there.origin = Origin::Profile;
            return Ok(());
        }
        let inode = Inode {
            owner: owner.unwrap_or_default(),
            ..Inode::new(kind, item.mode.unwrap_or(usual), Origin::Profile)
        };
        self.insert(path, inode).map(drop)
    }
}

fn resolve_owner(item: &Overlaid, accounts: &Accounts) -> Result<Option<Owner>, OverlayError> {
    let unknown =
        |what, name: &str| OverlayError::Owner { path: item.path.clone(), what, name: name.to_owned() };
    let Some((user, group)) = &item.owner else { return Ok(None) };
    let uid = match user {
        Account::Number(uid) => *uid,
        Account::Name(name) => accounts.user(name).ok_or_else(|| unknown("user", name))?,
    };
    let gid = match group {
        Account::Number(gid) => *gid,
        Account::Name(name) => accounts.group(name).ok_or_else(|| unknown("group", name))?,
    };
    Ok(Some(Owner { uid, gid }))
}
