//! How failures look: what happened, then what to do, then the exit code.

use std::fmt::Write as _;
use std::io::{ErrorKind, IsTerminal as _, Write as _};

use std::time::Duration;

use serde_json::json;

use super::args::Progress;
use crate::kind::{Explain, Kind, SystemWords, hint_of_io};

/// The most characters of a line of a message that are shown.
const MAX_LINE: usize = 1000;

/// Whether colour may be used. It never carries meaning alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Plain,
    Coloured,
}

impl Look {
    /// Colour on a terminal, unless `NO_COLOR` is set.
    pub(super) fn of_terminal() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if wanted && !dumb && std::io::stderr().is_terminal() { Self::Coloured } else { Self::Plain }
    }

    /// `word` in bold with a colour of the terminal's palette.
    fn paint(self, word: &str, colour: u8) -> String {
        match self {
            Self::Plain => word.to_owned(),
            Self::Coloured => format!("\x1b[1;{colour}m{word}\x1b[0m"),
        }
    }

    pub(super) fn error(self) -> String {
        self.paint("error", 31)
    }

    pub(super) fn warning(self) -> String {
        self.paint("warning", 33)
    }

    pub(super) fn note(self) -> String {
        self.paint("note", 36)
    }

    pub(super) fn hint(self) -> String {
        self.paint("hint", 32)
    }
}

/// A failed command.
#[derive(Debug)]
pub(super) struct Failure {
    message: String,
    hint: Option<String>,
    kind: Kind,
}

impl<E: Explain> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { message: error.to_string(), hint: error.hint(), kind: error.kind() }
    }
}

impl Failure {
    /// A mistake in what was typed.
    pub(super) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()), kind: Kind::Usage }
    }

    /// Something that was checked is wrong; it has been reported already.
    pub(super) fn checked(message: impl Into<String>, kind: Kind) -> Self {
        Self { message: message.into(), hint: None, kind }
    }

    pub(super) fn exit_code(&self) -> u8 {
        self.kind.exit_code()
    }

    /// Says it on standard error.
    pub(super) fn print(&self, look: Look, progress: Progress) {
        words(&self.shown(look, progress));
    }

    /// In words, or as an event where progress is shown as events.
    fn shown(&self, look: Look, progress: Progress) -> String {
        match progress {
            Progress::Json => format!("{}\n", self.event()),
            Progress::Auto | Progress::Plain | Progress::None => self.text(look),
        }
    }

    fn event(&self) -> serde_json::Value {
        json!({
            "event": "error",
            "message": self.message,
            "hint": self.hint,
            "exit_code": self.exit_code(),
        })
    }

    fn text(&self, look: Look) -> String {
        if self.kind == Kind::Interrupted {
            return format!("{}: interrupted; nothing was written\n", look.error());
        }
        let mut text = format!("{}: {}\n", look.error(), indented(&self.message));
        if let Some(hint) = &self.hint {
            let _ = writeln!(text, "{}: {}", look.hint(), indented(hint));
        }
        text
    }
}

/// What is said when the user ended the program.
pub(super) fn interrupted(progress: Progress) -> String {
    Failure::checked("interrupted", Kind::Interrupted).shown(Look::of_terminal(), progress)
}

/// Lines after the first are indented, unless they are already. Fit to be shown: see [`shown`].
pub(super) fn indented(text: &str) -> String {
    let mut lines = text.lines();
    let first = shown(lines.next().unwrap_or_default());
    lines.fold(first, |text, line| {
        let space = if line.starts_with(' ') { "" } else { "  " };
        format!("{text}\n{space}{}", shown(line))
    })
}

/// A line that may hold what somebody else wrote, made fit to be shown: characters that a terminal would obey,
/// or that would let it show something else than there is, are written out, and nothing goes on without end.
pub(super) fn shown(line: &str) -> String {
    let mut text = String::with_capacity(line.len().min(MAX_LINE));
    let mut characters = line.chars();
    for character in characters.by_ref().take(MAX_LINE) {
        if character.is_control() || is_invisible(character) {
            text.extend(character.escape_unicode());
        } else {
            text.push(character);
        }
    }
    let more = characters.count();
    if more > 0 {
        let _ = write!(text, "... ({more} more characters)");
    }
    text
}

/// Marks that reverse the direction of a text, or separate its lines.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

/// Bytes as people read them.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let (mut whole, mut unit) = (count / 100, "kB");
    for next in UNITS.iter().skip(1) {
        if whole < 10_000 {
            break;
        }
        whole /= 1000;
        unit = next;
    }
    format!("{}.{} {unit}", whole / 10, whole % 10)
}

/// A time as people read it.
pub(super) fn time(time: Duration) -> String {
    let milliseconds = time.as_millis();
    match milliseconds {
        0..1000 => format!("{milliseconds} ms"),
        1000..60_000 => format!("{}.{:02} s", milliseconds / 1000, milliseconds % 1000 / 10),
        _ => format!("{} min {} s", milliseconds / 60_000, milliseconds % 60_000 / 1000),
    }
}

/// `count` with the word for one thing or for several.
pub(super) fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// `words` in lines of at most `width` columns, separated by commas, each line indented.
pub(super) fn wrapped(words: &[String], width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        let word = shown(word);
        match lines.last_mut() {
            Some(line) if line.len() + 2 + word.len() < width => {
                line.push_str(", ");
                line.push_str(&word);
            }
            Some(line) => {
                line.push(',');
                lines.push(format!("  {word}"));
            }
            None => lines.push(format!("  {word}")),
        }
    }
    lines.join("\n")
}

/// Writes data to standard output. A reader that has gone away is no failure.
pub(super) fn data(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure {
            message: format!("cannot write to standard output: {}", SystemWords(&error)),
            hint: hint_of_io(&error),
            kind: Kind::of_io(&error),
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes words to standard error.
pub(super) fn words(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// A report as JSON, on one line's end.
pub(super) fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).map(|text| text + "\n").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_rounded_down_to_one_digit() {
        let of = |count, text: &str| assert_eq!(bytes(count), text);
        of(0, "0 B");
        of(999, "999 B");
        of(1000, "1.0 kB");
        of(58_123_456, "58.1 MB");
        of(999_999, "999.9 kB");
        of(1_000_000, "1.0 MB");
        of(12_345_678_901, "12.3 GB");
    }

    #[test]
    fn times_are_as_exact_as_anybody_cares() {
        let of = |milliseconds, text: &str| assert_eq!(time(Duration::from_millis(milliseconds)), text);
        of(0, "0 ms");
        of(999, "999 ms");
        of(1000, "1.00 s");
        of(59_999, "59.99 s");
        of(61_000, "1 min 1 s");
    }

    #[test]
    fn words_are_wrapped_between_words() {
        let words = ["one", "two", "three", "a-word-that-is-longer"].map(str::to_owned);
        assert_eq!(wrapped(&words, 12), "  one, two,\n  three,\n  a-word-that-is-longer");
        assert_eq!(wrapped(&[], 12), "");
    }

    #[test]
    fn nothing_shown_moves_the_cursor_or_goes_on_without_end() {
        assert_eq!(shown("a\u{1b}[31mb\rc\u{9b}"), "a\\u{1b}[31mb\\u{d}c\\u{9b}");
        assert_eq!(shown("etc/\u{202e}dwssap"), "etc/\\u{202e}dwssap");
        assert_eq!(shown("größer"), "größer");
        assert_eq!(shown(&"x".repeat(1002)), "x".repeat(1000) + "... (2 more characters)");
        assert_eq!(indented("a\n\u{7}b"), "a\n  \\u{7}b");
    }

    #[test]
    fn a_failure_is_an_event_among_events() {
        let event = Failure::usage("no profile", "name one").event();
        assert_eq!(
            event,
            json!({ "event": "error", "message": "no profile", "hint": "name one", "exit_code": 2 })
        );
    }

    #[test]
    fn a_failure_says_what_happened_and_what_to_do() {
        let failure = Failure::usage("no profile\nat all", "name one");
        assert_eq!(failure.text(Look::Plain), "error: no profile\n  at all\nhint: name one\n");
    }
}
