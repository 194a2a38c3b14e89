//! The image's configuration, from the profile and from what planning and staging have come to.
//!
//! Source: design, "The profile"; spec/image, "Config".

use std::time::Duration;

use super::error::Error;
use super::plan::Prepared;
use super::prove;
use super::report::Notes;
use crate::image::{Epoch, Healthcheck, ImageConfig};
use crate::profile::Profile;
use crate::profile::account::{Account, ImageUser};
use crate::tree::Tree;
use crate::tree::accounts::Accounts;

/// The label that says why the base was believed.
const LABEL_BASE_TRUST: &str = "apkcompose.base-trust";
/// The label with the digest of the image that this one is built on.
const LABEL_BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
/// The label with its name.
const LABEL_BASE_NAME: &str = "org.opencontainers.image.base.name";
/// The label that lists dependencies that pruning left unsatisfied.
const LABEL_UNSATISFIED: &str = "apkcompose.unsatisfied";

/// What the image is configured to do.
pub(super) fn image_config(prepared: &Prepared, user: String, epoch: Epoch, notes: &Notes) -> ImageConfig {
    let image = &prepared.profile.image;
    let mut config = ImageConfig::new(prepared.plan.arch, epoch);
    config.author = image.author.clone().unwrap_or_default();
    config.user = user;
    config.exposed_ports = image.expose.iter().map(ToString::to_string).collect();
    config.env.clone_from(&image.environment);
    config.env.entry("PATH".to_owned()).or_insert_with(|| prove::DEFAULT_PATH.to_owned());
    config.entrypoint.clone_from(&image.entrypoint);
    config.cmd.clone_from(&image.command);
    config.volumes = image.volumes.iter().map(ToString::to_string).collect();
    config.working_dir = image.working_directory.as_ref().map(ToString::to_string).unwrap_or_default();
    config.labels.clone_from(&image.labels);
    if let Some(base) = &prepared.provenance {
        config.labels.insert(LABEL_BASE_TRUST.to_owned(), base.trust.label());
    }
    for (label, value) in base_labels(prepared) {
        config.labels.entry(label.to_owned()).or_insert(value);
    }
    if !notes.unsatisfied.is_empty() {
        config.labels.insert(LABEL_UNSATISFIED.to_owned(), notes.unsatisfied.join("; "));
    }
    config.stop_signal = image.stop_signal.as_ref().map(ToString::to_string).unwrap_or_default();
    config.healthcheck = image.healthcheck.as_ref().map(|check| {
        let time = |duration: Option<crate::profile::units::Duration>| {
            duration.map(|duration| Duration::from_nanos(duration.nanoseconds()))
        };
        Healthcheck {
            test: check.test.to_argv(),
            interval: time(check.interval),
            timeout: time(check.timeout),
            start_period: time(check.start_period),
            retries: check.retries,
        }
    });
    config
}

/// What the image is built on, where that is an image.
fn base_labels(prepared: &Prepared) -> impl Iterator<Item = (&'static str, String)> {
    let image = prepared.provenance.as_ref().and_then(|base| base.image.as_ref());
    let digest = image.and_then(|image| image.manifest).map(|manifest| format!("sha256:{manifest}"));
    let name = image.and_then(|image| image.name.clone());
    let labels = [(LABEL_BASE_DIGEST, digest), (LABEL_BASE_NAME, name)];
    labels.into_iter().filter_map(|(label, value)| Some((label, value?)))
}

/// The image's user, if it has one, as numbers, which alone every engine understands in every image.
pub(super) fn image_user(profile: &Profile, tree: &Tree) -> Result<String, Error> {
    profile.image.user.as_ref().map_or(Ok(String::new()), |user| numeric_user(user, tree))
}

fn numeric_user(user: &ImageUser, tree: &Tree) -> Result<String, Error> {
    let accounts = Accounts::of(tree)?;
    let unknown = |what, name: &str| Error::User { what, name: name.to_owned() };
    let uid = match &user.user {
        Account::Id(id) => id.get(),
        Account::Name(name) => accounts.user(name.as_str()).ok_or_else(|| unknown("user", name.as_str()))?,
    };
    let gid = match &user.group {
        None => return Ok(uid.to_string()),
        Some(Account::Id(id)) => id.get(),
        Some(Account::Name(name)) => {
            accounts.group(name.as_str()).ok_or_else(|| unknown("group", name.as_str()))?
        }
    };
    Ok(format!("{uid}:{gid}"))
}
