//! `apkcompose build`, which is also `apkcompose` alone.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::args::{Build, Format, Progress, SandboxKind, Scripts, Words};
use super::render::{self, Failure};
use super::session::{Session, no_profile, sandbox, today};
use super::summary;
use crate::compose::output::{self, Destination, ImageForm, Output, OutputKind};
use crate::compose::scripts::{ScriptOptions, ScriptPolicy};
use crate::compose::{self, BuildOptions, Report};
use crate::image::Epoch;
use crate::sandbox::Confinement;

/// The variable that reproducible builds set.
const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

pub(super) fn run(arguments: &Build) -> Result<(), Failure> {
    let Some(name) = &arguments.profile else {
        return Err(no_profile("apkcompose --profile demo"));
    };
    let session = Session::open(&arguments.shared)?;
    let draft = session.draft(name, &arguments.tag)?;
    let outputs = outputs(arguments, draft.name());
    let options = BuildOptions {
        architectures: arguments.shared.architectures(),
        scripts: scripts(arguments, output::spool_directory(&outputs)),
        outputs,
        epoch: epoch(arguments.epoch)?,
        context: arguments.context.clone(),
        today: today(),
    };
    let report = compose::build(&session.fetcher(), &draft, &options)?;
    print(&report, arguments, &options)
}

fn outputs(arguments: &Build, name: &str) -> Vec<Output> {
    if arguments.dry_run {
        return Vec::new();
    }
    if arguments.output.is_empty() {
        let destination = Destination::Path(format!("./{name}.tar").into());
        return vec![Output { kind: OutputKind::Archive(ImageForm::default()), destination }];
    }
    arguments.output.clone()
}

fn scripts(arguments: &Build, directory: PathBuf) -> ScriptOptions {
    let mut sandbox = sandbox(directory);
    sandbox.confinement = match arguments.sandbox {
        SandboxKind::Auto => Confinement::Auto,
        SandboxKind::Namespaces => Confinement::Namespaces,
        SandboxKind::Chroot => Confinement::Chroot,
    };
    if let Some(seconds) = arguments.script_timeout {
        sandbox.limits.time = Duration::from_secs(seconds.get().into());
    }
    let policy = match arguments.scripts {
        Scripts::Auto => ScriptPolicy::Auto,
        Scripts::Warn => ScriptPolicy::Warn,
        Scripts::Skip => ScriptPolicy::Skip,
    };
    ScriptOptions { policy, sandbox, accounts: BTreeMap::new() }
}

/// `--epoch`, else `SOURCE_DATE_EPOCH`.
fn epoch(option: Option<i64>) -> Result<Option<Epoch>, Failure> {
    let of_environment = || {
        let text = std::env::var_os(SOURCE_DATE_EPOCH).filter(|text| !text.is_empty())?;
        let text = text.to_string_lossy();
        Some(text.parse().map_err(|_| {
            Failure::usage(
                format!("{SOURCE_DATE_EPOCH} is `{text}`, which is no number of seconds"),
                "unset it, or set it to seconds since 1970",
            )
        }))
    };
    let seconds = match option {
        Some(seconds) => Some(seconds),
        None => of_environment().transpose()?,
    };
    Ok(seconds.map(Epoch::new).transpose()?)
}

/// The report goes to standard output if a program wants it and the image does not go there.
fn print(report: &Report, arguments: &Build, options: &BuildOptions) -> Result<(), Failure> {
    let Words { quiet, progress, .. } = arguments.shared.words;
    let pipe = options.outputs.iter().any(|output| output.destination == Destination::Stdout);
    match arguments.format {
        Format::Json if pipe => render::words(&render::json(report)),
        Format::Json => return render::data(&render::json(report)),
        Format::Text if arguments.dry_run => return render::data(&summary::of_plan(report)),
        Format::Text if quiet => {}
        // Whoever reads events reads nothing else from there.
        Format::Text if progress == Progress::Json => {
            render::words(&format!("{}\n", json!({ "event": "done", "report": report })));
        }
        Format::Text => render::words(&summary::of_build(report, options)),
    }
    Ok(())
}
