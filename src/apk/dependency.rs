//! Dependencies, provides and the names they speak of.
//!
//! A dependency is `[!]name[@tag][op version]`; the operator is whatever run of `<>=~` follows the name,
//! read as a set. A provide has the same form with at most `=version`. Only the world may name a tag.
//!
//! Source: spec apk v2, "Dependencies and versions".

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use super::version::{self, Version};
use crate::digest::Identity;

/// One of apk's dependencies, as in the world, in `D:`, in `i:` or in a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The package, or provided name, it speaks of.
    pub name: Box<str>,
    /// `!name`: the name must *not* be there.
    pub conflict: bool,
    /// `@tag`: the tagged repository it may come from.
    pub tag: Option<Tag>,
    /// Which of the providers satisfy it.
    pub constraint: Constraint,
}

/// Which versions satisfy a dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Constraint {
    /// Any.
    Any,
    /// Those that compare so with a version.
    Version(Operator, Version),
    /// Only the package with this identity (`name><Q1...`).
    Identity(Identity),
}

/// A set of results of a comparison, any of which satisfies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Operator(u8);

/// The tag of a pinned repository, without the `@`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Box<str>);

/// What a package provides: a name, with a version or without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provide {
    /// The provided name.
    pub name: Box<str>,
    /// Its version; a provide without one satisfies no lower bound.
    pub version: Option<Version>,
}

/// Why a text is not a dependency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DependencyError {
    /// There is no name, or it has a character that names do not have.
    #[error("`{text}` is not a dependency: `{name}` is not a name")]
    Name {
        /// The whole text.
        text: String,
        /// What stands where the name should.
        name: String,
    },
    /// The operator is not one of apk's.
    #[error("`{text}` is not a dependency: `{operator}` is not an operator (<, <=, =, ~, >=, >, ><)")]
    Operator {
        /// The whole text.
        text: String,
        /// The run of `<>=~`.
        operator: String,
    },
    /// The version after the operator is invalid, or missing.
    #[error("`{text}` is not a dependency: `{version}` is not a valid version")]
    Version {
        /// The whole text.
        text: String,
        /// What stands where the version should.
        version: String,
    },
    /// The tag is empty, has a character that tags do not have, or is not allowed here.
    #[error("`{text}` is not a dependency here: the tag `@{tag}` is not allowed")]
    Tag {
        /// The whole text.
        text: String,
        /// What follows the `@`.
        tag: String,
    },
}

impl DependencyError {
    /// The text that is no dependency.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Name { text, .. }
            | Self::Operator { text, .. }
            | Self::Version { text, .. }
            | Self::Tag { text, .. } => text,
        }
    }
}

impl Operator {
    const LESS: u8 = 1;
    const EQUALS: u8 = 2;
    const GREATER: u8 = 4;
    /// What begins with the version counts as equal to it.
    const FUZZY: u8 = 8;

    /// `=`.
    pub const EQUAL: Self = Self(Self::EQUALS);

    fn parse(symbols: &str) -> Option<Self> {
        let set = symbols.chars().try_fold(0, |set, symbol| {
            Some(
                set | match symbol {
                    '<' => Self::LESS,
                    '>' => Self::GREATER,
                    '=' => Self::EQUALS,
                    '~' => Self::EQUALS | Self::FUZZY,
                    _ => return None,
                },
            )
        })?;
        (set != 0).then_some(Self(set))
    }

    fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    /// `><`, which compares identities.
    fn is_identity(self) -> bool {
        self.0 == Self::LESS | Self::GREATER
    }

    /// Whether `version` compares so with `wanted`.
    #[must_use]
    pub fn accepts(self, version: &str, wanted: &str) -> bool {
        let order = if self.has(Self::FUZZY) {
            version::compare_to_prefix(version, wanted)
        } else {
            version::compare(version, wanted)
        };
        self.has(match order {
            Ordering::Less => Self::LESS,
            Ordering::Equal => Self::EQUALS,
            Ordering::Greater => Self::GREATER,
        })
    }

    /// Whether having no version at all satisfies it: none sorts below every version.
    #[must_use]
    pub fn accepts_no_version(self) -> bool {
        self.has(Self::LESS)
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.has(Self::LESS) {
            f.write_str("<")?;
        }
        if self.has(Self::GREATER) {
            f.write_str(">")?;
        }
        if self.has(Self::FUZZY) {
            f.write_str("~")
        } else if self.has(Self::EQUALS) {
            f.write_str("=")
        } else {
            Ok(())
        }
    }
}

impl Tag {
    /// Parses a tag, without its `@`.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let valid = !text.is_empty() && text.bytes().all(is_package_name_byte);
        valid.then(|| Self(text.into()))
    }

    /// The tag, without its `@`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.0)
    }
}

impl Constraint {
    /// Whether every version satisfies it.
    #[must_use]
    pub fn is_any(&self) -> bool {
        matches!(self, Self::Any)
    }

    /// Whether a provider with `version` (none: an unversioned provide) and `identity`, which is seldom asked
    /// for, satisfies it.
    #[must_use]
    pub fn accepts(&self, version: Option<&str>, identity: impl FnOnce() -> Option<Identity>) -> bool {
        match self {
            Self::Any => true,
            Self::Version(operator, wanted) => match version {
                Some(version) => operator.accepts(version, wanted.as_str()),
                None => operator.accepts_no_version(),
            },
            Self::Identity(wanted) => identity() == Some(*wanted),
        }
    }
}

impl Dependency {
    /// A dependency on any version of `name`.
    #[must_use]
    pub fn on(name: &str) -> Self {
        Self { name: name.into(), conflict: false, tag: None, constraint: Constraint::Any }
    }

    /// The same without the `!`: what a conflict speaks of.
    #[must_use]
    pub fn without_conflict(&self) -> Self {
        Self { conflict: false, ..self.clone() }
    }

    /// The name that the text of a well-formed dependency speaks of, without copying.
    #[must_use]
    pub fn name_in(text: &str) -> &str {
        let text = text.strip_prefix('!').unwrap_or(text);
        // Between `<` and `@` there is no byte that names have.
        let ends = |byte: u8| matches!(byte, b'<'..=b'@' | b'~');
        let end = text.bytes().position(ends).unwrap_or(text.len());
        text.get(..end).unwrap_or_default()
    }

    /// Parses a dependency as an index states it, where tags are not allowed.
    pub fn of_index(text: &str) -> Result<Self, DependencyError> {
        let dependency: Self = text.parse()?;
        match dependency.tag {
            Some(tag) => Err(DependencyError::Tag { text: text.to_owned(), tag: tag.0.into_string() }),
            None => Ok(dependency),
        }
    }
}

/// Parses a dependency as the world states it.
impl FromStr for Dependency {
    type Err = DependencyError;

    fn from_str(text: &str) -> Result<Self, DependencyError> {
        let (conflict, rest) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        let operator_at = rest.find(is_operator_char).unwrap_or(rest.len());
        let (left, right) = rest.split_at(operator_at);
        let (name, tag) = left.split_once('@').map_or((left, None), |(name, tag)| (name, Some(tag)));
        let tag = match tag {
            None => None,
            Some(tag) => Some(
                Tag::new(tag)
                    .ok_or_else(|| DependencyError::Tag { text: text.to_owned(), tag: tag.to_owned() })?,
            ),
        };
        if !is_name(name) {
            return Err(DependencyError::Name { text: text.to_owned(), name: name.to_owned() });
        }
        let constraint = if right.is_empty() { Constraint::Any } else { parse_constraint(text, right)? };
        Ok(Self { name: name.into(), conflict, tag, constraint })
    }
}

fn parse_constraint(text: &str, right: &str) -> Result<Constraint, DependencyError> {
    let version_at = right.find(|c| !is_operator_char(c)).unwrap_or(right.len());
    let (symbols, version) = right.split_at(version_at);
    let operator = Operator::parse(symbols)
        .ok_or_else(|| DependencyError::Operator { text: text.to_owned(), operator: symbols.to_owned() })?;
    let invalid = || DependencyError::Version { text: text.to_owned(), version: version.to_owned() };
    if operator.is_identity() {
        return version.parse().map(Constraint::Identity).map_err(|_| invalid());
    }
    version.parse().map(|version| Constraint::Version(operator, version)).map_err(|_| invalid())
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.conflict {
            f.write_str("!")?;
        }
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, "{tag}")?;
        }
        match &self.constraint {
            Constraint::Any => Ok(()),
            Constraint::Version(operator, version) => write!(f, "{operator}{version}"),
            Constraint::Identity(identity) => write!(f, "><{identity}"),
        }
    }
}

impl Provide {
    /// The name and version of a provide as an index states it, without copying; `None` if it is malformed.
    ///
    /// Real indexes state versions that are none (`so:libtimed-qt5.so.0=0..0`). apk warns of such a provide and
    /// keeps it, so the version is as stated; [`Provide::of_index`] is for whoever writes one, and says what is
    /// wrong.
    #[must_use]
    pub fn split(text: &str) -> Option<(&str, Option<&str>)> {
        let (name, version) = match text.find(is_operator_char) {
            None => (text, None),
            Some(at) => {
                let (name, right) = text.split_at(at);
                let version = right.trim_start_matches('=');
                let stated = !version.is_empty() && !version.starts_with(is_operator_char);
                (name, stated.then_some(Some(version))?)
            }
        };
        is_name(name).then_some((name, version))
    }

    /// Parses a provide as an index states it: a name, with `=version` or without.
    pub fn of_index(text: &str) -> Result<Self, DependencyError> {
        let dependency = Dependency::of_index(text)?;
        if dependency.conflict {
            return Err(DependencyError::Name {
                text: text.to_owned(),
                name: format!("!{}", dependency.name),
            });
        }
        match dependency.constraint {
            Constraint::Any => Ok(Self { name: dependency.name, version: None }),
            Constraint::Version(Operator::EQUAL, version) => {
                Ok(Self { name: dependency.name, version: Some(version) })
            }
            Constraint::Version(operator, _) => {
                Err(DependencyError::Operator { text: text.to_owned(), operator: operator.to_string() })
            }
            Constraint::Identity(_) => {
                Err(DependencyError::Operator { text: text.to_owned(), operator: "><".to_owned() })
            }
        }
    }
}

fn is_operator_char(c: char) -> bool {
    matches!(c, '<' | '>' | '=' | '~')
}

fn is_package_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'+' | b'-')
}

/// Whether `text` can be the name of a package.
#[must_use]
pub fn is_package_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_package_name_byte)
}

/// Whether `text` can be a name that packages provide: `so:libz.so.1`, `/bin/sh`, or a package's own.
#[must_use]
pub fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| is_package_name_byte(byte) || matches!(byte, b',' | b':' | b'/' | b'[' | b']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Dependency {
        text.parse().unwrap()
    }

    #[test]
    fn every_form_reads_and_writes_back() {
        for text in [
            "busybox",
            "!vlan",
            "so:libc.musl-x86_64.so.1",
            "/bin/sh",
            "argon2-libs@edge",
            "tini>=0.19",
            "a@edge<2",
            "php83~8.3",
            "x>~1",
            "x<~1",
            "cmd:[",
            "x><Q1RWLMZH10kdz0zUmHb2dljdFhLlQ=",
        ] {
            assert_eq!(parse(text).to_string(), text);
            assert_eq!(Dependency::name_in(text), &*parse(text).name);
        }
        assert_eq!(parse("a==1"), parse("a=1"));
        assert_eq!(parse("a~=1"), parse("a~1"));
    }

    #[test]
    fn what_is_no_dependency_is_refused_by_its_part() {
        use DependencyError as E;
        assert!(matches!("".parse::<Dependency>(), Err(E::Name { .. })));
        assert!(matches!("!".parse::<Dependency>(), Err(E::Name { .. })));
        assert!(matches!("a b".parse::<Dependency>(), Err(E::Name { .. })));
        assert!(matches!("a=".parse::<Dependency>(), Err(E::Version { .. })));
        assert!(matches!("a>".parse::<Dependency>(), Err(E::Version { .. })));
        assert!(matches!("librasterlite2=1.1.0b1-r7".parse::<Dependency>(), Err(E::Version { .. })));
        assert!(matches!("a><1".parse::<Dependency>(), Err(E::Version { .. })));
        assert!(matches!("a@".parse::<Dependency>(), Err(E::Tag { .. })));
        assert!(matches!(Dependency::of_index("a@edge"), Err(E::Tag { .. })));
        assert!(matches!(Provide::of_index("pc:librtmp=v2.4"), Err(E::Version { .. })));
        assert!(matches!(Provide::of_index("a>1"), Err(E::Operator { .. })));
    }

    #[test]
    fn splitting_a_provide_agrees_with_parsing_it() {
        for text in
            ["so:a.so.1=1.2", "cmd:[", "a", "a==1", "a=", "a>1", "a>=1", "a~1", "!a", "a@b", "", "=1", "a b"]
        {
            let parsed = Provide::of_index(text).ok();
            let parsed = parsed.as_ref().map(|p| (&*p.name, p.version.as_ref().map(Version::as_str)));
            assert_eq!(Provide::split(text), parsed, "{text}");
        }
    }

    #[test]
    fn a_provide_of_an_index_keeps_a_version_that_is_none() {
        assert_eq!(Provide::split("so:libtimed-qt5.so.0=0..0"), Some(("so:libtimed-qt5.so.0", Some("0..0"))));
        assert_eq!(Provide::split("pc:librtmp=v2.4"), Some(("pc:librtmp", Some("v2.4"))));
        assert!(Provide::of_index("pc:librtmp=v2.4").is_err());
    }

    #[test]
    fn a_provide_without_a_version_satisfies_only_upper_bounds() {
        let none = |text: &str| parse(text).constraint.accepts(None, || None);
        assert!(none("a") && none("a<1") && none("a<=1") && none("a<~1"));
        assert!(!none("a=1") && !none("a>1") && !none("a>=1") && !none("a~1"));
    }

    #[test]
    fn an_identity_is_satisfied_by_that_package_only() {
        let identity: Identity = "Q1RWLMZH10kdz0zUmHb2dljdFhLlQ=".parse().unwrap();
        let other: Identity = "Q16vHLRZoP2NZ2lLj3reL8p+l/YE4=".parse().unwrap();
        let wanted = parse(&format!("x><{identity}")).constraint;
        assert!(wanted.accepts(Some("1"), || Some(identity)));
        assert!(!wanted.accepts(Some("1"), || Some(other)));
        assert!(!wanted.accepts(None, || None));
    }

    #[test]
    fn operators_are_sets_of_orders() {
        let accepts = |text: &str, version: &str| parse(text).constraint.accepts(Some(version), || None);
        assert!(accepts("a<=1", "1") && accepts("a<=1", "0") && !accepts("a<=1", "2"));
        assert!(accepts("a~1.2", "1.2.9") && !accepts("a~1.2", "1.3"));
        assert!(accepts("a<~1.2", "1.1") && accepts("a<~1.2", "1.2.9") && !accepts("a<~1.2", "1.3"));
        assert!(accepts("a>~1.2", "1.3") && accepts("a>~1.2", "1.2.9") && !accepts("a>~1.2", "1.1"));
    }
}
