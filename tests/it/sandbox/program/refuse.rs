//! A system that refuses calls: `refuse NUMBERS PROGRAM ARGUMENTS`, the numbers separated by commas.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::calls::{self as c, address, call};

/// A step of a filter: what it does, where it jumps to, and its value.
const fn step(code: u64, yes: u64, no: u64, value: u64) -> u64 {
    code | yes << 16 | no << 24 | value << 32
}

/// Runs a program for which the calls fail with EPERM.
pub(crate) fn run(arguments: &[String]) -> ! {
    let [numbers, program, rest @ ..] = arguments else { panic!("refuse NUMBERS PROGRAM ARGUMENTS") };
    let mut filter = vec![step(0x20, 0, 0, 0)];
    for number in numbers.split(',') {
        filter.push(step(0x15, 0, 1, number.parse().expect("a number")));
        filter.push(step(0x06, 0, 0, 0x0005_0001));
    }
    filter.push(step(0x06, 0, 0, 0x7fff_0000));
    let mut program_of_filter = [filter.len() as u64, filter.as_ptr() as u64];
    call(c::prctl, &[38, 1, 0, 0, 0]).expect("no new privileges");
    call(c::seccomp, &[1, 0, address(&mut program_of_filter)]).expect("a filter");
    panic!("{}", Command::new(program).args(rest).exec())
}
