//! Reading the text of an index: stanzas of `X:value` lines, line by line, as the text comes.
//!
//! Whoever inflates an index hands its text over piece by piece, so that reading it needs neither a copy nor a wait
//! for its end. Where one piece ends and the next begins makes no difference.
//!
//! Source: spec apk v2, "APKINDEX.tar.gz".

use super::dependency::{Dependency, is_package_name};
use super::index::{Index, IndexError, LineFlaw, MAX_INDEX_TEXT, Record, Span};
use super::index_names::Names;

/// A stanza is seldom shorter, in bytes: Alpine's indexes have 390 and more.
const STANZA: usize = 384;
/// There is seldom less text to each name that is had or provided, in bytes: Alpine's indexes have 160 and more.
const MENTION: usize = 144;

/// What became of a field that is not one of an index's own.
pub(super) enum FieldUse {
    /// It is understood, or may be ignored.
    Known,
    /// It must be understood and is not.
    Unknown,
}

/// What becomes of a field of an index that indexes do not have.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the installed database, which is read the same way, has malformed ones"
)]
pub(super) fn of_index(_stanza: usize, letter: char, _value: &str) -> Result<FieldUse, LineFlaw> {
    // Lower-case letters are for additions that may be ignored; upper-case ones are not.
    if letter.is_ascii_uppercase() { Ok(FieldUse::Unknown) } else { Ok(FieldUse::Known) }
}

/// Reads stanzas; shared with the installed database, which adds fields of its own.
pub(super) struct Reader<'n, F> {
    name: &'n str,
    other: F,
    /// All lines that were read.
    text: String,
    /// How many they are.
    lines: usize,
    /// The beginning of a line whose end has not come yet.
    begun: Vec<u8>,
    open: Option<Record>,
    /// Whether a list of the open stanza came in more than one line.
    has_parts: bool,
    records: Vec<Record>,
    provided: Names,
    awaited: Names,
}

impl<'n, F: FnMut(usize, char, &str) -> Result<FieldUse, LineFlaw>> Reader<'n, F> {
    /// A reader of the text that errors call `name`. `room` is how long it is thought to be, in bytes.
    ///
    /// `other` is told of each field that indexes do not have: the number of the stanza it stands in, its letter,
    /// its value.
    pub(super) fn new(name: &'n str, room: usize, other: F) -> Self {
        Self {
            name,
            other,
            text: String::with_capacity(room),
            lines: 0,
            begun: Vec::new(),
            open: None,
            has_parts: false,
            records: Vec::with_capacity(room / STANZA),
            provided: Names::with_room(room / MENTION),
            awaited: Names::default(),
        }
    }

    /// Reads on: `bytes` are what comes next.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), IndexError> {
        let length = (self.text.len() + self.begun.len() + bytes.len()) as u64;
        if length > MAX_INDEX_TEXT {
            return Err(self.error(1, LineFlaw::TooLong));
        }
        let mut rest = bytes;
        if !self.begun.is_empty() {
            let Some(end) = memchr::memchr(b'\n', rest) else {
                self.begun.extend_from_slice(rest);
                return Ok(());
            };
            let (end_of_line, others) = rest.split_at(end + 1);
            let mut line = std::mem::take(&mut self.begun);
            line.extend_from_slice(end_of_line);
            self.take_lines(&line)?;
            rest = others;
        }
        let whole = memchr::memrchr(b'\n', rest).map_or(0, |last| last + 1);
        let (lines, begun) = rest.split_at(whole);
        self.take_lines(lines)?;
        self.begun.extend_from_slice(begun);
        Ok(())
    }

    /// What was read, after the last of it was taken.
    pub(super) fn finish(mut self) -> Result<Index, IndexError> {
        let line = std::mem::take(&mut self.begun);
        self.take_lines(&line)?;
        self.close().map_err(|flaw| self.error(self.lines, flaw))?;
        self.provided.finish();
        self.awaited.finish();
        Ok(Index::of(self.text.into_boxed_str(), self.records, self.provided, self.awaited))
    }

    fn error(&self, line: usize, flaw: LineFlaw) -> IndexError {
        IndexError { name: self.name.to_owned(), line, flaw }
    }

    /// Takes lines in, each of them whole.
    fn take_lines(&mut self, bytes: &[u8]) -> Result<(), IndexError> {
        match std::str::from_utf8(bytes) {
            Ok(lines) => self.read_lines(lines),
            Err(invalid) => {
                let valid = bytes.get(..invalid.valid_up_to()).unwrap_or_default();
                let before = memchr::memrchr(b'\n', valid).map_or(0, |last| last + 1);
                // It is valid, so that an earlier mistake is told first.
                let lines = std::str::from_utf8(valid.get(..before).unwrap_or_default()).unwrap_or_default();
                self.read_lines(lines)?;
                Err(self.error(self.lines + 1, LineFlaw::NotUtf8))
            }
        }
    }

    fn read_lines(&mut self, lines: &str) -> Result<(), IndexError> {
        let mut at = 0;
        for end in memchr::memchr_iter(b'\n', lines.as_bytes()) {
            self.read_line(lines.get(at..end).unwrap_or_default())?;
            at = end + 1;
        }
        match lines.get(at..) {
            None | Some("") => Ok(()),
            Some(unended) => self.read_line(unended),
        }
    }

    /// Reads a line, which becomes the end of the text.
    fn read_line(&mut self, line: &str) -> Result<(), IndexError> {
        let at = self.text.len();
        self.text.push_str(line);
        self.text.push('\n');
        self.lines += 1;
        let read = if line.is_empty() { self.close() } else { self.read_field(at, line) };
        read.map_err(|flaw| self.error(self.lines, flaw))
    }

    fn read_field(&mut self, at: usize, line: &str) -> Result<(), LineFlaw> {
        let end = at + line.len();
        let record = self.open.get_or_insert_with(Record::default);
        let begin = if record.stanza.range().is_empty() { at } else { record.stanza.range().start };
        record.stanza = Span::of(begin..end);
        let (letter, value) = split_field(line).ok_or(LineFlaw::Form)?;
        let value_at = Span::of(end - value.len()..end);
        self.has_parts |= list(record, letter).is_some_and(|list| list.is_set());
        if !take_field(record, letter, value, value_at)? {
            match (self.other)(self.records.len(), char::from(letter), value)? {
                FieldUse::Known => {}
                FieldUse::Unknown => record.unknown_field = Some(char::from(letter)),
            }
        }
        Ok(())
    }

    /// The stanza ends here, if there is one.
    fn close(&mut self) -> Result<(), LineFlaw> {
        let Some(mut record) = self.open.take() else { return Ok(()) };
        if std::mem::take(&mut self.has_parts) {
            self.join_lists(&mut record);
        }
        for (letter, field) in [('P', record.name), ('V', record.version)] {
            if field.range().is_empty() {
                return Err(LineFlaw::Incomplete(letter));
            }
        }
        let package = self.records.len();
        let value = |field: Span| self.text.get(field.range()).unwrap_or_default();
        self.provided.add(package, value(record.name), record.name);
        for (name, at) in names(value(record.provides), record.provides) {
            self.provided.add(package, name, at);
        }
        for (name, at) in names(value(record.install_if), record.install_if) {
            self.awaited.add(package, name, at);
        }
        self.records.push(record);
        Ok(())
    }

    /// Lets each list of the stanza that came in several lines be one list, as apk reads it: of the other fields the last
    /// line counts. The joined list stands behind the stanza in the text, and belongs to no line.
    fn join_lists(&mut self, record: &mut Record) {
        let stanza = record.stanza.range();
        for letter in LISTS {
            let lines = self.text.get(stanza.clone()).unwrap_or_default().split('\n');
            let parts: Vec<&str> = lines
                .filter_map(split_field)
                .filter(|(field, _)| *field == letter)
                .map(|(_, value)| value)
                .collect();
            if parts.len() > 1 {
                let joined = parts.join(" ");
                let begin = self.text.len();
                self.text.push_str(&joined);
                if let Some(list) = list(record, letter) {
                    *list = Span::of(begin..self.text.len());
                }
                self.text.push('\n');
            }
        }
    }
}

/// The fields that are lists.
const LISTS: [u8; 3] = *b"Dpi";

/// The place of the list that a field is; nothing if it is none.
fn list(record: &mut Record, letter: u8) -> Option<&mut Span> {
    match letter {
        b'D' => Some(&mut record.depends),
        b'p' => Some(&mut record.provides),
        b'i' => Some(&mut record.install_if),
        _ => None,
    }
}

/// The names in a list, each with the place of the word that begins with it.
fn names(list: &str, at: Span) -> impl Iterator<Item = (&str, Span)> {
    let begin = at.range().start;
    let mut ahead = list;
    std::iter::from_fn(move || {
        let rest = ahead.trim_ascii_start();
        let start = begin + list.len() - rest.len();
        // Nearly every byte is told by the first comparison, and an index has millions.
        let is_space = |byte: u8| byte <= b' ' && byte.is_ascii_whitespace();
        let end = rest.bytes().position(is_space).unwrap_or(rest.len());
        let word;
        (word, ahead) = rest.split_at_checked(end)?;
        (!word.is_empty()).then(|| (Dependency::name_in(word), Span::of(start..start + end)))
    })
}

fn split_field(line: &str) -> Option<(u8, &str)> {
    match line.as_bytes() {
        [letter, b':', ..] if letter.is_ascii_alphabetic() => Some((*letter, line.get(2..)?)),
        _ => None,
    }
}

/// Takes in a field that indexes have; false for any other.
fn take_field(record: &mut Record, letter: u8, value: &str, at: Span) -> Result<bool, LineFlaw> {
    let malformed = || LineFlaw::Number(value.to_owned());
    let number = || value.parse::<u64>().map_err(|_| malformed());
    match letter {
        b'P' if is_package_name(value) => record.name = at,
        b'P' => return Err(LineFlaw::Name(value.to_owned())),
        b'V' => record.version = at,
        b'A' => record.arch = at,
        b'D' => record.depends = at,
        b'p' => record.provides = at,
        b'i' => record.install_if = at,
        b'o' => record.origin = at,
        b'C' => record.identity = at,
        b'S' => record.size = number()?,
        b'I' => record.installed_size = number()?,
        b't' => record.build_time = Some(value.parse().map_err(|_| malformed())?),
        b'k' => record.provider_priority = value.parse().map_err(|_| malformed())?,
        b'T' | b'U' | b'L' | b'm' | b'c' => {}
        _ => return Ok(false),
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_in_pieces(text: &[u8], length: usize) -> Result<Index, IndexError> {
        let mut reader = Reader::new("index", 0, of_index);
        for piece in text.chunks(length) {
            reader.take(piece)?;
        }
        reader.finish()
    }

    #[test]
    fn lists_that_come_in_several_lines_are_read_as_one_and_of_other_fields_the_last_counts() {
        let text = "P:one\nP:a\nV:1\nV:2\nS:1\nS:2\nD:x\nD:\nD:y z\np:so:b=1\ni:e\np:so:c\ni:f\no:one\no:other\n\n\
            P:c\nV:1\nD:x\n\nP:d\nV:1\np:so:b=2\np:so:c\n";
        for length in 1..text.len() {
            let index = read_in_pieces(text.as_bytes(), length).unwrap();
            let [a, c, d] = index.packages().collect::<Vec<_>>()[..] else { panic!("three packages") };
            assert_eq!((a.to_string(), a.size(), a.origin()), ("a-2".to_owned(), 2, "other"));
            assert_eq!(a.depends().collect::<Vec<_>>(), ["x", "y", "z"]);
            assert_eq!(a.provides().collect::<Vec<_>>(), ["so:b=1", "so:c"]);
            assert_eq!(a.install_if().collect::<Vec<_>>(), ["e", "f"]);
            assert_eq!((c.depends().count(), c.provides().count(), d.provides().count()), (1, 0, 2));
            let providers =
                |name| index.providers(name).map(|provider| provider.package.0).collect::<Vec<_>>();
            assert_eq!(
                (providers("so:b"), providers("so:c"), providers("one")),
                (vec![0, 2], vec![0, 2], vec![])
            );
            assert_eq!(index.awaiting("f").count(), 1);
            assert_eq!(a.fields().count(), 15);
        }
    }

    fn described(index: &Index) -> Vec<String> {
        let packages = index.packages().map(|package| {
            let fields: Vec<_> = package.fields().collect();
            format!("{package} {fields:?} {:?}", package.flaw())
        });
        let providers = ["a", "é", "so:b", "c"].into_iter().flat_map(|name| index.providers(name));
        packages.chain(providers.map(|provider| format!("{provider:?}"))).collect()
    }

    #[test]
    fn where_a_piece_ends_makes_no_difference() {
        let good = "\nC:Q1\nP:a\nV:1\nT:é – ü\nD:x\ty\np:so:b=1  c\ni:d !e\n\n\nP:c\nV:2\nX:1".as_bytes();
        let bad = [
            b"P:a\nV:1\n\nP:b\n\nP:c\nV:\xff\n".as_slice(),
            b"P:a\nV:1\nT:\xc3\nnonsense\n",
            b"P:a\nV:1\nnonsense\nT:\xc3",
            b"P:a\nV:\xc3",
        ];
        for text in [good].into_iter().chain(bad) {
            let whole = read_in_pieces(text, text.len()).map(|index| described(&index));
            for length in 1..text.len() {
                let pieces = read_in_pieces(text, length).map(|index| described(&index));
                assert_eq!(pieces, whole, "pieces of {length}");
            }
        }
    }

    #[test]
    fn the_first_mistake_is_told() {
        let flaw = |text: &[u8]| read_in_pieces(text, text.len()).map_err(|error| (error.line, error.flaw));
        assert_eq!(flaw(b"P:a\nnonsense\nT:\xff\n").unwrap_err(), (2, LineFlaw::Form));
        assert_eq!(flaw(b"P:a\nT:\xff\nnonsense\n").unwrap_err(), (2, LineFlaw::NotUtf8));
    }

    #[test]
    fn the_words_of_a_list_are_found_whatever_stands_between_them() {
        let list = " so:a=1 \t!b  c@d\r<2 ";
        let found = names(list, Span::of(10..10 + list.len()));
        let found: Vec<_> = found.map(|(name, at)| (name, &list[at.start as usize - 10..][..2])).collect();
        assert_eq!(found, [("so:a", "so"), ("b", "!b"), ("c", "c@"), ("", "<2")]);
    }
}
