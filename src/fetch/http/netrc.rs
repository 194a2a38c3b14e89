//! `~/.netrc`: user names and passwords by host.
//!
//! Words are separated by blanks and line ends; `machine HOST`, `default`, and after them `login`, `password`
//! and `account` with a word each. A word in double quotes may hold blanks. `macdef NAME` goes to the next empty
//! line and is skipped; so is what follows a `#` that begins a word between entries. What is no such file is as if it were
//! empty: it is not ours to judge.
//!
//! Source: GNU inetutils manual, "The .netrc file"; curl's quoting.

use std::path::PathBuf;

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The entries of a file.
#[derive(Default, Clone, PartialEq, Eq)]
pub(super) struct Netrc {
    entries: Vec<Entry>,
}

#[derive(Default, Clone, PartialEq, Eq)]
struct Entry {
    /// Nothing stands for every host.
    host: Option<String>,
    login: Option<String>,
    password: Option<String>,
}

impl Netrc {
    /// The file that `NETRC` names, else `~/.netrc`; empty if there is none.
    pub(super) fn of_user() -> Self {
        let named = std::env::var_os("NETRC").filter(|path| !path.is_empty()).map(PathBuf::from);
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".netrc"));
        let bytes = named.or_else(home).and_then(|path| crate::root::read_file(&path, MAX_FILE).ok());
        bytes.map(|bytes| Self::parse(&String::from_utf8_lossy(&bytes))).unwrap_or_default()
    }

    /// The user name and password for `host`.
    pub(super) fn credentials(&self, host: &str) -> Option<(&str, &str)> {
        self.first(|name| name.is_none_or(|name| name.eq_ignore_ascii_case(host)))
    }

    /// Those for `host` if an entry names it: `default` does not.
    pub(super) fn credentials_by_name(&self, host: &str) -> Option<(&str, &str)> {
        self.first(|name| name.is_some_and(|name| name.eq_ignore_ascii_case(host)))
    }

    fn first(&self, is_for: impl Fn(Option<&str>) -> bool) -> Option<(&str, &str)> {
        let entry = self.entries.iter().find(|entry| is_for(entry.host.as_deref()))?;
        Some((entry.login.as_deref()?, entry.password.as_deref().unwrap_or_default()))
    }

    pub(super) fn parse(text: &str) -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        let mut words = Words { rest: text };
        while let Some(word) = words.next() {
            match word.as_str() {
                "machine" => entries.push(Entry { host: words.next(), ..Entry::default() }),
                "default" => entries.push(Entry::default()),
                "macdef" => words.skip_macro(),
                "login" => set(&mut entries, words.next(), |entry| &mut entry.login),
                "password" => set(&mut entries, words.next(), |entry| &mut entry.password),
                "account" => drop(words.next()),
                word if word.starts_with('#') => words.skip_line(),
                _ => {}
            }
        }
        // `machine` at the very end names nobody, and must not stand for everybody.
        entries.retain(|entry| entry.login.is_some());
        Self { entries }
    }
}

fn set(entries: &mut [Entry], value: Option<String>, field: impl Fn(&mut Entry) -> &mut Option<String>) {
    if let Some(entry) = entries.last_mut() {
        *field(entry) = value;
    }
}

struct Words<'a> {
    rest: &'a str,
}

impl Words<'_> {
    fn next(&mut self) -> Option<String> {
        self.rest = self.rest.trim_ascii_start();
        if let Some(quoted) = self.rest.strip_prefix('"') {
            return Some(self.quoted(quoted.len()));
        }
        let end = self.rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then(|| word.to_owned())
    }

    /// A word in quotes, of which `length` bytes remain behind the opening one.
    fn quoted(&mut self, length: usize) -> String {
        let mut word = String::new();
        let mut characters = self.rest.get(self.rest.len() - length..).unwrap_or_default().chars();
        while let Some(character) = characters.next() {
            match character {
                '"' => break,
                '\\' => word.extend(characters.next()),
                other => word.push(other),
            }
        }
        let left = characters.as_str().len();
        self.rest = self.rest.get(self.rest.len() - left..).unwrap_or_default();
        word
    }

    fn skip_line(&mut self) {
        self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
    }

    fn skip_macro(&mut self) {
        self.rest = self.rest.split_once("\n\n").map_or("", |(_, rest)| rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, host: &str) -> Option<(String, String)> {
        let netrc = Netrc::parse(text);
        netrc.credentials(host).map(|(user, password)| (user.to_owned(), password.to_owned()))
    }

    fn pair(user: &str, password: &str) -> (String, String) {
        (user.to_owned(), password.to_owned())
    }

    #[test]
    fn entries_are_found_by_host() {
        let text = "# mine\nmachine a.org login me password one\n\tmachine b.org\n  login you\n  account x\n  password two\n";
        assert_eq!(found(text, "a.org"), Some(pair("me", "one")));
        assert_eq!(found(text, "B.org"), Some(pair("you", "two")));
        assert_eq!(found(text, "c.org"), None);
        assert_eq!(
            found(&format!("{text}default login all password three"), "c.org"),
            Some(pair("all", "three"))
        );
        assert_eq!(found("machine a.org login me", "a.org"), Some(pair("me", "")));
    }

    #[test]
    fn quotes_hold_blanks_and_quotes() {
        assert_eq!(
            found("machine a login \"a b\" password \"q\\\"\\\\ #x\"", "a"),
            Some(pair("a b", "q\"\\ #x"))
        );
        assert_eq!(found("machine a login me password a#b", "a"), Some(pair("me", "a#b")));
        assert_eq!(found("machine a login me password \"open", "a"), Some(pair("me", "open")));
    }

    #[test]
    fn macros_are_skipped() {
        let text = "machine a login me password one\nmacdef init\nmachine b login x password y\n\nmachine c login z password w";
        assert_eq!(found(text, "b"), None);
        assert_eq!(found(text, "c"), Some(pair("z", "w")));
        assert_eq!(found("macdef init\nmachine b login x password y", "b"), None);
    }

    #[test]
    fn what_is_no_such_file_is_empty() {
        for text in
            ["", "machine", "login me password x", "default", "machine\nlogin", "\u{0}\u{1}", "\"", "\"\\"]
        {
            assert_eq!(found(text, "a"), None, "{text:?}");
            assert_eq!(found(text, ""), None, "{text:?}");
        }
    }
}
