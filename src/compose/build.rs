//! Building: the whole way from a profile to written images, step after step.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::contents::{self, ContentsError};
use super::emit::{self, Emitted};
use super::error::Error;
use super::ground::Ground;
use super::image_config::{image_config, image_user};
use super::output::{self, Destination, Output};
use super::plan::{self, Prepared};
use super::report::{Notes, Report, ReportedImage, report};
use super::squash;
use super::stage::{self, Additions, RootPassword, ScriptPolicy, Staged};
use super::starts::prove_starts;
use crate::arch::Arch;
use crate::fetch::{self, Fetcher};
use crate::image::{Epoch, Image, ImageReference, Layer, MediaTypes};
use crate::kind::{Explain, Kind};
use crate::path::TreePath;
use crate::profile::support::Day;
use crate::profile::{Draft, Profile, RootAccount};
use crate::report::Reporter;
use crate::store::{Expanded, Store, StoredPackage};
use crate::tree::overlay::Overlaid;

/// Seconds in a day.
const DAY: i64 = 86_400;

/// How to build.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// For which architecture; without one, this machine's if the profile is for it, else the profile's first.
    pub arch: Option<Arch>,
    /// What to write. Nothing only plans.
    pub outputs: Vec<Output>,
    /// What becomes of package scripts.
    pub scripts: ScriptPolicy,
    /// The time that stands for "now" in the image; without one, when its newest package was built.
    pub epoch: Option<Epoch>,
    /// A directory that sources of the profile may lie in beside the profile's own.
    pub context: Option<PathBuf>,
    /// The day it is, by which old branches are warned of; not without it. Changes no byte.
    pub today: Option<Day>,
}

/// Builds what `draft` asks for.
///
/// It is done once more where that may help: an inflated copy in the store that has changed is found when it is
/// copied, and is inflated again; a mirror that moved on since its index was read shows itself when a package
/// is not there any more, and its index is read again.
pub fn build(fetcher: &Fetcher<'_>, draft: &Draft, options: &BuildOptions) -> Result<Report, Error> {
    output::check(&options.outputs)?;
    let begun = Instant::now();
    let mut used = Vec::new();
    let once = |used: &mut _| Build { fetcher, draft, options, used }.run();
    let built = match once(&mut used) {
        Err(error) if may_be_damage(&error) && drop_changed(fetcher.store, &used)? => once(&mut Vec::new()),
        Err(Error::Fetch(error)) if fetcher.asks_anew_after(&error) => once(&mut Vec::new()),
        other => other,
    };
    let mut report = built?;
    report.milliseconds = milliseconds(begun.elapsed());
    Ok(report)
}

/// Whether an inflated copy that has changed can show itself so. A program is looked at without being read to
/// its end, so that nothing tells a damaged one from one of another kind.
fn may_be_damage(error: &Error) -> bool {
    error.kind() == Kind::Integrity || matches!(error, Error::Proof(_))
}

/// Drops those inflated copies that have changed; whether there were any.
fn drop_changed(store: &Store, used: &[Expanded]) -> Result<bool, Error> {
    let mut dropped = false;
    for expanded in used.iter().filter(|expanded| !expanded.is_intact()) {
        store.drop_expanded(expanded.blob())?;
        dropped = true;
    }
    Ok(dropped)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

struct Build<'a> {
    fetcher: &'a Fetcher<'a>,
    draft: &'a Draft,
    options: &'a BuildOptions,
    /// The inflated copies that are being read.
    used: &'a mut Vec<Expanded>,
}

impl Build<'_> {
    fn run(&mut self) -> Result<Report, Error> {
        let arch = self.arch()?;
        let mut ground = Ground::new(self.options.today.clone());
        let sources = ground.sources(self.fetcher, self.draft, arch)?;
        self.used.extend(sources.base.iter().map(|base| base.rootfs.expanded().clone()));
        let prepared = plan::prepare(self.fetcher, &mut ground, self.draft, sources, arch)?;
        for lint in &prepared.lints {
            self.fetcher.reporter.warn(&lint.to_string());
        }
        if self.options.outputs.is_empty() {
            return Ok(report(&prepared, Notes::default(), None));
        }
        let packages = fetch::packages(self.fetcher, &prepared.requests()?);
        let files = contents::read(self.fetcher, &prepared.profile, self.options.context.as_deref());
        let (packages, files) = match (packages, files) {
            (Ok(packages), Ok(files)) => (packages, files),
            (Err(one), Err(ContentsError::Offline(other))) => return Err(one.and(other).into()),
            (Err(error), _) => return Err(error.into()),
            (_, Err(error)) => return Err(error.into()),
        };
        self.used.extend(packages.iter().map(|package| package.expanded().clone()));

        let epoch = self.epoch(&prepared);
        let staged = self.stage(&prepared, &packages, files, epoch)?;
        if let Some(lint) = prepared.lint_of(&staged.installation.tree) {
            self.fetcher.reporter.warn(&lint.to_string());
        }
        warn_of_devices(&staged.devices, self.fetcher.reporter);
        let notes = Notes::of(&staged);
        let user = image_user(&prepared.profile, &staged.installation.tree)?;
        let proven = prove_starts(&prepared, staged.installation)?;
        let layer = squash::plan(&proven, epoch)?;
        check_size(&prepared.profile, &layer)?;
        let image = self.emit(&prepared, user, &layer, epoch, &notes)?;
        Ok(report(&prepared, notes, Some(image)))
    }

    fn arch(&self) -> Result<Arch, Error> {
        let listed = &self.draft.alpine().architectures;
        if let Some(wanted) = self.options.arch {
            if listed.contains(&wanted) {
                return Ok(wanted);
            }
            let listed = listed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(Error::Arch { listed, wanted });
        }
        let ours = Arch::of_this_machine().filter(|arch| listed.contains(arch));
        let arch = ours.or_else(|| listed.first().copied()).unwrap_or(Arch::X86_64);
        if listed.len() > 1 {
            self.fetcher
                .reporter
                .note(&format!("building for {arch}; --arch chooses another of the profile's architectures"));
        }
        Ok(arch)
    }

    fn epoch(&self, prepared: &Prepared) -> Epoch {
        let newest = prepared.plan.newest_build.and_then(|seconds| Epoch::new(seconds).ok());
        self.options.epoch.or(newest).unwrap_or_default()
    }

    fn stage(
        &self,
        prepared: &Prepared,
        packages: &[StoredPackage],
        files: Vec<Overlaid>,
        epoch: Epoch,
    ) -> Result<Staged, Error> {
        let profile = &prepared.profile;
        let (groups, users) = contents::accounts(profile);
        let additions = Additions {
            groups,
            users,
            day: epoch.seconds().div_euclid(DAY),
            overlaid: files,
            root: match profile.image.root_account {
                RootAccount::Locked => RootPassword::Locked,
                RootAccount::AsInBase => RootPassword::AsItIs,
            },
            pruned_paths: profile.prune.paths.iter().map(|stated| stated.value.clone()).collect(),
            pruned_packages: profile.prune.packages.iter().map(|stated| stated.value.to_string()).collect(),
            arch: prepared.plan.arch,
            records: prepared.records.clone(),
        };
        let base = prepared.base.clone();
        Ok(stage::stage(
            &prepared.plan,
            base,
            packages,
            &additions,
            self.options.scripts,
            self.fetcher.reporter,
        )?)
    }

    fn emit(
        &self,
        prepared: &Prepared,
        user: String,
        layer: &Layer<'_>,
        epoch: Epoch,
        notes: &Notes,
    ) -> Result<ReportedImage, Error> {
        let profile = &prepared.profile;
        let references: Vec<ImageReference> =
            profile.image.tags.iter().filter_map(|tag| tag.to_string().parse().ok()).collect();
        let outputs = &self.options.outputs;
        let image = if outputs.iter().any(|output| output.kind.is_compressed()) {
            let packed =
                squash::compress(layer, &spool_directory(outputs), self.fetcher.jobs, self.fetcher.reporter)?;
            let config = image_config(prepared, user, epoch, notes);
            let annotations = config.labels.clone();
            let image = Image::new(&config, vec![packed], &annotations, MediaTypes::Oci);
            Some(image.map_err(squash::SquashError::Image)?)
        } else {
            None
        };
        emit::emit(
            &Emitted { layer, image: image.as_ref(), references: &references },
            outputs,
            self.fetcher.reporter,
        )?;
        let descriptor =
            image.as_ref().and_then(|image| image.layers().first()).map(|layer| layer.descriptor().clone());
        Ok(ReportedImage {
            id: image.as_ref().map(Image::config_digest),
            manifest: image.as_ref().map(Image::manifest_digest),
            compressed: descriptor.map(|descriptor| descriptor.size),
            tar: layer.tar_size(),
            size: layer.content_size(),
            entries: layer.entry_count(),
            tags: references.iter().map(ImageReference::familiar).collect(),
            command: profile.image.entrypoint.iter().chain(&profile.image.command).cloned().collect(),
            platform: prepared.plan.arch.platform().to_string(),
            outputs: outputs.iter().map(|output| output.destination.to_string()).collect(),
            created: epoch.to_string(),
        })
    }
}

/// An image that has devices can only be loaded by root, and whoever runs it gets them without being asked.
fn warn_of_devices(devices: &[TreePath], reporter: &dyn Reporter) {
    const SHOWN: usize = 6;
    if devices.is_empty() {
        return;
    }
    let mut names: Vec<String> = devices.iter().take(SHOWN).map(ToString::to_string).collect();
    if devices.len() > SHOWN {
        names.push(format!("{} more", devices.len() - SHOWN));
    }
    reporter.warn(&format!("device nodes are left out of the image: {}", names.join(", ")));
}

/// Beside the first file that is written; for pipes, where temporary files go.
fn spool_directory(outputs: &[Output]) -> PathBuf {
    let beside = outputs.iter().find_map(|output| match &output.destination {
        Destination::File(path) => Some(output::directory_of(path).to_owned()),
        Destination::Stdout => None,
    });
    beside.unwrap_or_else(std::env::temp_dir)
}

fn check_size(profile: &Profile, layer: &Layer<'_>) -> Result<(), Error> {
    match &profile.limits.size {
        Some(limit) if layer.tar_size() > limit.value.0 => Err(Error::TooLarge {
            size: layer.tar_size(),
            limit: limit.value,
            origin: limit.origin.to_string(),
        }),
        _ => Ok(()),
    }
}
