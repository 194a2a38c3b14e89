//! What a program prints, line by line.
//!
//! It comes from a stranger and goes to a terminal: control characters are taken out, long lines cut, and a flood is
//! stopped. The last lines are kept for the message, should the program fail.

use std::collections::VecDeque;

use crate::report::Reporter;

/// How much of a line is shown, in bytes.
const MAX_LINE: usize = 1000;
/// How many lines are shown.
const MAX_LINES: usize = 2000;
/// How many of the last lines are kept.
const KEPT: usize = 20;

/// The output of one program.
pub(super) struct Output {
    program: String,
    line: Vec<u8>,
    shown: usize,
    last: VecDeque<String>,
}

impl Output {
    pub(super) fn new(program: &str) -> Self {
        Self { program: program.to_owned(), line: Vec::new(), shown: 0, last: VecDeque::new() }
    }

    /// Takes what came, in pieces of any size.
    pub(super) fn take(&mut self, bytes: &[u8], reporter: &dyn Reporter) {
        for byte in bytes {
            match byte {
                b'\n' => self.end_line(reporter),
                // What is more is not shown, and not kept.
                _ if self.line.len() > MAX_LINE => {}
                _ => self.line.push(*byte),
            }
        }
    }

    /// The last lines.
    pub(super) fn finish(mut self, reporter: &dyn Reporter) -> Vec<String> {
        if !self.line.is_empty() {
            self.end_line(reporter);
        }
        self.last.into()
    }

    fn end_line(&mut self, reporter: &dyn Reporter) {
        let line = readable(&std::mem::take(&mut self.line));
        self.shown += 1;
        if self.shown <= MAX_LINES {
            reporter.output(&self.program, &line);
        } else if self.shown == MAX_LINES + 1 {
            reporter.output(&self.program, "(what it prints further is left out)");
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }
}

/// The text of a line, without what a terminal would obey.
fn readable(line: &[u8]) -> String {
    let is_cut = line.len() > MAX_LINE;
    let text = String::from_utf8_lossy(line.get(..MAX_LINE).unwrap_or(line));
    let mut text: String =
        text.chars().map(|c| if c == '\t' { ' ' } else { c }).filter(|c| !c.is_control()).collect();
    text.truncate(text.trim_end().len());
    if is_cut {
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Reporter for Heard {
        fn output(&self, program: &str, line: &str) {
            self.0.lock().unwrap().push(format!("{program}: {line}"));
        }
    }

    fn lines(pieces: &[&[u8]]) -> (Vec<String>, Vec<String>) {
        let heard = Heard::default();
        let mut output = Output::new("p");
        for piece in pieces {
            output.take(piece, &heard);
        }
        let last = output.finish(&heard);
        (heard.0.into_inner().unwrap(), last)
    }

    #[test]
    fn lines_are_whole_whatever_pieces_they_come_in() {
        assert_eq!(lines(&[b"on", b"e\ntw", b"o"]).0, ["p: one", "p: two"]);
        assert_eq!(lines(&[b""]).0, [""; 0]);
        assert_eq!(lines(&[b"\n"]).1, [""]);
    }

    #[test]
    fn a_terminal_is_told_nothing_to_obey() {
        assert_eq!(lines(&[b"\x1b[2Jx\x07\ty\r\n\xff\n"]).1, ["[2Jx y", "\u{fffd}"]);
    }

    #[test]
    fn floods_and_endless_lines_are_cut() {
        let (shown, last) = lines(&[&b"y\n".repeat(MAX_LINES * 3)]);
        assert_eq!((shown.len(), last.len()), (MAX_LINES + 1, KEPT));
        let (_, last) = lines(&[&vec![b'a'; 10 * MAX_LINE]]);
        assert_eq!(last, ["a".repeat(MAX_LINE) + "..."]);
    }
}
