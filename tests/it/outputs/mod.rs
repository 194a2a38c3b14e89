//! Every form of output, as the engines and tools it is made for take it; and what they make as the base of an
//! image.

/// One image for several architectures.
mod architectures;
/// Images and archives as the base.
mod bases;
/// A directory that `docker build` makes the same image of.
mod dockerfile;
/// The root filesystem as a directory.
mod local;
/// Who accepts which form, and what they read back.
mod tools;
