//! Reading and writing files of the host in tests, where a failure is a panic that names the path.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;

/// The whole content of `path`.
pub(crate) fn read(path: &Path) -> Vec<u8> {
    let mut content = Vec::new();
    let outcome = File::open(path).and_then(|mut file| file.read_to_end(&mut content));
    outcome.unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    content
}

/// The whole content of `path`, which is UTF-8.
pub(crate) fn read_text(path: &Path) -> String {
    String::from_utf8(read(path)).unwrap_or_else(|error| panic!("{} is not UTF-8: {error}", path.display()))
}

/// Makes `path` a new file with `content`, and its parent directories. A file that was there is removed
/// first, so that nothing is written through a link.
pub(crate) fn write(path: &Path, content: &[u8]) {
    create_dir(path.parent().unwrap_or(path));
    if fs::symlink_metadata(path).is_ok() {
        fs::remove_file(path).unwrap_or_else(|error| panic!("cannot remove {}: {error}", path.display()));
    }
    let outcome = File::create(path).and_then(|mut file| file.write_all(content));
    outcome.unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}

/// Makes the directory `path` and its parents.
pub(crate) fn create_dir(path: &Path) {
    fs::create_dir_all(path).unwrap_or_else(|error| panic!("cannot create {}: {error}", path.display()));
}

/// The names in the directory `path`, sorted.
pub(crate) fn names(path: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(path).unwrap_or_else(|error| panic!("cannot list {}: {error}", path.display()));
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap_or_else(|error| panic!("cannot list {}: {error}", path.display())))
        .map(|entry| {
            entry.file_name().into_string().unwrap_or_else(|name| panic!("{} is not UTF-8", name.display()))
        })
        .collect();
    names.sort();
    names
}
