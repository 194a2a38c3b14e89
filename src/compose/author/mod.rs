//! What the commands `package` and `index` do: packages from directories, indexes from packages.
//!
//! The formats are [`crate::apk`]'s; here files are read and written. The same input gives the same
//! bytes: every time in a package is its build time, owners are stated and not the disk's, and nothing
//! depends on the order of directories. An output takes its name only when it is complete.

mod directory;
mod error;
mod index;
mod package;

pub use directory::OwnerRule;
pub use error::AuthorError;
pub use index::{IndexRequest, PackageTrust, WrittenIndex, index};
pub use package::{PackageRequest, WrittenPackage, package};

use std::path::PathBuf;

use crate::apk::keys;
use crate::apk::sign::{SigningAlgorithm, SigningKey};
use crate::root;

/// A private key on the disk, and how it is to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// The private key, PEM.
    pub path: PathBuf,
    /// The file name of its public half in `/etc/apk/keys`. Nothing means that of the private key with
    /// `.pub` added, as abuild names them.
    pub public_name: Option<String>,
    /// How it signs.
    pub algorithm: SigningAlgorithm,
}

impl KeyFile {
    /// Reads the key.
    pub fn read(&self) -> Result<SigningKey, AuthorError> {
        let pem = root::read_file(&self.path, keys::MAX_KEY_FILE)?;
        let own_name = || {
            let name = self.path.file_name().unwrap_or_default().to_string_lossy();
            format!("{name}.pub")
        };
        let name = self.public_name.clone().unwrap_or_else(own_name);
        SigningKey::parse(&name, &pem)
            .map(|key| key.with_algorithm(self.algorithm))
            .map_err(|error| AuthorError::Key { path: self.path.clone(), error })
    }
}
