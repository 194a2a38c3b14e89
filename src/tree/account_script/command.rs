//! What a command of an account script asks for, by its arguments.
//!
//! Only arguments that BusyBox takes in one way alone are understood: short options before names, each value
//! once, numbers and names that it accepts.
//!
//! Source: `addgroup --help`, `adduser --help` and what they do, BusyBox 1.36.1.

use std::collections::HashMap;

/// The greatest number that every BusyBox takes.
const MAX_NUMBER: u32 = 60_000;
/// The longest name, in bytes.
const MAX_NAME: usize = 32;

/// A command of an account script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// Succeeds.
    Nothing,
    /// `addgroup GROUP`.
    AddGroup(GroupAsked),
    /// `addgroup USER GROUP`, or the same by `adduser`.
    AddMember(MemberAsked),
    /// `adduser USER`.
    AddUser(UserAsked),
}

/// A group to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GroupAsked {
    pub(super) name: String,
    pub(super) gid: Option<u32>,
    pub(super) kind: Kind,
}

/// A user to be listed in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MemberAsked {
    pub(super) user: String,
    pub(super) group: String,
}

/// A user to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UserAsked {
    pub(super) name: String,
    pub(super) uid: Option<u32>,
    pub(super) group: Option<String>,
    pub(super) full_name: Option<String>,
    pub(super) home: Option<String>,
    pub(super) shell: Option<String>,
    pub(super) kind: Kind,
    pub(super) home_wanted: HomeWanted,
}

/// Which numbers an account may get, and what it is given that is not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// With `-S`.
    System,
    /// Without.
    Person,
}

/// Whether a user's home directory is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HomeWanted {
    /// It is.
    Yes,
    /// With `-H`.
    No,
}

impl Command {
    /// The command with those words, or nothing if it is not certain what they mean.
    pub(super) fn of(words: &[String]) -> Option<Self> {
        let (name, arguments) = words.split_first()?;
        match name.as_str() {
            ":" | "true" => Some(Self::Nothing),
            "addgroup" => add_group(&Arguments::parse(arguments, "S", "g")?),
            "adduser" => add_user(&Arguments::parse(arguments, "SDH", "hgsGu")?),
            _ => None,
        }
    }

    /// The programs that it runs.
    pub(super) fn programs(&self) -> &'static [&'static str] {
        match self {
            Self::Nothing => &[],
            Self::AddGroup(_) => &["addgroup"],
            // The latter runs the former.
            Self::AddMember(_) | Self::AddUser(_) => &["addgroup", "adduser"],
        }
    }
}

fn add_group(arguments: &Arguments) -> Option<Command> {
    let gid = arguments.number('g').ok()?;
    match arguments.names.as_slice() {
        [name] => Some(Command::AddGroup(GroupAsked { name: name.clone(), gid, kind: arguments.kind() })),
        [user, group] if gid.is_none() => Some(add_member(user, group)),
        _ => None,
    }
}

fn add_member(user: &str, group: &str) -> Command {
    Command::AddMember(MemberAsked { user: user.to_owned(), group: group.to_owned() })
}

fn add_user(arguments: &Arguments) -> Option<Command> {
    let name = match arguments.names.as_slice() {
        [name] => name,
        [user, group] if arguments.is_bare() => return Some(add_member(user, group)),
        _ => return None,
    };
    // Else it asks for a password.
    if !arguments.has('S') && !arguments.has('D') {
        return None;
    }
    let field = |option: char| match arguments.values.get(&option) {
        Some(text) if !is_field(text) => None,
        text => Some(text.cloned()),
    };
    let group = arguments.values.get(&'G').cloned();
    if group.as_deref().is_some_and(|group| !is_name(group)) {
        return None;
    }
    Some(Command::AddUser(UserAsked {
        name: name.clone(),
        uid: arguments.number('u').ok()?,
        group,
        full_name: field('g')?,
        home: field('h')?,
        shell: field('s')?,
        kind: arguments.kind(),
        home_wanted: if arguments.has('H') { HomeWanted::No } else { HomeWanted::Yes },
    }))
}

/// The arguments of a command.
struct Arguments {
    flags: Vec<char>,
    values: HashMap<char, String>,
    /// The names behind the options.
    names: Vec<String>,
}

impl Arguments {
    /// The arguments, if there are no other options than those of `flags`, and those of `valued` at most once.
    fn parse(arguments: &[String], flags: &str, valued: &str) -> Option<Self> {
        let mut parsed = Self { flags: Vec::new(), values: HashMap::new(), names: Vec::new() };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let Some(options) = argument.strip_prefix('-') else {
                parsed.names.push(argument.clone());
                continue;
            };
            // Options behind names are options or not, as POSIXLY_CORRECT says.
            if !parsed.names.is_empty() || options.is_empty() {
                return None;
            }
            let mut letters = options.chars();
            while let Some(option) = letters.next() {
                if flags.contains(option) {
                    parsed.flags.push(option);
                } else if valued.contains(option) {
                    let attached = letters.as_str();
                    let value = if attached.is_empty() { rest.next()?.clone() } else { attached.to_owned() };
                    if parsed.values.insert(option, value).is_some() {
                        return None;
                    }
                    break;
                } else {
                    return None;
                }
            }
        }
        parsed.names.iter().all(|name| is_name(name)).then_some(parsed)
    }

    fn has(&self, flag: char) -> bool {
        self.flags.contains(&flag)
    }

    fn is_bare(&self) -> bool {
        self.flags.is_empty() && self.values.is_empty()
    }

    fn kind(&self) -> Kind {
        if self.has('S') { Kind::System } else { Kind::Person }
    }

    /// The number that `option` says, if it is given.
    fn number(&self, option: char) -> Result<Option<u32>, NoPlainNumber> {
        let Some(text) = self.values.get(&option) else { return Ok(None) };
        let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit());
        let is_short = text == "0" || !text.starts_with('0');
        let number = text.parse().ok().filter(|number| *number <= MAX_NUMBER && is_decimal && is_short);
        number.map(Some).ok_or(NoPlainNumber)
    }
}

/// What is given for a number may be taken for another one, or for none.
struct NoPlainNumber;

/// Whether `text` is a name that is accepted, and taken for no number.
fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME
        && text.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.-".contains(letter))
}

/// Whether `text` can be a field of a line.
fn is_field(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b':')
}
