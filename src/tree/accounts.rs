//! Users and groups of the tree: `/etc/passwd`, `/etc/group`, `/etc/shadow`.
//!
//! Two needs meet here: names in packages become numbers by the tree's own files, at the moment the
//! package is placed; and users and groups of the profile are written as BusyBox's `addgroup` and `adduser`
//! would write them, line by line, at the end.
//!
//! Source: passwd(5), group(5), shadow(5); BusyBox 1.36 `adduser -D -H`, measured.

use std::collections::HashMap;

use super::{Inode, InodeKind, Mode, NameError, Origin, Tree};
use crate::content::{Content, ContentError};
use crate::kind::{Explain, Kind};
use crate::path::TreePath;

/// What BusyBox writes as the full name of a user that gives none.
pub const FULL_NAME: &str = "Linux User,,,";
/// The largest account file that is read, in bytes.
const MAX_FILE: u64 = 16 << 20;

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
    /// The file of the tree is no text, or too long.
    #[error("{path} is not a text of accounts")]
    Form {
        /// Which file.
        path: TreePath,
    },
    /// The file could not be put into the tree.
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
}

impl Explain for AccountError {
    fn kind(&self) -> Kind {
        match self {
            Self::Read { error, .. } => error.kind(),
            Self::Name(error) => error.kind(),
            Self::Form { .. } => Kind::Integrity,
            Self::Number { .. } | Self::NoGroup { .. } | Self::Taken { .. } => Kind::Profile,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Number { what, there, .. } => {
                Some(format!("give the {what} the number {there}, or another name"))
            }
            Self::NoGroup { group, .. } => Some(format!("add the group: [[groups]] name = \"{group}\"")),
            Self::Taken { what, .. } => Some(format!("give the {what} another number")),
            Self::Read { .. } | Self::Form { .. } | Self::Name(_) => None,
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
    for (name, number) in lines(text) {
        map.entry(Box::from(name)).or_insert(number);
    }
    map
}

fn lines(text: &str) -> impl Iterator<Item = (&str, u32)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        Some((name, fields.nth(1)?.parse().ok()?))
    })
}

/// One of the files accounts are in.
#[derive(Debug, Clone, Copy)]
enum AccountFile {
    Passwd,
    Group,
    Shadow,
}

impl AccountFile {
    fn path(self) -> TreePath {
        let text = match self {
            Self::Passwd => "etc/passwd",
            Self::Group => "etc/group",
            Self::Shadow => "etc/shadow",
        };
        TreePath::relative(text).unwrap_or_default()
    }

    fn text(self, tree: &Tree) -> Result<Option<String>, AccountError> {
        let path = tree.resolve(&self.path())?;
        let Some(InodeKind::File(content)) = tree.get(&path).map(|inode| &inode.kind) else {
            return Ok(None);
        };
        if content.length() > MAX_FILE {
            return Err(AccountError::Form { path });
        }
        let bytes = content.to_vec().map_err(|error| AccountError::Read { path: path.clone(), error })?;
        String::from_utf8(bytes).map(Some).map_err(|_| AccountError::Form { path })
    }

    /// Replaces the text; owner and mode of a file that is there stay.
    fn write(self, tree: &mut Tree, text: &str) -> Result<(), AccountError> {
        let path = tree.resolve(&self.path())?;
        let kind = InodeKind::File(Content::of_bytes(text.as_bytes()));
        let mode = match self {
            Self::Passwd | Self::Group => Mode::FILE,
            Self::Shadow => Mode::new(0o640),
        };
        let mut inode =
            tree.get(&path).cloned().unwrap_or_else(|| Inode::new(kind.clone(), mode, Origin::Generated));
        inode.kind = kind;
        inode.mtime = None;
        inode.origin = Origin::Generated;
        tree.make_parents(&path, &Origin::Generated)?;
        tree.insert(path, inode)?;
        Ok(())
    }
}

/// Whether the tree has a file of users, so that accounts can be added.
pub fn can_add(tree: &Tree) -> bool {
    tree.get(&AccountFile::Passwd.path()).is_some()
}

/// Adds groups and users; what is there with the same name and number is adopted.
///
/// `day` is the day, counted from 1970, that the shadow file states as that of the last change.
pub fn add(tree: &mut Tree, groups: &[NewGroup], users: &[NewUser], day: i64) -> Result<(), AccountError> {
    let mut files = Texts::read(tree)?;
    for group in groups {
        files.add_group(&group.name, group.gid)?;
        for member in &group.members {
            files.add_member(&group.name, member);
        }
    }
    for user in users {
        files.add_user(user, day)?;
    }
    files.write(tree)
}

/// The account files, being changed.
struct Texts {
    passwd: String,
    group: String,
    /// Only if the tree has one: BusyBox makes none.
    shadow: Option<String>,
}

impl Texts {
    fn read(tree: &Tree) -> Result<Self, AccountError> {
        Ok(Self {
            passwd: AccountFile::Passwd.text(tree)?.unwrap_or_default(),
            group: AccountFile::Group.text(tree)?.unwrap_or_default(),
            shadow: AccountFile::Shadow.text(tree)?,
        })
    }

    fn write(&self, tree: &mut Tree) -> Result<(), AccountError> {
        for (file, text) in [
            (AccountFile::Passwd, Some(&self.passwd)),
            (AccountFile::Group, Some(&self.group)),
            (AccountFile::Shadow, self.shadow.as_ref()),
        ] {
            // A tree without accounts gets no empty files for them.
            if let Some(text) = text
                && file.text(tree)?.unwrap_or_default() != *text
            {
                file.write(tree, text)?;
            }
        }
        Ok(())
    }

    fn add_group(&mut self, name: &str, gid: u32) -> Result<(), AccountError> {
        if !is_new("group", &self.group, name, gid)? {
            return Ok(());
        }
        append(&mut self.group, &format!("{name}:x:{gid}:"));
        Ok(())
    }

    fn add_member(&mut self, group: &str, member: &str) {
        let add_to = |line: &str| {
            let Some((head, members)) = line.rsplit_once(':') else { return line.to_owned() };
            if !line.starts_with(&format!("{group}:")) || members.split(',').any(|there| there == member) {
                return line.to_owned();
            }
            let comma = if members.is_empty() { "" } else { "," };
            format!("{head}:{members}{comma}{member}")
        };
        self.group = self.group.lines().map(|line| add_to(line) + "\n").collect();
    }

    fn add_user(&mut self, user: &NewUser, day: i64) -> Result<(), AccountError> {
        let NewUser { name, uid, full_name, home, shell, .. } = user;
        let is_new = is_new("user", &self.passwd, name, *uid)?;
        let (group, gid) = self.primary_group(user)?;
        if !is_new {
            return Ok(());
        }
        append(&mut self.passwd, &format!("{name}:x:{uid}:{gid}:{full_name}:{home}:{shell}"));
        if let Some(shadow) = &mut self.shadow {
            append(shadow, &format!("{name}:!:{day}:0:99999:7:::"));
        }
        // BusyBox lists the user among the members of a group it is given, though not of its own.
        if let (Some(_), Some(group)) = (&user.group, group) {
            self.add_member(&group, name);
        }
        Ok(())
    }

    /// The user's primary group, made if it is to be: its name, if it has one, and its number.
    fn primary_group(&mut self, user: &NewUser) -> Result<(Option<String>, u32), AccountError> {
        let name = match &user.group {
            Some(Account::Number(gid)) => {
                let name =
                    lines(&self.group).find(|(_, there)| there == gid).map(|(name, _)| name.to_owned());
                return Ok((name, *gid));
            }
            Some(Account::Name(name)) => name,
            None => &user.name,
        };
        let there = lines(&self.group).find(|(there, _)| there == name).map(|(_, gid)| gid);
        match there {
            Some(gid) => Ok((Some(name.clone()), gid)),
            None if *name == user.name => {
                self.add_group(name, user.uid)?;
                Ok((Some(name.clone()), user.uid))
            }
            None => Err(AccountError::NoGroup { user: user.name.clone(), group: name.clone() }),
        }
    }
}

/// Whether `name` is to be added: false if it is there with that number, an error if either is taken.
fn is_new(what: &'static str, text: &str, name: &str, number: u32) -> Result<bool, AccountError> {
    for (there, its_number) in lines(text) {
        if there == name {
            return if its_number == number {
                Ok(false)
            } else {
                Err(AccountError::Number { what, name: name.to_owned(), there: its_number, wanted: number })
            };
        }
    }
    match lines(text).find(|(_, its_number)| *its_number == number) {
        Some((there, _)) => {
            Err(AccountError::Taken { what, name: name.to_owned(), number, there: there.to_owned() })
        }
        None => Ok(true),
    }
}

fn append(text: &mut String, line: &str) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(line);
    text.push('\n');
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

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/ash\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n";
    const GROUP: &str = "root:x:0:root\nusers:x:100:games\nwww-data:x:82:\n";
    const SHADOW: &str = "root:::0:::::\nnobody:!::0:::::\n";

    fn tree() -> Tree {
        let mut tree = Tree::new();
        AccountFile::Passwd.write(&mut tree, PASSWD).unwrap();
        AccountFile::Group.write(&mut tree, GROUP).unwrap();
        AccountFile::Shadow.write(&mut tree, SHADOW).unwrap();
        tree
    }

    fn user(name: &str, uid: u32, group: Option<&str>) -> NewUser {
        NewUser {
            name: name.to_owned(),
            uid,
            group: group.map(|name| Account::Name(name.to_owned())),
            full_name: FULL_NAME.to_owned(),
            home: "/home/x".to_owned(),
            shell: "/bin/sh".to_owned(),
        }
    }

    fn text(file: AccountFile, tree: &Tree) -> String {
        file.text(tree).unwrap().unwrap()
    }

    #[test]
    fn users_are_written_as_busybox_writes_them() {
        // Measured: addgroup -g 500 gg; adduser -D -H -u 500 -G gg -h /home/x -s /bin/sh uu; adduser -u 700 own;
        // addgroup uu users.
        let mut tree = tree();
        let groups = [
            NewGroup { name: "gg".to_owned(), gid: 500, members: vec![] },
            NewGroup { name: "users".to_owned(), gid: 100, members: vec!["uu".to_owned()] },
        ];
        add(&mut tree, &groups, &[user("uu", 500, Some("gg")), user("own", 700, None)], 20778).unwrap();
        assert_eq!(
            text(AccountFile::Passwd, &tree),
            format!(
                "{PASSWD}uu:x:500:500:Linux User,,,:/home/x:/bin/sh\nown:x:700:700:Linux User,,,:/home/x:/bin/sh\n"
            )
        );
        assert_eq!(
            text(AccountFile::Group, &tree),
            "root:x:0:root\nusers:x:100:games,uu\nwww-data:x:82:\ngg:x:500:uu\nown:x:700:\n"
        );
        assert_eq!(
            text(AccountFile::Shadow, &tree),
            format!("{SHADOW}uu:!:20778:0:99999:7:::\nown:!:20778:0:99999:7:::\n")
        );
    }

    #[test]
    fn an_account_that_is_there_is_adopted_or_refused_by_its_number() {
        let mut tree = tree();
        add(&mut tree, &[], &[user("nobody", 65534, Some("users"))], 0).unwrap();
        assert_eq!(text(AccountFile::Passwd, &tree), PASSWD);
        let number = add(&mut tree, &[], &[user("nobody", 1, None)], 0);
        assert!(matches!(number, Err(AccountError::Number { there: 65534, wanted: 1, .. })));
        let taken = add(&mut tree, &[], &[user("other", 65534, None)], 0);
        assert!(matches!(taken, Err(AccountError::Taken { .. })));
        let group = add(&mut tree, &[NewGroup { name: "x".to_owned(), gid: 82, members: vec![] }], &[], 0);
        assert!(matches!(group, Err(AccountError::Taken { .. })));
    }

    #[test]
    fn names_become_numbers_by_the_trees_own_files() {
        let accounts = Accounts::of(&tree()).unwrap();
        assert_eq!(accounts.user("nobody"), Some(65534));
        assert_eq!(accounts.group("www-data"), Some(82));
        assert_eq!(accounts.user("chrony"), None);
        assert_eq!(Accounts::of(&Tree::new()).unwrap(), Accounts::default());
    }

    #[test]
    fn root_is_locked_whatever_its_password_was() {
        let mut tree = tree();
        lock_root(&mut tree).unwrap();
        assert_eq!(text(AccountFile::Shadow, &tree), "root:*::0:::::\nnobody:!::0:::::\n");
    }
}
