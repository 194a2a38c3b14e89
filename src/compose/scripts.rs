//! The scripts and triggers of packages: the one place where one is run, or done without being run.
//!
//! A script whose effect is certain is applied to the tree; any other runs in the sandbox, with the arguments and the
//! environment that apk gives it. Whether a script may fail, and what is done where none can run, is the
//! [`ScriptPolicy`]. When which script has its turn is [`super::stage`]'s.
//!
//! Source: design, "Staging", "Sandbox"; spec apk v2, "Install semantics", Scripts; measured on apk 2.14.4.

use std::collections::BTreeMap;

use rustix::time::{ClockId, clock_gettime};

use super::foreign;
use crate::apk::package::ScriptKind;
use crate::arch::Arch;
use crate::image::Epoch;
use crate::kind::{Explain, Kind};
use crate::profile::units::Size;
use crate::report::Reporter;
use crate::sandbox::{Counters, Ended, Program, Run, Sandbox, SandboxError, SandboxOptions};
use crate::tree::Tree;
use crate::tree::account_script::{AccountScript, Applied};
use crate::tree::accounts::{AccountError, AccountsBefore, AddedAccounts, HeldNumbers};
use crate::tree::busybox::{BusyboxError, BusyboxScript};
use crate::tree::shadow::{ShadowBefore, ShadowError};

/// The search path of scripts.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// What becomes of package scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScriptPolicy {
    /// They run, and one that fails, or cannot run here, is an error.
    #[default]
    Auto,
    /// They run; one that fails, or cannot run here, is told, and the package is marked as apk marks it.
    Warn,
    /// None runs; those whose effect is certain are applied, and nothing is said of the others: for questions, which
    /// are to execute nothing of anybody's.
    Certain,
    /// None runs, as with `apk --no-scripts`.
    Skip,
}

/// What becomes of package scripts, and where they run.
#[derive(Debug, Clone)]
pub struct ScriptOptions {
    /// What becomes of them.
    pub policy: ScriptPolicy,
    /// Where they run.
    pub sandbox: SandboxOptions,
    /// The accounts that scripts added when this was built before, by package: those accounts keep their numbers,
    /// whatever other packages there are now.
    pub accounts: BTreeMap<String, AddedAccounts>,
}

/// What was done with scripts, each as `package-version.kind`.
#[derive(Debug, Clone, Default)]
pub struct ScriptsDone {
    /// Those that ran.
    pub run: Vec<String>,
    /// Those that were applied without being run.
    pub applied: Vec<String>,
    /// Those that could not be run, or were not to be.
    pub not_run: Vec<String>,
    /// The accounts that they added, by package.
    pub accounts: BTreeMap<String, AddedAccounts>,
    /// What it took to run them.
    pub materialised: Counters,
}

/// Why staging ends at the scripts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// A script failed.
    #[error("the script {script} {how}{}", indented(.output), how = how(.ended))]
    Failed {
        /// The script, as `package-version.kind`.
        script: String,
        /// How it ended.
        ended: Ended,
        /// The last lines that it printed.
        output: Vec<String>,
    },
    /// Scripts cannot be run.
    #[error("{}: {reason}{}", not_run(.scripts), indented(.scripts))]
    NotRun {
        /// Why not.
        reason: String,
        /// What could be done about it.
        advice: Option<String>,
        /// Which ones, as `package-version.kind`.
        scripts: Vec<String>,
    },
    /// The links of BusyBox could not be made.
    #[error(transparent)]
    Busybox(#[from] BusyboxError),
    /// The accounts that a script adds to cannot be read or written.
    #[error("the script {script} cannot add accounts: {error}")]
    Accounts {
        /// The script, as `package-version.kind`.
        script: String,
        /// What is wrong with them.
        error: AccountError,
    },
    /// What a script made of the accounts cannot be read.
    #[error("the script {script} left accounts that cannot be used: {error}")]
    Shadow {
        /// The script, as `package-version.kind`.
        script: String,
        /// What is wrong with them.
        error: ShadowError,
    },
    /// A script cannot be run to its end, or what it made not be taken over.
    #[error("cannot complete the script {script}: {error}")]
    Sandbox {
        /// The script, as `package-version.kind`.
        script: String,
        /// What happened.
        error: SandboxError,
    },
    /// The user stopped it.
    #[error("interrupted")]
    Interrupted,
}

impl Explain for ScriptError {
    fn kind(&self) -> Kind {
        match self {
            Self::Failed {
                ended:
                    Ended::TooLong { .. }
                    | Ended::TooManyProcesses { .. }
                    | Ended::TooMuchMemory { .. }
                    | Ended::TooMuchSpace { .. },
                ..
            } => Kind::Limit,
            Self::Failed { .. } | Self::NotRun { .. } => Kind::Script,
            Self::Busybox(error) => error.kind(),
            Self::Accounts { error, .. } => error.kind(),
            Self::Shadow { error, .. } => error.kind(),
            Self::Sandbox { error, .. } => error.kind(),
            Self::Interrupted => Kind::Interrupted,
        }
    }

    fn hint(&self) -> Option<String> {
        const GO_ON: &str = "--scripts warn goes on as apk does, and marks the package as broken; \
            --scripts skip runs no scripts";
        match self {
            Self::Failed { ended: Ended::TooLong { .. }, .. } => {
                Some(format!("--script-timeout SECONDS gives scripts more time\n{GO_ON}"))
            }
            Self::Failed { ended: Ended::NotExecuted(_), .. } => Some(format!(
                "a script needs what interprets it, as a rule /bin/sh, which busybox-binsh brings\n{GO_ON}"
            )),
            Self::Failed { .. } => Some(GO_ON.to_owned()),
            Self::NotRun { advice, .. } => {
                let advice = advice.as_ref().map(|advice| format!("{advice}\n")).unwrap_or_default();
                Some(format!(
                    "{advice}--scripts warn makes the image without what they would do in it; \
                     --scripts skip does so silently"
                ))
            }
            Self::Busybox(error) => error.hint(),
            Self::Accounts { error, .. } => error.hint(),
            Self::Shadow { error, .. } => error.hint(),
            // `warn` is of no use: what is in the tree is not what the script left.
            Self::Sandbox { error, .. } => {
                Some(error.hint().unwrap_or_else(|| "--scripts skip runs no scripts".to_owned()))
            }
            Self::Interrupted => None,
        }
    }
}

/// How a program ended, as the end of a sentence about it.
fn how(ended: &Ended) -> String {
    match ended {
        Ended::Exited(status) => format!("failed with status {status}"),
        Ended::Killed(signal) => format!("was killed by signal {signal}"),
        Ended::NotExecuted(reason) => format!("could not be executed: {reason}"),
        Ended::TooLong { limit } => {
            format!("took longer than the limit of {} seconds and was ended", limit.as_secs())
        }
        Ended::TooManyProcesses { limit } => {
            format!("started more than the limit of {limit} processes and threads and was ended")
        }
        Ended::TooMuchMemory { limit } => {
            format!("used more memory than the limit of {} and was ended", Size(*limit))
        }
        Ended::TooMuchSpace { limit } => {
            format!("wrote more to the root filesystem than the limit of {} and was ended", Size(*limit))
        }
    }
}

fn not_run(scripts: &[String]) -> String {
    match scripts.len() {
        1 => "a package script cannot be run".to_owned(),
        count => format!("{count} package scripts cannot be run"),
    }
}

fn indented(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |text, line| text + "\n  " + line)
}

/// A script that has its turn.
#[derive(Debug)]
pub(super) struct Script<'s> {
    /// The package's name.
    pub(super) package: &'s str,
    /// Its version: of the one that comes, or goes.
    pub(super) version: &'s str,
    /// Which script it is.
    pub(super) kind: ScriptKind,
    /// The script.
    pub(super) text: &'s [u8],
    /// Its arguments.
    pub(super) arguments: &'s [String],
}

impl Script<'_> {
    /// `name-version.kind`.
    fn name(&self) -> String {
        format!("{}-{}.{}", self.package, self.version, self.kind)
    }

    /// Does what it would do, if that is certain.
    fn apply(&self, tree: &mut Tree, day: i64) -> Result<Applied, ScriptError> {
        if let Some(script) = BusyboxScript::of(self.package, self.kind, self.text) {
            return Ok(script.apply(tree, self.arguments)?);
        }
        let Some(script) = AccountScript::of(self.text) else { return Ok(Applied::NotCertain) };
        script.apply(tree, day).map_err(|error| ScriptError::Accounts { script: self.name(), error })
    }
}

/// How a script went, as far as its package is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Went {
    Well,
    Wrong,
}

/// Where programs run.
#[derive(Debug)]
enum Place {
    Sandbox(Box<Sandbox>),
    /// Nowhere, because none is to run.
    Unwanted,
    /// Nowhere, for a reason, about which something may be done.
    Nowhere {
        reason: String,
        advice: Option<String>,
    },
}

/// The day it is by the system's clock, counted from 1970. The kernel is asked, as what a script runs asks it: a library
/// that is loaded to show another day (faketime) is not loaded there.
fn clock_day() -> i64 {
    clock_gettime(ClockId::Realtime).tv_sec.div_euclid(24 * 60 * 60)
}

/// Runs scripts.
pub(super) struct ScriptRunner<'r> {
    policy: ScriptPolicy,
    day: i64,
    place: Place,
    reporter: &'r dyn Reporter,
    /// The accounts that scripts added before, by package.
    recorded: BTreeMap<String, AddedAccounts>,
    done: ScriptsDone,
}

impl<'r> ScriptRunner<'r> {
    /// Runs scripts of packages for `arch`; `epoch` stands for "now" in the image.
    pub(super) fn new(options: ScriptOptions, arch: Arch, epoch: Epoch, reporter: &'r dyn Reporter) -> Self {
        let ScriptOptions { policy, sandbox, accounts } = options;
        let place = match policy {
            ScriptPolicy::Certain | ScriptPolicy::Skip => Place::Unwanted,
            ScriptPolicy::Auto | ScriptPolicy::Warn => match foreign::obstacle(arch) {
                None => Place::Sandbox(Box::new(Sandbox::new(sandbox, epoch.seconds()))),
                Some(reason) => Place::Nowhere { reason, advice: Some(foreign::ADVICE.to_owned()) },
            },
        };
        Self { policy, day: epoch.day(), place, reporter, recorded: accounts, done: ScriptsDone::default() }
    }

    /// Whether scripts run, or what they do is to be done without.
    pub(super) fn runs(&self) -> bool {
        self.policy != ScriptPolicy::Skip
    }

    /// Runs `script` in `tree`, or does what it would do, and notes the accounts that it adds.
    pub(super) fn run(&mut self, tree: &mut Tree, script: &Script<'_>) -> Result<Went, ScriptError> {
        if !self.runs() {
            return Ok(Went::Well);
        }
        let of_accounts = |error| ScriptError::Accounts { script: script.name(), error };
        let before = AccountsBefore::of(tree).map_err(of_accounts)?;
        let held = self.prepare_accounts(tree, script.package).map_err(of_accounts)?;
        let went = self.run_or_apply(tree, script)?;
        held.release(tree).map_err(of_accounts)?;
        let added = before.added_in(tree).map_err(of_accounts)?;
        if !added.is_empty() {
            self.done.accounts.entry(script.package.to_owned()).or_default().extend(added);
        }
        Ok(went)
    }

    /// Makes the accounts that the scripts of `package` added before; for one that is not known, holds the numbers of
    /// all others'.
    fn prepare_accounts(&self, tree: &mut Tree, package: &str) -> Result<HeldNumbers, AccountError> {
        match self.recorded.get(package) {
            Some(recorded) => {
                recorded.make(tree, self.day)?;
                HeldNumbers::hold(tree, [])
            }
            None => HeldNumbers::hold(tree, self.recorded.values()),
        }
    }

    fn run_or_apply(&mut self, tree: &mut Tree, script: &Script<'_>) -> Result<Went, ScriptError> {
        let name = script.name();
        if script.apply(tree, self.day)? == Applied::Done {
            self.done.applied.push(name);
            return Ok(Went::Well);
        }
        let Some(Run { ended, output }) = self.run_in_sandbox(tree, script, &name)? else {
            self.done.not_run.push(name);
            return Ok(Went::Well);
        };
        self.done.run.push(name.clone());
        if ended == Ended::Exited(0) {
            return Ok(Went::Well);
        }
        let failed = ScriptError::Failed { script: name, ended, output };
        if self.policy == ScriptPolicy::Auto {
            return Err(failed);
        }
        self.reporter.warn(&failed.to_string());
        Ok(Went::Wrong)
    }

    /// What came of it; nothing if nothing can, or is to, be run.
    fn run_in_sandbox(
        &mut self,
        tree: &mut Tree,
        script: &Script<'_>,
        name: &str,
    ) -> Result<Option<Run>, ScriptError> {
        let Place::Sandbox(sandbox) = &mut self.place else { return Ok(None) };
        let environment =
            [("PATH", PATH), ("APK_SCRIPT", script.kind.as_str()), ("APK_PACKAGE", script.package)];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let program =
            Program { name, text: script.text, arguments: script.arguments, environment: &environment };
        let of_accounts = |error| ScriptError::Shadow { script: name.to_owned(), error };
        let shadow = ShadowBefore::of(tree).map_err(of_accounts)?;
        let began = clock_day();
        let run = match sandbox.run(tree, &program, self.reporter) {
            Ok(run) => run,
            Err(error @ SandboxError::Unavailable { .. }) => {
                self.place = Place::Nowhere { reason: error.to_string(), advice: error.hint() };
                return Ok(None);
            }
            Err(SandboxError::Interrupted) => return Err(ScriptError::Interrupted),
            Err(error) => return Err(ScriptError::Sandbox { script: name.to_owned(), error }),
        };
        shadow.settle(tree, began..=clock_day(), self.day).map_err(of_accounts)?;
        Ok(Some(run))
    }

    /// What was done since this was asked last; an error that names them if there were scripts that could not be run.
    pub(super) fn take_done(&mut self) -> Result<ScriptsDone, ScriptError> {
        let mut done = std::mem::take(&mut self.done);
        match &self.place {
            Place::Sandbox(sandbox) => done.materialised = sandbox.counters(),
            Place::Nowhere { reason, advice } if !done.not_run.is_empty() => {
                let (reason, advice, scripts) = (reason.clone(), advice.clone(), done.not_run.clone());
                let error = ScriptError::NotRun { reason, advice, scripts };
                if self.policy == ScriptPolicy::Auto {
                    return Err(error);
                }
                self.reporter.warn(&error.to_string());
            }
            Place::Nowhere { .. } | Place::Unwanted => {}
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_happens_in_the_sandbox_is_said_of_a_script_with_a_way_out() {
        let path = crate::path::TreePath::relative("srv/large").unwrap();
        let error = crate::sandbox::workroot::WorkrootError::TooManyBytes { path, length: 9, limit: 5 };
        let (script, error) = ("a-1.trigger".to_owned(), SandboxError::Workroot(error));
        let error = ScriptError::Sandbox { script, error };
        assert!(
            error.to_string().starts_with("cannot complete the script a-1.trigger: a program wrote more")
        );
        assert_eq!(error.kind(), Kind::Limit);
        assert!(error.hint().is_some_and(|hint| hint.contains("--scripts skip")));
    }

    #[test]
    fn a_limit_that_is_passed_is_named() {
        for (ended, words) in [
            (Ended::TooLong { limit: Duration::from_secs(300) }, "longer than the limit of 300 seconds"),
            (Ended::TooManyProcesses { limit: 1024 }, "more than the limit of 1024 processes and threads"),
            (Ended::TooMuchMemory { limit: 4 << 30 }, "more memory than the limit of 4GiB"),
            (Ended::TooMuchSpace { limit: 5 << 20 }, "more to the root filesystem than the limit of 5MiB"),
        ] {
            assert!(how(&ended).contains(words), "{}", how(&ended));
        }
    }

    #[test]
    fn a_limit_that_is_passed_is_one_and_every_other_end_is_a_failure() {
        for (ended, kind) in [
            (Ended::Exited(1), Kind::Script),
            (Ended::Killed(9), Kind::Script),
            (Ended::NotExecuted("no".to_owned()), Kind::Script),
            (Ended::TooLong { limit: Duration::from_secs(300) }, Kind::Limit),
            (Ended::TooManyProcesses { limit: 1024 }, Kind::Limit),
            (Ended::TooMuchMemory { limit: 4 << 30 }, Kind::Limit),
            (Ended::TooMuchSpace { limit: 4 << 30 }, Kind::Limit),
        ] {
            let error = ScriptError::Failed { script: "a-1.trigger".to_owned(), ended, output: Vec::new() };
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("--scripts warn")), "{error}");
        }
    }
}
