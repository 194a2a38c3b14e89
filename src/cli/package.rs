//! `apkcompose package`.

use std::path::PathBuf;

use serde_json::json;

use super::args::{Format, Package};
use super::render::{self, Failure, bytes};
use crate::compose::author::{self, PackageRequest};

pub(super) fn run(arguments: &Package) -> Result<(), Failure> {
    let key = arguments.signing.key();
    let made = author::package(&PackageRequest {
        info: arguments.info.clone(),
        files: arguments.files.clone(),
        scripts: arguments.script.clone(),
        owners: arguments.owner.clone(),
        time: arguments.epoch,
        key,
        output: arguments.output.clone().unwrap_or_else(|| PathBuf::from(".")),
    })?;
    let path = made.path.display();
    match arguments.format {
        Format::Json => render::data(&render::json(&json!({
            "package": made.label,
            "path": path.to_string(),
            "size": made.size,
            "identity": made.identity.to_string(),
            "files": made.files,
        })))?,
        Format::Text => render::words(&format!(
            "wrote {path}: {} with {} files, {}, identity {}\n",
            made.label,
            made.files,
            bytes(made.size),
            made.identity,
        )),
    }
    Ok(())
}
