//! What can be wrong with a profile.
//!
//! The problems of one file are reported together: a [`Problem`] names place, key and [`Flaw`].

use std::fmt;
use std::path::PathBuf;

use super::origin::Origin;
use super::value::{Invalid, Shown};
use crate::apk::dependency::DependencyError;
use crate::arch::UnknownArch;
use crate::digest::DigestError;
use crate::kind::{Explain, Kind};
use crate::path::PathError;
use crate::root::FileError;

/// The most problems that one message lists.
const MAX_LISTED: usize = 20;

/// A profile that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// No file and no built-in profile has the name.
    #[error("{place}there is no profile `{name}`", place = Place(stated.as_ref()), name = Shown(name))]
    Unknown {
        /// The name.
        name: Box<str>,
        /// Where it was stated, if in a profile.
        stated: Option<Origin>,
        /// The files that would have been taken.
        tried: Box<[PathBuf]>,
        /// The built-in profiles.
        built_in: Box<[&'static str]>,
        /// Names it may have been meant for.
        near: Box<[&'static str]>,
    },
    /// The file of a profile that was named by path is not there.
    #[error("{place}there is no profile at {path}", place = Place(stated.as_ref()), path = path.display())]
    NotFound {
        /// The path.
        path: PathBuf,
        /// Where it was stated, if in a profile.
        stated: Option<Origin>,
    },
    /// The file of a profile cannot be read.
    #[error("{place}{error}", place = Place(stated.as_ref()))]
    Unreadable {
        /// What failed.
        error: FileError,
        /// Where it was stated, if in a profile.
        stated: Option<Origin>,
    },
    /// The file is not text.
    #[error("{profile}:{line}: this is not UTF-8")]
    NotUtf8 {
        /// The profile.
        profile: String,
        /// The line, from 1.
        line: usize,
    },
    /// The text is not TOML.
    #[error("{profile}:{line}:{column}: {message}")]
    Syntax {
        /// The profile.
        profile: String,
        /// The line, from 1.
        line: u32,
        /// The column in characters, from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// The profile is for another version of apkcompose.
    #[error("{origin}: this profile requires apkcompose {required}, and this is {this}")]
    Requires {
        /// Where it says so.
        origin: Origin,
        /// The versions it is for.
        required: semver::VersionReq,
        /// The version that reads it.
        this: &'static str,
    },
    /// A profile extends itself.
    #[error("{origin}: a profile cannot extend itself: {chain}", chain = chain.join(" extends "))]
    Cycle {
        /// Where the circle closes.
        origin: Origin,
        /// The profiles, the first once more at the end.
        chain: Vec<String>,
    },
    /// Profiles extend each other too deeply, or too many are extended.
    #[error("{origin}: more than {limit} profiles extend each other")]
    TooMany {
        /// The one that was too much.
        origin: Origin,
        /// The limit.
        limit: usize,
    },
    /// A built-in profile extends a file.
    #[error("{origin}: a built-in profile cannot extend the file `{path}`", path = Shown(path))]
    BuiltInExtendsFile {
        /// Where it says so.
        origin: Origin,
        /// The file.
        path: String,
    },
    /// Something is wrong in what the profile says. Never empty.
    #[error("{}", Listed(.0))]
    Problems(Vec<Problem>),
}

/// Something wrong at one place of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub origin: Origin,
    /// The key with its tables, dotted: `image.expose`.
    pub key: String,
    /// What is wrong.
    pub flaw: Flaw,
}

/// What is wrong with the value at a key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// No such key exists there.
    UnknownKey {
        /// The key.
        name: String,
        /// Keys that exist there and are spelled alike.
        near: Vec<&'static str>,
        /// A table where this very key exists.
        elsewhere: Option<String>,
    },
    /// The value is of another type.
    WrongType {
        /// What the key takes.
        wanted: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// Building from source is asked for.
    Build,
    /// A key that an entry needs is not there.
    Missing {
        /// The key.
        key: &'static str,
    },
    /// Of several keys exactly one must be there.
    OneOf {
        /// The keys.
        keys: &'static [&'static str],
    },
    /// A key is there that only makes sense with another.
    Without {
        /// The key that is there.
        key: &'static str,
        /// The key that is not.
        needs: &'static str,
    },
    /// The text is no such value.
    Invalid(Invalid),
    /// The text is no dependency.
    Dependency(DependencyError),
    /// The text is no path of a tree.
    Path(PathError),
    /// The text is no digest.
    Digest(DigestError),
    /// There is no such architecture.
    Arch(UnknownArch),
    /// The same entry is there twice.
    Duplicate {
        /// What is there twice.
        text: String,
        /// Where it was first.
        first: Origin,
    },
    /// A dependency names a tag that no repository has.
    UnknownTag {
        /// The tag, without `@`.
        tag: String,
        /// Tags that repositories have and that are spelled alike.
        near: Vec<String>,
    },
    /// There is no such variable.
    UnknownVariable {
        /// The name.
        name: String,
        /// Names that are spelled alike.
        near: Vec<String>,
        /// All there are.
        known: Vec<String>,
    },
    /// `${` without the name of a variable and `}`.
    BadReference {
        /// What follows, from the `${`.
        text: String,
    },
    /// The text of a variable refers to a variable.
    VariableInVariable,
    /// A variable that only the solver can give a value to is used where the repositories are named.
    TooEarly {
        /// The variable.
        name: String,
    },
    /// Nobody gave the variable a value.
    Unresolved {
        /// The variable.
        name: String,
    },
    /// A text is too long, itself or after its variables are replaced.
    TooLong {
        /// The most bytes that are allowed.
        limit: usize,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = Shown(&self.key);
        write!(f, "{}: ", self.origin)?;
        if matches!(self.origin, Origin::CommandLine { .. }) {
            return write!(f, "{}", self.flaw);
        }
        match &self.flaw {
            Flaw::UnknownKey { name, .. } if self.key.is_empty() => {
                write!(f, "unknown key `{}` in the top level", Shown(name))
            }
            Flaw::UnknownKey { name, .. } => write!(f, "unknown key `{}` in `{key}`", Shown(name)),
            Flaw::Missing { .. } | Flaw::OneOf { .. } | Flaw::Without { .. } | Flaw::WrongType { .. } => {
                write!(f, "`{key}` {}", self.flaw)
            }
            Flaw::Build => write!(f, "{}", self.flaw),
            flaw => write!(f, "`{key}`: {flaw}"),
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey { name, .. } => write!(f, "unknown key `{}`", Shown(name)),
            Self::WrongType { wanted, found } => write!(f, "must be {wanted}, not {found}"),
            Self::Build => f.write_str("this version of apkcompose cannot build from source yet"),
            Self::Missing { key } => write!(f, "needs a `{key}`"),
            Self::OneOf { keys } => {
                write!(f, "needs exactly one of {}", keys.map_quoted())
            }
            Self::Without { key, needs } => write!(f, "has `{key}`, which needs `{needs}` beside it"),
            Self::Invalid(error) => error.fmt(f),
            Self::Dependency(error) => write!(f, "{}", Shown(&error.to_string())),
            Self::Path(error) => write!(f, "{}", Shown(&error.to_string())),
            Self::Digest(error) => write!(f, "{}", Shown(&error.to_string())),
            Self::Arch(error) => write!(f, "{}", Shown(&error.to_string())),
            Self::Duplicate { text, first } => {
                write!(f, "`{}` is there twice, first at {first}", Shown(text))
            }
            Self::UnknownTag { tag, .. } => write!(f, "no repository has the tag `@{}`", Shown(tag)),
            Self::UnknownVariable { name, .. } => write!(f, "there is no variable `{}`", Shown(name)),
            Self::BadReference { text } => {
                write!(f, "`{}` is not a reference to a variable (`${{name}}`)", Shown(text))
            }
            Self::VariableInVariable => f.write_str("a variable cannot refer to a variable"),
            Self::TooEarly { name } => {
                write!(f, "the value of `{}` is known only after the repositories are read", Shown(name))
            }
            Self::Unresolved { name } => write!(f, "the variable `{}` has no value", Shown(name)),
            Self::TooLong { limit } => write!(f, "the text is longer than {limit} bytes"),
        }
    }
}

/// "`a`, `b` and `c`".
trait Quoted {
    fn map_quoted(&self) -> String;
}

impl<T: fmt::Display> Quoted for [T] {
    fn map_quoted(&self) -> String {
        let quoted: Vec<String> = self.iter().map(|word| format!("`{word}`")).collect();
        match quoted.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
            _ => quoted.concat(),
        }
    }
}

/// Where a profile was named, as the start of a message.
struct Place<'a>(Option<&'a Origin>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |origin| write!(f, "{origin}: "))
    }
}

/// Problems, a line each.
struct Listed<'a>(&'a [Problem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().take(MAX_LISTED).enumerate() {
            write!(f, "{}{problem}", if index == 0 { "" } else { "\n" })?;
        }
        match self.0.len().checked_sub(MAX_LISTED) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, "\nand {more} more"),
        }
    }
}

impl ProfileError {
    /// The error of `problems`, by file and line; none if there are none.
    pub(super) fn of_problems(mut problems: Vec<Problem>) -> Result<(), Self> {
        problems.sort_by(|left, right| left.place().cmp(&right.place()));
        problems.dedup();
        if problems.is_empty() { Ok(()) } else { Err(Self::Problems(problems)) }
    }
}

impl Problem {
    fn place(&self) -> (&str, u32) {
        match &self.origin {
            Origin::Profile { source, line } => (&source.name, *line),
            Origin::CommandLine { option, .. } => (option, 0),
            Origin::Default => ("", 0),
        }
    }
}

fn did_you_mean<T: fmt::Display>(near: &[T]) -> Option<String> {
    let quoted: Vec<String> = near.iter().map(|word| format!("`{word}`")).collect();
    (!quoted.is_empty()).then(|| format!("did you mean {}?", quoted.join(" or ")))
}

impl Flaw {
    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { name, near, elsewhere } => did_you_mean(near).or_else(|| {
                let table = elsewhere.as_ref()?;
                Some(format!("`{}` belongs in `{table}`", Shown(name)))
            }),
            Self::WrongType { wanted: "a string", found: "a number with a fraction" | "an integer" } => {
                Some("write it in quotes".to_owned())
            }
            Self::WrongType { wanted: "a list of strings", found: "a string" } => {
                Some("write it in brackets: [\"...\"]".to_owned())
            }
            Self::UnknownVariable { near, known, .. } => {
                did_you_mean(near).or_else(|| match known.as_slice() {
                    [] => Some("the profile has no variables; they are stated in `vars`".to_owned()),
                    known => {
                        let first: Vec<&String> = known.iter().take(MAX_LISTED).collect();
                        Some(format!("the variables are {}", first.map_quoted()))
                    }
                })
            }
            Self::BadReference { .. } => Some("write `$${` for a plain `${`".to_owned()),
            Self::UnknownTag { tag, near } => did_you_mean(near).or_else(|| {
                Some(format!(
                    "name the repository in `alpine.repositories`: \"@{} edge/community\"",
                    Shown(tag)
                ))
            }),
            Self::TooEarly { name } => Some(format!("give it a plain value: --set {}=...", Shown(name))),
            Self::WrongType { .. }
            | Self::Build
            | Self::Missing { .. }
            | Self::OneOf { .. }
            | Self::Without { .. }
            | Self::Invalid(_)
            | Self::Dependency(_)
            | Self::Path(_)
            | Self::Digest(_)
            | Self::Arch(_)
            | Self::Duplicate { .. }
            | Self::VariableInVariable
            | Self::Unresolved { .. }
            | Self::TooLong { .. } => None,
        }
    }
}

macro_rules! flaw_from {
    ($($variant:ident($error:ty)),+ $(,)?) => {
        $(impl From<$error> for Flaw {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })+
    };
}

flaw_from!(
    Invalid(Invalid),
    Dependency(DependencyError),
    Path(PathError),
    Digest(DigestError),
    Arch(UnknownArch)
);

impl Explain for ProfileError {
    fn kind(&self) -> Kind {
        let by_option = |problem: &Problem| matches!(problem.origin, Origin::CommandLine { .. });
        match self {
            Self::Problems(problems) if problems.iter().all(by_option) => Kind::Usage,
            // What is there and is no file is a mistake in what was named, as what is not there is.
            Self::Unreadable { error, .. } => match error.kind() {
                Kind::Missing => Kind::Profile,
                other => other,
            },
            Self::Unknown { .. }
            | Self::NotFound { .. }
            | Self::NotUtf8 { .. }
            | Self::Syntax { .. }
            | Self::Requires { .. }
            | Self::Cycle { .. }
            | Self::TooMany { .. }
            | Self::BuiltInExtendsFile { .. }
            | Self::Problems(_) => Kind::Profile,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { tried, built_in, near, .. } => {
                let mut hints: Vec<String> = did_you_mean(near).into_iter().collect();
                if !tried.is_empty() {
                    let tried: Vec<String> = tried.iter().map(|path| path.display().to_string()).collect();
                    hints.push(format!("looked for {}", tried.join(" and ")));
                }
                hints.push(format!("the built-in profiles are {}", built_in.map_quoted()));
                Some(hints.join("\n"))
            }
            Self::Unreadable { error, .. } => error.hint(),
            Self::Requires { .. } => Some("use a version of apkcompose that it is for".to_owned()),
            Self::Problems(problems) => {
                let mut hints: Vec<String> = Vec::new();
                for hint in problems.iter().take(MAX_LISTED).filter_map(|problem| problem.flaw.hint()) {
                    if !hints.contains(&hint) {
                        hints.push(hint);
                    }
                }
                (!hints.is_empty()).then(|| hints.join("\n"))
            }
            Self::NotFound { .. }
            | Self::NotUtf8 { .. }
            | Self::Syntax { .. }
            | Self::Cycle { .. }
            | Self::TooMany { .. }
            | Self::BuiltInExtendsFile { .. } => None,
        }
    }
}
