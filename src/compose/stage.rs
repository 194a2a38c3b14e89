//! Staging: from a plan and verified packages to a tree with everything in it.
//!
//! The steps are apk's, in apk's order; a package's owners are resolved when it is placed. Then the profile
//! has its say, and what is installed is written down last. Package scripts are not run; what BusyBox's do
//! is done here, the others are named.
//!
//! Source: design, "Staging".

use std::collections::HashSet;
use std::sync::Arc;

use super::apk_records::ApkRecords;
use super::plan::{Plan, PlannedPackage, Step};
use crate::apk::package::{ScriptKind, VerifiedPackage};
use crate::arch::Arch;
use crate::content::ContentError;
use crate::kind::{Explain, Kind};
use crate::path::TreePath;
use crate::profile::pattern::Pattern;
use crate::report::{self, Reporter};
use crate::store::StoredPackage;
use crate::tree::InodeKind;
use crate::tree::Unsatisfied;
use crate::tree::accounts::{self, AccountError, NewGroup, NewUser};
use crate::tree::busybox::{self, BusyboxError};
use crate::tree::overlay::{Overlaid, OverlayError};
use crate::tree::place::{Incoming, Installation, PlaceError};
use crate::tree::records::{RecordError, Records};

/// The package an image has if it keeps apk.
const APK_TOOLS: &str = "apk-tools";

/// What becomes of package scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScriptPolicy {
    /// Those whose effect is certain are applied without running anything; the others are named.
    #[default]
    Auto,
    /// None is applied, as with `apk --no-scripts`.
    Skip,
}

/// What the profile adds to the packages, and takes away.
#[derive(Debug, Clone)]
pub struct Additions {
    /// Groups to be there, as soon as the tree has accounts.
    pub groups: Vec<NewGroup>,
    /// Users to be there, as soon as the tree has accounts.
    pub users: Vec<NewUser>,
    /// The day that new lines of the shadow file state, counted from 1970.
    pub day: i64,
    /// Files, directories and links.
    pub overlaid: Vec<Overlaid>,
    /// Whether root's password is taken away.
    pub root: RootPassword,
    /// Paths to leave out.
    pub pruned_paths: Vec<Pattern>,
    /// Packages to leave out after everything else.
    pub pruned_packages: Vec<String>,
    /// The architecture.
    pub arch: Arch,
    /// What the image's own apk is told.
    pub records: ApkRecords,
}

/// What becomes of root's password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RootPassword {
    /// It is taken away, and root is locked.
    #[default]
    Locked,
    /// It stays as the base or the packages have it.
    AsItIs,
}

/// A staged tree, and what is worth telling about it.
#[derive(Debug)]
pub struct Staged {
    /// The tree and its database.
    pub installation: Installation,
    /// Scripts that were not run, as `package-version.kind`.
    pub scripts_not_run: Vec<String>,
    /// Files that were changed before and stay; the packages' copies were dropped.
    pub kept: Vec<TreePath>,
    /// Dependencies that pruning left unsatisfied.
    pub unsatisfied: Vec<Unsatisfied>,
}

/// Why staging failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StageError {
    /// A package could not be placed.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A package could not be taken out.
    #[error("{package} cannot be removed: {error}")]
    Purge {
        /// Its name.
        package: String,
        /// What happened.
        error: ContentError,
    },
    /// An account could not be added.
    #[error(transparent)]
    Accounts(#[from] AccountError),
    /// The links of BusyBox could not be made.
    #[error(transparent)]
    Busybox(#[from] BusyboxError),
    /// Something of the profile could not be put in.
    #[error(transparent)]
    Overlay(#[from] OverlayError),
    /// What is installed could not be written down.
    #[error(transparent)]
    Records(#[from] RecordError),
    /// A package to leave out is not there.
    #[error("the profile prunes the package `{package}`, which is not installed")]
    NothingToPrune {
        /// Its name.
        package: String,
    },
    /// A package of the plan was not fetched.
    #[error("{package} was planned and not fetched: this is a mistake of apkcompose")]
    NotFetched {
        /// The package, as `name-version`.
        package: String,
    },
    /// The user stopped it.
    #[error("interrupted")]
    Interrupted,
}

impl Explain for StageError {
    fn kind(&self) -> Kind {
        match self {
            Self::Place(error) => error.kind(),
            Self::Purge { error, .. } => error.kind(),
            Self::Accounts(_) | Self::NothingToPrune { .. } => Kind::Profile,
            Self::Busybox(error) => error.kind(),
            Self::Overlay(error) => error.kind(),
            Self::Records(error) => error.kind(),
            Self::NotFetched { .. } => Kind::Internal,
            Self::Interrupted => Kind::Interrupted,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Place(error) => error.hint(),
            Self::Overlay(error) => error.hint(),
            _ => None,
        }
    }
}

/// Carries out `plan` on `base` with `packages`, those of the plan that have a file, in its order.
pub fn stage(
    plan: &Plan,
    base: Installation,
    packages: &[StoredPackage],
    additions: &Additions,
    policy: ScriptPolicy,
    reporter: &dyn Reporter,
) -> Result<Staged, StageError> {
    reporter.begin(report::Step::Stage, plan.steps.len() as u64);
    let mut staging = Staging {
        installation: base,
        reporter,
        additions,
        policy,
        leaving: plan.leaving(),
        accounts: AccountsWanted::Yes,
        scripts_not_run: Vec::new(),
        kept: Vec::new(),
    };
    staging.add_accounts()?;
    let mut files = packages.iter();
    for step in &plan.steps {
        if reporter.interrupted() {
            return Err(StageError::Interrupted);
        }
        staging.step(step, &mut files)?;
        reporter.advance(report::Step::Stage, 1, step.name());
    }
    staging.installation.database.world.clone_from(&plan.world);
    staging.triggers(plan)?;
    let staged = staging.finish()?;
    reporter.end(report::Step::Stage);
    Ok(staged)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum AccountsWanted {
    Yes,
    Done,
}

struct Staging<'a> {
    installation: Installation,
    reporter: &'a dyn Reporter,
    additions: &'a Additions,
    policy: ScriptPolicy,
    leaving: HashSet<&'a str>,
    accounts: AccountsWanted,
    scripts_not_run: Vec<String>,
    kept: Vec<TreePath>,
}

impl Staging<'_> {
    fn step<'p>(
        &mut self,
        step: &Step,
        files: &mut impl Iterator<Item = &'p StoredPackage>,
    ) -> Result<(), StageError> {
        match step {
            Step::Place(planned) => {
                let stored = files
                    .next()
                    .filter(|stored| stored.verified().identity() == planned.expected.identity)
                    .ok_or_else(|| StageError::NotFetched { package: planned.expected.to_string() })?;
                self.place(planned, stored)
            }
            Step::Record(entry) => {
                self.installation.record(entry.clone());
                Ok(())
            }
            Step::Repin { name, tag } => {
                self.installation.database.repin(name, tag.clone());
                Ok(())
            }
            Step::Purge { name } => {
                self.note_deinstall_scripts(name);
                let kept = self.installation.purge(name);
                let purge_error = |error| StageError::Purge { package: name.clone(), error };
                self.kept.extend(kept.map_err(purge_error)?);
                Ok(())
            }
        }
    }

    fn place(&mut self, planned: &PlannedPackage, stored: &StoredPackage) -> Result<(), StageError> {
        let verified = stored.verified();
        let is_upgrade = self.installation.database.package(planned.entry.name()).is_some();
        let incoming = Incoming {
            package: verified,
            table: stored.table(),
            data: Arc::clone(stored.expanded().tar()),
            entry: planned.entry.clone(),
        };
        let placed = self.installation.place(&incoming, &self.leaving)?;
        self.kept.extend(placed.kept);
        self.add_accounts()?;
        self.scripts(verified, is_upgrade)
    }

    /// Adds the profile's accounts as soon as the tree has a file for them: packages that come later then
    /// find their names.
    fn add_accounts(&mut self) -> Result<(), StageError> {
        if self.accounts == AccountsWanted::Yes && accounts::can_add(&self.installation.tree) {
            self.accounts = AccountsWanted::Done;
            let Additions { groups, users, day, .. } = self.additions;
            accounts::add(&mut self.installation.tree, groups, users, *day)?;
        }
        Ok(())
    }

    fn scripts(&mut self, package: &VerifiedPackage, is_upgrade: bool) -> Result<(), StageError> {
        if self.policy == ScriptPolicy::Skip {
            return Ok(());
        }
        let runs = if is_upgrade {
            [ScriptKind::PreUpgrade, ScriptKind::PostUpgrade]
        } else {
            [ScriptKind::PreInstall, ScriptKind::PostInstall]
        };
        for kind in runs.into_iter().filter(|kind| package.scripts().contains_key(kind)) {
            if package.info().name == busybox::PACKAGE && kind == ScriptKind::PostInstall {
                busybox::install_links(&mut self.installation.tree)?;
            } else {
                self.scripts_not_run.push(format!("{package}.{kind}"));
            }
        }
        Ok(())
    }

    fn note_deinstall_scripts(&mut self, name: &str) {
        let database = &self.installation.database;
        let (Some(package), Some(scripts)) = (database.package(name), database.scripts.get(name)) else {
            return;
        };
        if self.policy == ScriptPolicy::Skip {
            return;
        }
        for kind in [ScriptKind::PreDeinstall, ScriptKind::PostDeinstall] {
            if scripts.contains_key(&kind) {
                self.scripts_not_run.push(format!("{name}-{}.{kind}", package.version()));
            }
        }
    }

    /// Triggers, once, at the end of everything that installs.
    fn triggers(&mut self, plan: &Plan) -> Result<(), StageError> {
        if self.policy == ScriptPolicy::Skip || plan.steps.is_empty() {
            return Ok(());
        }
        let database = &self.installation.database;
        let watching: Vec<String> = database.triggers.keys().map(ToString::to_string).collect();
        for name in watching {
            if !plan.pulls_trigger(&self.installation.database, &name) {
                continue;
            }
            if name == busybox::PACKAGE {
                busybox::install_links(&mut self.installation.tree)?;
            } else if let Some(package) = self.installation.database.package(&name) {
                self.scripts_not_run.push(format!("{name}-{}.{}", package.version(), ScriptKind::Trigger));
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Staged, StageError> {
        if self.accounts == AccountsWanted::Yes {
            let Additions { groups, users, day, .. } = self.additions;
            accounts::add(&mut self.installation.tree, groups, users, *day)?;
        }
        self.installation.tree.overlay(&self.additions.overlaid)?;
        if self.additions.root == RootPassword::Locked {
            accounts::lock_root(&mut self.installation.tree)?;
        }
        let unsatisfied = self.prune()?;
        self.leave_out_devices();
        let Additions { arch, records: ApkRecords { lines, tags, keys }, .. } = self.additions;
        let keeps_apk = self.installation.database.package(APK_TOOLS).is_some();
        let keys: &[(String, Vec<u8>)] = if keeps_apk { keys } else { &[] };
        self.installation.write_records(&Records { arch: *arch, repositories: lines, tags, keys })?;
        Ok(Staged {
            installation: self.installation,
            scripts_not_run: self.scripts_not_run,
            kept: self.kept,
            unsatisfied,
        })
    }

    /// Engines make their own devices, and a layer with some cannot be unpacked without root.
    fn leave_out_devices(&mut self) {
        let is_device =
            |kind: &InodeKind| matches!(kind, InodeKind::CharacterDevice(_) | InodeKind::BlockDevice(_));
        let entries = self.installation.tree.entries();
        let devices: Vec<TreePath> =
            entries.filter(|(_, _, inode)| is_device(&inode.kind)).map(|(path, _, _)| path.clone()).collect();
        for device in devices {
            self.reporter.warn(&format!("the device {device} is left out of the image"));
            self.installation.tree.remove_all(&device);
        }
    }

    fn prune(&mut self) -> Result<Vec<Unsatisfied>, StageError> {
        let patterns = &self.additions.pruned_paths;
        if !patterns.is_empty() {
            self.installation.prune_paths(|path| patterns.iter().any(|pattern| pattern.matches(path)));
        }
        let names = &self.additions.pruned_packages;
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let missing = self.installation.prune_packages(names.iter().map(String::as_str));
        match missing.first() {
            Some(package) => Err(StageError::NothingToPrune { package: (*package).to_owned() }),
            None => Ok(self.installation.unsatisfied()),
        }
    }
}
