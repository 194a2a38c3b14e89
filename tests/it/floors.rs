//! The house has floors: a module imports only from floors below its own, equals never (`src/lib.rs`, "The
//! floors").
//!
//! What is read is the source text, comments and literals left out: every `crate::name` and
//! `apkcompose::name`, grouped or not, and every `super::name` of a module that stands at the root, counts
//! as an import of the module `name`, wherever it stands.

use std::path::{Path, PathBuf};

use crate::support::files;

/// The modules and the floors they are on.
const FLOORS: [(u8, &[&str]); 9] = [
    (0, &["arch", "content", "digest", "draws", "kind", "path", "report", "root", "threads", "wildcard"]),
    (1, &["archive"]),
    (2, &["apk"]),
    (3, &["elf", "profile", "solve", "tree"]),
    (4, &["image", "sandbox", "store"]),
    (5, &["fetch"]),
    (6, &["compose"]),
    (7, &["mirror"]),
    (8, &["cli", "main"]),
];
/// What the other leaves of floor 0 may import, being the ground they all stand on: what an error says of
/// itself and what a digest is. These import nothing.
const GROUND: [&str; 2] = ["digest", "kind"];

#[test]
fn no_module_imports_from_its_own_floor_or_a_higher_one() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&source);
    assert!(files.len() > 10, "only {} source files in {}", files.len(), source.display());

    let violations: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let relative = file.strip_prefix(&source).expect("a file below src");
            violations(&relative.to_string_lossy(), &files::read_text(file))
        })
        .collect();

    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn an_import_upwards_or_sideways_is_found_however_it_is_written() {
    let bad = r##"
        //! [`crate::store`] in a comment and "crate::store" in a text are no imports.
        use crate::archive::gzip;
        use crate::{digest::{Sha1, Sha256}, fetch::Source, tree};
        /* use crate::cli; */
        const TEXT: &str = "crate::cli"; const RAW: &str = r#"" crate::cli"#; const QUOTE: char = '"';
        fn f<'a>(x: &'a crate :: solve::Plan) -> apkcompose::compose::Error { crate::apk::version::parse() }
        use super::super::super::image;
        use crate::somewhere::else_;
    "##;

    let found = violations("elf/notes.rs", bad);

    insta::assert_snapshot!(found.join("\n"), @r"
    src/elf/notes.rs:4: `elf` (floor 3) imports `fetch` (floor 5)
    src/elf/notes.rs:4: `elf` (floor 3) imports `tree` (floor 3)
    src/elf/notes.rs:7: `elf` (floor 3) imports `compose` (floor 6)
    src/elf/notes.rs:7: `elf` (floor 3) imports `solve` (floor 3)
    src/elf/notes.rs:8: `elf` (floor 3) imports `image` (floor 4)
    src/elf/notes.rs:9: `elf` (floor 3) imports `somewhere`, which is on no floor
    ");
}

#[test]
fn the_ground_imports_nothing_and_the_leaves_only_the_ground() {
    assert_eq!(violations("root.rs", "use crate::kind::Kind; use crate::digest::Sha1;"), [""; 0]);
    assert_eq!(violations("root.rs", "use super::kind::Kind;"), [""; 0]);
    assert_eq!(violations("root.rs", "use crate::path::TreePath;").len(), 1);
    assert_eq!(violations("root.rs", "use super::path::TreePath;").len(), 1);
    assert_eq!(violations("kind.rs", "use crate::digest::Sha1;").len(), 1);
    assert_eq!(violations("apk/mod.rs", "use crate::apk::version; use super::archive;"), [""; 0]);
    assert_eq!(violations("main.rs", "use apkcompose::cli; use apkcompose::compose;"), [""; 0]);
}

#[test]
fn a_module_without_a_floor_is_named() {
    assert_eq!(violations("novelty/mod.rs", ""), ["src/novelty/mod.rs: the module `novelty` is on no floor"]);
    assert_eq!(violations("lib.rs", "pub use crate::compose::Error;"), [""; 0]);
}

/// What `text`, the source file at `path` below `src`, imports against the rule: a line each with file, line and
/// both floors.
fn violations(path: &str, text: &str) -> Vec<String> {
    let own = path.split('/').next().unwrap_or(path).trim_end_matches(".rs");
    // The crate's root declares the modules and names what it gives to the world.
    if own == "lib" {
        return Vec::new();
    }
    let Some(own_floor) = floor(own) else {
        return vec![format!("src/{path}: the module `{own}` is on no floor")];
    };
    let judge = |(line, name): (usize, String)| {
        let found = format!("src/{path}:{line}: `{own}` (floor {own_floor}) imports `{name}`");
        let Some(floor) = floor(&name) else { return Some(format!("{found}, which is on no floor")) };
        let is_within = name == own || floor == 8 && own_floor == 8;
        let is_below = floor < own_floor;
        let is_ground = own_floor == 0 && GROUND.contains(&name.as_str()) && !GROUND.contains(&own);
        (!is_within && !is_below && !is_ground).then(|| format!("{found} (floor {floor})"))
    };
    imports(path, &code(text)).into_iter().filter_map(judge).collect()
}

/// The floor `module` is on.
fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(_, modules)| modules.contains(&module)).map(|(floor, _)| *floor)
}

/// The modules that `code`, in the file at `path`, imports, each with its line.
fn imports(path: &str, code: &str) -> Vec<(usize, String)> {
    // How many `super::` lead to the crate's root: one from `elf.rs` and `elf/mod.rs`, two from `elf/notes.rs`.
    let depth = path.trim_end_matches("/mod.rs").split('/').count();
    let mut found = Vec::new();
    for root in ["crate", "apkcompose"] {
        for (at, _) in code.match_indices(root) {
            let is_word = !code[..at].ends_with(is_name);
            if let Some(rest) = code[at + root.len()..].trim_start().strip_prefix("::").filter(|_| is_word) {
                found.extend(heads(rest).into_iter().map(|name| (line(code, at), name)));
            }
        }
    }
    let mut begin = 0;
    while let Some(next) = code[begin..].find("super") {
        let (count, rest) = supers(&code[begin + next..]);
        // From a module inside the file one more leads to the root, and one less to a child of this module,
        // which may have the name of a floor's module only by mistake.
        if count >= depth {
            let names = heads(rest).into_iter().filter(|name| floor(name).is_some());
            found.extend(names.map(|name| (line(code, begin + next), name)));
        }
        begin = (code.len() - rest.len()).max(begin + next + "super".len());
    }
    found.sort();
    found.dedup();
    found
}

/// How often `super::` stands at the beginning of `code`, and what comes then.
fn supers(code: &str) -> (usize, &str) {
    let mut count = 0;
    let mut rest = code;
    while let Some(next) =
        rest.trim_start().strip_prefix("super").and_then(|next| next.trim_start().strip_prefix("::"))
    {
        (count, rest) = (count + 1, next);
    }
    (count, rest)
}

/// The first names of what follows `crate::`: one, or those of a group in braces.
fn heads(rest: &str) -> Vec<String> {
    let rest = rest.trim_start();
    let name =
        |text: &str| text.trim_start().chars().take_while(|letter| is_name(*letter)).collect::<String>();
    let Some(group) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let mut depth = 0;
    let mut names = vec![name(group)];
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(&group[at + 1..])),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn is_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The number of the line at the offset `at`.
fn line(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// `text` with spaces for comments and for string and character literals; lines stay lines.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let skipped = skipped(rest, code.chars().next_back());
        let kept = if skipped == 0 { letter.len_utf8() } else { 0 };
        code.push_str(&rest[..kept]);
        code.extend(rest[kept..kept + skipped].chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }));
        rest = &rest[kept + skipped..];
    }
    code
}

/// How many bytes at the beginning of `rest`, which follows the letter `before`, are a comment or a literal.
fn skipped(rest: &str, before: Option<char>) -> usize {
    let until =
        |from: usize, end: &str| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return until(2, "*/");
    }
    if let Some(hashes) = rest.strip_prefix('r').filter(|_| !before.is_some_and(is_name)) {
        let count = hashes.len() - hashes.trim_start_matches('#').len();
        if hashes[count..].starts_with('"') {
            return until(count + 2, &format!("\"{}", "#".repeat(count)));
        }
    }
    let mut letters = rest.chars();
    match (letters.next(), letters.next(), letters.next()) {
        (Some('"'), _, _) => quoted(rest, '"'),
        // A lifetime is no literal: it has no quote behind its first letter.
        (Some('\''), Some('\\'), _) | (Some('\''), _, Some('\'')) => quoted(rest, '\''),
        _ => 0,
    }
}

/// How many bytes the literal at the beginning of `rest` has, which begins and ends with `quote`.
fn quoted(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        if letter == quote && !is_escaped {
            return at + quote.len_utf8();
        }
        is_escaped = letter == '\\' && !is_escaped;
    }
    rest.len()
}

/// The `.rs` files below `directory`.
fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for name in files::names(directory) {
        let path = directory.join(name);
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
