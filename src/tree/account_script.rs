//! Package scripts that do nothing but add groups and users, applied to a tree without running anything.
//!
//! What such a script does is certain where its commands are BusyBox's and the files of accounts are as
//! everybody reads them; it is then done here line by line as BusyBox would do it, for every architecture. A script
//! in any other words is none of these, and where the tree leaves a doubt nothing is changed: such a script is to
//! be run. What a script prints is not told, nor the copies kept (`/etc/passwd-`) that BusyBox leaves.
//!
//! Source: BusyBox 1.36.1 of Alpine 3.19 (`ash`, `addgroup`, `adduser`), measured; 1.32.1 of Alpine 3.13 gives
//! the same where it could be run.

mod command;
mod effect;
mod programs;
mod shell;
#[cfg(test)]
mod tests;

use super::Tree;
use super::accounts::AccountError;
use command::Command;
use effect::{Effect, Status};
use shell::Line;

/// A script that does nothing but add groups and users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountScript {
    steps: Vec<Step>,
}

/// What became of applying a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Applied {
    /// The tree is as the script would have left it, and it would have succeeded.
    Done,
    /// It is not certain what the script would do, or it would fail. The tree is as it was.
    NotCertain,
}

/// One of a script's commands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    command: Command,
    failure: Failure,
}

/// What comes of a command that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// The script goes on, and fails itself if that was its end.
    Counts,
    /// Another command, which succeeds, is run instead: `|| true`.
    Ignored,
}

impl AccountScript {
    /// The script `text`, or nothing if it may do anything else than add groups and users.
    pub fn of(text: &[u8]) -> Option<Self> {
        let lines = shell::lines(std::str::from_utf8(text).ok()?)?;
        let step = |Line { words, failure }: Line| Some(Step { command: Command::of(&words)?, failure });
        Some(Self { steps: lines.into_iter().map(step).collect::<Option<_>>()? })
    }

    /// Does to `tree` what the script would do.
    ///
    /// `day` is the day, counted from 1970, that the shadow file states as that of the last change.
    pub fn apply(&self, tree: &mut Tree, day: i64) -> Result<Applied, AccountError> {
        if !programs::runs_scripts(tree) {
            return Ok(Applied::NotCertain);
        }
        let names = self.steps.iter().flat_map(|step| step.command.programs());
        if names.into_iter().all(|name| programs::is_busybox(tree, name)) {
            self.apply_commands(tree, day)
        } else {
            Ok(Applied::NotCertain)
        }
    }

    fn apply_commands(&self, tree: &mut Tree, day: i64) -> Result<Applied, AccountError> {
        if self.steps.iter().all(|step| step.command == Command::Nothing) {
            return Ok(Applied::Done);
        }
        let Some(mut effect) = Effect::on(tree, day)? else { return Ok(Applied::NotCertain) };
        let mut last = Status::Success;
        for Step { command, failure } in &self.steps {
            let Some(status) = effect.run(command) else { return Ok(Applied::NotCertain) };
            last = if *failure == Failure::Ignored { Status::Success } else { status };
        }
        if last == Status::Failure {
            return Ok(Applied::NotCertain);
        }
        effect.finish().write(tree)?;
        Ok(Applied::Done)
    }
}
