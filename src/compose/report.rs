//! What a build tells whoever asked for it: the image, the steps, the base, what was left undone.
//!
//! Plain values, serialised as `--format json` prints them. Nothing is decided here.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::answer::ResolvedStep;
use super::plan::Prepared;
use super::scripts::ScriptsDone;
use super::stage::Staged;
use crate::digest::Sha256;
use crate::sandbox::Counters;
use crate::tree::accounts::AddedAccounts;

/// What a build, or a plan, has come to.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The profile's name.
    pub profile: String,
    /// What it has come to for each architecture. In JSON, what is said of a single one stands beside these
    /// keys, and what is said of several in a list `architectures`.
    #[serde(flatten, serialize_with = "one_or_several")]
    pub architectures: Vec<ArchReport>,
    /// What was written, in the order in which it was asked for.
    pub outputs: Vec<ReportedOutput>,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
}

/// What a build, or a plan, has come to for one architecture.
#[derive(Debug, Clone, Serialize)]
pub struct ArchReport {
    /// The architecture, in apk's name.
    pub arch: String,
    /// The branches of Alpine that its packages are from, as they are called: `v3.19`, never `latest-stable`.
    pub branches: Vec<String>,
    /// How many packages the image has.
    pub packages: usize,
    /// The sum of the lengths, in bytes, of the packages to be placed: what is fetched into an empty store.
    pub download: u64,
    /// What was done with packages, in order.
    pub steps: Vec<ResolvedStep>,
    /// The base, if there is one.
    pub base: Option<ReportedBase>,
    /// The image; nothing if it was only planned.
    pub image: Option<ReportedImage>,
    /// Package scripts that ran, as `package-version.kind`.
    pub scripts_run: Vec<String>,
    /// Package scripts whose effect was certain, and that were applied without being run.
    pub scripts_applied: Vec<String>,
    /// Package scripts that could not be run.
    pub scripts_not_run: Vec<String>,
    /// The accounts that package scripts added, by package.
    pub accounts: BTreeMap<String, AddedAccounts>,
    /// What was written to a disk, and read back, for scripts to run.
    pub materialised: Counters,
    /// Changed files that stayed in place of a package's.
    pub kept: Vec<String>,
    /// Changed files in `/etc` that went with the packages that were removed.
    pub lost: Vec<String>,
    /// Dependencies that pruning left unsatisfied, as `package needs dependency`.
    pub unsatisfied: Vec<String>,
}

/// An output, for people.
#[derive(Debug, Clone, Serialize)]
pub struct ReportedOutput {
    /// In which form: `archive`, `oci`, `tar`, `local` or `dockerfile`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Where it was written.
    pub destination: String,
    /// By which digest the image is known in it: of its manifest, or of the list of several architectures'.
    pub manifest: Option<Sha256>,
    /// The digest of the file, if it is one file.
    pub sha256: Option<Sha256>,
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
    /// The time that stands for "now" in it.
    pub created: String,
}

/// What staging has to tell.
#[derive(Clone, Default)]
pub(super) struct Notes {
    pub(super) scripts: ScriptsDone,
    pub(super) kept: Vec<String>,
    pub(super) lost: Vec<String>,
    pub(super) unsatisfied: Vec<String>,
}

impl Notes {
    pub(super) fn of(staged: &Staged) -> Self {
        Self {
            scripts: staged.scripts.clone(),
            kept: staged.kept.iter().map(ToString::to_string).collect(),
            lost: staged.lost.iter().map(ToString::to_string).collect(),
            unsatisfied: staged
                .unsatisfied
                .iter()
                .map(|unsatisfied| format!("{} needs {}", unsatisfied.package, unsatisfied.dependency))
                .collect(),
        }
    }
}

/// The report of a plan, or of what came of it.
pub(super) fn arch_report(prepared: &Prepared, notes: Notes, image: Option<ReportedImage>) -> ArchReport {
    ArchReport {
        arch: prepared.plan.arch.to_string(),
        branches: prepared.branches().iter().map(ToString::to_string).collect(),
        packages: prepared.plan.package_count,
        download: prepared.plan.download(),
        steps: prepared.answer().resolution().map(|resolution| resolution.steps).unwrap_or_default(),
        base: prepared.provenance.as_ref().map(|base| ReportedBase {
            file: base.file.clone(),
            sha256: base.sha256,
            trust: base.trust.to_string(),
        }),
        image,
        scripts_run: notes.scripts.run,
        scripts_applied: notes.scripts.applied,
        scripts_not_run: notes.scripts.not_run,
        accounts: notes.scripts.accounts,
        materialised: notes.scripts.materialised,
        kept: notes.kept,
        lost: notes.lost,
        unsatisfied: notes.unsatisfied,
    }
}

fn one_or_several<S: Serializer>(reports: &[ArchReport], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Several<'a> {
        architectures: &'a [ArchReport],
    }
    match reports {
        [one] => one.serialize(serializer),
        several => Several { architectures: several }.serialize(serializer),
    }
}
