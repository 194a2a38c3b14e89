//! Users and groups of the tree: `/etc/passwd`, `/etc/group`, `/etc/shadow`.
//!
//! Three needs meet here: names in packages become numbers by the tree's own files, at the moment the
//! package is placed; users and groups of the profile are written as BusyBox's `addgroup` and `adduser`
//! would write them, line by line; and what a package's script added ([`AddedAccounts`]) is written down, so
//! that another time it gets the same numbers, which are [held](HeldNumbers) until then.
//!
//! Source: passwd(5), group(5), shadow(5); BusyBox 1.36 `adduser -D -H`, measured.

mod added;
mod adding;
mod files;
mod held;
mod home;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

pub use added::{AccountsBefore, AddedAccounts, AddedGroup, AddedMember, AddedUser};
pub use held::HeldNumbers;

use adding::Adding;
pub(super) use files::{AccountFile, GroupLine, Texts, UserLine};
pub(super) use home::Home;

use super::own_files::OwnFileError;
use super::{NameError, Tree};
use crate::content::ContentError;
use crate::digest::Sha256;
use crate::kind::{Explain, Kind};
use crate::path::TreePath;

/// What BusyBox writes as the full name of a user that gives none.
pub const FULL_NAME: &str = "Linux User,,,";

/// The accounts of a tree as they were read last, which is not done again while their files are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownAccounts {
    files: [Option<Sha256>; 2],
    accounts: Option<Arc<Accounts>>,
}

impl KnownAccounts {
    /// The accounts of `tree` now.
    pub(super) fn of(&mut self, tree: &Tree) -> Result<Arc<Accounts>, AccountError> {
        let mut files = [None; 2];
        for (digest, file) in files.iter_mut().zip([AccountFile::Passwd, AccountFile::Group]) {
            *digest = file.content(tree)?.map(|(_, content)| content.digest());
        }
        if let Some(accounts) = self.accounts.as_ref().filter(|_| self.files == files) {
            return Ok(Arc::clone(accounts));
        }
        let accounts = Arc::new(Accounts::of(tree)?);
        *self = Self { files, accounts: Some(Arc::clone(&accounts)) };
        Ok(accounts)
    }
}

/// The numbers behind the names of a tree's users and groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    users: HashMap<Box<str>, u32>,
    groups: HashMap<Box<str>, u32>,
}

/// An account by number, or by a name that the tree's accounts know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// The number.
    Number(u32),
    /// The name.
    Name(String),
}

/// A group to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGroup {
    /// Its name.
    pub name: String,
    /// Its number.
    pub gid: u32,
    /// The names of its members.
    pub members: Vec<String>,
}

/// A user to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// Its name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Its primary group; without one, that of its own name, which is made with the user's number if there
    /// is none.
    pub group: Option<Account>,
    /// What its full-name field says; [`FULL_NAME`] as a rule.
    pub full_name: String,
    /// Its home directory, which is not made.
    pub home: String,
    /// Its shell.
    pub shell: String,
}

/// Why accounts cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// The file of the tree could not be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// Which file.
        path: TreePath,
        /// What happened.
        error: ContentError,
    },
    /// The file of the tree is too long.
    #[error("{path} has {size} bytes, more than the limit of {limit} for a file of accounts")]
    TooLong {
        /// Which file.
        path: TreePath,
        /// How long it is, in bytes.
        size: u64,
        /// How long it may be, in bytes.
        limit: u64,
    },
    /// The file of the tree is no text.
    #[error("{path} is not a text of accounts")]
    Form {
        /// Which file.
        path: TreePath,
    },
    /// Something stands in the place of the file.
    #[error(transparent)]
    Own(#[from] OwnFileError),
    /// A name of the tree is in the way.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is an account of that name with another number.
    #[error("the {what} `{name}` is there with number {there}, and should have {wanted}")]
    Number {
        /// "user" or "group".
        what: &'static str,
        /// Its name.
        name: String,
        /// The number it has.
        there: u32,
        /// The number it should have.
        wanted: u32,
    },
    /// The primary group of a user does not exist.
    #[error("the user `{user}` should be in the group `{group}`, which the image does not have")]
    NoGroup {
        /// The user's name.
        user: String,
        /// The group's name.
        group: String,
    },
    /// There is an account of that number with another name.
    #[error("the {what} `{name}` should have number {number}, which is `{there}`'s")]
    Taken {
        /// "user" or "group".
        what: &'static str,
        /// The name of the new one.
        name: String,
        /// The number.
        number: u32,
        /// The name of the one that has it.
        there: String,
    },
    /// What a package's script added once cannot be added again with the same numbers.
    #[error("the accounts recorded of a package's script cannot be made: {0}")]
    Recorded(Box<Self>),
    /// A home directory that a package's script made cannot be made beforehand.
    #[error("the home directory {home} of `{user}` cannot be made")]
    Home {
        /// The user's name.
        user: String,
        /// The directory, as the user's line has it.
        home: String,
    },
}

impl Explain for AccountError {
    fn kind(&self) -> Kind {
        match self {
            Self::Read { error, .. } => error.kind(),
            Self::Own(error) => error.kind(),
            Self::Name(error) => error.kind(),
            Self::TooLong { .. } => Kind::Limit,
            Self::Form { .. } => Kind::Integrity,
            Self::Recorded(error) => error.kind(),
            Self::Number { .. } | Self::NoGroup { .. } | Self::Taken { .. } | Self::Home { .. } => {
                Kind::Profile
            }
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Number { what, there, .. } => {
                Some(format!("give the {what} the number {there}, or another name"))
            }
            Self::NoGroup { group, .. } => Some(format!("add the group: [[groups]] name = \"{group}\"")),
            Self::Taken { what, .. } => Some(format!("give the {what} another number")),
            Self::Recorded(_) => Some(
                "what has the number now came after it was recorded: record anew, or give it another number"
                    .to_owned(),
            ),
            Self::Home { .. } => Some("see what stands there, and whether there is an /etc/skel".to_owned()),
            Self::Own(error) => error.hint(),
            Self::Read { .. } | Self::TooLong { .. } | Self::Form { .. } | Self::Name(_) => None,
        }
    }
}

impl Accounts {
    /// The accounts of `tree`; none if it has no files for them.
    pub fn of(tree: &Tree) -> Result<Self, AccountError> {
        Ok(Self {
            users: numbers(&AccountFile::Passwd.text(tree)?.unwrap_or_default()),
            groups: numbers(&AccountFile::Group.text(tree)?.unwrap_or_default()),
        })
    }

    /// The user's number.
    pub fn user(&self, name: &str) -> Option<u32> {
        self.users.get(name).copied()
    }

    /// The group's number.
    pub fn group(&self, name: &str) -> Option<u32> {
        self.groups.get(name).copied()
    }
}

/// The third field of each line by the first; of lines with one name the first counts.
fn numbers(text: &str) -> HashMap<Box<str>, u32> {
    let mut map = HashMap::new();
    for (name, number) in files::lines(text) {
        map.entry(Box::from(name)).or_insert(number);
    }
    map
}

/// Whether the tree has a file of users, so that accounts can be added.
pub fn can_add(tree: &Tree) -> bool {
    tree.get(&AccountFile::Passwd.path()).is_some()
}

/// Adds groups and users; what is there with the same name and number is adopted.
///
/// `day` is the day, counted from 1970, that the shadow file states as that of the last change.
pub fn add(tree: &mut Tree, groups: &[NewGroup], users: &[NewUser], day: i64) -> Result<(), AccountError> {
    let mut adding = Adding::to(Texts::read(tree)?);
    groups.iter().try_for_each(|group| adding.group(group))?;
    users.iter().try_for_each(|user| adding.user(user, day))?;
    adding.finish().write(tree)
}

/// Takes root's password away and locks it: the line's second field becomes `*`. Nothing happens in a tree
/// without a shadow file, or without root in it.
pub fn lock_root(tree: &mut Tree) -> Result<(), AccountError> {
    // What stands in the file of users counts where it does not point at the shadow file.
    lock_root_in(AccountFile::Passwd, |password| password != "x", tree)?;
    lock_root_in(AccountFile::Shadow, |_| true, tree)
}

fn lock_root_in(
    file: AccountFile,
    is_password: impl Fn(&str) -> bool,
    tree: &mut Tree,
) -> Result<(), AccountError> {
    let Some(text) = file.text(tree)? else { return Ok(()) };
    let lock = |line: &str| match line.strip_prefix("root:").and_then(|rest| rest.split_once(':')) {
        Some((password, rest)) if is_password(password) => format!("root:*:{rest}\n"),
        _ => format!("{line}\n"),
    };
    let locked: String = text.lines().map(lock).collect();
    let is_same = locked.lines().eq(text.lines());
    if is_same { Ok(()) } else { file.write(tree, &locked) }
}
