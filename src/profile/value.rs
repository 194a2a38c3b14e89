//! What all the small values of a profile share: the error of a text that is not one, and how a text of
//! the user is shown in a message.

use std::fmt;

/// The longest piece of a user's text that a message repeats, in characters.
const MAX_SHOWN: usize = 120;

/// A text that is not a value of the wanted form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {wanted}")]
pub struct Invalid {
    /// The text as it was given, control characters escaped, cut when long.
    pub text: String,
    /// What was wanted, with its article: "a port (...)".
    pub wanted: &'static str,
}

impl Invalid {
    /// `text` where `wanted` should stand.
    pub(super) fn new(text: &str, wanted: &'static str) -> Self {
        Self { text: Shown(text).to_string(), wanted }
    }
}

/// A text of the user, safe for a terminal and of bounded length.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a>(pub(super) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, character) in self.0.chars().enumerate() {
            if index == MAX_SHOWN {
                return f.write_str("...");
            }
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}

/// Whether `text` can stand in an image's config: no control characters but tab and newline, which
/// scripts and certificates need.
pub(super) fn is_plain_text(text: &str) -> bool {
    text.chars().all(|c| !c.is_control() || c == '\n' || c == '\t')
}

/// Whether `text` can stand where everything is one line: no control characters at all.
pub(super) fn is_plain_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// The number in `digits`, which must be nothing but decimal digits.
pub(super) fn decimal<T: std::str::FromStr>(digits: &str) -> Option<T> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_message_repeats_is_escaped_and_cut() {
        assert_eq!(Shown("a\u{1b}[31mb").to_string(), "a\\u{1b}[31mb");
        assert_eq!(Shown(&"x".repeat(500)).to_string().len(), MAX_SHOWN + 3);
    }

    #[test]
    fn a_sign_is_no_digit() {
        assert_eq!(decimal::<u32>("42"), Some(42));
        assert_eq!(decimal::<u32>("+42"), None);
        assert_eq!(decimal::<u32>(""), None);
        assert_eq!(decimal::<u8>("256"), None);
    }
}
