//! Building: the whole way from a profile to written images, step after step.
//!
//! For several architectures each step is done for all of them before the next, so that what one of them
//! cannot have is known before anything is fetched. Each one's image is the same as if it were built alone.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::contents::{self, ContentsError};
use super::emit::{self, Emitted, EmittedArch};
use super::error::Error;
use super::ground::Ground;
use super::image_config::{image_config, image_user};
use super::output::{self, ImageForm, Output, OutputKind};
use super::plan::{self, Prepared};
use super::prove::ProvenTree;
use super::report::{ArchReport, Notes, Report, ReportedImage, ReportedOutput, arch_report};
use super::scripts::ScriptOptions;
use super::squash::{self, SquashError};
use super::stage::{self, Additions, RootPassword, Staged};
use super::starts::prove_starts;
use crate::arch::Arch;
use crate::archive::codec::Algorithm;
use crate::fetch::{self, Fetcher};
use crate::image::{Dockerfile, Epoch, Image, ImageConfig, ImageReference, Layer, MediaTypes};
use crate::kind::{Explain, Kind};
use crate::path::TreePath;
use crate::profile::support::Day;
use crate::profile::{Draft, HealthTest, Profile, RootAccount};
use crate::report::Reporter;
use crate::store::{Expanded, Store};
use crate::tree::overlay::Overlaid;

/// How to build.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// For which architectures.
    pub architectures: Architectures,
    /// What to write. Nothing only plans.
    pub outputs: Vec<Output>,
    /// What becomes of package scripts, and where they run.
    pub scripts: ScriptOptions,
    /// The time that stands for "now" in the image; without one, when its newest package was built.
    pub epoch: Option<Epoch>,
    /// A directory that sources of the profile may lie in beside the profile's own.
    pub context: Option<PathBuf>,
    /// The day it is, by which old branches are warned of; not without it. Changes no byte.
    pub today: Option<Day>,
}

/// For which of a profile's architectures to build.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Architectures {
    /// This machine's if the profile is for it, else the profile's first.
    #[default]
    Usual,
    /// These, in this order.
    These(Vec<Arch>),
    /// All of them.
    All,
}

/// Builds what `draft` asks for.
///
/// It is done once more where that may help: an inflated copy in the store that has changed is found when it is
/// copied, and is inflated again; a mirror that moved on since its index was read shows itself when a package
/// is not there any more, and its index is read again.
pub fn build(fetcher: &Fetcher<'_>, draft: &Draft, options: &BuildOptions) -> Result<Report, Error> {
    let architectures = architectures(draft, &options.architectures, fetcher.reporter)?;
    output::check(&options.outputs, architectures.len())?;
    let begun = Instant::now();
    let mut used = Vec::new();
    let once = |used: &mut _| Build { fetcher, draft, architectures: &architectures, options, used }.run();
    let built = match once(&mut used) {
        Err(error) if may_be_damage(&error) && drop_changed(fetcher.store, &used)? => once(&mut Vec::new()),
        Err(error) if asks_anew(&error, fetcher) => once(&mut Vec::new()),
        other => other,
    };
    let mut report = built?;
    report.milliseconds = milliseconds(begun.elapsed());
    Ok(report)
}

/// The architectures to build for.
pub(super) fn architectures(
    draft: &Draft,
    wanted: &Architectures,
    reporter: &dyn Reporter,
) -> Result<Vec<Arch>, Error> {
    let listed = &draft.alpine().architectures;
    match wanted {
        Architectures::All => Ok(listed.clone()),
        Architectures::These(these) => {
            if let Some(unlisted) = these.iter().find(|arch| !listed.contains(arch)) {
                let listed = listed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                return Err(Error::Arch { listed, wanted: *unlisted });
            }
            Ok(these.clone())
        }
        Architectures::Usual => {
            let ours = Arch::of_this_machine().filter(|arch| listed.contains(arch));
            let arch = ours.or_else(|| listed.first().copied()).unwrap_or(Arch::X86_64);
            if listed.len() > 1 {
                reporter.note(&format!(
                    "building for {arch}; --arch chooses others of the profile's architectures, --arch all takes all"
                ));
            }
            Ok(vec![arch])
        }
    }
}

/// Whether an inflated copy that has changed can show itself so. A program is looked at without being read to
/// its end, so that nothing tells a damaged one from one of another kind.
fn may_be_damage(error: &Error) -> bool {
    match error {
        Error::OneOfSeveral { error, .. } => may_be_damage(error),
        Error::Proof(_) => true,
        error => error.kind() == Kind::Integrity,
    }
}

/// Whether documents of mirrors may be to blame for `error`, so that they are asked for anew.
pub(super) fn asks_anew(error: &Error, fetcher: &Fetcher<'_>) -> bool {
    match error {
        Error::OneOfSeveral { error, .. } => asks_anew(error, fetcher),
        Error::Fetch(error) => fetcher.asks_anew_after(error),
        _ => false,
    }
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
    architectures: &'a [Arch],
    options: &'a BuildOptions,
    /// The inflated copies that are being read.
    used: &'a mut Vec<Expanded>,
}

/// An image of one architecture before its bytes.
struct Composed {
    prepared: Prepared,
    notes: Notes,
    proven: ProvenTree,
    config: ImageConfig,
    epoch: Epoch,
}

impl Build<'_> {
    fn run(&mut self) -> Result<Report, Error> {
        let mut ground = Ground::new(self.options.today.clone());
        let prepared: Vec<Prepared> = self
            .architectures
            .iter()
            .map(|arch| self.prepare(&mut ground, *arch).map_err(|error| self.for_arch(*arch, error)))
            .collect::<Result<_, _>>()?;
        // What is said of several architectures is said once.
        let lints: BTreeSet<String> =
            prepared.iter().flat_map(|prepared| &prepared.lints).map(ToString::to_string).collect();
        for lint in &lints {
            self.fetcher.reporter.warn(lint);
        }
        if self.options.outputs.is_empty() {
            let plans = prepared.iter().map(|prepared| arch_report(prepared, Notes::default(), None));
            return Ok(self.report(plans.collect(), Vec::new()));
        }
        self.say_what_engines_may_not_take(&prepared);
        let compose = |prepared: Prepared| {
            let arch = prepared.plan.arch;
            self.compose(prepared).map_err(|error| self.for_arch(arch, error))
        };
        let composed: Vec<Composed> = prepared.into_iter().map(compose).collect::<Result<_, _>>()?;
        self.emit(&composed)
    }

    /// Says of an error for which architecture it is, where there are several.
    fn for_arch(&self, arch: Arch, error: Error) -> Error {
        if self.architectures.len() > 1 {
            Error::OneOfSeveral { arch, error: Box::new(error) }
        } else {
            error
        }
    }

    /// Says of images that not every engine reads, or reads whole, that it is so.
    fn say_what_engines_may_not_take(&self, prepared: &[Prepared]) {
        let has_healthcheck = prepared.iter().any(|prepared| {
            let healthcheck = prepared.profile.image.healthcheck.as_ref();
            healthcheck.is_some_and(|check| check.test != HealthTest::None)
        });
        for Output { kind, destination } in &self.options.outputs {
            let Some(form) = kind.image_form() else { continue };
            if form.compression.algorithm() == Some(Algorithm::Zstd) {
                self.fetcher.reporter.warn(&format!(
                    "docker before 23 cannot load {destination}, whose layers are compressed with zstd"
                ));
            }
            if has_healthcheck && form.media_types == MediaTypes::Oci {
                self.fetcher.reporter.note(&format!(
                    "podman may leave out the health check of {destination}, which OCI's format does not have; \
                     type=archive,oci-mediatypes=false keeps it"
                ));
            }
        }
    }

    fn prepare(&mut self, ground: &mut Ground, arch: Arch) -> Result<Prepared, Error> {
        let sources = ground.sources(self.fetcher, self.draft, arch)?;
        self.used.extend(sources.base.iter().flat_map(|base| base.layers.clone()));
        say_what_is_not_taken_over(sources.base.as_ref(), self.fetcher.reporter);
        Ok(plan::prepare(self.fetcher, ground, self.draft, sources, arch)?)
    }

    fn compose(&mut self, prepared: Prepared) -> Result<Composed, Error> {
        let (staged, epoch) = fetch_and_stage(self.fetcher, &prepared, self.options, self.used)?;
        if let Some(lint) = prepared.lint_of(&staged.installation.tree) {
            self.fetcher.reporter.warn(&lint.to_string());
        }
        warn_of_devices(&staged.devices, self.fetcher.reporter);
        let notes = Notes::of(&staged);
        let user = image_user(&prepared.profile, &staged.installation.tree)?;
        let proven = prove_starts(&prepared, staged.installation)?;
        let config = image_config(&prepared, user, epoch, &notes);
        Ok(Composed { prepared, notes, proven, config, epoch })
    }

    fn emit(&self, composed: &[Composed]) -> Result<Report, Error> {
        let outputs = &self.options.outputs;
        let layers: Vec<Layer<'_>> = composed
            .iter()
            .map(|composed| Ok(squash::plan(&composed.proven, composed.epoch)?))
            .collect::<Result<_, Error>>()?;
        // What is found without compressing comes first.
        for (composed, layer) in composed.iter().zip(&layers) {
            check_size(&composed.prepared.profile, layer)?;
            if outputs.iter().any(|output| output.kind == OutputKind::Dockerfile) {
                Dockerfile::of(&composed.config).map_err(SquashError::from)?;
            }
        }
        let references: Vec<ImageReference> = composed.first().map(references).unwrap_or_default();
        let forms: BTreeSet<ImageForm> =
            outputs.iter().filter_map(|output| output.kind.image_form()).collect();
        let directory = output::spool_directory(outputs);
        let mut architectures = Vec::new();
        for (composed, layer) in composed.iter().zip(&layers) {
            let Composed { config, .. } = composed;
            let images =
                squash::pack(layer, config, &forms, &directory, self.fetcher.jobs, self.fetcher.reporter)?;
            architectures.push(EmittedArch { arch: composed.prepared.plan.arch, layer, config, images });
        }
        let emitted = Emitted { architectures, references: &references };
        let written = emit::emit(&emitted, outputs, self.fetcher.reporter)?;
        let reported = outputs.iter().zip(written).map(|(output, written)| ReportedOutput {
            kind: output.kind.as_str(),
            destination: output.destination.to_string(),
            manifest: written.manifest,
            sha256: written.sha256,
        });
        let form = outputs.iter().find_map(|output| output.kind.image_form());
        let images = emitted.architectures.iter().map(|arch| {
            let image = form.and_then(|form| arch.images.get(&form));
            reported_image(arch, image, &references)
        });
        let reports = images
            .zip(composed)
            .map(|(image, composed)| arch_report(&composed.prepared, composed.notes.clone(), Some(image)));
        Ok(self.report(reports.collect(), reported.collect()))
    }

    fn report(&self, architectures: Vec<ArchReport>, outputs: Vec<ReportedOutput>) -> Report {
        Report { profile: self.draft.name().to_owned(), architectures, outputs, milliseconds: 0 }
    }
}

/// The tree of an image, and the time that stands for "now" in it; what it takes is fetched. The inflated copies that it
/// reads join `used`.
pub(super) fn fetch_and_stage(
    fetcher: &Fetcher<'_>,
    prepared: &Prepared,
    options: &BuildOptions,
    used: &mut Vec<Expanded>,
) -> Result<(Staged, Epoch), Error> {
    let packages = fetch::packages(fetcher, &prepared.requests()?);
    let files = contents::read(fetcher, &prepared.profile, options.context.as_deref());
    let (packages, files) = match (packages, files) {
        (Ok(packages), Ok(files)) => (packages, files),
        (Err(one), Err(ContentsError::Offline(other))) => return Err(one.and(other).into()),
        (Err(error), _) => return Err(error.into()),
        (_, Err(error)) => return Err(error.into()),
    };
    used.extend(packages.iter().map(|package| package.expanded().clone()));

    let newest = prepared.plan.newest_build.and_then(|seconds| Epoch::new(seconds).ok());
    let epoch = options.epoch.or(newest).unwrap_or_default();
    let additions = additions(prepared, files, epoch);
    let base = prepared.base.clone();
    let scripts = options.scripts.clone();
    let staged = stage::stage(&prepared.plan, base, &packages, &additions, scripts, fetcher.reporter)?;
    Ok((staged, epoch))
}

/// What the profile adds to the packages, and takes away.
fn additions(prepared: &Prepared, files: Vec<Overlaid>, epoch: Epoch) -> Additions {
    let profile = &prepared.profile;
    let (groups, users) = contents::accounts(profile);
    Additions {
        groups,
        users,
        epoch,
        overlaid: files,
        root: match profile.image.root_account {
            RootAccount::Locked => RootPassword::Locked,
            RootAccount::AsInBase => RootPassword::AsItIs,
        },
        pruned_paths: profile.prune.paths.iter().map(|stated| stated.value.clone()).collect(),
        pruned_packages: profile.prune.packages.iter().map(|stated| stated.value.to_string()).collect(),
        arch: prepared.plan.arch,
        records: prepared.records.clone(),
    }
}

/// The names of an image.
fn references(composed: &Composed) -> Vec<ImageReference> {
    composed.prepared.profile.image.tags.iter().filter_map(|tag| tag.to_string().parse().ok()).collect()
}

fn reported_image(
    arch: &EmittedArch<'_>,
    image: Option<&Image>,
    references: &[ImageReference],
) -> ReportedImage {
    let EmittedArch { layer, config, .. } = arch;
    let stored = image.and_then(|image| image.layers().first()).map(|layer| layer.descriptor().size);
    ReportedImage {
        id: image.map(Image::config_digest),
        manifest: image.map(Image::manifest_digest),
        compressed: stored,
        tar: layer.tar_size(),
        size: layer.content_size(),
        entries: layer.entry_count(),
        tags: references.iter().map(ImageReference::familiar).collect(),
        command: config.entrypoint.iter().chain(&config.cmd).cloned().collect(),
        platform: arch.arch.platform().to_string(),
        created: config.created.to_string(),
    }
}

/// What a base that is an image is configured to do is not what this one is.
fn say_what_is_not_taken_over(base: Option<&fetch::Base>, reporter: &dyn Reporter) {
    let Some(image) = base.and_then(|base| base.image.as_ref()) else { return };
    if !image.configured.is_empty() {
        reporter.note(&format!(
            "what the base image says of {} is not taken over: say it under [image]",
            image.configured.join(", ")
        ));
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
