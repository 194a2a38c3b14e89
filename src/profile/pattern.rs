//! Patterns: globs on paths of a tree, and the pattern that reads a variable's value from a package name.
//!
//! In a glob `*` and `?` do not cross a `/`, `**` does; `{a,b}` and `[a-z]` are as in a shell. Nothing in a glob makes
//! matching take longer than its length times the path's, nor reading it longer than its length.
//!
//! Source: design, "The profile"; gitignore(5) for `**`.

use std::fmt;

use super::value::{Invalid, is_plain_line};
use crate::path::TreePath;
use crate::wildcard::{Instruction, Letters, Program};

const WANTED_TREE_GLOB: &str =
    "a pattern of paths (beginning with `/`; `*` within a name, `**` across directories)";
const WANTED_RELATIVE_GLOB: &str =
    "a pattern of relative paths (not beginning with `/`; `*` within a name, `**` across directories)";
const WANTED_VALUE_PATTERN: &str = "a pattern of package names (exactly one `*`, which stands for the value)";

/// The longest pattern, in bytes: what it is compiled to grows with it.
const MAX_PATTERN: usize = 1024;
/// How many `{` may be open at a time.
const MAX_DEPTH: usize = 64;

/// A glob over the paths of a tree or of a directory.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: Box<str>,
    matcher: Matcher,
}

/// What paths are held against.
#[derive(Debug, Clone)]
struct Matcher {
    /// What every path that matches begins with: most others are told apart by it.
    prefix: Box<str>,
    program: Program,
}

impl Pattern {
    /// A pattern of paths from the root of the tree, beginning with a slash.
    pub fn of_tree(text: &str) -> Result<Self, Invalid> {
        let compiled = text.strip_prefix('/').and_then(compile);
        let matcher = compiled.ok_or_else(|| Invalid::new(text, WANTED_TREE_GLOB))?;
        Ok(Self { text: text.into(), matcher })
    }

    /// A pattern of paths below some directory, without a leading slash.
    pub fn relative(text: &str) -> Result<Self, Invalid> {
        let compiled = if text.starts_with('/') { None } else { compile(text) };
        let matcher = compiled.ok_or_else(|| Invalid::new(text, WANTED_RELATIVE_GLOB))?;
        Ok(Self { text: text.into(), matcher })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `path`, from the root or below the directory the pattern is for, matches as a whole.
    #[must_use]
    pub fn matches(&self, path: &TreePath) -> bool {
        let path = path.as_str();
        path.starts_with(&*self.matcher.prefix) && self.matcher.program.matches(path.chars(), &mut 0)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn compile(text: &str) -> Option<Matcher> {
    let names_fit = text.split('/').all(|name| !matches!(name, "" | "." | ".."));
    if !names_fit || text.len() > MAX_PATTERN || !is_plain_line(text) {
        return None;
    }
    let is_special = |letter: char| "*?[{}\\".contains(letter);
    let prefix = text.split(is_special).next().unwrap_or_default();
    // A star pair reaches back to the slash in front of it.
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let letters: Vec<char> = text.chars().collect();
    let mut reader = GlobReader { letters: &letters, at: 0, program: Program::default() };
    reader.sequence(0)?;
    reader.is_at_end().then_some(Matcher { prefix: prefix.into(), program: reader.program })
}

/// Reads a glob into a program.
struct GlobReader<'a> {
    letters: &'a [char],
    at: usize,
    program: Program,
}

impl GlobReader<'_> {
    fn letter(&self, at: usize) -> Option<char> {
        self.letters.get(at).copied()
    }

    fn is_at_end(&self) -> bool {
        self.at == self.letters.len()
    }

    /// Whether a name ends at `at`, `depth` braces deep.
    fn ends_name(&self, at: usize, depth: usize) -> bool {
        match self.letter(at) {
            None | Some('/') => true,
            Some(',' | '}') => depth > 0,
            Some(_) => false,
        }
    }

    /// Reads up to the end, or to what ends an alternative `depth` braces deep; nothing if it is malformed.
    fn sequence(&mut self, depth: usize) -> Option<()> {
        let start = self.at;
        while let Some(letter) = self.letter(self.at) {
            match letter {
                ',' | '}' if depth > 0 => break,
                '}' => return None,
                '{' => self.alternatives(depth + 1)?,
                '[' => self.bracket()?,
                '?' => self.take(Instruction::AnyButSlash),
                '*' => self.stars(start, depth),
                '/' if self.letter(self.at + 1) == Some('*')
                    && self.letter(self.at + 2) == Some('*')
                    && self.ends_name(self.at + 3, depth) =>
                {
                    self.slash_and_directories(depth);
                }
                '\\' => {
                    self.at += 1;
                    let escaped = self.letter(self.at)?;
                    self.take(Instruction::One(escaped));
                }
                _ => self.take(Instruction::One(letter)),
            }
        }
        Some(())
    }

    fn take(&mut self, instruction: Instruction) {
        self.program.push(instruction);
        self.at += 1;
    }

    /// Reads a star, or a pair of them at the beginning: any directories, or none.
    fn stars(&mut self, start: usize, depth: usize) {
        let is_pair = self.letter(self.at + 1) == Some('*');
        if self.at != start || !is_pair || !self.ends_name(self.at + 2, depth) {
            self.program.push_any_number_of(Instruction::AnyButSlash);
            self.at += 1;
            return;
        }
        self.at += 2;
        self.directories();
    }

    /// Reads `/**` as a whole name: everything below, or any directories on the way.
    fn slash_and_directories(&mut self, depth: usize) {
        self.program.push(Instruction::One('/'));
        // More pairs say the same.
        while self.letter(self.at) == Some('/')
            && self.letter(self.at + 1) == Some('*')
            && self.letter(self.at + 2) == Some('*')
            && self.ends_name(self.at + 3, depth)
        {
            self.at += 3;
        }
        self.directories();
    }

    /// What a pair of stars stands for: any directories on the way to what follows a slash, or everything.
    fn directories(&mut self) {
        if self.letter(self.at) == Some('/') {
            // Nothing, or anything and a slash.
            self.at += 1;
            let choice = self.program.len();
            self.program.push(Instruction::Split(choice + 1, choice + 5));
            self.program.push_any_number_of(Instruction::Any);
            self.program.push(Instruction::One('/'));
        } else {
            self.program.push_any_number_of(Instruction::Any);
        }
    }

    /// Reads `{one,other}`; alternatives of nothing do not count.
    fn alternatives(&mut self, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let (mut choices, mut ends) = (Vec::new(), Vec::new());
        loop {
            self.at += 1;
            let choice = self.program.len();
            self.program.push(Instruction::Jump(choice + 1));
            self.sequence(depth)?;
            if self.program.len() > choice + 1 {
                choices.push(choice);
                ends.push(self.program.len());
                self.program.push(Instruction::Jump(0));
            } else {
                self.program.pop();
            }
            if self.letter(self.at)? != ',' {
                break;
            }
        }
        self.at += 1;
        let behind = self.program.len();
        for (number, choice) in choices.iter().enumerate() {
            let go_on = choices
                .get(number + 1)
                .map_or(Instruction::Jump(choice + 1), |next| Instruction::Split(choice + 1, *next));
            self.program.replace(*choice, go_on);
        }
        for end in ends {
            self.program.replace(end, Instruction::Jump(behind));
        }
        Some(())
    }

    /// Reads `[a-z]`; nothing if it does not end, or a range runs backwards.
    fn bracket(&mut self) -> Option<()> {
        self.at += 1;
        let is_complement = matches!(self.letter(self.at), Some('!' | '^'));
        self.at += usize::from(is_complement);
        let start = self.at;
        let mut ranges: Vec<(char, char)> = Vec::new();
        loop {
            let letter = self.letter(self.at)?;
            if letter == ']' && self.at > start {
                break;
            }
            match (letter, self.letter(self.at + 1)?, ranges.last_mut()) {
                ('-', last, Some(range)) if last != ']' && range.0 == range.1 && self.at > start => {
                    range.1 = last;
                    self.at += 1;
                    if range.1 < range.0 {
                        return None;
                    }
                }
                _ => ranges.push((letter, letter)),
            }
            self.at += 1;
        }
        // No bracket takes a slash.
        let letters = if is_complement {
            ranges.push(('/', '/'));
            Letters::in_ranges(ranges).complement()
        } else {
            let apart = ranges.into_iter().flat_map(|(first, last)| {
                if (first..=last).contains(&'/') { [(first, '.'), ('0', last)] } else { [(first, last); 2] }
            });
            Letters::in_ranges(apart.collect())
        };
        self.take(Instruction::Of(letters));
        Some(())
    }
}

/// `php*-fpm`: what of a package's name is a variable's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValuePattern {
    prefix: Box<str>,
    suffix: Box<str>,
}

impl ValuePattern {
    /// Parses a pattern with exactly one `*`.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let is_name = |text: &str| text.chars().all(super::names::is_package_name_char);
        match text.split_once('*') {
            Some((prefix, suffix)) if is_name(prefix) && is_name(suffix) => {
                Ok(Self { prefix: prefix.into(), suffix: suffix.into() })
            }
            _ => Err(Invalid::new(text, WANTED_VALUE_PATTERN)),
        }
    }

    /// A value that could be: what stands alone is a name, what stands in one is taken for a number.
    pub(super) fn invented(&self) -> &'static str {
        if self.prefix.is_empty() && self.suffix.is_empty() { "x" } else { "0" }
    }

    /// What the `*` stands for in the name of `package`; nothing if the name does not fit.
    #[must_use]
    pub fn value_in<'a>(&self, package: &'a str) -> Option<&'a str> {
        let value = package.strip_prefix(&*self.prefix)?.strip_suffix(&*self.suffix)?;
        (!value.is_empty()).then_some(value)
    }
}

impl fmt::Display for ValuePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}*{}", self.prefix, self.suffix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Pattern::of_tree(pattern).unwrap().matches(&TreePath::absolute(path).unwrap())
    }

    #[test]
    fn one_star_stays_in_a_name_and_two_cross_directories() {
        assert!(matches("/usr/share/man/**", "/usr/share/man/man1/ls.1"));
        assert!(!matches("/usr/share/man/**", "/usr/share/man"));
        assert!(matches("/usr/lib/*.a", "/usr/lib/libc.a"));
        assert!(!matches("/usr/lib/*.a", "/usr/lib/x/libc.a"));
        assert!(matches("/**/*.pyc", "/a/b/c.pyc"));
        assert!(matches("/etc/{passwd,group}", "/etc/group"));
    }

    #[test]
    fn a_pattern_is_read_as_a_shell_reads_it() {
        for (pattern, path, expected) in [
            ("/**", "/a/b", true),
            ("/**/a", "/a", true),
            ("/a/**/b", "/a/b", true),
            ("/a/**/b", "/a/x/y/b", true),
            ("/a/**/b", "/ab", false),
            ("/a/**/**/b", "/a/b", true),
            ("/a/**/**", "/a", false),
            ("/a**b", "/axb", true),
            ("/a**b", "/a/b", false),
            ("/a/**b", "/a/xb", true),
            ("/?", "/é", true),
            ("/[é]", "/é", true),
            ("/[!é]", "/a", true),
            ("/a[!b]c", "/a/c", false),
            ("/a[+-9]c", "/a/c", false),
            ("/a[+-9]c", "/a5c", true),
            ("/[]a]", "/]", true),
            ("/[a-]", "/-", true),
            ("/[--a]", "/A", true),
            ("/{a,b{c,d}}", "/bd", true),
            ("/{a,b{c,d}}", "/b", false),
            ("/x{,a}", "/x", false),
            ("/x{,a}", "/xa", true),
            ("/x{}", "/x", true),
            ("/{a,b/**}", "/b/c/d", true),
            ("/a,b", "/a,b", true),
            ("/\\{a", "/{a", true),
            ("/\\*", "/x", false),
            ("/*a*a*", "/bab", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_pattern_of_any_sort_and_length_is_accepted_or_refused_and_never_dear() {
        let names: Vec<TreePath> = (0..10)
            .map(|count| TreePath::relative(&format!("{}b", "a".repeat(20 * count + 1))).unwrap())
            .collect();
        for piece in ["?", "*a", "{a,b}", "{*,?}", "[a-b]", "[!é]", "\\a", "**/", "{a,{b,", "é", "*"] {
            for tail in ["", "c", "/**"] {
                let times = (MAX_PATTERN - 5) / piece.len();
                let text = format!("/{}{tail}", piece.repeat(times)).replace("//", "/");
                if let Ok(pattern) = Pattern::of_tree(&text) {
                    let matching = names.iter().filter(|name| pattern.matches(name)).count();
                    assert!(matching <= names.len());
                }
            }
        }
    }

    #[test]
    fn a_relative_pattern_is_for_paths_below_a_directory() {
        let pattern = Pattern::relative("**/.git/**").unwrap();
        assert!(pattern.matches(&TreePath::relative("a/.git/config").unwrap()));
        assert!(pattern.matches(&TreePath::relative(".git/config").unwrap()));
        assert!(!pattern.matches(&TreePath::relative("a/git").unwrap()));
        assert!(Pattern::relative("/a").is_err());
    }

    #[test]
    fn a_pattern_that_could_leave_or_cannot_be_compiled_is_refused() {
        let nested = |depth| format!("/{}{}", "{a,".repeat(depth), "}".repeat(depth));
        assert!(Pattern::of_tree(&nested(64)).is_ok());
        let (deep, long) = (nested(250), "/a".repeat(600));
        for text in [
            "", "/", "usr/**", "/a/../b", "/a//b", "/a[", "/a{", "/a}", "/a\\", "/[b-a]", "/a\n", &long,
            &deep,
        ] {
            assert!(Pattern::of_tree(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_star_of_a_value_pattern_is_the_value() {
        let pattern = ValuePattern::new("php*-fpm").unwrap();
        assert_eq!(pattern.value_in("php83-fpm"), Some("83"));
        assert_eq!(pattern.value_in("php-fpm"), None);
        assert_eq!(pattern.value_in("php83-cgi"), None);
        assert_eq!(ValuePattern::new("ab*ba").unwrap().value_in("aba"), None);
        for text in ["", "php", "*a*", "php */", "php[0-9]*"] {
            assert!(ValuePattern::new(text).is_err(), "{text}");
        }
    }
}
