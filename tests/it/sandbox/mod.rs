//! Package scripts that mean harm, run as users run them: what they reach, and what is left of them.
//!
//! Most attacks are a program of their own (`program/`), which the tests compile and put into a package whose script
//! runs it. It reports what it could do; what it did to the system is looked at from outside ([`host`]).

/// The attacking program.
mod attacker;
/// Every way to change a file.
mod changes;
/// Attacks in a container of Docker.
mod container;
/// The system outside, before and after.
mod host;
/// Attacks, each in all modes.
mod hostile;
/// Where the sandbox plays the kernel's part: the same answers.
mod kernel;
/// What a program may use, with limits small enough to be reached.
mod limits;
/// The ways of being shut in, and a package with a hostile script in each.
mod modes;
/// Systems that refuse what the sandbox needs.
mod refused;
/// What a user stops.
mod stopped;
