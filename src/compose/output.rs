//! Where an image goes, and in which form.
//!
//! An output is a kind and a destination, written as buildx writes it: `type=archive,dest=x.tar`. Nothing
//! appears under its final name before it is complete.
//!
//! Source: design, "The command line".

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::kind::{Explain, Kind};

/// An output of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// In which form.
    pub kind: OutputKind,
    /// Where to.
    pub destination: Destination,
}

/// The form of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputKind {
    /// One tar that every engine loads: an OCI layout and a Docker archive at once.
    Archive,
    /// The root filesystem as a tar, uncompressed: for `docker import`.
    Tar,
}

impl OutputKind {
    /// All of them.
    const ALL: [Self; 2] = [Self::Archive, Self::Tar];

    /// The name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Tar => "tar",
        }
    }
}

impl OutputKind {
    /// Whether it holds the layer compressed.
    pub const fn is_compressed(self) -> bool {
        match self {
            Self::Archive => true,
            Self::Tar => false,
        }
    }
}

/// Where an output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A file.
    File(PathBuf),
    /// Standard output.
    Stdout,
}

impl Destination {
    /// The same for all spellings of one place.
    fn place(&self) -> Option<PathBuf> {
        let Self::File(path) = self else { return None };
        let directory = directory_of(path).canonicalize().unwrap_or_else(|_| directory_of(path).to_owned());
        Some(path.canonicalize().unwrap_or_else(|_| directory.join(path.file_name().unwrap_or_default())))
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Stdout => f.write_str("standard output"),
        }
    }
}

/// Why an output cannot be what is asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The form is not known.
    #[error("`{0}` is not a type of output (archive, tar)")]
    Kind(String),
    /// A key is not known.
    #[error("`{0}` says nothing about an output: write type=archive,dest=FILE")]
    Key(String),
    /// There is no destination.
    #[error("`{0}` names no destination: add dest=FILE, or dest=- for standard output")]
    NoDestination(String),
    /// Two outputs go to one place.
    #[error("two outputs go to {0}")]
    Twice(String),
    /// The directory of the destination does not exist.
    #[error("cannot write {path}: the directory {directory} does not exist", path = .path.display(), directory = .directory.display())]
    NoDirectory {
        /// The destination.
        path: PathBuf,
        /// Its directory.
        directory: PathBuf,
    },
    /// The destination is a device, a pipe or a socket.
    #[error("cannot write {}: it is not a regular file", .0.display())]
    IsSpecial(PathBuf),
    /// What should be the directory of the destination is something else.
    #[error("cannot write {path}: {directory} is not a directory", path = .path.display(), directory = .directory.display())]
    NotADirectory {
        /// The destination.
        path: PathBuf,
        /// What is no directory.
        directory: PathBuf,
    },
    /// Nothing may be written into the directory of the destination.
    #[error("cannot write {path}: the directory {directory} cannot be written to", path = .path.display(), directory = .directory.display())]
    NoPermission {
        /// The destination.
        path: PathBuf,
        /// Its directory.
        directory: PathBuf,
    },
    /// The destination is a directory.
    #[error("cannot write {}: it is a directory", .0.display())]
    IsDirectory(PathBuf),
}

impl Explain for OutputError {
    fn kind(&self) -> Kind {
        match self {
            Self::NoDirectory { .. } | Self::NoPermission { .. } => Kind::Missing,
            Self::Kind(_)
            | Self::Key(_)
            | Self::NoDestination(_)
            | Self::Twice(_)
            | Self::IsSpecial(_)
            | Self::NotADirectory { .. }
            | Self::IsDirectory(_) => Kind::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::IsSpecial(_) => Some("dest=- writes to standard output, which may be anything".to_owned()),
            Self::NoDirectory { directory, .. } => {
                Some(format!("make it first: mkdir -p {}", directory.display()))
            }
            Self::IsDirectory(path) => {
                Some(format!("name a file in it: {}", path.join("image.tar").display()))
            }
            Self::NoPermission { .. } => Some("choose another place, or another user".to_owned()),
            Self::Kind(_)
            | Self::Key(_)
            | Self::NoDestination(_)
            | Self::Twice(_)
            | Self::NotADirectory { .. } => None,
        }
    }
}

impl FromStr for Output {
    type Err = OutputError;

    fn from_str(text: &str) -> Result<Self, OutputError> {
        if text.is_empty() {
            return Err(OutputError::NoDestination(text.to_owned()));
        }
        if !text.contains('=') {
            return Ok(Self { kind: OutputKind::Archive, destination: destination(text) });
        }
        let (mut kind, mut dest) = (OutputKind::Archive, None);
        for part in text.split(',') {
            match part.split_once('=') {
                Some(("type", name)) => {
                    let known = OutputKind::ALL.into_iter().find(|kind| kind.as_str() == name);
                    kind = known.ok_or_else(|| OutputError::Kind(name.to_owned()))?;
                }
                Some(("dest", path)) if !path.is_empty() => dest = Some(destination(path)),
                _ => return Err(OutputError::Key(part.to_owned())),
            }
        }
        let destination = dest.ok_or_else(|| OutputError::NoDestination(text.to_owned()))?;
        Ok(Self { kind, destination })
    }
}

fn destination(text: &str) -> Destination {
    if text == "-" { Destination::Stdout } else { Destination::File(text.into()) }
}

/// Checks, before any work, that the outputs can be written as far as that can be known.
pub fn check(outputs: &[Output]) -> Result<(), OutputError> {
    for (number, output) in outputs.iter().enumerate() {
        let place = output.destination.place();
        if outputs.iter().take(number).any(|other| other.destination.place() == place) {
            return Err(OutputError::Twice(output.destination.to_string()));
        }
        let Destination::File(path) = &output.destination else { continue };
        check_file(path)?;
    }
    Ok(())
}

fn check_file(path: &Path) -> Result<(), OutputError> {
    if path.is_dir() || path.file_name().is_none() {
        return Err(OutputError::IsDirectory(path.to_owned()));
    }
    if is_special(path) {
        return Err(OutputError::IsSpecial(path.to_owned()));
    }
    let directory = directory_of(path);
    let (path, directory) = (|| path.to_owned(), || directory.to_owned());
    if !directory().exists() {
        return Err(OutputError::NoDirectory { path: path(), directory: directory() });
    }
    if !directory().is_dir() {
        return Err(OutputError::NotADirectory { path: path(), directory: directory() });
    }
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    match rustix::fs::access(directory(), access) {
        Ok(()) => Ok(()),
        Err(_) => Err(OutputError::NoPermission { path: path(), directory: directory() }),
    }
}

/// Whether a file may not take that place: `/dev/null`, or `/dev/stdout`, which may well lead to a file.
fn is_special(path: &Path) -> bool {
    let leads_to_special = path.metadata().is_ok_and(|metadata| !metadata.is_file());
    let leads_to_process = path.read_link().is_ok_and(|target| target.starts_with("/proc"));
    leads_to_special || leads_to_process
}

/// The directory a file is in; `.` for a bare name.
pub fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_written_as_buildx_writes_them() {
        let archive =
            |path: &str| Output { kind: OutputKind::Archive, destination: Destination::File(path.into()) };
        assert_eq!("x.tar".parse(), Ok(archive("x.tar")));
        assert_eq!("type=archive,dest=x.tar".parse(), Ok(archive("x.tar")));
        let stdout = Output { kind: OutputKind::Tar, destination: Destination::Stdout };
        assert_eq!("type=tar,dest=-".parse(), Ok(stdout));
        let error = |text: &str| text.parse::<Output>().unwrap_err();
        assert_eq!(error("type=zip,dest=x"), OutputError::Kind("zip".to_owned()));
        assert_eq!(error("type=tar"), OutputError::NoDestination("type=tar".to_owned()));
        assert_eq!(error("dest="), OutputError::Key("dest=".to_owned()));
        assert_eq!(error("format=x,dest=y"), OutputError::Key("format=x".to_owned()));
    }

    #[test]
    fn what_cannot_be_written_is_found_before_the_work() {
        let output = |text: &str| text.parse::<Output>().unwrap();
        assert!(matches!(check(&[output("/no/such/x.tar")]), Err(OutputError::NoDirectory { .. })));
        assert!(matches!(check(&[output("/")]), Err(OutputError::IsDirectory(_))));
        assert!(matches!(check(&[output("-"), output("-")]), Err(OutputError::Twice(_))));
        assert!(matches!(check(&[output("x.tar"), output("./x.tar")]), Err(OutputError::Twice(_))));
        assert!(matches!(check(&[output("/dev/null")]), Err(OutputError::IsSpecial(_))));
        assert_eq!(check(&[output("x.tar"), output("-")]), Ok(()));
    }
}
