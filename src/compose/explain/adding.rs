//! What something more would cost: the image with it against the image without.

use super::super::answer::{Answer, Resolution};
use super::super::drawing::Drawing;
use super::super::plan::Prepared;
use super::ExplainError;
use crate::apk::dependency::Dependency;
use crate::report::Reporter;
use crate::solve::{Request, Solution};

/// What an image would be with something more.
#[derive(Debug)]
pub struct Added<'a> {
    prepared: &'a Prepared,
    request: Request,
    solution: Solution,
    resolution: Resolution,
}

/// What `wanted` would add to the image of `prepared`.
///
/// # Errors
///
/// [`ExplainError::Refusal`] if it cannot be had beside what the profile asks for.
pub fn adding<'a>(
    prepared: &'a Prepared,
    wanted: &[Dependency],
    reporter: &dyn Reporter,
) -> Result<Added<'a>, ExplainError> {
    let mut request = prepared.request().clone();
    for dependency in wanted.iter().filter(|dependency| !prepared.request().world.contains(dependency)) {
        request.world.push(dependency.clone());
        request.requested.push(dependency.name.to_string());
    }
    let solution = prepared.solve(&request, reporter)?;
    let resolution = prepared.answer_to(&request, &solution).since(&prepared.answer());
    Ok(Added { prepared, request, solution, resolution })
}

impl Added<'_> {
    /// The steps from the image without it to the image with it.
    pub fn resolution(&self) -> &Resolution {
        &self.resolution
    }

    /// The packages of the image with it.
    pub fn answer(&self) -> Answer<'_> {
        self.prepared.answer_to(&self.request, &self.solution)
    }

    /// The image with it; what is new stands out.
    pub fn drawing(&self) -> Option<Drawing> {
        let is_new =
            |name: &str| self.resolution.steps.iter().any(|step| step.name == name && step.new.is_some());
        Drawing::of_answer(&self.answer(), is_new)
    }
}
