//! Whether outputs can be written, found out before any work as far as that can be known.
//!
//! A file replaces a file. A directory replaces nothing: it goes where nothing is, or an empty directory,
//! because what is in another one could be anything, and would be gone.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{Destination, Output, OutputError, directory_of};

/// Checks that outputs of images for so many architectures can be written.
pub fn check(outputs: &[Output], architectures: usize) -> Result<(), OutputError> {
    for (number, output) in outputs.iter().enumerate() {
        if architectures > 1 && output.kind.image_form().is_none() {
            return Err(OutputError::OneArchitecture { kind: output.kind.as_str(), count: architectures });
        }
        match &output.destination {
            Destination::Path(path) if output.kind.is_directory() => check_directory(path)?,
            Destination::Path(path) => check_file(path)?,
            Destination::Stdout => {}
        }
        for other in outputs.iter().take(number) {
            check_apart(output, other)?;
        }
    }
    Ok(())
}

/// That two outputs are neither in one place nor one in the other.
fn check_apart(one: &Output, other: &Output) -> Result<(), OutputError> {
    let (one_place, other_place) = (place(&one.destination), place(&other.destination));
    let (Some(one_place), Some(other_place)) = (&one_place, &other_place) else {
        return if one_place == other_place {
            Err(OutputError::Twice(one.destination.to_string()))
        } else {
            Ok(())
        };
    };
    let (inner, outer) = match () {
        () if one_place == other_place => return Err(OutputError::Twice(one.destination.to_string())),
        () if one_place.starts_with(other_place) => (one, other),
        () if other_place.starts_with(one_place) => (other, one),
        () => return Ok(()),
    };
    Err(OutputError::Inside { inner: inner.destination.to_string(), outer: outer.destination.to_string() })
}

/// The same for all spellings of one place; nothing for standard output.
fn place(destination: &Destination) -> Option<PathBuf> {
    let Destination::Path(path) = destination else { return None };
    let directory = directory_of(path).canonicalize().unwrap_or_else(|_| directory_of(path).to_owned());
    Some(path.canonicalize().unwrap_or_else(|_| directory.join(path.file_name().unwrap_or_default())))
}

fn check_file(path: &Path) -> Result<(), OutputError> {
    if path.is_dir() || path.file_name().is_none() {
        return Err(OutputError::IsDirectory(path.to_owned()));
    }
    if is_special(path) {
        return Err(OutputError::IsSpecial(path.to_owned()));
    }
    check_parent(path, directory_of(path))
}

fn check_directory(path: &Path) -> Result<(), OutputError> {
    let Ok(metadata) = path.metadata() else {
        if path.is_symlink() {
            return Err(OutputError::IsFile(path.to_owned()));
        }
        return check_parent(path, directory_of(path));
    };
    if !metadata.is_dir() {
        return Err(OutputError::IsFile(path.to_owned()));
    }
    if fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(OutputError::NotEmpty(path.to_owned()));
    }
    // It is replaced where it really is, whatever it is called here.
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let irreplaceable = |what| OutputError::Irreplaceable { path: path.to_owned(), what };
    if std::env::current_dir().is_ok_and(|current| current == real) {
        return Err(irreplaceable("the working directory"));
    }
    let parent = real.parent().ok_or_else(|| irreplaceable("a mount point"))?;
    if parent.metadata().is_ok_and(|parent| parent.dev() != metadata.dev()) {
        return Err(irreplaceable("a mount point"));
    }
    check_parent(path, parent)
}

/// That something can be made in the directory it goes to.
fn check_parent(path: &Path, directory: &Path) -> Result<(), OutputError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn output(text: &str) -> Output {
        text.parse().unwrap()
    }

    fn checked(texts: &[&str]) -> Result<(), OutputError> {
        check(&texts.iter().map(|text| output(text)).collect::<Vec<_>>(), 1)
    }

    #[test]
    fn what_cannot_be_written_is_found_before_the_work() {
        assert!(matches!(checked(&["/no/such/x.tar"]), Err(OutputError::NoDirectory { .. })));
        assert!(matches!(checked(&["/"]), Err(OutputError::IsDirectory(_))));
        assert!(matches!(checked(&["-", "-"]), Err(OutputError::Twice(_))));
        assert!(matches!(checked(&["x.tar", "./x.tar"]), Err(OutputError::Twice(_))));
        assert!(matches!(checked(&["/dev/null"]), Err(OutputError::IsSpecial(_))));
        assert_eq!(checked(&["x.tar", "-", "type=oci,dest=x"]), Ok(()));
    }

    #[test]
    fn a_directory_goes_where_nothing_is_or_an_empty_directory() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| format!("type=oci,dest={}/{name}", place.path().display());
        fs::create_dir(place.path().join("empty")).unwrap();
        crate::root::write_file(&place.path().join("full/file"), b"").unwrap_err();
        fs::create_dir(place.path().join("full")).unwrap();
        crate::root::write_file(&place.path().join("full/file"), b"").unwrap();
        std::os::unix::fs::symlink("empty", place.path().join("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", place.path().join("dangling")).unwrap();
        assert_eq!(checked(&[&at("new")]), Ok(()));
        assert_eq!(checked(&[&at("new/")]), Ok(()));
        assert_eq!(checked(&[&at("empty")]), Ok(()));
        assert_eq!(checked(&[&at("link")]), Ok(()));
        assert!(matches!(checked(&[&at("full")]), Err(OutputError::NotEmpty(_))));
        assert!(matches!(checked(&[&at("full/file")]), Err(OutputError::IsFile(_))));
        assert!(matches!(checked(&[&at("dangling")]), Err(OutputError::IsFile(_))));
        assert!(matches!(checked(&[&at("no/such")]), Err(OutputError::NoDirectory { .. })));
        assert!(matches!(checked(&["type=local,dest=/proc"]), Err(OutputError::NotEmpty(_))));
    }

    #[test]
    fn outputs_are_apart_from_one_another() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().display();
        let (out, inner) = (format!("type=local,dest={place}"), format!("{place}/x.tar"));
        assert!(matches!(checked(&[&out, &inner]), Err(OutputError::Inside { .. })));
        assert!(matches!(checked(&[&inner, &out]), Err(OutputError::Inside { .. })));
        assert_eq!(checked(&[&inner, &format!("{place}/x.tar.d")]), Ok(()));
    }

    #[test]
    fn what_holds_one_root_filesystem_is_refused_for_several_architectures() {
        for kind in ["tar", "local", "dockerfile"] {
            let outputs = [output(&format!("type={kind},dest=x"))];
            assert_eq!(check(&outputs, 1), Ok(()));
            assert_eq!(check(&outputs, 3), Err(OutputError::OneArchitecture { kind, count: 3 }));
        }
        assert_eq!(check(&[output("x.tar"), output("type=oci,dest=x")], 3), Ok(()));
    }
}
