//! Building: the whole way from a profile to written images, step after step.

use std::cmp::Ordering;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::contents;
use super::emit::{self, Emitted};
use super::error::Error;
use super::ground::Ground;
use super::output::{self, Destination, Output};
use super::plan::{self, PlannedPackage, Prepared, Step};
use super::prove::{self, ProvenTree, Setting, Start, Surroundings};
use super::squash;
use super::stage::{self, Additions, RootPassword, ScriptPolicy, Staged};
use crate::apk::version;
use crate::arch::Arch;
use crate::digest::Sha256;
use crate::fetch;
use crate::image::{Epoch, Healthcheck, Image, ImageConfig, ImageReference, Layer, MediaTypes};
use crate::kind::{Explain, Kind};
use crate::path::TreePath;
use crate::profile::account::{Account, ImageUser};
use crate::profile::support::Day;
use crate::profile::{Draft, HealthTest, Profile, RootAccount};
use crate::report::Reporter;
use crate::store::{Expanded, Store, StoredPackage};
use crate::tree::Tree;
use crate::tree::accounts::Accounts;
use crate::tree::place::Installation;

/// Seconds in a day.
const DAY: i64 = 86_400;
/// The label that says why the base was believed.
const LABEL_BASE_TRUST: &str = "apkcompose.base-trust";
/// The label that lists dependencies that pruning left unsatisfied.
const LABEL_UNSATISFIED: &str = "apkcompose.unsatisfied";

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
    /// How many threads to use.
    pub jobs: NonZeroUsize,
    /// The day it is, by which old branches are warned of; not without it. Changes no byte.
    pub today: Option<Day>,
}

/// What a build, or a plan, has come to.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The profile's name.
    pub profile: String,
    /// The architecture, in apk's name.
    pub arch: String,
    /// The branches of Alpine that its packages are from, as they are called: `v3.19`, never `latest-stable`.
    pub branches: Vec<String>,
    /// How many packages the image has.
    pub packages: usize,
    /// The sum of the lengths, in bytes, of the packages to be placed: what is fetched into an empty store.
    pub download: u64,
    /// What was done with packages, in order.
    pub steps: Vec<ReportedStep>,
    /// The base, if there is one.
    pub base: Option<ReportedBase>,
    /// The image; nothing if it was only planned.
    pub image: Option<ReportedImage>,
    /// Package scripts that were not run, as `package-version.kind`.
    pub scripts_not_run: Vec<String>,
    /// Changed files that stayed in place of a package's.
    pub kept: Vec<String>,
    /// Dependencies that pruning left unsatisfied, as `package needs dependency`.
    pub unsatisfied: Vec<String>,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
}

/// A step, for people.
#[derive(Debug, Clone, Serialize)]
pub struct ReportedStep {
    /// `install`, `upgrade`, `downgrade`, `replace`, `repin` or `purge`.
    pub action: &'static str,
    /// The package's name.
    pub name: String,
    /// Its version, where there is one to tell.
    pub version: Option<String>,
    /// The version that the base has of it, if it has one.
    pub installed: Option<String>,
}

/// The base, for people.
#[derive(Debug, Clone, Serialize)]
pub struct ReportedBase {
    /// The archive's file name.
    pub file: String,
    /// Its SHA-256.
    pub sha256: Sha256,
    /// Why it was believed.
    pub trust: String,
}

/// The image, for people.
#[derive(Debug, Clone, Serialize)]
pub struct ReportedImage {
    /// The digest of the configuration, which docker calls the image's ID.
    pub id: Option<Sha256>,
    /// The digest of the manifest, by which registries know it.
    pub manifest: Option<Sha256>,
    /// The length of the compressed layer, in bytes, if it was compressed.
    pub compressed: Option<u64>,
    /// The length of the layer's tar, in bytes.
    pub tar: u64,
    /// The sum of the lengths of its files, in bytes: the size that docker shows.
    pub size: u64,
    /// How many files, directories and links it has.
    pub entries: usize,
    /// Its names.
    pub tags: Vec<String>,
    /// What it starts: its entrypoint and command.
    pub command: Vec<String>,
    /// Its platform as engines name it: `linux/amd64`.
    pub platform: String,
    /// Where it was written.
    pub outputs: Vec<String>,
    /// The time that stands for "now" in it.
    pub created: String,
}

/// Builds what `draft` asks for.
///
/// An inflated copy in the store that has changed is found when it is copied; then everything is inflated
/// again, and the build is done once more.
pub fn build(
    store: &Store,
    draft: &Draft,
    options: &BuildOptions,
    reporter: &dyn Reporter,
) -> Result<Report, Error> {
    output::check(&options.outputs)?;
    let begun = Instant::now();
    let mut used = Vec::new();
    let built = match (Build { store, draft, options, reporter, used: &mut used }).run() {
        Err(error) if may_be_damage(&error) && drop_changed(store, &used)? => {
            Build { store, draft, options, reporter, used: &mut Vec::new() }.run()
        }
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
    store: &'a Store,
    draft: &'a Draft,
    options: &'a BuildOptions,
    reporter: &'a dyn Reporter,
    /// The inflated copies that are being read.
    used: &'a mut Vec<Expanded>,
}

impl Build<'_> {
    fn run(&mut self) -> Result<Report, Error> {
        let arch = self.arch()?;
        let mut ground = Ground::new(self.store, self.options.jobs, self.options.today.clone());
        let base = ground.base(self.draft.alpine(), arch, self.reporter)?;
        self.used.extend(base.iter().map(|base| base.rootfs.expanded().clone()));
        let prepared = plan::prepare(&mut ground, self.draft, base, arch, self.reporter)?;
        for lint in &prepared.lints {
            self.reporter.warn(&lint.to_string());
        }
        if self.options.outputs.is_empty() {
            return Ok(report(&prepared, None, None));
        }
        let packages = fetch::packages(self.store, &prepared.requests()?, self.options.jobs, self.reporter)?;
        self.used.extend(packages.iter().map(|package| package.expanded().clone()));

        let epoch = self.epoch(&prepared);
        let staged = self.stage(&prepared, &packages, epoch)?;
        if let Some(lint) = prepared.lint_of(&staged.installation.tree) {
            self.reporter.warn(&lint.to_string());
        }
        warn_of_devices(&staged.devices, self.reporter);
        let notes = Notes::of(&staged);
        let user = image_user(&prepared.profile, &staged.installation.tree)?;
        let proven = prove_starts(&prepared, staged)?;
        let layer = squash::plan(&proven, epoch)?;
        check_size(&prepared.profile, &layer)?;
        let image = self.emit(&prepared, user, &layer, epoch, &notes)?;
        Ok(report(&prepared, Some(notes), Some(image)))
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
            self.reporter
                .note(&format!("building for {arch}; --arch chooses another of the profile's architectures"));
        }
        Ok(arch)
    }

    fn epoch(&self, prepared: &Prepared) -> Epoch {
        let newest = prepared.plan.newest_build.and_then(|seconds| Epoch::new(seconds).ok());
        self.options.epoch.or(newest).unwrap_or_default()
    }

    fn stage(&self, prepared: &Prepared, packages: &[StoredPackage], epoch: Epoch) -> Result<Staged, Error> {
        let profile = &prepared.profile;
        let (groups, users) = contents::accounts(profile);
        let additions = Additions {
            groups,
            users,
            day: epoch.seconds().div_euclid(DAY),
            overlaid: contents::read(profile, self.options.context.as_deref())?,
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
        Ok(stage::stage(&prepared.plan, base, packages, &additions, self.options.scripts, self.reporter)?)
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
                squash::compress(layer, &spool_directory(outputs), self.options.jobs, self.reporter)?;
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
            self.reporter,
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

/// What staging has to tell.
struct Notes {
    scripts_not_run: Vec<String>,
    kept: Vec<String>,
    unsatisfied: Vec<String>,
}

impl Notes {
    fn of(staged: &Staged) -> Self {
        Self {
            scripts_not_run: staged.scripts_not_run.clone(),
            kept: staged.kept.iter().map(ToString::to_string).collect(),
            unsatisfied: staged
                .unsatisfied
                .iter()
                .map(|unsatisfied| format!("{} needs {}", unsatisfied.package, unsatisfied.dependency))
                .collect(),
        }
    }
}

fn report(prepared: &Prepared, notes: Option<Notes>, image: Option<ReportedImage>) -> Report {
    let notes = notes.unwrap_or(Notes { scripts_not_run: vec![], kept: vec![], unsatisfied: vec![] });
    Report {
        profile: prepared.profile.name.clone(),
        arch: prepared.plan.arch.to_string(),
        branches: prepared.branches().iter().map(ToString::to_string).collect(),
        packages: prepared.plan.package_count,
        download: prepared.plan.download(),
        steps: prepared.plan.steps.iter().map(|step| reported_step(step, &prepared.base)).collect(),
        base: prepared.provenance.as_ref().map(|base| ReportedBase {
            file: base.file.clone(),
            sha256: base.rootfs.blob(),
            trust: base.trust.to_string(),
        }),
        image,
        scripts_not_run: notes.scripts_not_run,
        kept: notes.kept,
        unsatisfied: notes.unsatisfied,
        milliseconds: 0,
    }
}

fn reported_step(step: &Step, base: &Installation) -> ReportedStep {
    let installed = base.database.package(step.name()).map(|package| package.version().to_owned());
    let (action, version) = match step {
        Step::Place(PlannedPackage { entry, .. }) | Step::Record(entry) => {
            let order = installed.as_deref().map(|installed| version::compare(entry.version(), installed));
            let action = match order {
                None => "install",
                Some(Ordering::Greater) => "upgrade",
                Some(Ordering::Less) => "downgrade",
                Some(Ordering::Equal) => "replace",
            };
            (action, Some(entry.version().to_owned()))
        }
        Step::Repin { .. } => ("repin", None),
        Step::Purge { .. } => ("purge", None),
    };
    ReportedStep { action, name: step.name().to_owned(), version, installed }
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

fn prove_starts(prepared: &Prepared, staged: Staged) -> Result<ProvenTree, Error> {
    let image = &prepared.profile.image;
    let working_directory = image.working_directory.clone().unwrap_or_default();
    let surroundings = Surroundings { path: image.environment.get("PATH").cloned(), working_directory };
    let provider = |name: &str| prepared.provider(name);
    Ok(prove::prove(
        staged.installation,
        prepared.plan.arch,
        &starts(&prepared.profile),
        &surroundings,
        provider,
    )?)
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

fn image_config(prepared: &Prepared, user: String, epoch: Epoch, notes: &Notes) -> ImageConfig {
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
        config.labels.insert(LABEL_BASE_TRUST.to_owned(), base.trust.to_string());
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

/// The image's user, if it has one, as numbers, which alone every engine understands in every image.
fn image_user(profile: &Profile, tree: &Tree) -> Result<String, Error> {
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
