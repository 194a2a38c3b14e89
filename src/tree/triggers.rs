//! Which directories the triggers of a package watch.
//!
//! A trigger names globs of directories, as fnmatch(3) reads paths: `*` does not cross a slash, however many there are
//! of it, and braces are letters. A `+` in front means that the directory counts only if it changed, not because the
//! package that watches it is new.
//!
//! Source: spec apk v2, "Triggers".

use globset::{GlobBuilder, GlobMatcher};

use crate::path::TreePath;

/// Of `directories`, those that one of `globs` matches, and whether they count only if they changed.
pub fn watched<'a>(
    globs: &[String],
    directories: impl IntoIterator<Item = &'a TreePath>,
) -> impl Iterator<Item = (&'a TreePath, bool)> {
    let globs: Vec<(GlobMatcher, bool)> = globs.iter().filter_map(|glob| matcher(glob)).collect();
    directories.into_iter().filter_map(move |directory| {
        let text = directory.to_string();
        let mut matching = globs.iter().filter(|(glob, _)| glob.is_match(&text)).map(|(_, changed)| *changed);
        let first = matching.next()?;
        Some((directory, first && matching.all(|only_if_changed| only_if_changed)))
    })
}

fn matcher(glob: &str) -> Option<(GlobMatcher, bool)> {
    let (text, only_if_changed) = glob.strip_prefix('+').map_or((glob, false), |text| (text, true));
    let glob = GlobBuilder::new(&as_globset_reads_it(text)).literal_separator(true).build().ok()?;
    Some((glob.compile_matcher(), only_if_changed))
}

/// Without what means more to globset than to fnmatch: stars in a row, and braces outside of brackets.
fn as_globset_reads_it(glob: &str) -> String {
    let mut text = String::with_capacity(glob.len());
    let (mut is_escaped, mut is_in_brackets) = (false, false);
    for letter in glob.chars() {
        match letter {
            '*' if text.ends_with('*') && !is_escaped => continue,
            '{' | '}' if !is_escaped && !is_in_brackets => text.push('\\'),
            '[' if !is_escaped => is_in_brackets = true,
            ']' => is_in_brackets = false,
            _ => {}
        }
        is_escaped = letter == '\\' && !is_escaped;
        text.push(letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_does_not_cross_a_slash_and_a_plus_waits_for_a_change() {
        let path = |text: &str| TreePath::absolute(text).unwrap();
        let directories =
            [path("/lib/modules"), path("/lib/modules/6.1"), path("/lib/modules/6.1/x"), path("/bin")];
        let globs = ["/lib/modules/*".to_owned(), "+/bin".to_owned()];
        let watched: Vec<_> =
            watched(&globs, &directories).map(|(path, plus)| (path.as_str(), plus)).collect();
        assert_eq!(watched, [("lib/modules/6.1", false), ("bin", true)]);
    }

    #[test]
    fn a_glob_is_read_as_fnmatch_reads_it() {
        // Expected: fnmatch(3) with FNM_PATHNAME.
        for (glob, path, expected) in [
            ("/usr/**", "usr/share", true),
            ("/usr/**", "usr/share/man", false),
            ("/usr/**/man", "usr/man", false),
            ("/opt/{a,b}", "opt/a", false),
            ("/opt/{a,b}", "opt/{a,b}", true),
            ("/opt/[{]", "opt/{", true),
            ("/opt/\\*", "opt/*", true),
            ("/opt/\\*", "opt/x", false),
            ("/opt/?", "opt/a", true),
            ("/opt/[!a]", "opt/a", false),
            ("/opt/*", "opt/.a", true),
        ] {
            let directories = [TreePath::relative(path).unwrap()];
            assert_eq!(watched(&[glob.to_owned()], &directories).count() == 1, expected, "{glob} {path}");
        }
    }
}
