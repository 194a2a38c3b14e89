//! What a build says for people: the plan of `--dry-run`, and the summary with the way on.

use std::fmt::Write as _;
use std::time::Duration;

use super::render::{self, Look, bytes, counted};
use crate::arch::Arch;
use crate::archive::codec::Algorithm;
use crate::compose::answer::ResolvedStep;
use crate::compose::output::{Destination, OutputKind};
use crate::compose::{ArchReport, BuildOptions, Report, ReportedImage};

/// The columns that a list in the summary may fill.
const WIDTH: usize = 100;
/// How many digits of an image's ID docker shows, and takes.
const SHORT_ID: usize = 12;
/// Programs that wait for somebody to type.
const SHELLS: [&str; 3] = ["sh", "ash", "bash"];

/// What `--dry-run` prints: the plan, in apk's words.
pub(super) fn of_plan(report: &Report) -> String {
    let several = report.architectures.len() > 1;
    let plan = |planned: &ArchReport| {
        let heading = if several { format!("{}:\n", planned.arch) } else { String::new() };
        heading + &plan_text(planned)
    };
    report.architectures.iter().map(plan).collect()
}

fn plan_text(planned: &ArchReport) -> String {
    let mut text = steps(&planned.steps);
    let packages = counted(planned.packages as u64, "package", "packages");
    let _ = writeln!(
        text,
        "{packages} in the image; {} to fetch, unless the cache has it",
        bytes(planned.download)
    );
    text
}

/// Steps, numbered, in apk's words.
pub(super) fn steps(steps: &[ResolvedStep]) -> String {
    let total = steps.len();
    let line = |(number, step)| format!("({number}/{total}) {}\n", render::shown(&step_text(step)));
    (1..).zip(steps).map(line).collect()
}

fn step_text(step: &ResolvedStep) -> String {
    let ResolvedStep { op, name, tag, old, new } = step;
    let tag = if tag.is_empty() { String::new() } else { format!("@{tag}") };
    let versions = match (old, new) {
        (Some(old), Some(new)) if old != new || *op == "replace" => format!("{old} -> {new}"),
        (_, Some(version)) | (Some(version), None) => version.clone(),
        (None, None) => String::new(),
    };
    format!("{op} {name}{tag} ({versions})")
}

/// What was built and how to use it.
pub(super) fn of_build(report: &Report, options: &BuildOptions) -> String {
    let images: Vec<&ReportedImage> =
        report.architectures.iter().filter_map(|arch| arch.image.as_ref()).collect();
    let mut text: String = report.architectures.iter().map(lists).collect();
    text.extend(report.architectures.iter().map(|arch| arch_text(&report.profile, arch)));
    if images.len() > 1 {
        for output in &report.outputs {
            if let Some(manifest) = &output.manifest {
                let _ =
                    writeln!(text, "all of them, in {}:\n  index     sha256:{manifest}", output.destination);
            }
        }
    }
    let _ = writeln!(text, "  time      {}", render::time(Duration::from_millis(report.milliseconds)));
    // Of several architectures docker loads this machine's.
    let image = images.iter().find(|image| is_ours(image)).or(images.first());
    if let Some(image) = image {
        text.push_str(&how_to_load(image, options));
    }
    text
}

fn arch_text(profile: &str, report: &ArchReport) -> String {
    let Some(image) = &report.image else { return String::new() };
    let mut text = String::new();
    let names = if image.tags.is_empty() { profile.to_owned() } else { image.tags.join(", ") };
    let _ = writeln!(
        text,
        "{names} for {}: {}, {}",
        report.arch,
        counted(report.packages as u64, "package", "packages"),
        counted(image.entries as u64, "file, directory or link", "files, directories and links"),
    );
    let compressed = image.compressed.map(|size| format!(", {} compressed", bytes(size))).unwrap_or_default();
    let _ =
        writeln!(text, "  size      {} of files, {} as tar{compressed}", bytes(image.size), bytes(image.tar));
    if let Some(id) = &image.id {
        let _ = writeln!(text, "  image     sha256:{id}");
    }
    if let Some(manifest) = &image.manifest {
        let _ = writeln!(text, "  manifest  sha256:{manifest}");
    }
    if !report.branches.is_empty() {
        let _ = writeln!(text, "  alpine    {}", report.branches.join(", "));
    }
    if let Some(base) = &report.base {
        let _ = writeln!(text, "  base      {}, trusted by {}", base.file, base.trust);
    } else {
        let _ = writeln!(text, "  base      none: every package is signed");
    }
    if let Some(scripts) = scripts_text(report) {
        let _ = writeln!(text, "  scripts   {scripts}");
    }
    let _ = writeln!(text, "  created   {}", image.created);
    text
}

/// What became of package scripts, if there were any.
fn scripts_text(report: &ArchReport) -> Option<String> {
    let words = [(&report.scripts_run, "run"), (&report.scripts_applied, "applied without being run")];
    let words = words.into_iter().filter(|(scripts, _)| !scripts.is_empty());
    let words: Vec<String> = words.map(|(scripts, what)| format!("{} {what}", scripts.len())).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// What is worth knowing, if there is any.
fn lists(report: &ArchReport) -> String {
    let mut text = String::new();
    let mut list = |what: String, list: &[String]| {
        if !list.is_empty() {
            let _ =
                writeln!(text, "{}: {what}:\n{}", Look::of_terminal().note(), render::wrapped(list, WIDTH));
        }
    };
    let count = |list: &[String], one, several| counted(list.len() as u64, one, several);
    let ArchReport { scripts_not_run: scripts, kept, lost, unsatisfied, .. } = report;
    list(count(scripts, "package script was not run", "package scripts were not run"), scripts);
    list(
        count(
            kept,
            "changed file stays in place of a package's",
            "changed files stay in place of a package's",
        ),
        kept,
    );
    list(
        count(lost, "changed file went with a removed package", "changed files went with removed packages"),
        lost,
    );
    list(
        count(
            unsatisfied,
            "dependency is left unsatisfied by pruning",
            "dependencies are left unsatisfied by pruning",
        ),
        unsatisfied,
    );
    text
}

fn how_to_load(image: &ReportedImage, options: &BuildOptions) -> String {
    let mut text = String::new();
    let run = |engine| how_to_run(engine, image).map(|run| format!(" && {run}")).unwrap_or_default();
    let tag = image.tags.first().map(String::as_str);
    let name = tag.unwrap_or("NAME:TAG");
    for output in &options.outputs {
        let Destination::Path(path) = &output.destination else { continue };
        let path = path.display();
        let _ = match output.kind {
            OutputKind::Archive(form) => {
                // Docker has to be a new one to read zstd.
                let is_zstd = form.compression.algorithm() == Some(Algorithm::Zstd);
                let engine = if is_zstd { "podman" } else { "docker" };
                writeln!(text, "wrote {path}; to load it:\n  {engine} load -i {path}{}", run(engine))
            }
            OutputKind::Oci(_) => {
                let reference = tag.and_then(|tag| tag.rsplit_once(':'));
                let reference = reference.map(|(_, tag)| format!(":{tag}")).unwrap_or_default();
                let from = format!("oci:{path}{reference}");
                writeln!(text, "wrote {path}; to load it:\n  skopeo copy {from} docker-daemon:{name}")
            }
            OutputKind::Tar => writeln!(text, "wrote {path}; to import it:\n  docker import {path} NAME"),
            OutputKind::Local => writeln!(text, "wrote {path}, the root filesystem"),
            OutputKind::Dockerfile => {
                let platform = platform_option(image);
                writeln!(text, "wrote {path}; to build it:\n  docker build{platform} -t {name} {path}")
            }
        };
    }
    text
}

/// The command of an engine that starts the image once it is loaded, if there is something to start.
fn how_to_run(engine: &str, image: &ReportedImage) -> Option<String> {
    let program = image.command.first()?;
    let id = || image.id.map(|id| id.to_string().chars().take(SHORT_ID).collect());
    let name = image.tags.first().cloned().or_else(id)?;
    // A shell without a terminal ends at once.
    let is_shell =
        image.command.len() == 1 && SHELLS.iter().any(|shell| program.rsplit('/').next() == Some(shell));
    let terminal = if is_shell { " -it" } else { "" };
    Some(format!("{engine} run --rm{terminal}{} {name}", platform_option(image)))
}

/// What tells an engine for which machine an image is, where it is not this one.
fn platform_option(image: &ReportedImage) -> String {
    if is_ours(image) { String::new() } else { format!(" --platform {}", image.platform) }
}

fn is_ours(image: &ReportedImage) -> bool {
    Arch::of_this_machine().is_some_and(|ours| ours.platform().to_string() == image.platform)
}
