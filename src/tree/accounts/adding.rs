//! Adding the profile's users and groups to the files of accounts, as many as there are.
//!
//! What is there is read once and looked up by name and number. Who is listed in which group is written at the end, so
//! that a file is gone through once and not for each account.
//!
//! Source: BusyBox 1.36 `addgroup` and `adduser -D -H`, measured.

use std::collections::{HashMap, HashSet};

use super::files::{self, Texts, UserLine};
use super::{Account, AccountError, NewGroup, NewUser};

/// The names and numbers of a file; of lines with one name, or one number, the first counts.
#[derive(Default)]
struct Known {
    numbers: HashMap<String, u32>,
    names: HashMap<u32, String>,
}

impl Known {
    fn of(text: &str) -> Self {
        let mut known = Self::default();
        files::lines(text).for_each(|(name, number)| known.insert(name, number));
        known
    }

    fn insert(&mut self, name: &str, number: u32) {
        self.numbers.entry(name.to_owned()).or_insert(number);
        self.names.entry(number).or_insert_with(|| name.to_owned());
    }

    /// Whether the account is to be added: not if it is there with that number.
    fn is_new(&self, what: &'static str, name: &str, number: u32) -> Result<bool, AccountError> {
        match (self.numbers.get(name), self.names.get(&number)) {
            (Some(there), _) if *there == number => Ok(false),
            (Some(there), _) => {
                Err(AccountError::Number { what, name: name.to_owned(), there: *there, wanted: number })
            }
            (None, Some(there)) => {
                Err(AccountError::Taken { what, name: name.to_owned(), number, there: there.clone() })
            }
            (None, None) => Ok(true),
        }
    }
}

/// The files, and what is added to them.
pub(super) struct Adding {
    texts: Texts,
    users: Known,
    groups: Known,
    /// How the lines of groups begin, those that are malformed too.
    group_names: HashSet<String>,
    /// Who is to be listed in a group, in order.
    members: HashMap<String, Vec<String>>,
}

impl Adding {
    pub(super) fn to(texts: Texts) -> Self {
        let group_names = texts.group.lines().filter_map(|line| line.split_once(':'));
        Self {
            users: Known::of(&texts.passwd),
            groups: Known::of(&texts.group),
            group_names: group_names.map(|(name, _)| name.to_owned()).collect(),
            members: HashMap::new(),
            texts,
        }
    }

    pub(super) fn group(&mut self, group: &NewGroup) -> Result<(), AccountError> {
        self.add_group(&group.name, group.gid)?;
        group.members.iter().for_each(|member| self.add_member(&group.name, member));
        Ok(())
    }

    /// Adds a user, whose shadow line states `day`.
    pub(super) fn user(&mut self, user: &NewUser, day: i64) -> Result<(), AccountError> {
        let NewUser { name, uid, full_name, home, shell, .. } = user;
        let is_new = self.users.is_new("user", name, *uid)?;
        let (group, gid) = self.primary_group(user)?;
        if !is_new {
            return Ok(());
        }
        self.texts.append_user(UserLine { name, uid: *uid, gid, full_name, home, shell }, day);
        self.users.insert(name, *uid);
        // BusyBox lists the user among the members of a group it is given, though not of its own.
        if let (Some(_), Some(group)) = (&user.group, group) {
            self.add_member(&group, name);
        }
        Ok(())
    }

    fn add_group(&mut self, name: &str, gid: u32) -> Result<(), AccountError> {
        if self.groups.is_new("group", name, gid)? {
            self.texts.append_group(name, gid);
            self.groups.insert(name, gid);
            self.group_names.insert(name.to_owned());
        }
        Ok(())
    }

    fn add_member(&mut self, group: &str, member: &str) {
        if self.group_names.contains(group) {
            self.members.entry(group.to_owned()).or_default().push(member.to_owned());
        }
    }

    /// The user's primary group, made if it is to be: its name, if it has one, and its number.
    fn primary_group(&mut self, user: &NewUser) -> Result<(Option<String>, u32), AccountError> {
        let name = match &user.group {
            Some(Account::Number(gid)) => return Ok((self.groups.names.get(gid).cloned(), *gid)),
            Some(Account::Name(name)) => name,
            None => &user.name,
        };
        match self.groups.numbers.get(name) {
            Some(gid) => Ok((Some(name.clone()), *gid)),
            None if *name == user.name => {
                self.add_group(name, user.uid)?;
                Ok((Some(name.clone()), user.uid))
            }
            None => Err(AccountError::NoGroup { user: user.name.clone(), group: name.clone() }),
        }
    }

    /// The files with all that was added.
    pub(super) fn finish(self) -> Texts {
        let Self { mut texts, members, .. } = self;
        if members.is_empty() {
            return texts;
        }
        let mut group = String::with_capacity(texts.group.len());
        for line in texts.group.lines() {
            group.push_str(line);
            let new = line.split_once(':').and_then(|(name, _)| members.get(name));
            if let (Some(new), Some((_, there))) = (new, line.rsplit_once(':')) {
                let mut listed: HashSet<&str> = there.split(',').collect();
                for member in new.iter().filter(|member| listed.insert(member)) {
                    if !group.ends_with(':') {
                        group.push(',');
                    }
                    group.push_str(member);
                }
            }
            group.push('\n');
        }
        texts.group = group;
        texts
    }
}
