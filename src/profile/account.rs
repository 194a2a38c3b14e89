//! Users and groups by number or by name.
//!
//! A profile may be written before anybody knows the numbers, so a name stays a name here and is looked
//! up late, in the image's own `/etc/passwd` and `/etc/group`.
//!
//! Source: passwd(5); busybox `adduser`, which refuses other names; Linux keeps the greatest number for
//! "no change".

use std::fmt;
use std::str::FromStr;

use super::value::{Invalid, decimal};

const WANTED_NAME: &str =
    "an account name (letters, digits, `_`, `.` and `-`, beginning with a letter or `_`, at most 32)";
const WANTED_ACCOUNT: &str = "an account (a number up to 4294967294, or a name)";
const WANTED_OWNER: &str = "an owner (\"uid:gid\", or names: \"www-data:www-data\")";
const WANTED_USER: &str = "a user (\"82\", \"82:82\", or names)";

/// The greatest number an account can have.
const MAX_ID: u32 = u32::MAX - 1;

/// The number of a user or group: at most 2^32 - 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(u32);

/// The name of a user or group. Safe in passwd and group files.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountName(Box<str>);

/// A user or group, as the profile names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Account {
    /// By number.
    Id(Id),
    /// By name, to be looked up in the image.
    Name(AccountName),
}

/// Who owns a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The user.
    pub user: Account,
    /// The group.
    pub group: Account,
}

/// Who the image's processes run as.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageUser {
    /// The user.
    pub user: Account,
    /// The group; without one, the user's own of the image's passwd file.
    pub group: Option<Account>,
}

impl Id {
    /// Root's number.
    pub const ROOT: Self = Self(0);

    /// The account with this number, if Linux can have it.
    #[must_use]
    pub fn new(number: i64) -> Option<Self> {
        u32::try_from(number).ok().filter(|number| *number <= MAX_ID).map(Self)
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl AccountName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let first = |c: char| c.is_ascii_alphabetic() || c == '_';
        let later = |c: char| first(c) || c.is_ascii_digit() || c == '.' || c == '-';
        if text.len() <= 32 && text.starts_with(first) && text.chars().all(later) {
            Ok(Self(text.into()))
        } else {
            Err(Invalid::new(text, WANTED_NAME))
        }
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Account {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let id = decimal(text).and_then(Id::new).map(Self::Id);
        id.or_else(|| text.parse().ok().map(Self::Name)).ok_or_else(|| Invalid::new(text, WANTED_ACCOUNT))
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => write!(f, "{name}"),
        }
    }
}

impl Owner {
    /// `0:0`.
    #[must_use]
    pub fn root() -> Self {
        Self { user: Account::Id(Id::ROOT), group: Account::Id(Id::ROOT) }
    }
}

impl FromStr for Owner {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let parts = text
            .split_once(':')
            .and_then(|(user, group)| Some(Self { user: user.parse().ok()?, group: group.parse().ok()? }));
        parts.ok_or_else(|| Invalid::new(text, WANTED_OWNER))
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.user, self.group)
    }
}

impl FromStr for ImageUser {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = |_| Invalid::new(text, WANTED_USER);
        let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
        let group = group.map(str::parse).transpose().map_err(invalid)?;
        Ok(Self { user: user.parse().map_err(invalid)?, group })
    }
}

impl fmt::Display for ImageUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.user)?;
        self.group.as_ref().map_or(Ok(()), |group| write!(f, ":{group}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_two_numbers_or_names() {
        for text in ["82:82", "www-data:www-data", "0:shadow", "4294967294:0", "_apt:nogroup"] {
            assert_eq!(text.parse::<Owner>().unwrap().to_string(), text);
        }
        for text in ["", "82", "www-data", ":82", "82:", "82:82:82", "4294967295:0", "-1:0", "a b:0", "a\n:0"]
        {
            assert!(text.parse::<Owner>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_user_of_an_image_needs_no_group() {
        for text in ["82", "82:82", "nobody", "nobody:82"] {
            assert_eq!(text.parse::<ImageUser>().unwrap().to_string(), text);
        }
        for text in ["", "82:", ":82", "82/82", "4294967295"] {
            assert!(text.parse::<ImageUser>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_cannot_break_a_passwd_line() {
        for text in ["a:b", "a\nb", "", "-a", "1a", &"a".repeat(33), "é"] {
            assert!(text.parse::<AccountName>().is_err(), "{text}");
        }
    }
}
