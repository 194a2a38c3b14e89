//! The part of the shell's language that account scripts are written in.
//!
//! Blank lines, comments, assignments of literal words, commands of literal words and such variables, output
//! thrown away, `|| true`, `exit 0`. Every character that could mean anything else makes a text none of these.
//!
//! Source: POSIX.1-2017, "Shell Command Language"; BusyBox 1.36.1 `ash`, measured.

use std::collections::HashMap;
use std::iter::Peekable;
use std::str::Chars;

use super::Failure;

/// The longest script that is looked at, in bytes.
const MAX_SCRIPT: usize = 64 * 1024;
/// What runs the script.
const SHELL: &str = "/bin/sh";
/// Where output is thrown away.
const NULL: &str = "/dev/null";
/// Characters besides letters and digits that mean themselves, and of which no word is made two.
const PLAIN: &str = "_-./,:@%+=";

/// A command: its words, expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) words: Vec<String>,
    pub(super) failure: Failure,
}

/// The commands of the script `text` in order, or nothing if it says anything else. The end of the script is a
/// command that succeeds if it is given: `:`.
pub(super) fn lines(text: &str) -> Option<Vec<Line>> {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let is_shells = first.strip_prefix("#!").is_some_and(|shell| shell.trim_matches([' ', '\t']) == SHELL);
    if text.len() > MAX_SCRIPT || !is_shells {
        return None;
    }
    let mut reader = Reader { rest: rest.chars().peekable(), variables: HashMap::new() };
    let mut lines = Vec::new();
    while reader.rest.peek().is_some() {
        let line = reader.line()?;
        if line.words.is_empty() {
            continue;
        }
        let is_end = line.words == ["exit", "0"];
        lines.push(if is_end { Line { words: vec![":".to_owned()], ..line } } else { line });
        if is_end {
            // What follows is not even read.
            break;
        }
    }
    Some(lines)
}

/// A word, and how long the name is before its first `=`, if it may be an assignment.
#[derive(Default)]
struct Word {
    text: String,
    name: Option<usize>,
    is_quoted: bool,
}

/// What stands next on a line.
enum Token {
    Word(Word),
    /// Output goes nowhere, or where other output goes.
    Redirection,
    Or,
    End,
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    variables: HashMap<String, String>,
}

impl Reader<'_> {
    /// The command of the next line, without words if it has none; assignments are a command that succeeds.
    fn line(&mut self) -> Option<Line> {
        let mut words = Vec::new();
        let mut assigns = false;
        let failure = loop {
            match self.token()? {
                Token::Word(Word { text, name: Some(length), .. }) if words.is_empty() => {
                    let (name, value) = text.split_at_checked(length)?;
                    self.variables.insert(name.to_owned(), value.strip_prefix('=')?.to_owned());
                    assigns = true;
                }
                // What is assigned before a command is assigned for it alone.
                Token::Word(_) if assigns => return None,
                Token::Word(word) => words.push(word),
                Token::Redirection => {}
                Token::Or if !words.is_empty() => break self.alternative()?,
                Token::Or => return None,
                Token::End => break Failure::Counts,
            }
        };
        if words.first().is_some_and(|command| command.is_quoted) {
            return None;
        }
        let mut words: Vec<String> = words.into_iter().map(|word| word.text).collect();
        if assigns {
            words.push(":".to_owned());
        }
        Some(Line { words, failure })
    }

    /// What stands behind `||` up to the end of the line, which must be what always succeeds.
    fn alternative(&mut self) -> Option<Failure> {
        let Token::Word(word) = self.token()? else { return None };
        let is_end = matches!(self.token()?, Token::End);
        (is_end && !word.is_quoted && [":", "true"].contains(&word.text.as_str())).then_some(Failure::Ignored)
    }

    fn token(&mut self) -> Option<Token> {
        self.skip_blanks()?;
        match self.rest.peek().copied() {
            None => Some(Token::End),
            Some('\n') => {
                self.rest.next();
                Some(Token::End)
            }
            Some('#') => {
                // A comment is not continued on the next line.
                self.rest.by_ref().find(|letter| *letter == '\n');
                Some(Token::End)
            }
            Some('|') => {
                self.rest.next();
                (self.rest.next() == Some('|')).then_some(Token::Or)
            }
            Some('>') => self.redirection(),
            Some(_) => {
                let word = self.word()?;
                let is_stream = !word.is_quoted && ["1", "2"].contains(&word.text.as_str());
                if self.rest.peek() != Some(&'>') {
                    return Some(Token::Word(word));
                }
                if is_stream { self.redirection() } else { None }
            }
        }
    }

    /// `>/dev/null`, `>>/dev/null`, `>&1` and `>&2`, from the first `>`.
    fn redirection(&mut self) -> Option<Token> {
        self.rest.next();
        if self.rest.next_if_eq(&'&').is_some() {
            let stream = self.word()?;
            let is_stream = !stream.is_quoted && ["1", "2"].contains(&stream.text.as_str());
            return is_stream.then_some(Token::Redirection);
        }
        self.rest.next_if_eq(&'>');
        self.skip_blanks()?;
        (self.word()?.text == NULL).then_some(Token::Redirection)
    }

    fn skip_blanks(&mut self) -> Option<()> {
        while let Some(letter) = self.rest.next_if(|letter| [' ', '\t', '\\'].contains(letter)) {
            if letter == '\\' {
                self.continuation()?;
            }
        }
        Some(())
    }

    /// The end of the line behind a backslash, which is no end then.
    fn continuation(&mut self) -> Option<()> {
        self.rest.next_if_eq(&'\n').map(drop)
    }

    /// A word of one character or more, quotes and variables replaced; the character behind it is left.
    fn word(&mut self) -> Option<Word> {
        let mut word = Word::default();
        let mut is_any = false;
        while let Some(letter) = self.rest.next_if(|letter| !" \t\n|>".contains(*letter)) {
            is_any = true;
            match letter {
                '\\' => self.continuation()?,
                '\'' => {
                    word.is_quoted = true;
                    self.quoted(&mut word.text, '\'')?;
                }
                '"' => {
                    word.is_quoted = true;
                    self.quoted(&mut word.text, '"')?;
                }
                '$' => {
                    // So that a name made of variables is no name.
                    word.is_quoted |= word.name.is_none();
                    let value = self.variable()?;
                    if value.is_empty() || !value.chars().all(is_plain) {
                        return None;
                    }
                    word.text += &value;
                }
                '=' if word.name.is_none() && !word.is_quoted && is_name(&word.text) => {
                    word.name = Some(word.text.len());
                    word.text.push('=');
                }
                _ if is_plain(letter) => word.text.push(letter),
                _ => return None,
            }
        }
        is_any.then_some(word)
    }

    /// Adds what stands up to the closing `quote`.
    fn quoted(&mut self, text: &mut String, quote: char) -> Option<()> {
        loop {
            match self.rest.next()? {
                letter if letter == quote => return Some(()),
                '\n' => return None,
                '$' if quote == '"' => text.push_str(&self.variable()?),
                '\\' | '`' if quote == '"' => return None,
                letter => text.push(letter),
            }
        }
    }

    /// The value of the variable whose name, in braces or not, is next.
    fn variable(&mut self) -> Option<String> {
        let is_braced = self.rest.next_if_eq(&'{').is_some();
        let mut name = String::new();
        while let Some(letter) = self.rest.next_if(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
        {
            name.push(letter);
        }
        if is_braced && self.rest.next() != Some('}') {
            return None;
        }
        self.variables.get(&name).cloned()
    }
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || PLAIN.contains(letter)
}

/// Whether `text` is the name of a variable. Those in capitals may be the shell's own.
fn is_name(text: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    text.starts_with(|letter: char| letter.is_ascii_lowercase())
        && text.chars().all(|letter| is_letter(letter) || letter.is_ascii_digit())
}
