//! What kind of failure an error is, which decides the exit code, and what every error can say of itself.
//!
//! The codes are the command line's contract: scripts branch on them, so a kind never changes its number.

use std::error::Error;
use std::fmt;
use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

/// The kind of a failure. Its number is the exit code of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// A mistake of apkcompose itself.
    Internal = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The profile, or a file it names, is wrong.
    Profile = 3,
    /// The network failed, or a file that should be there is not.
    Missing = 4,
    /// A signature, a hash or the form of some data is wrong: it cannot be trusted.
    Integrity = 5,
    /// What is asked for cannot be satisfied by the repositories.
    Unsolvable = 6,
    /// A package script, a build step or a smoke test failed.
    Script = 7,
    /// A limit was passed: of the profile, of a format, or of the disk.
    Limit = 8,
    /// The user interrupted the run.
    Interrupted = 130,
}

impl Kind {
    /// The exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        self as u8
    }

    /// The kind of a failed file operation.
    #[must_use]
    pub fn of_io(error: &io::Error) -> Self {
        match error.kind() {
            _ if matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE)) => Self::Limit,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Limit
            }
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => Self::Integrity,
            io::ErrorKind::Interrupted => Self::Interrupted,
            _ => Self::Missing,
        }
    }
}

/// What the system said of a failed file operation, and where a limit of the process was passed, which and how much it is.
#[derive(Debug)]
pub struct SystemWords<'a>(pub &'a io::Error);

impl fmt::Display for SystemWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = |resource| getrlimit(resource).current;
        match Errno::from_io_error(self.0) {
            Some(Errno::FBIG) => match limit(Resource::Fsize) {
                Some(bytes) => write!(f, "a file may have no more than {bytes} bytes (RLIMIT_FSIZE)"),
                None => write!(f, "it is larger than the file system allows"),
            },
            Some(Errno::MFILE) => match limit(Resource::Nofile) {
                Some(files) => write!(f, "no more than {files} files may be open (RLIMIT_NOFILE)"),
                None => write!(f, "too many files are open"),
            },
            Some(Errno::NFILE) => write!(f, "too many files are open in the whole system"),
            _ => self.0.fmt(f),
        }
    }
}

/// What can be done about a failed file operation: where the disk is full or a limit was passed.
#[must_use]
pub fn hint_of_io(error: &io::Error) -> Option<String> {
    let hint = match Errno::from_io_error(error)? {
        Errno::NOSPC => "the disk is full: free some space or choose another place",
        Errno::DQUOT => "the disk quota is used up: free some space or choose another place",
        Errno::FBIG => "raise the limit of the size of files: ulimit -f unlimited",
        Errno::MFILE => "raise the limit of open files: ulimit -n",
        Errno::NFILE => "raise the system's limit of open files: fs.file-max",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// What every error of the library can say of itself beside its message.
pub trait Explain: Error {
    /// The kind of the failure.
    fn kind(&self) -> Kind;

    /// What the reader can do next, if that is known. One or more lines without a trailing newline.
    fn hint(&self) -> Option<String> {
        None
    }

    /// Whether the same call may succeed when tried again without any change.
    fn is_transient(&self) -> bool {
        false
    }
}

/// Of `candidates`, those whose spelling is near `word`, nearest first, at most three.
///
/// For the "did you mean" of a hint. Near means one edit in three letters, or a shared start.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let allowed = (word.chars().count() / 3).max(1);
    let mut near: Vec<(usize, &str)> = candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= allowed.max(2))
        .map(|candidate| (strsim::osa_distance(word, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= allowed || (*distance <= 4 && word.len() >= 4 && candidate.starts_with(word))
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(3).map(|(_, candidate)| candidate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_comes_first_and_far_ones_not_at_all() {
        let known = ["packages", "package", "image", "repositories"];
        assert_eq!(nearest("pakages", known), ["packages", "package"]);
        assert_eq!(nearest("imgae", known), ["image"]);
        assert!(nearest("zzz", known).is_empty());
    }

    #[test]
    fn a_limit_that_was_passed_is_named_with_what_to_do() {
        for (errno, words) in [
            (Errno::FBIG, "larger than the file system allows"),
            (Errno::MFILE, "files may be open (RLIMIT_NOFILE)"),
            (Errno::NFILE, "in the whole system"),
            (Errno::NOSPC, "No space left on device"),
            (Errno::DQUOT, "quota"),
        ] {
            let error = io::Error::from(errno);
            let said = SystemWords(&error).to_string();
            assert!(said.to_lowercase().contains(&words.to_lowercase()), "{said}");
            assert_eq!(Kind::of_io(&error), Kind::Limit, "{said}");
            assert!(hint_of_io(&error).is_some(), "{said}");
        }
        let other = io::Error::from(Errno::NOENT);
        assert_eq!((SystemWords(&other).to_string(), hint_of_io(&other)), (other.to_string(), None));
    }

    #[test]
    fn the_exit_codes_are_the_documented_ones() {
        let codes = [
            (Kind::Internal, 1),
            (Kind::Usage, 2),
            (Kind::Profile, 3),
            (Kind::Missing, 4),
            (Kind::Integrity, 5),
            (Kind::Unsolvable, 6),
            (Kind::Script, 7),
            (Kind::Limit, 8),
            (Kind::Interrupted, 130),
        ];
        for (kind, code) in codes {
            assert_eq!(kind.exit_code(), code);
        }
    }
}
