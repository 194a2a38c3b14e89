//! Which directories the triggers of a package watch.
//!
//! A trigger names [globs](super::glob) of directories. A `+` in front means that the directory counts only if it
//! changed, not because the package that watches it is new.
//!
//! Directories are looked up in their sorted list, name by name, so a glob costs what it could match, and not what there
//! is. What all globs of an image cost together has a limit, because many globs times many directories is more than
//! either.
//!
//! Source: spec apk v2, "Triggers".

use std::collections::BTreeMap;

use super::glob::{Glob, Part};
use crate::kind::{Explain, Kind};
use crate::path::TreePath;

/// How many names and bytes of names may be compared with globs for one image.
const MAX_STEPS: u64 = 50_000_000;

/// The triggers of an image have too many globs for its directories.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the triggers of the packages name too many directories: matching them takes more than the limit of {MAX_STEPS} \
     steps"
)]
pub struct TooManyMatches;

impl Explain for TooManyMatches {
    fn kind(&self) -> Kind {
        Kind::Limit
    }
}

/// The directories that triggers may watch, and what looking for them has cost so far.
#[derive(Debug, Default)]
pub struct Watching {
    /// Sorted, each once.
    directories: Vec<TreePath>,
    steps: u64,
}

/// A directory that a trigger watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watched<'a> {
    /// The directory.
    pub path: &'a TreePath,
    /// Whether it counts only if it changed.
    pub only_if_changed: bool,
}

impl Watching {
    /// Looks among `directories`, in any order.
    pub fn among(mut directories: Vec<TreePath>) -> Self {
        directories.sort_unstable();
        directories.dedup();
        Self { directories, steps: 0 }
    }

    /// Those directories that one of `globs` matches, sorted.
    pub fn watched(&mut self, globs: &[String]) -> Result<Vec<Watched<'_>>, TooManyMatches> {
        // By the place in the list; a directory that any glob watches without a plus counts always.
        let mut watched: BTreeMap<usize, bool> = BTreeMap::new();
        for text in globs {
            let (text, plus) = text.strip_prefix('+').map_or((text.as_str(), false), |text| (text, true));
            let Some(glob) = Glob::parse(text) else { continue };
            let mut search = Search { directories: &self.directories, steps: &mut self.steps };
            search.find(glob.parts(), |place| {
                watched.entry(place).and_modify(|only| *only &= plus).or_insert(plus);
            })?;
        }
        let found = watched.into_iter().filter_map(|(place, only_if_changed)| {
            Some(Watched { path: self.directories.get(place)?, only_if_changed })
        });
        Ok(found.collect())
    }
}

/// Looking for what a glob matches.
struct Search<'a> {
    directories: &'a [TreePath],
    steps: &'a mut u64,
}

/// The directories at and below one that matches the first parts of a glob.
#[derive(Clone, Copy)]
struct Below {
    /// From where to where they are in the list.
    from: usize,
    to: usize,
    /// Where the names of what is in it begin, in bytes of the path.
    name_at: usize,
    /// How many parts match.
    parts: usize,
}

impl<'a> Search<'a> {
    /// Calls `found` with the place of each directory that `parts` match.
    fn find(&mut self, parts: &[Part], mut found: impl FnMut(usize)) -> Result<(), TooManyMatches> {
        let Some((root, parts)) = parts.split_first() else { return Ok(()) };
        // A path begins with a slash, so there are two names at least, of which the first is empty.
        if parts.is_empty() || !root.matches("", self.steps) {
            return Ok(());
        }
        if let ([only], Some(first)) = (parts, self.directories.first())
            && first.is_root()
            && only.matches("", self.steps)
        {
            found(0);
        }
        let mut left = vec![Below { from: 0, to: self.directories.len(), name_at: 0, parts: 0 }];
        while let Some(below) = left.pop() {
            let Some(part) = parts.get(below.parts) else {
                // It is listed itself if it comes first; otherwise only what is in it is.
                if self.name(below.from, below.name_at).is_none() {
                    found(below.from);
                }
                continue;
            };
            match part {
                Part::Name(name) => left.extend(self.named(below, name)),
                Part::All | Part::Like(_) => self.like(below, part, &mut left)?,
            }
            self.check()?;
        }
        Ok(())
    }

    /// The directory called `name` in `below`.
    fn named(&mut self, below: Below, name: &str) -> Option<Below> {
        *self.steps += 1;
        if name.is_empty() {
            return None;
        }
        let from = self.first(below, |there| there.is_some_and(|there| there >= name));
        let to = self.first(below, |there| there.is_some_and(|there| there > name));
        (from < to).then(|| Below {
            from,
            to,
            name_at: below.name_at + name.len() + 1,
            parts: below.parts + 1,
        })
    }

    /// Puts the directories in `below` whose names `part` matches on the list of what is `left`.
    fn like(&mut self, below: Below, part: &Part, left: &mut Vec<Below>) -> Result<(), TooManyMatches> {
        let mut from = below.from;
        while from < below.to {
            let Some(name) = self.name(from, below.name_at) else {
                from += 1;
                continue;
            };
            let length = name.len();
            let is_match = part.matches(name, self.steps);
            let within = Below { from, ..below };
            let to = self.first(within, |there| there != Some(name));
            if is_match {
                left.push(Below { from, to, name_at: below.name_at + length + 1, parts: below.parts + 1 });
            }
            from = to;
            self.check()?;
        }
        Ok(())
    }

    /// The first place in `below` of which `is_there` says so, given the name of what is directly in it; all behind it
    /// are such too.
    fn first(&self, below: Below, is_there: impl Fn(Option<&'a str>) -> bool) -> usize {
        let (mut from, mut to) = (below.from, below.to);
        while from < to {
            let middle = usize::midpoint(from, to);
            if is_there(self.name(middle, below.name_at)) {
                to = middle;
            } else {
                from = middle + 1;
            }
        }
        from
    }

    /// The name at `name_at` of the path at `place`; nothing of a path that ends before.
    fn name(&self, place: usize, name_at: usize) -> Option<&'a str> {
        let directories: &'a [TreePath] = self.directories;
        let rest = directories.get(place)?.as_str().get(name_at..)?;
        rest.split('/').next().filter(|name| !name.is_empty())
    }

    fn check(&self) -> Result<(), TooManyMatches> {
        if *self.steps > MAX_STEPS { Err(TooManyMatches) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(texts: &[&str]) -> Vec<TreePath> {
        texts.iter().map(|text| TreePath::absolute(text).unwrap()).collect()
    }

    fn watched(globs: &[&str], directories: &[&str]) -> Vec<(String, bool)> {
        let globs: Vec<String> = globs.iter().map(|glob| (*glob).to_owned()).collect();
        let mut watching = Watching::among(paths(directories));
        let watched = watching.watched(&globs).unwrap();
        watched.iter().map(|watched| (watched.path.to_string(), watched.only_if_changed)).collect()
    }

    #[test]
    fn a_star_does_not_cross_a_slash_and_a_plus_waits_for_a_change() {
        let directories = ["/lib/modules", "/lib/modules/6.1", "/lib/modules/6.1/x", "/bin"];
        let found = watched(&["/lib/modules/*", "+/bin"], &directories);
        assert_eq!(found, [("/bin".to_owned(), true), ("/lib/modules/6.1".to_owned(), false)]);
        assert_eq!(watched(&["+/bin", "/b*"], &directories), [("/bin".to_owned(), false)]);
    }

    /// Whatever is found by looking name by name is what the whole glob matches.
    #[test]
    fn what_is_found_is_what_the_whole_glob_matches() {
        let directories = [
            "/",
            "/a",
            "/a/b",
            "/a/b/c",
            "/a-b",
            "/a.b",
            "/ab",
            "/ab/a",
            "/b/c",
            "/b/c/d",
            "/é",
            "/usr/lib/x/y",
        ];
        for glob in [
            "/",
            "/*",
            "*",
            "/a",
            "/a/",
            "/a/*",
            "/*/*",
            "/a*",
            "/?",
            "/??",
            "/[ab]",
            "/*/[bc]",
            "/b",
            "/b/c",
            "/*/c",
            "/usr/lib",
            "/usr/*/x",
            "/usr/lib/x/y",
            "*/a",
            "//a",
            "/**/c",
            "/a/b/*",
            "/a?b",
            "",
            "/*b*",
        ] {
            let whole = Glob::parse(glob).unwrap();
            let mut expected: Vec<TreePath> = paths(&directories);
            expected.retain(|path| {
                let text = path.to_string();
                whole.matches(&text)
            });
            expected.sort();
            let found: Vec<String> =
                watched(&[glob], &directories).into_iter().map(|(path, _)| path).collect();
            assert_eq!(found, expected.iter().map(ToString::to_string).collect::<Vec<_>>(), "{glob}");
        }
    }

    #[test]
    fn many_globs_of_many_directories_are_refused_and_many_names_are_not() {
        let directories = (0..10_000).map(|number| TreePath::relative(&format!("d/{number}")).unwrap());
        let mut watching = Watching::among(directories.collect());
        let names: Vec<String> = (0..10_000).map(|number| format!("/d/{number}")).collect();
        assert_eq!(watching.watched(&names).unwrap().len(), 10_000);
        let globs: Vec<String> = (0..10_000).map(|number| format!("/d/*{number}x")).collect();
        let refusal = watching.watched(&globs).unwrap_err();
        assert_eq!(refusal.kind(), Kind::Limit);
        assert!(refusal.to_string().contains("50000000"), "{refusal}");
    }
}
