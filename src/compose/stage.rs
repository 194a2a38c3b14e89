//! Staging: from a plan and verified packages to a tree with everything in it.
//!
//! The steps are apk's, in apk's order, with the package's scripts around each; a package's owners are resolved when it
//! is placed. Triggers follow, then the profile has its say, and what is installed is written down last. How a script
//! is run is [`super::scripts`]'.
//!
//! Source: design, "Staging".

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::apk_records::ApkRecords;
use super::plan::{Plan, PlannedPackage, Step};
use super::scripts::{Script, ScriptError, ScriptOptions, ScriptRunner, ScriptsDone, Went};
use crate::apk::package::{ScriptKind, Scripts};
use crate::arch::Arch;
use crate::image::Epoch;
use crate::kind::{Explain, Kind};
use crate::path::TreePath;
use crate::profile::pattern::Pattern;
use crate::report::{self, Reporter};
use crate::store::StoredPackage;
use crate::tree::accounts::{self, AccountError, NewGroup, NewUser};
use crate::tree::busybox;
use crate::tree::overlay::{Overlaid, OverlayError};
use crate::tree::place::{Incoming, Installation, PlaceError};
use crate::tree::protected::ProtectedError;
use crate::tree::records::{RecordError, Records};
use crate::tree::triggers::{TooManyMatches, Watched, Watching};
use crate::tree::{InodeKind, Unsatisfied};

/// The package an image has if it keeps apk.
const APK_TOOLS: &str = "apk-tools";

/// What the profile adds to the packages, and takes away.
#[derive(Debug, Clone)]
pub struct Additions {
    /// Groups to be there, as soon as the tree has accounts.
    pub groups: Vec<NewGroup>,
    /// Users to be there, as soon as the tree has accounts.
    pub users: Vec<NewUser>,
    /// The time that stands for "now" in the image. New lines of the shadow file state its day.
    pub epoch: Epoch,
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
    /// What was done with package scripts.
    pub scripts: ScriptsDone,
    /// Files that were changed before and stay; the packages' copies were dropped.
    pub kept: Vec<TreePath>,
    /// Files that were changed before, where changes are protected, and went with the packages that were removed.
    pub lost: Vec<TreePath>,
    /// Dependencies that pruning left unsatisfied.
    pub unsatisfied: Vec<Unsatisfied>,
    /// Devices that were left out: engines make those that a container gets.
    pub devices: Vec<TreePath>,
}

/// Why staging failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StageError {
    /// A package could not be placed.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A package, or an older version of it, could not be taken out.
    #[error("{package} cannot be removed: {error}")]
    Remove {
        /// Its name.
        package: String,
        /// What happened.
        error: ProtectedError,
    },
    /// The triggers watch too much.
    #[error(transparent)]
    Triggers(#[from] TooManyMatches),
    /// An account could not be added.
    #[error(transparent)]
    Accounts(#[from] AccountError),
    /// A script failed, or cannot be run.
    #[error(transparent)]
    Script(#[from] ScriptError),
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
            Self::Remove { error, .. } => error.kind(),
            Self::Triggers(error) => error.kind(),
            Self::Accounts(error) => error.kind(),
            Self::NothingToPrune { .. } => Kind::Profile,
            Self::Script(error) => error.kind(),
            Self::Overlay(error) => error.kind(),
            Self::Records(error) => error.kind(),
            Self::NotFetched { .. } => Kind::Internal,
            Self::Interrupted => Kind::Interrupted,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Place(error) => error.hint(),
            Self::Accounts(error) => error.hint(),
            Self::Overlay(error) => error.hint(),
            Self::Script(error) => error.hint(),
            Self::NothingToPrune { .. } => {
                Some("take it out of `packages` under [prune], or look at its spelling".to_owned())
            }
            Self::Records(error) => error.hint(),
            Self::Remove { error, .. } => error.hint(),
            Self::Triggers(_) | Self::NotFetched { .. } | Self::Interrupted => None,
        }
    }
}

/// Carries out `plan` on `base` with `packages`, those of the plan that have a file, in its order.
pub fn stage(
    plan: &Plan,
    base: Installation,
    packages: &[StoredPackage],
    additions: &Additions,
    scripts: ScriptOptions,
    reporter: &dyn Reporter,
) -> Result<Staged, StageError> {
    reporter.begin(report::Step::Stage, plan.steps.len() as u64);
    let mut staging = Staging {
        installation: base,
        additions,
        scripts: ScriptRunner::new(scripts, additions.arch, additions.epoch, reporter),
        leaving: plan.leaving(),
        accounts: AccountsWanted::Yes,
        changed: BTreeSet::new(),
        kept: Vec::new(),
        lost: Vec::new(),
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

fn remove_error(package: &str, error: ProtectedError) -> StageError {
    StageError::Remove { package: package.to_owned(), error }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum AccountsWanted {
    Yes,
    Done,
}

struct Staging<'a> {
    installation: Installation,
    additions: &'a Additions,
    scripts: ScriptRunner<'a>,
    leaving: HashSet<&'a str>,
    accounts: AccountsWanted,
    /// The directories of all that came, went or was replaced: what triggers are pulled by.
    changed: BTreeSet<TreePath>,
    kept: Vec<TreePath>,
    lost: Vec<TreePath>,
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
                self.note_changes(entry.name());
                let kept = self.installation.record(entry.clone());
                self.kept.extend(kept.map_err(|error| remove_error(entry.name(), error))?);
                Ok(())
            }
            Step::Repin { name, tag } => {
                self.installation.database.repin(name, tag.clone());
                Ok(())
            }
            Step::Purge { name } => self.purge(name),
        }
    }

    fn purge(&mut self, name: &str) -> Result<(), StageError> {
        let database = &self.installation.database;
        let Some(version) = database.package(name).map(|package| package.version().to_owned()) else {
            return Ok(());
        };
        let scripts = database.scripts.get(name).cloned().unwrap_or_default();
        let arguments = [version.clone()];
        self.script(name, &version, ScriptKind::PreDeinstall, &scripts, &arguments)?;
        self.note_changes(name);
        let lost = self.installation.purge(name).map_err(|error| remove_error(name, error))?;
        self.lost.extend(lost);
        if self.scripts.runs() {
            busybox::remove_dangling_links(&mut self.installation.tree);
        }
        // Nothing is left that could be marked as broken.
        self.script(name, &version, ScriptKind::PostDeinstall, &scripts, &arguments)?;
        Ok(())
    }

    /// Notes the directories that the package `name` has, if it is installed.
    fn note_changes(&mut self, name: &str) {
        let package = self.installation.database.package(name);
        let directories = package.into_iter().flat_map(|package| &package.directories);
        self.changed.extend(directories.map(|directory| directory.path.clone()));
    }

    fn place(&mut self, planned: &PlannedPackage, stored: &StoredPackage) -> Result<(), StageError> {
        let verified = stored.verified();
        let (name, new) = (planned.entry.name(), planned.entry.version());
        let old = self.installation.database.package(name).map(|package| package.version().to_owned());
        let (before, after) = match old {
            Some(_) => (ScriptKind::PreUpgrade, ScriptKind::PostUpgrade),
            None => (ScriptKind::PreInstall, ScriptKind::PostInstall),
        };
        let arguments: Vec<String> = [Some(new.to_owned()), old].into_iter().flatten().collect();
        let incoming = Incoming {
            package: verified,
            table: stored.table(),
            data: Arc::clone(stored.expanded().tar()),
            entry: planned.entry.clone(),
        };
        let went_before = self.script(name, new, before, verified.scripts(), &arguments)?;
        self.note_changes(name);
        let placed = self.installation.place(&incoming, &self.leaving)?;
        self.note_changes(name);
        self.kept.extend(placed.kept);
        self.add_accounts()?;
        let went_after = self.script(name, new, after, verified.scripts(), &arguments)?;
        if [went_before, went_after].contains(&Went::Wrong) {
            self.installation.database.mark_failed_script(name);
        }
        Ok(())
    }

    /// Adds the profile's accounts as soon as the tree has a file for them: packages that come later then
    /// find their names.
    fn add_accounts(&mut self) -> Result<(), StageError> {
        if self.accounts == AccountsWanted::Yes && accounts::can_add(&self.installation.tree) {
            self.accounts = AccountsWanted::Done;
            let Additions { groups, users, epoch, .. } = self.additions;
            accounts::add(&mut self.installation.tree, groups, users, epoch.day())?;
        }
        Ok(())
    }

    /// Runs the script of that `kind` if the package `name` has one among its `scripts`.
    fn script(
        &mut self,
        name: &str,
        version: &str,
        kind: ScriptKind,
        scripts: &Scripts,
        arguments: &[String],
    ) -> Result<Went, StageError> {
        let Some(text) = scripts.get(&kind) else { return Ok(Went::Well) };
        let script = Script { package: name, version, kind, text, arguments };
        Ok(self.scripts.run(&mut self.installation.tree, &script)?)
    }

    /// Triggers, once, at the end of everything that installs.
    fn triggers(&mut self, plan: &Plan) -> Result<(), StageError> {
        if plan.steps.is_empty() || !self.scripts.runs() {
            return Ok(());
        }
        let placed: HashSet<&str> = plan.packages().map(|planned| planned.entry.name()).collect();
        let known = self.installation.database.directories().into_iter();
        // Those that are gone changed too.
        let mut watching = Watching::among(known.chain(&self.changed).cloned().collect());
        for name in &plan.order {
            let database = &self.installation.database;
            let (Some(package), Some(scripts)) =
                (database.package(name), database.scripts.get(name.as_str()))
            else {
                continue;
            };
            if !scripts.contains_key(&ScriptKind::Trigger) {
                continue;
            }
            let (version, scripts) = (package.version().to_owned(), scripts.clone());
            let pulled = self.pulled_by(name, &placed, &mut watching)?;
            if pulled.is_empty() {
                continue;
            }
            if self.script(name, &version, ScriptKind::Trigger, &scripts, &pulled)? == Went::Wrong {
                self.installation.database.mark_failed_script(name);
            }
        }
        Ok(())
    }

    /// The directories that the trigger of the package `name` is told of: of those that it watches the ones that
    /// changed, and if it is among the `placed` itself, all that any package has.
    fn pulled_by(
        &self,
        name: &str,
        placed: &HashSet<&str>,
        watching: &mut Watching,
    ) -> Result<Vec<String>, TooManyMatches> {
        let Some(globs) = self.installation.database.triggers.get(name) else { return Ok(Vec::new()) };
        let is_placed = placed.contains(name);
        let pulls = |watched: &Watched<'_>| {
            self.changed.contains(watched.path) || (is_placed && !watched.only_if_changed)
        };
        let watched = watching.watched(globs)?.into_iter();
        Ok(watched.filter(pulls).map(|watched| watched.path.to_string()).collect())
    }

    fn finish(mut self) -> Result<Staged, StageError> {
        let scripts = self.scripts.take_done()?;
        if self.accounts == AccountsWanted::Yes {
            let Additions { groups, users, epoch, .. } = self.additions;
            accounts::add(&mut self.installation.tree, groups, users, epoch.day())?;
        }
        self.installation.tree.overlay(&self.additions.overlaid)?;
        if self.additions.root == RootPassword::Locked {
            accounts::lock_root(&mut self.installation.tree)?;
        }
        let unsatisfied = self.prune()?;
        let devices = self.take_devices();
        let Additions { arch, records: ApkRecords { lines, tags, keys }, .. } = self.additions;
        let keeps_apk = self.installation.database.package(APK_TOOLS).is_some();
        let keys: &[(String, Vec<u8>)] = if keeps_apk { keys } else { &[] };
        self.installation.write_records(&Records { arch: *arch, repositories: lines, tags, keys })?;
        Ok(Staged {
            installation: self.installation,
            scripts,
            kept: self.kept,
            lost: self.lost,
            unsatisfied,
            devices,
        })
    }

    /// Takes out the device nodes, but for those that would delete a file in an image: they are refused later,
    /// because nobody has them by accident.
    fn take_devices(&mut self) -> Vec<TreePath> {
        let tree = &self.installation.tree;
        let is_device = |kind: &InodeKind| match kind {
            InodeKind::CharacterDevice(device) => (device.major, device.minor) != (0, 0),
            InodeKind::BlockDevice(_) => true,
            InodeKind::File(_) | InodeKind::Directory | InodeKind::Symlink(_) | InodeKind::Fifo => false,
        };
        let devices: Vec<TreePath> = tree
            .entries()
            .filter(|(_, _, inode)| is_device(&inode.kind))
            .map(|(path, _, _)| path.clone())
            .collect();
        for path in &devices {
            self.installation.tree.remove_all(path);
        }
        devices
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
