//! The scripts and triggers of packages: the one place where one is run, or done without being run.
//!
//! A script whose effect is certain is applied to the tree; any other runs in the sandbox, with the arguments and the
//! environment that apk gives it. Whether a script may fail, and what is done where none can run, is the
//! [`ScriptPolicy`]. When which script has its turn is [`super::stage`]'s.
//!
//! Source: design, "Staging", "Sandbox"; spec apk v2, "Install semantics", Scripts; measured on apk 2.14.4.

use super::foreign;
use crate::apk::package::ScriptKind;
use crate::arch::Arch;
use crate::image::Epoch;
use crate::kind::{Explain, Kind};
use crate::report::Reporter;
use crate::sandbox::{Counters, Ended, Program, Run, Sandbox, SandboxError, SandboxOptions};
use crate::tree::Tree;
use crate::tree::account_script::{AccountScript, Applied};
use crate::tree::accounts::AccountError;
use crate::tree::busybox::{BusyboxError, BusyboxScript};
use crate::tree::shadow::{AccountFiles, AccountFilesError};

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
}

/// What was done with scripts, each as `package-version.kind`.
#[derive(Debug, Clone, Default)]
pub struct ScriptsDone {
    /// Those that ran.
    pub run: Vec<String>,
    /// Those that were applied without being run.
    pub applied: Vec<String>,
    /// Those that could not be run.
    pub not_run: Vec<String>,
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
    AccountFiles {
        /// The script, as `package-version.kind`.
        script: String,
        /// What is wrong with them.
        error: AccountFilesError,
    },
    /// The sandbox failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

impl Explain for ScriptError {
    fn kind(&self) -> Kind {
        match self {
            Self::Failed { ended: Ended::TooLong | Ended::TooMuchMemory | Ended::TooMuchSpace, .. } => {
                Kind::Limit
            }
            Self::Failed { .. } | Self::NotRun { .. } => Kind::Script,
            Self::Busybox(error) => error.kind(),
            Self::Accounts { error, .. } => error.kind(),
            Self::AccountFiles { error, .. } => error.kind(),
            Self::Sandbox(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        const GO_ON: &str = "--scripts warn goes on as apk does, and marks the package as broken; \
            --scripts skip runs no scripts";
        match self {
            Self::Failed { ended: Ended::TooLong, .. } => {
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
            Self::AccountFiles { error, .. } => error.hint(),
            Self::Sandbox(error) => error.hint(),
        }
    }
}

/// How a program ended, as the end of a sentence about it.
fn how(ended: &Ended) -> String {
    match ended {
        Ended::Exited(status) => format!("failed with status {status}"),
        Ended::Killed(signal) => format!("was killed by signal {signal}"),
        Ended::NotExecuted(reason) => format!("could not be executed: {reason}"),
        Ended::TooLong => "took too long and was ended".to_owned(),
        Ended::TooMuchMemory => "used too much memory and was ended".to_owned(),
        Ended::TooMuchSpace => "wrote too much and was ended".to_owned(),
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
    pub(super) arguments: Vec<String>,
}

impl Script<'_> {
    /// `name-version.kind`.
    fn name(&self) -> String {
        format!("{}-{}.{}", self.package, self.version, self.kind)
    }

    /// Does what it would do, if that is certain.
    fn apply(&self, tree: &mut Tree, day: i64) -> Result<Applied, ScriptError> {
        if let Some(script) = BusyboxScript::of(self.package, self.kind, self.text) {
            return Ok(script.apply(tree, &self.arguments)?);
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
    /// Nowhere, for a reason, about which something may be done.
    Nowhere {
        reason: String,
        advice: Option<String>,
    },
}

/// Runs scripts.
pub(super) struct ScriptRunner<'r> {
    policy: ScriptPolicy,
    day: i64,
    place: Place,
    reporter: &'r dyn Reporter,
    done: ScriptsDone,
}

impl<'r> ScriptRunner<'r> {
    /// Runs scripts of packages for `arch`; `epoch` stands for "now" in the image.
    pub(super) fn new(options: ScriptOptions, arch: Arch, epoch: Epoch, reporter: &'r dyn Reporter) -> Self {
        let ScriptOptions { policy, sandbox } = options;
        let place = match foreign::obstacle(arch) {
            None => Place::Sandbox(Box::new(Sandbox::new(sandbox, epoch.seconds()))),
            Some(reason) => Place::Nowhere { reason, advice: Some(foreign::ADVICE.to_owned()) },
        };
        Self { policy, day: epoch.day(), place, reporter, done: ScriptsDone::default() }
    }

    /// Whether scripts run, and what they do is to be done.
    pub(super) fn runs(&self) -> bool {
        self.policy != ScriptPolicy::Skip
    }

    /// Runs `script` in `tree`, or does what it would do.
    pub(super) fn run(&mut self, tree: &mut Tree, script: &Script<'_>) -> Result<Went, ScriptError> {
        if !self.runs() {
            return Ok(Went::Well);
        }
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

    /// What came of it; nothing if nothing can be run.
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
            Program { name, text: script.text, arguments: &script.arguments, environment: &environment };
        let of_accounts = |error| ScriptError::AccountFiles { script: name.to_owned(), error };
        let accounts = AccountFiles::of(tree).map_err(of_accounts)?;
        let run = match sandbox.run(tree, &program, self.reporter) {
            Ok(run) => run,
            Err(error @ SandboxError::Unavailable { .. }) => {
                self.place = Place::Nowhere { reason: error.to_string(), advice: error.hint() };
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        accounts.settle(tree, self.day).map_err(of_accounts)?;
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
            Place::Nowhere { .. } => {}
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_passed_is_one_and_every_other_end_is_a_failure() {
        for (ended, kind) in [
            (Ended::Exited(1), Kind::Script),
            (Ended::Killed(9), Kind::Script),
            (Ended::NotExecuted("no".to_owned()), Kind::Script),
            (Ended::TooLong, Kind::Limit),
            (Ended::TooMuchMemory, Kind::Limit),
            (Ended::TooMuchSpace, Kind::Limit),
        ] {
            let error = ScriptError::Failed { script: "a-1.trigger".to_owned(), ended, output: Vec::new() };
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("--scripts warn")), "{error}");
        }
    }
}
