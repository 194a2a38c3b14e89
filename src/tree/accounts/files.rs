//! The files accounts are in, as texts that are changed line by line the way BusyBox changes them.
//!
//! What is added comes last; a line that is not meant stays as it is, whatever it says. Not for deciding
//! what is added, nor with which number.
//!
//! Source: passwd(5), group(5), shadow(5); BusyBox 1.36 `addgroup` and `adduser`, measured.

use super::AccountError;
use crate::content::Content;
use crate::path::TreePath;
use crate::tree::{InodeKind, Mode, NameError, Tree, own_files};

/// The largest account file that is read, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// One of the files accounts are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tree) enum AccountFile {
    Passwd,
    Group,
    Shadow,
}

impl AccountFile {
    pub(in crate::tree) fn path(self) -> TreePath {
        let text = match self {
            Self::Passwd => "etc/passwd",
            Self::Group => "etc/group",
            Self::Shadow => "etc/shadow",
        };
        TreePath::relative(text).unwrap_or_default()
    }

    /// The file and what it has in it, if the tree has it, where links to it lead.
    pub(super) fn content(self, tree: &Tree) -> Result<Option<(TreePath, &Content)>, NameError> {
        let path = tree.resolve(&self.path())?;
        Ok(match tree.get(&path).map(|inode| &inode.kind) {
            Some(InodeKind::File(content)) => Some((path, content)),
            _ => None,
        })
    }

    /// The text, if the tree has the file, where links to it lead.
    pub(in crate::tree) fn text(self, tree: &Tree) -> Result<Option<String>, AccountError> {
        let Some((path, content)) = self.content(tree)? else { return Ok(None) };
        if content.length() > MAX_FILE {
            return Err(AccountError::TooLong { path, size: content.length(), limit: MAX_FILE });
        }
        let bytes = content.to_vec().map_err(|error| AccountError::Read { path: path.clone(), error })?;
        String::from_utf8(bytes).map(Some).map_err(|_| AccountError::Form { path })
    }

    /// Replaces the text, of this name alone and through no link; owner and mode of a file that is there stay.
    pub(in crate::tree) fn write(self, tree: &mut Tree, text: &str) -> Result<(), AccountError> {
        let mode = match self {
            Self::Passwd | Self::Group => Mode::FILE,
            Self::Shadow => Mode::new(0o640),
        };
        Ok(own_files::write(tree, &self.path(), text.as_bytes().into(), mode)?)
    }
}

/// The account files, being changed.
#[derive(Debug, Clone)]
pub(in crate::tree) struct Texts {
    pub(in crate::tree) passwd: String,
    pub(in crate::tree) group: String,
    /// Only if the tree has one: BusyBox makes none.
    pub(in crate::tree) shadow: Option<String>,
}

impl Texts {
    pub(in crate::tree) fn read(tree: &Tree) -> Result<Self, AccountError> {
        Ok(Self {
            passwd: AccountFile::Passwd.text(tree)?.unwrap_or_default(),
            group: AccountFile::Group.text(tree)?.unwrap_or_default(),
            shadow: AccountFile::Shadow.text(tree)?,
        })
    }

    /// Writes those that are not as the tree has them.
    pub(in crate::tree) fn write(&self, tree: &mut Tree) -> Result<(), AccountError> {
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

    /// Adds a group, unless it is there with that number.
    pub(super) fn add_group(&mut self, name: &str, gid: u32) -> Result<(), AccountError> {
        if is_new("group", &self.group, name, gid)? {
            self.append_group(name, gid);
        }
        Ok(())
    }

    /// Adds the line of a group that is not there.
    pub(in crate::tree) fn append_group(&mut self, name: &str, gid: u32) {
        append(&mut self.group, &format!("{name}:x:{gid}:"));
    }

    /// Lists `member` in the group, unless it is.
    pub(in crate::tree) fn add_member(&mut self, group: &str, member: &str) {
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

    /// Adds the lines of a user that is not there, who has no password.
    pub(in crate::tree) fn append_user(&mut self, user: UserLine<'_>, day: i64) {
        let UserLine { name, uid, gid, full_name, home, shell } = user;
        append(&mut self.passwd, &format!("{name}:x:{uid}:{gid}:{full_name}:{home}:{shell}"));
        if let Some(shadow) = &mut self.shadow {
            append(shadow, &format!("{name}:!:{day}:0:99999:7:::"));
        }
    }
}

/// Whether `name` is to be added: false if it is there with that number, an error if either is taken.
pub(super) fn is_new(what: &'static str, text: &str, name: &str, number: u32) -> Result<bool, AccountError> {
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

pub(super) fn append(text: &mut String, line: &str) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(line);
    text.push('\n');
}

/// Name and number of each line that has both.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (&str, u32)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        Some((name, fields.nth(1)?.parse().ok()?))
    })
}

/// A line of `/etc/passwd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tree) struct UserLine<'a> {
    pub(in crate::tree) name: &'a str,
    pub(in crate::tree) uid: u32,
    pub(in crate::tree) gid: u32,
    pub(in crate::tree) full_name: &'a str,
    pub(in crate::tree) home: &'a str,
    pub(in crate::tree) shell: &'a str,
}

impl<'a> UserLine<'a> {
    /// The line, if it is one that every reader understands in the same way.
    pub(in crate::tree) fn parse(line: &'a str) -> Option<Self> {
        let [name, _, uid, gid, full_name, home, shell] = fields(line)?;
        Some(Self { name, uid: number(uid)?, gid: number(gid)?, full_name, home, shell })
    }
}

/// A line of `/etc/group`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tree) struct GroupLine<'a> {
    pub(in crate::tree) name: &'a str,
    pub(in crate::tree) gid: u32,
    members: &'a str,
}

impl<'a> GroupLine<'a> {
    /// The line, if it is one that every reader understands in the same way.
    pub(in crate::tree) fn parse(line: &'a str) -> Option<Self> {
        let [name, _, gid, members] = fields(line)?;
        Some(Self { name, gid: number(gid)?, members })
    }

    /// The names of the users that are listed in it.
    pub(in crate::tree) fn members(self) -> impl Iterator<Item = &'a str> {
        self.members.split(',').filter(|member| !member.is_empty())
    }
}

/// The fields of a line that begins with a name.
fn fields<const COUNT: usize>(line: &str) -> Option<[&str; COUNT]> {
    let fields: Vec<&str> = line.split(':').collect();
    let is_named = fields.first().is_some_and(|name| !name.is_empty());
    let is_plain = !line.chars().any(char::is_control);
    if is_named && is_plain { fields.try_into().ok() } else { None }
}

/// A number in digits alone; the largest stands for none.
fn number(text: &str) -> Option<u32> {
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| is_decimal && *number != u32::MAX)
}
