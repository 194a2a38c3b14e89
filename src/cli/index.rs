//! `apkcompose index`.

use std::path::Path;

use serde_json::json;

use super::args::{Format, Index};
use super::render::{self, Failure, bytes};
use crate::apk::keys::{self, Keyring, PublicKey};
use crate::apk::write_index::IndexNotes;
use crate::compose::author::{self, IndexRequest, PackageTrust};
use crate::root;

pub(super) fn run(arguments: &Index) -> Result<(), Failure> {
    let trust = if arguments.key.is_empty() {
        PackageTrust::Anybody
    } else {
        let keys: Result<Vec<PublicKey>, Failure> =
            arguments.key.iter().map(|path| public_key(path)).collect();
        PackageTrust::SignedBy(Keyring::of(keys?))
    };
    let key = arguments.signing.key();
    let is_signed = key.is_some();
    let made = author::index(&IndexRequest {
        packages: arguments.packages.clone(),
        trust,
        notes: IndexNotes { description: arguments.description.clone(), time: arguments.epoch },
        arch: arguments.arch,
        key,
        output: arguments.output.clone(),
    })?;
    let path = made.path.display();
    match arguments.format {
        Format::Json => render::data(&render::json(&json!({
            "path": path.to_string(),
            "size": made.size,
            "signed": is_signed,
            "packages": made.packages,
        })))?,
        Format::Text => {
            let signed = if is_signed { "signed" } else { "NOT signed: apkcompose and apk will refuse it" };
            render::words(&format!(
                "wrote {path}: {} packages, {}, {signed}\n",
                made.packages.len(),
                bytes(made.size)
            ));
        }
    }
    Ok(())
}

/// The public key in the file at `path`; its name is the file's, as signatures call for it.
pub(super) fn public_key(path: &Path) -> Result<PublicKey, Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(PublicKey::parse(&name, &root::read_file(path, keys::MAX_KEY_FILE)?)?)
}
