//! Why something is not in an image: what stands against it, or that nothing asks for it.

use serde::Serialize;

use super::super::answer::Resolution;
use super::super::build::BuildOptions;
use super::super::drawing::Drawing;
use super::super::plan::Prepared;
use super::{Added, ExplainError, adding, dependency, prepare};
use crate::apk::dependency::Dependency;
use crate::apk::index::Package;
use crate::fetch::Fetcher;
use crate::kind::Explain as _;
use crate::profile::Draft;
use crate::solve::Refusal;
use crate::solve::closure::Closure;

/// Why something is not in an image.
#[derive(Debug, Clone, Serialize)]
pub struct WhyNot {
    /// What was asked about.
    pub subject: String,
    /// The image's architecture.
    pub arch: String,
    /// What is the matter.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// What the profile says of it.
    pub notes: Vec<String>,
    /// What the image would have with it, if that can be had.
    #[serde(skip)]
    pub drawing: Drawing,
}

/// Why something is not in an image, if it is not.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// It is.
    There {
        /// The packages that are it.
        packages: Vec<String>,
    },
    /// It is resolved, and the profile takes it out again.
    Pruned {
        /// The package.
        package: String,
        /// Where the profile says so.
        at: String,
    },
    /// Nothing asks for it, and nothing stands against it.
    Unasked {
        /// The package it would be.
        package: String,
        /// What asking for it would add.
        adding: Resolution,
        /// If it comes by itself with others, what it waits for.
        waits_for: Vec<Waiting>,
    },
    /// It could not be had.
    Refused {
        /// `unsat` or `tag`.
        kind: &'static str,
        /// Who is to blame.
        mentions: Vec<String>,
        /// In words.
        message: String,
        /// What could be done.
        hint: Option<String>,
    },
}

/// Something that a package waits for to come by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// The condition.
    pub condition: String,
    /// Whether it holds.
    pub holds: bool,
}

/// Why `subject` is not in the image of `draft`.
pub fn why_not(
    fetcher: &Fetcher<'_>,
    draft: &Draft,
    options: &BuildOptions,
    subject: &str,
) -> Result<WhyNot, ExplainError> {
    let dependency = dependency(subject)?;
    let prepared = prepare(fetcher, draft, options)?;
    let answer = prepared.answer();
    let closure = answer.closure().ok_or(ExplainError::Lost)?;
    let (verdict, drawing) = match there(&prepared, &closure, &dependency) {
        Some(verdict) => (verdict, Drawing::default()),
        None => match adding(&prepared, std::slice::from_ref(&dependency), fetcher.reporter) {
            Ok(added) => unasked(&closure, &dependency, &added)?,
            Err(ExplainError::Refusal(refusal)) => (refused(&refusal), Drawing::default()),
            Err(error) => return Err(error),
        },
    };
    Ok(WhyNot {
        subject: subject.to_owned(),
        arch: prepared.plan.arch.to_string(),
        verdict,
        notes: notes(&prepared, &dependency),
        drawing,
    })
}

/// What there is of it in the image, or was before pruning.
fn there(prepared: &Prepared, closure: &Closure<'_>, dependency: &Dependency) -> Option<Verdict> {
    let mut members = closure.satisfying(dependency);
    members.retain(|member| dependency.tag.is_none() || closure.tag(*member) == dependency.tag.as_ref());
    let packages: Vec<Package<'_>> =
        members.into_iter().filter_map(|member| closure.package(member)).collect();
    let first = packages.first()?;
    let pruned = prepared.profile.prune.packages.iter().find(|pruned| pruned.value.as_str() == first.name());
    Some(match pruned {
        Some(pruned) => Verdict::Pruned { package: first.to_string(), at: pruned.origin.to_string() },
        None => Verdict::There { packages: packages.iter().map(ToString::to_string).collect() },
    })
}

/// It could be had: what it would add.
fn unasked(
    closure: &Closure<'_>,
    dependency: &Dependency,
    added: &Added<'_>,
) -> Result<(Verdict, Drawing), ExplainError> {
    let answer = added.answer();
    let with_it = answer.closure().ok_or(ExplainError::Lost)?;
    let found = with_it.satisfying(dependency).first().and_then(|member| with_it.package(*member));
    let package = found.ok_or(ExplainError::Lost)?;
    let waits_for = package.parse_install_if().into_iter().map(|condition| Waiting {
        holds: closure.satisfying(&condition).is_empty() == condition.conflict,
        condition: condition.to_string(),
    });
    let drawing = added.drawing().ok_or(ExplainError::Lost)?;
    let verdict = Verdict::Unasked {
        package: package.to_string(),
        waits_for: waits_for.collect(),
        adding: added.resolution().clone(),
    };
    Ok((verdict, drawing))
}

fn refused(refusal: &Refusal) -> Verdict {
    Verdict::Refused {
        kind: refusal.word(),
        mentions: refusal.mentions(),
        message: refusal.to_string(),
        hint: refusal.hint(),
    }
}

/// What the profile itself says of the name.
fn notes(prepared: &Prepared, dependency: &Dependency) -> Vec<String> {
    let packages = &prepared.profile.packages;
    let name = &dependency.name;
    let removed = packages.remove.iter().filter(|removed| removed.value.as_str() == &**name);
    let removed = removed.map(|removed| format!("{} takes {name} out of the base's world", removed.origin));
    let excluded =
        packages.runtime.iter().filter(|stated| stated.value.conflict && stated.value.name == *name);
    let excluded = excluded.map(|stated| format!("{} says {}", stated.origin, stated.value));
    let optional = packages.optional.iter().filter(|stated| stated.value.name == *name);
    let optional = optional
        .map(|stated| format!("{} asks for it if there is one, and no repository has it", stated.origin));
    removed.chain(excluded).chain(optional).collect()
}
