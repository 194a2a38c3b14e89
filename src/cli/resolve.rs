//! `apkcompose resolve`.

use std::fmt::Write as _;

use serde::Serialize;

use super::args::{AnswerFormat, Resolve};
use super::index::public_key;
use super::render::{self, Failure, bytes, counted};
use super::session::{Session, build_options, one_architecture};
use super::{dot, summary};
use crate::apk::dependency::Dependency;
use crate::apk::keys::{Keyring, PublicKey};
use crate::arch::Arch;
use crate::compose::answer::Resolution;
use crate::compose::drawing::Drawing;
use crate::compose::explain::{self, ExplainError};
use crate::compose::resolve::{self, GivenRepository, ResolveError, ResolveRequest};
use crate::fetch::Unsigned;
use crate::kind::Kind;
use crate::profile::Invalid;
use crate::solve::{Ambition, Availability, Options, Refusal, Scope, Upgrade};

pub(super) fn run(arguments: &Resolve) -> Result<(), Failure> {
    match &arguments.profile {
        Some(profile) => with_profile(arguments, profile),
        None => without_profile(arguments),
    }
}

fn without_profile(arguments: &Resolve) -> Result<(), Failure> {
    if !arguments.add.is_empty() {
        return Err(Failure::usage("--add asks about a profile", "name the profile: --profile NAME"));
    }
    let request = request(arguments)?;
    let session = Session::open(&arguments.shared)?;
    let resolved = resolve::resolve(&session.fetcher(), &request);
    let resolved = told(arguments.format, resolved, |error| match error {
        ResolveError::Spec(flaw) | ResolveError::WorldSpec { error: flaw, .. } => {
            Some(("spec", vec![flaw.text().to_owned()]))
        }
        ResolveError::Refusal(refusal) => Some(blame(refusal)),
        _ => None,
    })?;
    let answer = resolved.answer();
    print(arguments.format, answer.resolution(), || Drawing::of_answer(&answer, |_| false))
}

fn with_profile(arguments: &Resolve, profile: &str) -> Result<(), Failure> {
    let Resolve { dependencies, installed, world, upgrade, latest, available, allow_untrusted, .. } =
        arguments;
    let alone =
        installed.is_some() || world.is_some() || *upgrade || *latest || *available || *allow_untrusted;
    if !dependencies.is_empty() || alone {
        let what = if dependencies.is_empty() { "an option" } else { "a DEP" };
        return Err(Failure::usage(
            format!("{what} that is for questions without a profile stands beside --profile"),
            "to ask what something would add to the profile's image: --add DEP",
        ));
    }
    let wanted: Result<Vec<Dependency>, _> = arguments.add.iter().map(|text| text.parse()).collect();
    let wanted = wanted.map_err(ExplainError::Subject);
    let wanted = told(arguments.format, wanted, |error| match error {
        ExplainError::Subject(flaw) => Some(("spec", vec![flaw.text().to_owned()])),
        _ => None,
    })?;
    let session = Session::open(&arguments.shared)?;
    let draft = session.draft(profile, &[])?;
    let options = build_options(&arguments.shared, None)?;
    let blamed = |error: &ExplainError| match error {
        ExplainError::Refusal(refusal) => Some(blame(refusal)),
        ExplainError::Compose(error) => error.refusal().map(blame),
        _ => None,
    };
    let prepared = explain::prepare(&session.fetcher(), &draft, &options).map_err(ExplainError::from);
    let prepared = told(arguments.format, prepared, blamed)?;
    if wanted.is_empty() {
        let answer = prepared.answer();
        return print(arguments.format, answer.resolution(), || Drawing::of_answer(&answer, |_| false));
    }
    let added =
        told(arguments.format, explain::adding(&prepared, &wanted, session.fetcher().reporter), blamed)?;
    print(arguments.format, Some(added.resolution().clone()), || added.drawing())
}

/// Tells programs of a refusal as of any other answer, beside telling people.
fn told<T, E>(
    format: AnswerFormat,
    result: Result<T, E>,
    blame: impl FnOnce(&E) -> Option<(&'static str, Vec<String>)>,
) -> Result<T, Failure>
where
    E: std::fmt::Display,
    Failure: From<E>,
{
    if let (AnswerFormat::Json, Err(error)) = (format, &result)
        && let Some((kind, mentions)) = blame(error)
    {
        let refused = Refused { ok: false, kind, mentions, message: error.to_string() };
        render::data(&render::json(&refused))?;
    }
    Ok(result?)
}

/// What kind of refusal it is, and who is to blame.
fn blame(refusal: &Refusal) -> (&'static str, Vec<String>) {
    (refusal.word(), refusal.mentions())
}

fn print(
    format: AnswerFormat,
    resolution: Option<Resolution>,
    drawing: impl FnOnce() -> Option<Drawing>,
) -> Result<(), Failure> {
    let lost = || {
        Failure::checked("the answer is of another question: this is a mistake of apkcompose", Kind::Internal)
    };
    let resolution = resolution.ok_or_else(lost)?;
    match format {
        AnswerFormat::Text => render::data(&text(&resolution)),
        AnswerFormat::Json => render::data(&render::json(&Solved { ok: true, resolution })),
        AnswerFormat::Dot => render::data(&dot::text(&drawing().ok_or_else(lost)?)),
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
    let arch = arch(arguments)?;
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
            // As with apk, where `upgrade --available NAME` is about everything too.
            scope: if arguments.dependencies.is_empty() || arguments.available {
                Scope::Everything
            } else {
                Scope::Requested
            },
        },
    })
}

fn not_a_repository(error: &Invalid) -> Failure {
    Failure::usage(error.to_string(), "write a path or URL, with a tag as @edge=./edge")
}

/// The architecture that was named, else this machine's.
fn arch(arguments: &Resolve) -> Result<Arch, Failure> {
    match (arguments.shared.named_architectures().as_slice(), Arch::of_this_machine()) {
        ([one], _) => Ok(*one),
        ([], Some(ours)) => Ok(ours),
        ([], None) => Err(Failure::usage("Alpine has nothing for this machine", "name one: --arch x86_64")),
        _ => Err(one_architecture()),
    }
}

/// What programs read where there is an answer.
#[derive(Serialize)]
struct Solved {
    ok: bool,
    #[serde(flatten)]
    resolution: Resolution,
}

/// What programs read where there is none.
#[derive(Serialize)]
struct Refused {
    ok: bool,
    kind: &'static str,
    mentions: Vec<String>,
    message: String,
}

/// The steps, and what they come to.
pub(super) fn text(resolution: &Resolution) -> String {
    let mut text = summary::steps(&resolution.steps);
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
