//! Globs, held against what apk 2.14.4 says of them, and against their own limits.

use super::*;

fn matches(glob: &str, path: &str) -> bool {
    Glob::parse(glob).is_some_and(|glob| glob.matches(path))
}

/// The names of directories that apk 2.14.4 was asked about, below `/d`.
const NAMES: [&str; 20] = [
    "a", "é", "[a", "ab", "b", ".h", "\\", "x\\", "]", "-", "d", "^", "!", "a]", "*", "{a,b}", "𝄞", "ü", "A",
    "a/b",
];

#[test]
fn a_glob_matches_what_the_real_apk_says() {
    for (glob, expected) in [
        ("?", "a b \\ ] - d ^ ! * A"),
        ("??", "é [a ab .h x\\ a] ü"),
        ("[]a]", "a ]"),
        ("[a", "[a"),
        ("[!]a]", "b \\ - d ^ ! * A"),
        ("[^a]", "b \\ ] - d ^ ! * A"),
        ("\\", "\\"),
        ("x\\", "x\\"),
        ("[a/b]", "a b"),
        ("[[:alpha:]]", "a b d A"),
        ("[[:upper:]]", "A"),
        ("[[:foo:]]", ""),
        ("[[.a.]]", ""),
        ("[[=a=]]", ""),
        ("*/", ""),
        ("[\\]]", ""),
        ("[\\\\]", "\\"),
        ("[a-]", "a -"),
        ("[b-a]", "a b"),
        ("[a-c-e]", "a b d"),
        ("**", "a é [a ab b .h \\ x\\ ] - d ^ ! a] * {a,b} 𝄞 ü A"),
        ("[é-ý]", ""),
        ("\\*", "*"),
        ("*b", "ab b"),
        ("[a-b]*", "a ab b a]"),
        ("{a,b}", "{a,b}"),
        ("[!!]", "a b \\ ] - d ^ * A"),
        ("[--a]", "a \\ ] - ^ A"),
        ("[[]a", "[a"),
        ("[^]", ""),
        ("[]", ""),
        ("[!]", ""),
        ("*[a", "[a"),
        ("[.]h", ".h"),
        ("[^-b]", "a \\ ] d ^ ! * A"),
        ("[a-\\]]", "a]"),
        ("[[:alpha:]-z]", "a b \\ ] d ^ A"),
        ("[^[:alpha:]]", "\\ ] - ^ ! *"),
        ("[^a-]", "b \\ ] d ^ ! * A"),
        ("[^[:punct:]][^[:punct:]]", "é ab ü"),
        ("[[:graph:]][[:graph:]]", "[a ab .h x\\ a]"),
        ("*/*", "a/b"),
        ("a/?", "a/b"),
        ("a\\/b", "a/b"),
    ] {
        let matching = NAMES.into_iter().filter(|name| matches(&format!("/d/{glob}"), &format!("/d/{name}")));
        assert_eq!(matching.collect::<Vec<_>>().join(" "), expected, "{glob}");
    }
}

#[test]
fn the_names_of_a_path_are_matched_one_by_one_from_the_root() {
    for (glob, path, expected) in [
        ("/", "/", true),
        ("/*", "/", true),
        ("*", "/", false),
        ("", "/", false),
        ("/*", "/usr", true),
        ("*/usr", "/usr", true),
        ("//usr", "/usr", false),
        ("/./usr", "/usr", false),
        ("usr", "/usr", false),
        ("/usr/**/man", "/usr/man", false),
        ("/usr/**", "/usr/share/man", false),
        ("/usr/[!a]man", "/usr//man", false),
    ] {
        assert_eq!(matches(glob, path), expected, "{glob} {path}");
    }
}

#[test]
fn a_glob_that_is_longer_than_any_path_matches_nothing_and_costs_its_length() {
    let long = 1_000_000;
    for glob in ["?", "a", "[a]", "/", "[a-z][[:alpha:]]", "/d", "a*"] {
        assert!(Glob::parse(&format!("/{}", glob.repeat(long))).is_none(), "{glob}");
    }
    // Stars need nothing, and a bracket is one byte however much it says.
    assert!(matches(&format!("/{}", "*".repeat(long)), "/usr"));
    assert!(matches(&format!("/us[{}]", "qr-s".repeat(long)), "/usr"));
    assert!(matches(&format!("/us[[:alpha:]{}]", "[:digit:]".repeat(long)), "/usr"));
    // Brackets without an end are letters, and each is looked at once.
    assert!(Glob::parse(&format!("/{}", "[".repeat(long))).is_none());
    assert!(Glob::parse(&format!("/{}{}", "[".repeat(long), "[:a:]".repeat(long))).is_none());
}

#[test]
fn a_glob_of_many_stars_is_matched_without_going_back() {
    let glob = Glob::parse(&format!("/{}b", "*a".repeat(100))).unwrap();
    let mut steps = 0;
    assert!(!glob.parts()[1].matches(&"a".repeat(255), &mut steps));
    assert!(steps < 255 * 500, "{steps}");
}

/// The definition taken literally, as an oracle.
#[test]
fn a_glob_matches_as_its_definition_says() {
    let patterns =
        ["*", "?", "a", "b", "ab", "a*", "*a", "[ab]", "[!a]", "[a-b]?", "*a*", "\\*", "**", "a?b", ""];
    let texts = ["", "a", "b", "ab", "ba", "aab", "abb", "*", "c", ".a"];
    for first in patterns {
        for second in patterns {
            let glob = format!("/{first}/{second}{first}");
            for one in texts {
                for two in texts {
                    let path = format!("/{one}/{two}");
                    assert_eq!(matches(&glob, &path), by_definition(&glob, &path), "{glob} {path}");
                }
            }
        }
    }
}

/// Whether each name of `path` matches its part of `glob`.
fn by_definition(glob: &str, path: &str) -> bool {
    let (parts, names): (Vec<&str>, Vec<&str>) = (glob.split('/').collect(), path.split('/').collect());
    parts.len() == names.len() && parts.iter().zip(names).all(|(part, name)| backtracks(part, name))
}

/// The definition of a glob without brackets of names, taken literally: exponential, and plainly right.
fn backtracks(glob: &str, text: &str) -> bool {
    let rest = |text: &str| text.chars().next().map(|letter| text[letter.len_utf8()..].to_owned());
    match glob.chars().next() {
        None => text.is_empty(),
        Some('*') => backtracks(&glob[1..], text) || rest(text).is_some_and(|rest| backtracks(glob, &rest)),
        Some('?') => rest(text).is_some_and(|rest| backtracks(&glob[1..], &rest)),
        Some('\\') => text.starts_with(&glob[1..2]) && backtracks(&glob[2..], &text[1..]),
        Some('[') => {
            let (inside, behind) = glob[1..].split_once(']').unwrap();
            let (inside, is_complement) =
                inside.strip_prefix('!').map_or((inside, false), |rest| (rest, true));
            let letter = text.chars().next();
            let is_in = |letter: char| match inside.split_once('-') {
                Some((first, last)) => (first..=last).contains(&letter.to_string().as_str()),
                None => inside.contains(letter),
            };
            letter.is_some_and(|letter| is_in(letter) != is_complement)
                && rest(text).is_some_and(|rest| backtracks(behind, &rest))
        }
        Some(letter) => text.starts_with(letter) && backtracks(&glob[1..], &text[1..]),
    }
}
