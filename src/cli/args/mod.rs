//! What can be typed: a file per command, and what several share in [`shared`].

mod author;
mod build;
mod cache;
mod profiles;
mod resolve;
mod shared;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::Shell;

use super::render::{Look, words};

pub(super) use author::{Index, Package};
pub(super) use build::{Build, SandboxKind, Scripts};
pub(super) use cache::{Cache, CachePlace};
pub(super) use profiles::Profiles;
pub(super) use resolve::{AnswerFormat, Question, Resolve, Why, WhyNot};
pub(super) use shared::{Format, ProfileArgs, Progress, Words};

const EXAMPLES: &str = "\
Examples:
  apkcompose --profile demo
      the built-in demo, without a network, as ./demo.tar; then: docker load -i demo.tar
  apkcompose profiles show base
      a built-in profile as an example to begin with
  apkcompose --profile ./php-fpm.toml --mirror /srv/alpine -t example/php-fpm:8.3
      an image of your own profile from a local mirror
  apkcompose --profile web -o type=tar,dest=- | docker import - web
      the root filesystem alone, through a pipe
  apkcompose why --profile web zlib
      what brings a package into the image, and what it costs

Variables of the environment that take several values have one a line; APKCOMPOSE_TAG also takes commas.

Exit codes: 0 done; 1 internal; 2 usage; 3 profile or input; 4 network or file missing; 5 integrity;
6 unsolvable; 7 a script failed; 8 a limit was passed; 130 interrupted.";

/// Composes minimal Alpine Linux images without Docker, without root and without apk.
#[derive(Debug, Parser)]
#[command(name = "apkcompose", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) build: Build,
}

impl Arguments {
    /// What was typed, and what the environment says. Ends the program where that is wrong.
    pub(super) fn of_process() -> Self {
        let matches = Self::settled_command().try_get_matches();
        matches.and_then(|matches| Self::from_arg_matches(&matches)).unwrap_or_else(|error| end(&error))
    }

    /// The command with what holds for every option: an empty variable of the environment is none, as
    /// continuous integration leaves them, and help does not show what the variables hold.
    fn settled_command() -> clap::Command {
        fn settled(command: clap::Command) -> clap::Command {
            command.mut_args(settled_option).mut_subcommands(settled)
        }
        fn settled_option(option: clap::Arg) -> clap::Arg {
            let value = option.get_env().and_then(std::env::var_os);
            let option = option.hide_env_values(true);
            if value.is_some_and(|value| value.is_empty()) { option.env(None) } else { option }
        }
        settled(Self::command())
    }

    /// How the command shows progress, and so how it shows a failure.
    pub(super) fn progress(&self) -> Progress {
        match &self.command {
            None => self.build.shared.words.progress,
            Some(Command::Build(build)) => build.shared.words.progress,
            Some(Command::Resolve(resolve)) => resolve.shared.words.progress,
            Some(Command::Why(why)) => why.question.shared.words.progress,
            Some(Command::WhyNot(why_not)) => why_not.question.shared.words.progress,
            Some(Command::Profiles { command: Profiles::Check { shared, .. } }) => shared.words.progress,
            Some(
                Command::Profiles { command: Profiles::List { .. } | Profiles::Show { .. } }
                | Command::Package(_)
                | Command::Index(_)
                | Command::Cache { .. }
                | Command::Completions { .. },
            ) => Progress::None,
        }
    }
}

/// Says what is wrong with the arguments, and where the value is from if it was not typed.
fn end(error: &clap::Error) -> ! {
    // Nobody is left to tell if standard error is gone.
    let _ = error.print();
    if let Some(variable) = variable_of(error) {
        let hint = Look::of_terminal().hint();
        words(&format!("{hint}: the value is that of {variable} in the environment\n"));
    }
    std::process::exit(error.exit_code())
}

/// The variable of the environment whose value is wrong. The parser names options alone.
fn variable_of(error: &clap::Error) -> Option<String> {
    let context = |kind| match error.get(kind)? {
        ContextValue::String(text) => Some(text.as_str()),
        _ => None,
    };
    let option = context(ContextKind::InvalidArg)?.split_ascii_whitespace().next()?.strip_prefix("--")?;
    let value = context(ContextKind::InvalidValue)?;
    if std::env::args().any(|argument| argument.contains(value)) {
        return None;
    }
    let variable = format!("APKCOMPOSE_{}", option.to_ascii_uppercase().replace('-', "_"));
    let epoch = (option == "epoch").then(|| "SOURCE_DATE_EPOCH".to_owned());
    let has_value =
        |name: &String| std::env::var_os(name).is_some_and(|text| text.to_string_lossy().contains(value));
    [Some(variable), epoch].into_iter().flatten().find(has_value)
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Build an image (also without the word `build`)
    #[command(after_help = build::EXAMPLES)]
    Build(Box<Build>),
    Resolve(Box<Resolve>),
    Why(Box<Why>),
    WhyNot(Box<WhyNot>),
    /// List, show and check profiles
    #[command(after_help = "\
Examples:
  apkcompose profiles list
  apkcompose profiles show base >web.toml
  apkcompose profiles check web.toml --mirror /srv/alpine")]
    Profiles {
        #[command(subcommand)]
        command: Profiles,
    },
    /// Make a package from a directory
    Package(Package),
    /// Make the index of a repository
    Index(Index),
    /// Look at the cache, or give room back
    #[command(after_help = "\
Examples:
  apkcompose cache info
  apkcompose cache prune --days 30")]
    Cache {
        #[command(subcommand)]
        command: Cache,
    },
    /// Print completions for a shell
    #[command(after_help = "\
Examples:
  apkcompose completions bash >~/.local/share/bash-completion/completions/apkcompose
  apkcompose completions zsh >~/.zfunc/_apkcompose
  apkcompose completions fish >~/.config/fish/completions/apkcompose.fish")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::settled_command().debug_assert();
    }
}
