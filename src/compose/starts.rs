//! What an image starts, as far as its profile says so, and the proof that it can.

use super::error::Error;
use super::plan::Prepared;
use super::prove::{self, ProvenTree, Setting, Start, Surroundings};
use crate::profile::{HealthTest, Profile};
use crate::tree::place::Installation;

/// Proves that what the profile's image starts can start in `installation`.
pub(super) fn prove_starts(prepared: &Prepared, installation: Installation) -> Result<ProvenTree, Error> {
    let image = &prepared.profile.image;
    let working_directory = image.working_directory.clone().unwrap_or_default();
    let surroundings = Surroundings { path: image.environment.get("PATH").cloned(), working_directory };
    let provider = |name: &str| prepared.provider(name);
    Ok(prove::prove(installation, prepared.plan.arch, &starts(&prepared.profile), &surroundings, provider)?)
}

/// The programs that the image starts.
fn starts(profile: &Profile) -> Vec<Start> {
    let image = &profile.image;
    let start = |setting, program: Option<&String>| {
        program.map(|program| Start { setting, program: program.clone() })
    };
    let mut starts = Vec::new();
    starts.extend(start(Setting::Entrypoint, image.entrypoint.first()));
    // Behind an entrypoint the command is its arguments, and begins with a program only where it says so.
    if image.entrypoint.last().is_none_or(|last| last == "--") {
        starts.extend(start(Setting::Command, image.command.first()));
    }
    match image.healthcheck.as_ref().map(|check| &check.test) {
        Some(HealthTest::Command(argv)) => starts.extend(start(Setting::Healthcheck, argv.first())),
        Some(HealthTest::Shell(_)) => {
            starts.push(Start { setting: Setting::Healthcheck, program: "/bin/sh".to_owned() });
        }
        Some(HealthTest::None) | None => {}
    }
    for smoke in &image.smoke {
        starts.extend(start(Setting::Smoke, smoke.value.first()));
    }
    starts
}
