//! The rules of [`super::calls`] as a program for the kernel's filter.
//!
//! The program looks at the architecture, then at the number of the call, then at the arguments that its rule names. It is made of the
//! rules alone, so what is allowed can be read there.
//!
//! Source: seccomp(2), bpf(4).

use libc::sock_filter;

use super::calls::{Condition, LAST, Rule, Verdict};

/// Where the number, the architecture and the first argument lie in what the filter is given.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const MASK: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

/// The filter of `rules` for the architecture that the kernel calls `architecture`.
pub(super) fn program(architecture: u32, rules: &[(u32, Rule)]) -> Vec<sock_filter> {
    let no_such_call = verdict(Verdict::Fail(libc::ENOSYS));
    let mut program = vec![
        step(LOAD, ARCHITECTURE),
        jump(libc::BPF_JEQ, architecture, 1, 0),
        no_such_call,
        step(LOAD, NUMBER),
        jump(libc::BPF_JGT, LAST, 0, 1),
        no_such_call,
    ];
    for (number, rule) in rules {
        let decision = decision(rule);
        // A decision is a few steps, never near the 255 that a jump can skip.
        let length = u8::try_from(decision.len()).unwrap_or(u8::MAX);
        program.push(jump(libc::BPF_JEQ, *number, 0, length));
        program.extend(decision);
    }
    program.push(verdict(Verdict::Allow));
    program
}

fn decision(rule: &Rule) -> Vec<sock_filter> {
    let Some((conditions, otherwise)) = rule.unless else { return vec![verdict(rule.usually)] };
    let mut steps = Vec::new();
    for condition in conditions {
        match *condition {
            Condition::AnyBit { argument, bits } => {
                steps.push(step(LOAD, place(argument)));
                steps.push(jump(libc::BPF_JSET, bits, 0, 1));
                steps.push(verdict(otherwise));
            }
            Condition::OneOf { argument, mask, values } => {
                steps.push(step(LOAD, place(argument)));
                steps.push(step(MASK, mask));
                for value in values {
                    steps.push(jump(libc::BPF_JEQ, *value, 0, 1));
                    steps.push(verdict(otherwise));
                }
            }
        }
    }
    steps.push(verdict(rule.usually));
    steps
}

/// Where the lower half of an argument lies. The architectures that are supported keep it first.
fn place(argument: u32) -> u32 {
    ARGUMENTS + 8 * argument
}

fn verdict(verdict: Verdict) -> sock_filter {
    let value = match verdict {
        Verdict::Allow => libc::SECCOMP_RET_ALLOW,
        Verdict::Ask => libc::SECCOMP_RET_USER_NOTIF,
        Verdict::Fail(error) => libc::SECCOMP_RET_ERRNO | error.unsigned_abs(),
    };
    step(RETURN, value)
}

fn step(code: u32, value: u32) -> sock_filter {
    // The codes are bits of the lowest byte.
    sock_filter { code: (code & 0xff) as u16, jt: 0, jf: 0, k: value }
}

/// Skips `yes` steps if the comparison holds, else `no`.
fn jump(comparison: u32, value: u32, yes: u8, no: u8) -> sock_filter {
    sock_filter { jt: yes, jf: no, ..step(libc::BPF_JMP | comparison | libc::BPF_K, value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::calls;

    const HERE: u32 = 0xc000_003e;

    /// Runs the program as bpf(4) describes it.
    fn run(program: &[sock_filter], architecture: u32, number: u32, arguments: [u32; 6]) -> u32 {
        let load = |offset| match offset {
            NUMBER => number,
            ARCHITECTURE => architecture,
            _ => arguments[(offset - ARGUMENTS) as usize / 8],
        };
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            let code = u32::from(code);
            let comparison = code & !(libc::BPF_JMP | libc::BPF_K);
            let holds = match comparison {
                libc::BPF_JEQ => accumulator == k,
                libc::BPF_JGT => accumulator > k,
                _ => accumulator & k != 0,
            };
            match code {
                RETURN => return k,
                LOAD => accumulator = load(k),
                MASK => accumulator &= k,
                _ => at += usize::from(if holds { jt } else { jf }),
            }
        }
    }

    #[test]
    fn each_call_gets_the_verdict_of_its_rule() {
        let rules = calls::rules(false);
        let program = program(HERE, &rules);
        let value = |wanted| verdict(wanted).k;
        for number in 0..600 {
            let rule = rules.iter().find(|(named, _)| *named == number).map(|(_, rule)| rule);
            let expected = match rule {
                _ if number > LAST => Verdict::Fail(libc::ENOSYS),
                Some(rule) => rule.usually,
                None => Verdict::Allow,
            };
            assert_eq!(run(&program, HERE, number, [0; 6]), value(expected), "call {number}");
            let Some((conditions, otherwise)) = rule.and_then(|rule| rule.unless) else { continue };
            for condition in conditions {
                let mut arguments = [0; 6];
                match *condition {
                    Condition::AnyBit { argument, bits } => {
                        for bit in (0..32).map(|bit| 1 << bit) {
                            arguments[argument as usize] = bit;
                            let expected = if bits & bit == 0 { expected } else { otherwise };
                            let verdict = run(&program, HERE, number, arguments);
                            assert_eq!(verdict, value(expected), "call {number}");
                        }
                    }
                    Condition::OneOf { argument, values, mask } => {
                        for one in values {
                            arguments[argument as usize] = one | !mask;
                            assert_eq!(run(&program, HERE, number, arguments), value(otherwise));
                            // The lowest of the bits that count is another one.
                            let other = one ^ (mask & mask.wrapping_neg());
                            arguments[argument as usize] = other;
                            let expected = if values.contains(&other) { otherwise } else { expected };
                            assert_eq!(run(&program, HERE, number, arguments), value(expected));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn calls_of_other_architectures_do_not_exist() {
        let program = program(HERE, &calls::rules(false));
        for number in [0, 11, 90, 400] {
            assert_eq!(run(&program, 0x4000_0003, number, [0; 6]), verdict(Verdict::Fail(libc::ENOSYS)).k);
        }
    }

    #[test]
    fn no_jump_leaves_the_program() {
        let program = program(HERE, &calls::rules(true));
        assert!(program.len() < 4096);
        for (at, step) in program.iter().enumerate() {
            assert!(at + 1 + usize::from(step.jt.max(step.jf)) <= program.len());
        }
    }
}
