//! Package versions and their order.
//!
//! A version is `digits(.digits)* [a-z]? (_suffix digits?)* (~hex+)? (-r digits)?`. Indexes are not
//! obliged to hold valid ones, and two versions compare whatever they are: an invalid text compares up
//! to where it becomes invalid. Not for `semver`, which only Alpine's own releases follow.
//!
//! Source: spec apk v2, "Dependencies and versions".

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A version, valid or not, as an index or a package states it.
///
/// Equality is of the text; [`Version::compare`] is apk's order, in which different texts may be equal
/// (`1.0` and `01.0`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(Box<str>);

/// A text that is not a valid version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a valid version")]
pub struct InvalidVersion(pub String);

impl Version {
    /// A version as stated by an index, which may be invalid.
    #[must_use]
    pub fn stated(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// apk's order.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0)
    }
}

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        if is_valid(text) { Ok(Self(text.into())) } else { Err(InvalidVersion(text.to_owned())) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `text` is a valid version.
#[must_use]
pub fn is_valid(text: &str) -> bool {
    let mut tokens = Tokens::new(text);
    loop {
        match tokens.next().kind {
            TokenKind::Invalid => return false,
            TokenKind::End => return true,
            _ => {}
        }
    }
}

/// apk's order of two versions, either of which may be invalid.
#[must_use]
pub fn compare(left: &str, right: &str) -> Ordering {
    walk(left, right, Length::Whole)
}

/// Whether `version` begins with `prefix` in the sense of the `~` operator: `1.2.3 ~ 1.2`.
#[must_use]
pub fn starts_with(version: &str, prefix: &str) -> bool {
    compare_to_prefix(version, prefix) == Ordering::Equal
}

/// The order of `version` against everything that begins with `prefix`: equal if it does so itself.
#[must_use]
pub fn compare_to_prefix(version: &str, prefix: &str) -> Ordering {
    walk(version, prefix, Length::OfRight)
}

/// How far a comparison goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    /// To the end of both.
    Whole,
    /// To the end of the right side.
    OfRight,
}

fn walk(left: &str, right: &str, length: Length) -> Ordering {
    let (mut left, mut right) = (Tokens::new(left), Tokens::new(right));
    loop {
        let (a, b) = (left.next(), right.next());
        if a.kind == b.kind {
            match a.kind {
                TokenKind::End | TokenKind::Invalid => return Ordering::Equal,
                _ => {}
            }
            match compare_values(a, b) {
                Ordering::Equal => continue,
                different => return different,
            }
        }
        if length == Length::OfRight && b.kind == TokenKind::End {
            return Ordering::Equal;
        }
        return match (a.is_prerelease(), b.is_prerelease()) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            // The later kind is the lesser: `1.0` (end) is less than `1.0-r1` (revision).
            (true, true) | (false, false) => b.kind.cmp(&a.kind),
        };
    }
}

fn compare_values(a: Token<'_>, b: Token<'_>) -> Ordering {
    match a.kind {
        TokenKind::Digit if a.text.starts_with('0') || b.text.starts_with('0') => a.text.cmp(b.text),
        TokenKind::Initial | TokenKind::Digit | TokenKind::SuffixNumber | TokenKind::Revision => {
            compare_numbers(a.text, b.text)
        }
        TokenKind::Suffix => suffix_rank(a.text).cmp(&suffix_rank(b.text)),
        TokenKind::Letter | TokenKind::Hash => a.text.cmp(b.text),
        TokenKind::End | TokenKind::Invalid => Ordering::Equal,
    }
}

/// Compares decimal numbers of any length.
fn compare_numbers(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// The suffixes in their order; those before [`RELEASE`] come before the version without a suffix.
const SUFFIXES: [&str; 9] = ["alpha", "beta", "pre", "rc", "cvs", "svn", "git", "hg", "p"];
/// How many of [`SUFFIXES`] precede the release itself.
const RELEASE: usize = 4;

fn suffix_rank(name: &str) -> Option<usize> {
    SUFFIXES.iter().position(|suffix| *suffix == name)
}

/// The kinds of a version's parts, in the order by which differing kinds compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum TokenKind {
    Initial,
    Digit,
    Letter,
    Suffix,
    SuffixNumber,
    Hash,
    Revision,
    End,
    Invalid,
}

#[derive(Debug, Clone, Copy)]
struct Token<'a> {
    kind: TokenKind,
    /// The digits, letter, suffix name or hash, without the character that introduces it.
    text: &'a str,
}

impl Token<'_> {
    fn is_prerelease(self) -> bool {
        self.kind == TokenKind::Suffix && suffix_rank(self.text).is_some_and(|rank| rank < RELEASE)
    }
}

/// Cuts a version into tokens. After the end, or after something invalid, that token repeats.
struct Tokens<'a> {
    rest: &'a str,
    previous: Option<TokenKind>,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text, previous: None }
    }

    fn next(&mut self) -> Token<'a> {
        let token = self.read();
        self.previous = Some(token.kind);
        token
    }

    fn read(&mut self) -> Token<'a> {
        use TokenKind::{Digit, End, Hash, Initial, Invalid, Letter, Revision, Suffix, SuffixNumber};
        let Some(previous) = self.previous else { return self.digits(0, Initial) };
        if previous == Invalid {
            return Token { kind: Invalid, text: "" };
        }
        match self.rest.as_bytes().first() {
            None => Token { kind: End, text: "" },
            Some(b'.') if matches!(previous, Initial | Digit) => self.digits(1, Digit),
            Some(b'a'..=b'z') if matches!(previous, Initial | Digit) => self.take(0, 1, Letter),
            Some(b'_') if previous <= SuffixNumber => self.suffix(),
            Some(b'0'..=b'9') if previous == Suffix => self.digits(0, SuffixNumber),
            Some(b'~') if previous < Hash => {
                self.run(1, Hash, |byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
            }
            Some(b'-') if previous < Revision && self.rest.starts_with("-r") => self.digits(2, Revision),
            Some(_) => Token { kind: Invalid, text: "" },
        }
    }

    fn suffix(&mut self) -> Token<'a> {
        let token = self.run(1, TokenKind::Suffix, |byte| byte.is_ascii_lowercase());
        if suffix_rank(token.text).is_some() { token } else { Token { kind: TokenKind::Invalid, text: "" } }
    }

    fn digits(&mut self, skip: usize, kind: TokenKind) -> Token<'a> {
        self.run(skip, kind, |byte| byte.is_ascii_digit())
    }

    /// The run of bytes that `accept`s after `skip` bytes; invalid when it is empty.
    fn run(&mut self, skip: usize, kind: TokenKind, accept: impl Fn(u8) -> bool) -> Token<'a> {
        let length = self.rest.bytes().skip(skip).take_while(|byte| accept(*byte)).count();
        if length == 0 {
            return Token { kind: TokenKind::Invalid, text: "" };
        }
        self.take(skip, length, kind)
    }

    fn take(&mut self, skip: usize, length: usize, kind: TokenKind) -> Token<'a> {
        let end = skip + length;
        let text = self.rest.get(skip..end).unwrap_or_default();
        self.rest = self.rest.get(end..).unwrap_or_default();
        Token { kind, text }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::draws;

    #[test]
    fn the_order_is_the_one_the_specification_shows() {
        let ascending = [
            ("1.0.0", "006"),
            ("1.06", "1.1"),
            ("8.2.0", "8.2.001"),
            ("8.2.0015", "8.2.002"),
            ("1.1_alpha1", "1.1"),
            ("1.1", "1.1_p1"),
            ("1.0", "1.0-r1"),
            ("0.1.0_alpha_pre2", "0.1.0_alpha"),
            ("1.0", "1.0bc"),
            ("1.0", "1.0a"),
            ("1.0_pre", "1.0_pre0"),
            ("1.0_alpha", "1.0_beta"),
            ("1.0_beta", "1.0_pre"),
            ("1.0_pre", "1.0_rc"),
            ("1.0_rc", "1.0"),
            ("1.0_cvs", "1.0_svn"),
            ("1.0_svn", "1.0_git"),
            ("1.0_git", "1.0_hg"),
            ("1.0_hg", "1.0_p"),
            ("9", "10"),
            ("1.9", "1.10"),
            ("1.0-r9", "1.0-r10"),
            ("99999999999999999999999", "100000000000000000000000"),
        ];
        for (less, greater) in ascending {
            assert_eq!(compare(less, greater), Ordering::Less, "{less} < {greater}");
            assert_eq!(compare(greater, less), Ordering::Greater, "{greater} > {less}");
        }
    }

    #[test]
    fn a_prefix_can_end_at_any_token() {
        for (version, prefix) in
            [("3.6_pre1", "3.6"), ("1.0", "1"), ("3.8.1", "3.8"), ("1.2-r3", "1.2"), ("1.2", "1.2")]
        {
            assert!(starts_with(version, prefix), "{version} ~ {prefix}");
        }
        for (version, prefix) in [("3.8", "3.8.1"), ("10", "1"), ("1.20", "1.2")] {
            assert!(!starts_with(version, prefix), "{version} ~ {prefix}");
        }
    }

    #[test]
    fn only_texts_of_the_grammar_are_valid() {
        for valid in [
            "1",
            "1.2.3",
            "1.2a",
            "1_rc1",
            "1.2_git20230717-r4",
            "6.4_p20231125",
            "1.0~ab12-r0",
            "2.0b_alpha2_p",
        ] {
            assert!(is_valid(valid), "{valid}");
        }
        for invalid in [
            "",
            "a",
            "1.",
            "1..2",
            "1_foo",
            "1_",
            "1-r",
            "1-1",
            "1.0ab",
            "0.99f7-r2",
            "v2.4",
            "1.0~",
            "1.1.0b1-r7",
            "1-r1_p",
            "1.0 ",
        ] {
            assert!(!is_valid(invalid), "{invalid}");
        }
    }

    /// Made of few different pieces, so that two often differ late.
    fn valid_version() -> impl Strategy<Value = String> {
        "(0|1|01|10)(\\.(0|1|2|10|01|001|010)){0,3}[ab]?(_(alpha|rc|p|git)(|0|1|10)){0,2}(~[0-9a]{1,2})?(-r[0-2])?"
    }

    fn any_version() -> impl Strategy<Value = String> {
        prop_oneof![
            "[0-9]{1,3}(\\.[0-9]{1,3}){0,3}[a-c]?(_(alpha|beta|pre|rc|p|git)[0-9]{0,2}){0,2}(~[0-9a-f]{1,4})?(-r[0-9]{1,2})?",
            "[0-9a-z._~-]{0,8}",
        ]
    }

    draws::properties! {
        cases = 256;

        property the_order_is_antisymmetric_and_reflexive(a in any_version(), b in any_version()) {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            prop_assert_eq!(compare(&a, &a), Ordering::Equal);
            prop_assert!(starts_with(&a, &a));
        }

        property the_order_of_valid_versions_is_total(
            a in valid_version(),
            b in valid_version(),
            c in valid_version(),
        ) {
            let mut sorted = [&a, &b, &c];
            sorted.sort_by(|left, right| compare(left, right));
            let [low, middle, high] = sorted;
            prop_assert_ne!(compare(low, middle), Ordering::Greater);
            prop_assert_ne!(compare(middle, high), Ordering::Greater);
            prop_assert_ne!(compare(low, high), Ordering::Greater, "{} {} {}", low, middle, high);
            if compare(&a, &b) == Ordering::Equal {
                prop_assert_eq!(compare(&a, &c), compare(&b, &c));
            }
        }

        property what_begins_with_a_prefix_stands_between_what_is_less_and_what_is_greater(
            version in valid_version(),
            prefix in valid_version(),
        ) {
            let order = compare_to_prefix(&version, &prefix);
            prop_assert_eq!(order == Ordering::Equal, starts_with(&version, &prefix));
            if order != Ordering::Equal {
                prop_assert_eq!(order, compare(&version, &prefix));
            }
        }
    }
}
