//! What the commands of an account script do to the files of accounts and to home directories.
//!
//! Worked out on the texts, in order, and written only when all of it is certain. It is certain where every
//! line of `/etc/passwd` and `/etc/group` has all its fields and its end, no name stands twice, and the files are plain ones
//! that lie where they are looked for.
//!
//! Source: BusyBox 1.36.1 `addgroup` and `adduser`, measured.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use super::command::{Command, GroupAsked, HomeWanted, Kind, MemberAsked, UserAsked};
use crate::path::TreePath;
use crate::tree::accounts::{AccountError, AccountFile, FULL_NAME, GroupLine, Home, Texts, UserLine};
use crate::tree::{InodeKind, Mode, NameError, Owner, Tree};

/// The numbers that are given with `-S`, and without; the first free one is taken.
const SYSTEM: RangeInclusive<u32> = 100..=999;
const PERSONS: RangeInclusive<u32> = 1_000..=60_000;
/// The group of a system user that is given none.
const NO_GROUP: &str = "nogroup";
/// The shell of a system user that is given none.
const NO_LOGIN: &str = "/sbin/nologin";
/// The shell of others, if root has none.
const SHELL: &str = "/bin/sh";

/// Files that must not be there: what somebody else is just writing, and what is kept beside the group file.
const IN_THE_WAY: [&str; 4] = ["etc/passwd+", "etc/group+", "etc/shadow+", "etc/gshadow"];

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Success,
    Failure,
}

/// What the commands up to now would have done.
pub(super) struct Effect<'a> {
    tree: &'a Tree,
    day: i64,
    texts: Texts,
    homes: Vec<(Home, Owner)>,
}

/// What is to be written into the tree.
pub(super) struct Finished {
    texts: Texts,
    homes: Vec<(Home, Owner)>,
}

impl<'a> Effect<'a> {
    /// Nothing as yet; none at all if the tree's accounts are not plain.
    pub(super) fn on(tree: &'a Tree, day: i64) -> Result<Option<Self>, AccountError> {
        let is_clear = IN_THE_WAY
            .into_iter()
            .all(|text| TreePath::relative(text).is_ok_and(|path| tree.get(&path).is_none()));
        let has_plain_files = is_plain_file(tree, AccountFile::Passwd) == Some(true)
            && is_plain_file(tree, AccountFile::Group) == Some(true)
            && is_plain_file(tree, AccountFile::Shadow) != Some(false);
        if !is_clear || !has_plain_files {
            return Ok(None);
        }
        let texts = match Texts::read(tree) {
            Ok(texts) => texts,
            Err(AccountError::Form { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let is_plain = are_plain(&texts.passwd, |line| UserLine::parse(line).map(|user| user.name))
            && are_plain(&texts.group, |line| GroupLine::parse(line).map(|group| group.name))
            && texts.shadow.as_deref().is_none_or(|text| {
                are_plain(text, |line| {
                    line.split_once(':').map(|(name, _)| name).filter(|name| !name.is_empty())
                })
            });
        Ok(is_plain.then(|| Self { tree, day, texts, homes: Vec::new() }))
    }

    /// Does what `command` does, if that is certain.
    pub(super) fn run(&mut self, command: &Command) -> Option<Status> {
        match command {
            Command::Nothing => Some(Status::Success),
            Command::AddGroup(asked) => Some(self.add_group(asked)),
            Command::AddMember(asked) => Some(self.add_member(asked)),
            Command::AddUser(asked) => self.add_user(asked),
        }
    }

    /// All of it, to be written.
    pub(super) fn finish(self) -> Finished {
        Finished { texts: self.texts, homes: self.homes }
    }

    fn add_group(&mut self, asked: &GroupAsked) -> Status {
        if self.gid(&asked.name).is_some() {
            return Status::Failure;
        }
        let taken: HashSet<u32> = self.groups().map(|group| group.gid).collect();
        let Some(gid) = free(asked.gid, asked.kind, |gid| !taken.contains(&gid)) else {
            return Status::Failure;
        };
        self.texts.append_group(&asked.name, gid);
        Status::Success
    }

    fn add_member(&mut self, asked: &MemberAsked) -> Status {
        let is_there = self.users().any(|user| user.name == asked.user) && self.gid(&asked.group).is_some();
        if !is_there {
            return Status::Failure;
        }
        self.texts.add_member(&asked.group, &asked.user);
        Status::Success
    }

    fn add_user(&mut self, asked: &UserAsked) -> Option<Status> {
        let name = asked.name.as_str();
        let group = match (&asked.group, asked.kind) {
            (Some(group), _) => Some(group.as_str()),
            (None, Kind::System) => Some(NO_GROUP),
            (None, Kind::Person) => None,
        };
        let group = match group.map(|group| Some((group, self.gid(group)?))) {
            Some(None) => return Some(Status::Failure),
            Some(Some(group)) => Some(group),
            None => None,
        };
        if self.users().any(|user| user.name == name) {
            return Some(Status::Failure);
        }
        let uids: HashSet<u32> = self.users().map(|user| user.uid).collect();
        let gids: HashSet<u32> = self.groups().map(|group| group.gid).collect();
        // A group of its own has the user's number.
        let is_free = |number: u32| !uids.contains(&number) && (group.is_some() || !gids.contains(&number));
        let Some(uid) = free(asked.uid, asked.kind, is_free) else { return Some(Status::Failure) };
        if group.is_none() && self.gid(name).is_some() {
            return Some(Status::Failure);
        }
        let has_password = |text: &str| text.lines().any(|line| line.split(':').next() == Some(name));
        if self.texts.shadow.as_deref().is_some_and(has_password) {
            // A line of a user that is not there would be changed, not added.
            return None;
        }

        let gid = group.map_or(uid, |(_, gid)| gid);
        let home = asked.home.clone().unwrap_or_else(|| format!("/home/{name}"));
        let shell = asked.shell.clone().unwrap_or_else(|| match asked.kind {
            Kind::System => NO_LOGIN.to_owned(),
            Kind::Person => self.roots_shell(),
        });
        if asked.home_wanted == HomeWanted::Yes {
            let before = self.homes.iter().map(|(home, _)| home);
            self.homes.push((Home::of(&home, self.tree, before)?, Owner { uid, gid }));
        }
        let full_name = asked.full_name.as_deref().unwrap_or(FULL_NAME);
        let line = UserLine { name, uid, gid, full_name, home: &home, shell: &shell };
        self.texts.append_user(line, self.day);
        match group {
            Some((group, _)) => self.texts.add_member(group, name),
            None => self.texts.append_group(name, gid),
        }
        Some(Status::Success)
    }

    fn users(&self) -> impl Iterator<Item = UserLine<'_>> {
        self.texts.passwd.lines().filter_map(UserLine::parse)
    }

    fn groups(&self) -> impl Iterator<Item = GroupLine<'_>> {
        self.texts.group.lines().filter_map(GroupLine::parse)
    }

    fn gid(&self, name: &str) -> Option<u32> {
        self.groups().find(|group| group.name == name).map(|group| group.gid)
    }

    /// The shell of who runs the script.
    fn roots_shell(&self) -> String {
        let root = self.users().find(|user| user.uid == 0).map(|root| root.shell);
        root.filter(|shell| !shell.is_empty()).unwrap_or(SHELL).to_owned()
    }
}

impl Finished {
    /// Writes it into the tree that it was worked out on.
    pub(super) fn write(self, tree: &mut Tree) -> Result<(), AccountError> {
        self.texts.write(tree)?;
        let mut homes = self.homes.into_iter();
        homes.try_for_each(|(home, owner)| home.give(tree, owner)).map_err(|error: NameError| error.into())
    }
}

/// The number that is wanted, if it is free; or the first free one of the kind.
fn free(wanted: Option<u32>, kind: Kind, is_free: impl Fn(u32) -> bool) -> Option<u32> {
    let mut numbers = match (wanted, kind) {
        (Some(wanted), _) => wanted..=wanted,
        (None, Kind::System) => SYSTEM,
        (None, Kind::Person) => PERSONS,
    };
    numbers.find(|number| is_free(*number))
}

/// Whether the file, if there is one, is a file where it should be, of which writing it anew would lose nothing.
fn is_plain_file(tree: &Tree, file: AccountFile) -> Option<bool> {
    let inode = tree.get(&file.path())?;
    let is_file = matches!(inode.kind, InodeKind::File(_));
    Some(is_file && inode.xattrs.is_empty() && inode.mode == Mode::new(inode.mode.bits() & 0o777))
}

/// Whether every line has a name, and none the name of another one.
fn are_plain<'a>(text: &'a str, name: impl Fn(&'a str) -> Option<&'a str>) -> bool {
    let mut names = HashSet::new();
    // musl takes the last character of a line for its end, whatever it is.
    let is_ended = text.is_empty() || text.ends_with('\n');
    let is_text = is_ended && !text.contains(|letter: char| letter != '\n' && letter.is_control());
    is_text && text.lines().all(|line| name(line).is_some_and(|name| names.insert(name)))
}
