//! `apkcompose resolve`.

use std::fmt::Write as _;

use serde::Serialize;

use super::args::{Format, Resolve};
use super::build::{jobs, store};
use super::index::public_key;
use super::interrupt::Interrupt;
use super::progress;
use super::render::{self, Failure, bytes, counted};
use crate::apk::keys::{Keyring, PublicKey};
use crate::arch::Arch;
use crate::compose::resolve::{
    self, GivenRepository, Resolution, ResolveError, ResolveRequest, ResolvedStep,
};
use crate::fetch::{Fetcher, Network, Unsigned};
use crate::profile::Invalid;
use crate::solve::{Ambition, Availability, Options, Refusal, Upgrade};

pub(super) fn run(arguments: &Resolve) -> Result<(), Failure> {
    let request = request(arguments)?;
    let interrupt = Interrupt::listen();
    let reporter = progress::reporter(&arguments.shared.words, &interrupt);
    let store = store(&arguments.shared)?;
    let network = Network::new(arguments.shared.network.options());
    let jobs = jobs(&arguments.shared);
    let fetcher = Fetcher { store: &store, network: &network, jobs, reporter: reporter.as_ref() };
    let answer = resolve::resolve(&fetcher, &request);
    if arguments.format == Format::Json
        && let Some(answer) = Answer::of(&answer)
    {
        render::data(&render::json(&answer))?;
    }
    let resolution = answer?;
    match arguments.format {
        Format::Json => Ok(()),
        Format::Text => render::data(&text(&resolution)),
    }
}

fn request(arguments: &Resolve) -> Result<ResolveRequest, Failure> {
    let shared = &arguments.shared;
    let nothing_asked = arguments.dependencies.is_empty() && arguments.world.is_none();
    if nothing_asked && arguments.installed.is_none() {
        let hint = "try: apkcompose resolve --repository /srv/alpine/v3.22/main busybox";
        return Err(Failure::usage("nothing is asked for", hint));
    }
    if shared.repository.is_empty() && arguments.installed.is_none() {
        let hint = "give --repository, a directory with ARCH/APKINDEX.tar.gz in it, once or more";
        return Err(Failure::usage("there is no repository to ask", hint));
    }
    let repositories: Result<Vec<GivenRepository>, Failure> =
        shared.repository.iter().map(|text| text.parse().map_err(|error| not_a_repository(&error))).collect();
    let keys: Result<Vec<PublicKey>, Failure> =
        shared.key.iter().map(|path| public_key(path.as_ref())).collect();
    let arch = one_architecture(arguments)?;
    Ok(ResolveRequest {
        repositories: repositories?,
        keyring: Keyring::alpine(arch).and(keys?),
        unsigned: if arguments.allow_untrusted { Unsigned::Accepted } else { Unsigned::Refused },
        arch,
        installed: arguments.installed.clone(),
        world: arguments.world.clone(),
        dependencies: arguments.dependencies.clone(),
        options: Options {
            upgrade: if arguments.upgrade { Upgrade::Yes } else { Upgrade::No },
            availability: if arguments.available {
                Availability::Repositories
            } else {
                Availability::InstalledToo
            },
            ambition: if arguments.latest { Ambition::Latest } else { Ambition::Installable },
        },
    })
}

fn not_a_repository(error: &Invalid) -> Failure {
    Failure::usage(error.to_string(), "write a path or URL, with a tag as @edge=./edge")
}

/// The architecture that was named, else this machine's.
fn one_architecture(arguments: &Resolve) -> Result<Arch, Failure> {
    let named = arguments.shared.named_architectures();
    let message = match named.as_slice() {
        [one] => return Ok(*one),
        [] => match Arch::of_this_machine() {
            Some(arch) => return Ok(arch),
            None => "no architecture is named, and Alpine has none for this machine",
        },
        _ => "one architecture is asked about at a time",
    };
    Err(Failure::usage(message, "name one: --arch x86_64"))
}

/// What programs read.
#[derive(Serialize)]
#[serde(untagged)]
enum Answer<'a> {
    Solved { ok: bool, steps: &'a [ResolvedStep], packages: usize, download: u64, growth: i64 },
    Refused { ok: bool, kind: &'static str, mentions: Vec<String>, message: String },
}

impl<'a> Answer<'a> {
    /// The answer, if it is one: a file that cannot be read is none.
    fn of(answer: &'a Result<Resolution, ResolveError>) -> Option<Self> {
        let refused = |kind, mentions, error: &ResolveError| {
            Some(Self::Refused { ok: false, kind, mentions, message: error.to_string() })
        };
        match answer {
            Ok(Resolution { steps, packages, download, growth }) => Some(Self::Solved {
                ok: true,
                steps,
                packages: *packages,
                download: *download,
                growth: *growth,
            }),
            Err(error @ (ResolveError::Spec(flaw) | ResolveError::WorldSpec { error: flaw, .. })) => {
                refused("spec", vec![flaw.text().to_owned()], error)
            }
            Err(error @ ResolveError::Refusal(refusal)) => match refusal {
                Refusal::Unsatisfiable { .. } => refused("unsat", refusal.mentions(), error),
                Refusal::UnknownTag { .. } => refused("tag", refusal.mentions(), error),
                Refusal::TooManyTags { .. } | Refusal::Unproven { .. } => None,
            },
            Err(_) => None,
        }
    }
}

fn text(resolution: &Resolution) -> String {
    let mut text = String::new();
    let total = resolution.steps.len();
    for (number, step) in (1..).zip(&resolution.steps) {
        let _ = writeln!(text, "({number}/{total}) {}", render::shown(&step_text(step)));
    }
    let _ = writeln!(
        text,
        "{}; {} to fetch, {} {} when installed",
        counted(resolution.packages as u64, "package", "packages"),
        bytes(resolution.download),
        bytes(resolution.growth.unsigned_abs()),
        if resolution.growth < 0 { "less" } else { "more" },
    );
    text
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
