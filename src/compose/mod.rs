//! The pipeline, a file a step, and what the commands beside it do.

pub mod author;
pub mod output;
pub mod prove;
