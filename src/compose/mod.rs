//! The pipeline, a file a step.

pub mod output;
pub mod prove;
