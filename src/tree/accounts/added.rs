//! What a package's script added to the tree's accounts, and adding it again with the same numbers.
//!
//! A script asks for any free number; which one it gets depends on what was installed before it. Recorded,
//! and made again just before the script runs, the accounts keep their numbers whatever else comes: the
//! script finds them there, as it does on every upgrade, and leaves them. Lines and home directories are those
//! that BusyBox's `adduser` would have made with those numbers.
//!
//! Not for what scripts change of accounts that were there, but for who is listed in a group.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::files::{self, Texts};
use super::{AccountError, GroupLine, Home, UserLine};
use crate::tree::{Owner, Tree};

/// What a script added, in the order of the files' lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AddedAccounts {
    /// New groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<AddedGroup>,
    /// New users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<AddedUser>,
    /// Users that are newly listed in groups, new ones or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<AddedMember>,
}

/// A group that a script added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AddedGroup {
    /// Its name.
    pub name: String,
    /// Its number.
    pub gid: u32,
}

/// A user that a script added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AddedUser {
    /// Its name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// The number of its primary group.
    pub gid: u32,
    /// The name of its primary group, if one has that number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What its full-name field says.
    pub full_name: String,
    /// Its home directory.
    pub home: String,
    /// Whether that directory was given to it: made, or taken as it stood.
    pub has_home: bool,
    /// Its shell.
    pub shell: String,
}

/// A user that a script listed in a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AddedMember {
    /// The group's name.
    pub group: String,
    /// The user's name.
    pub user: String,
}

/// A tree's accounts before a script runs.
#[derive(Debug, Clone)]
pub struct AccountsBefore(Texts);

impl AccountsBefore {
    /// The accounts of `tree` as they are now.
    pub fn of(tree: &Tree) -> Result<Self, AccountError> {
        Texts::read(tree).map(Self)
    }

    /// What `tree` has now that it had not.
    pub fn added_in(&self, tree: &Tree) -> Result<AddedAccounts, AccountError> {
        let now = Texts::read(tree)?;
        let groups_before = groups(&self.0.group);
        let users_before: HashMap<&str, u32> = files::lines(&self.0.passwd).collect();
        let mut added = AddedAccounts::default();
        for group in now.group.lines().filter_map(GroupLine::parse) {
            let before = groups_before.get(group.name);
            if before.is_none() {
                added.groups.push(AddedGroup { name: group.name.to_owned(), gid: group.gid });
            }
            let was_member =
                |user: &str| before.is_some_and(|group| group.members().any(|there| there == user));
            let new = group.members().filter(|user| !was_member(user));
            added
                .members
                .extend(new.map(|user| AddedMember { group: group.name.to_owned(), user: user.to_owned() }));
        }
        let users = now.passwd.lines().filter_map(UserLine::parse);
        for user in users.filter(|user| !users_before.contains_key(user.name)) {
            let UserLine { name, uid, gid, full_name, home, shell } = user;
            added.users.push(AddedUser {
                name: name.to_owned(),
                uid,
                gid,
                group: group_of_number(&now.group, gid).map(str::to_owned),
                full_name: full_name.to_owned(),
                home: home.to_owned(),
                has_home: Home::is_given(home, tree, Owner { uid, gid }),
                shell: shell.to_owned(),
            });
        }
        Ok(added)
    }
}

impl AddedAccounts {
    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.users.is_empty() && self.members.is_empty()
    }

    /// Takes over what another script of the package added.
    pub fn extend(&mut self, other: Self) {
        self.groups.extend(other.groups);
        self.users.extend(other.users);
        self.members.extend(other.members);
    }

    /// Makes them in `tree`, to be found by the script that added them once; what is there with the same
    /// number is left alone, and in a tree without accounts nothing happens.
    ///
    /// `day` is the day, counted from 1970, that the shadow file states as that of the last change. On an error,
    /// [`AccountError::Recorded`], the tree is as it was.
    pub fn make(&self, tree: &mut Tree, day: i64) -> Result<(), AccountError> {
        if self.is_empty() || !super::can_add(tree) {
            return Ok(());
        }
        self.make_in(tree, day).map_err(|error| match error {
            AccountError::Number { .. }
            | AccountError::NoGroup { .. }
            | AccountError::Taken { .. }
            | AccountError::Home { .. } => AccountError::Recorded(Box::new(error)),
            other => other,
        })
    }

    fn make_in(&self, tree: &mut Tree, day: i64) -> Result<(), AccountError> {
        let mut texts = Texts::read(tree)?;
        let mut homes: Vec<(Home, Owner)> = Vec::new();
        for AddedGroup { name, gid } in &self.groups {
            texts.add_group(name, *gid)?;
        }
        for user in &self.users {
            if !files::is_new("user", &texts.passwd, &user.name, user.uid)? {
                continue;
            }
            user.check_group(&texts.group)?;
            let AddedUser { name, uid, gid, full_name, home, shell, .. } = user;
            texts.append_user(UserLine { name, uid: *uid, gid: *gid, full_name, home, shell }, day);
            if user.has_home {
                let before = homes.iter().map(|(home, _)| home);
                let given = Home::of(home, tree, before)
                    .ok_or_else(|| AccountError::Home { user: name.clone(), home: home.clone() })?;
                homes.push((given, Owner { uid: *uid, gid: *gid }));
            }
        }
        for AddedMember { group, user } in &self.members {
            // A user that is not there cannot be listed; the script would find that too.
            if files::lines(&texts.passwd).any(|(there, _)| there == user) {
                texts.add_member(group, user);
            }
        }
        texts.write(tree)?;
        for (home, owner) in homes {
            home.give(tree, owner)?;
        }
        Ok(())
    }
}

impl AddedUser {
    /// Whether the number of its primary group is still that group's in the text of groups.
    fn check_group(&self, text: &str) -> Result<(), AccountError> {
        let Some(name) = &self.group else { return Ok(()) };
        match files::lines(text).find(|(there, _)| there == name) {
            Some((_, gid)) if gid == self.gid => Ok(()),
            Some((_, there)) => {
                Err(AccountError::Number { what: "group", name: name.clone(), there, wanted: self.gid })
            }
            None => Err(AccountError::NoGroup { user: self.name.clone(), group: name.clone() }),
        }
    }
}

/// The groups of a text by name; of lines with one name the first counts.
fn groups(text: &str) -> HashMap<&str, GroupLine<'_>> {
    let mut groups = HashMap::new();
    for group in text.lines().filter_map(GroupLine::parse) {
        groups.entry(group.name).or_insert(group);
    }
    groups
}

fn group_of_number(text: &str, gid: u32) -> Option<&str> {
    files::lines(text).find(|(_, there)| *there == gid).map(|(name, _)| name)
}
