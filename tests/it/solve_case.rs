//! Requests to the solver as small texts: the notation of `tests/solve/*.case`.
//!
//! A case has sections. `[repository]` and `[repository @tag]` hold packages, one a line: name, version and
//! fields under their index letters (`D:b c>1 p:v=1 i:x k:10 A:armv7`); `C:word` makes a package different from
//! another of the same name and version, which otherwise are the same one. `[installed]` is the base, with
//! `s:tag`. `[world]` is the whole world; what stands under `[add]` is added to it as asked for just now.
//! `[del]` are names that were in the world before, as `apk del` takes them out. `[options]` are `upgrade`,
//! `available`, `latest`. `[steps]`, `[refused]` or `[blamed]` is what must come out: a refusal as it reads, with the
//! lines of the hint after `hint:`, or the names and packages that are to blame.

use std::fmt::Write as _;
use std::path::Path;

use apkcompose::apk::dependency::{Dependency, Tag};
use apkcompose::apk::index::Index;
use apkcompose::arch::Arch;
use apkcompose::digest::{Identity, Sha1};
use apkcompose::report::Silent;
use apkcompose::solve::{
    Ambition, Availability, Installed, Options, Refusal, Repository, Request, Scope, Upgrade, solve,
};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::solve_text;
use crate::support::files;

/// A case: what is there, what is asked for, and what must come out.
pub(crate) struct Case<'t> {
    sections: Vec<(&'t str, Vec<&'t str>)>,
}

impl<'t> Case<'t> {
    pub(crate) fn parse(text: &'t str) -> Self {
        let mut sections: Vec<(&str, Vec<&str>)> = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                Some(heading) => sections.push((heading, Vec::new())),
                None => sections.last_mut().expect("a line before the first section").1.push(line),
            }
        }
        Self { sections }
    }

    /// The lines of a section.
    pub(crate) fn lines(&self, heading: &str) -> Option<&[&'t str]> {
        self.sections.iter().find(|(name, _)| *name == heading).map(|(_, lines)| lines.as_slice())
    }

    /// The words of a section; none if it is not there.
    pub(crate) fn words(&self, heading: &str) -> Vec<&'t str> {
        self.lines(heading).unwrap_or_default().iter().flat_map(|line| line.split_whitespace()).collect()
    }

    /// The repositories, each with its tag.
    pub(crate) fn repositories(&self) -> impl Iterator<Item = (Option<&'t str>, &[&'t str])> {
        self.sections.iter().filter_map(|(name, lines)| {
            let tag = name.strip_prefix("repository")?.trim();
            Some((tag.strip_prefix('@'), lines.as_slice()))
        })
    }

    /// What the solver answers: the steps, or why there are none.
    pub(crate) fn solve(&self) -> Result<String, Refusal> {
        let indexes: Vec<_> = self.repositories().map(|(tag, lines)| (tag, index(lines))).collect();
        let repositories: Vec<Repository<'_>> = indexes
            .iter()
            .zip(1..)
            .map(|((tag, index), number)| Repository {
                index,
                tag: tag.map(|tag| Tag::new(tag).unwrap()),
                name: format!("r{number}"),
            })
            .collect();
        let base = self.lines("installed").map(index);
        let installed = base.as_ref().map(|index| Installed {
            index,
            tags: index.packages().map(|package| Tag::new(package.last_field('s')?)).collect(),
        });
        let added = self.words("add");
        let world = self.words("world").into_iter().chain(added.iter().copied());
        let scope = if added.is_empty() { Scope::Everything } else { Scope::Requested };
        let request = Request {
            arch: Arch::X86_64,
            world: world.map(|text| text.parse().unwrap()).collect(),
            requested: added.iter().map(|text| Dependency::name_in(text).to_owned()).collect(),
            options: Options { scope, ..options(&self.words("options")) },
        };
        let solution = solve(&repositories, installed.as_ref(), &request, &Silent)?;
        Ok(solve_text::steps(&repositories, installed.as_ref(), &solution))
    }

    /// Writes what the real apk has to find into `directory`, which must be new and which it sees at `place`: the root
    /// filesystem below `root`, the repositories below `r0` and so on.
    pub(crate) fn write(&self, directory: &Path, place: &str) {
        let write = |path: &str, text: &str| files::write(&directory.join(path), text.as_bytes());
        write("root/lib/apk/db/installed", &index_text(self.lines("installed").unwrap_or_default()));
        write("root/lib/apk/db/triggers", "");
        write("root/etc/apk/arch", "x86_64\n");
        files::create_dir(&directory.join("keys"));
        let mut world = [self.words("world"), self.words("del")].concat();
        // As apk leaves it.
        world.sort_by_key(|text| Dependency::name_in(text).to_ascii_lowercase());
        write("root/etc/apk/world", &(world.join("\n") + "\n"));
        // Not as options: apk prefers the last of those.
        let mut places = String::new();
        for (number, (tag, lines)) in self.repositories().enumerate() {
            let tag = tag.map(|tag| format!("@{tag} ")).unwrap_or_default();
            writeln!(places, "{tag}{place}/r{number}").unwrap();
            let index = directory.join(format!("r{number}/x86_64/APKINDEX.tar.gz"));
            files::write(&index, &archive(&index_text(lines)));
        }
        write("repositories", &places);
    }

    /// The arguments to ask apk with for what was written, which it sees at `place`.
    pub(crate) fn apk_arguments(&self, place: &str) -> Vec<String> {
        let mut arguments =
            ["--allow-untrusted", "--no-network", "--no-progress"].map(str::to_owned).to_vec();
        for (option, path) in
            [("--root", "root"), ("--keys-dir", "keys"), ("--repositories-file", "repositories")]
        {
            arguments.extend([option.to_owned(), format!("{place}/{path}")]);
        }
        let options = self.words("options");
        let (applet, words) = match (self.words("add"), self.words("del")) {
            (added, _) if options.contains(&"upgrade") && added.is_empty() => ("upgrade", Vec::new()),
            (added, deleted) if deleted.is_empty() => ("add", added),
            (_, deleted) => ("del", deleted),
        };
        arguments.extend([applet, "--simulate"].map(str::to_owned));
        arguments.extend((applet == "upgrade").then(|| "--no-self-upgrade".to_owned()));
        arguments
            .extend(options.iter().filter(|option| **option != applet).map(|option| format!("--{option}")));
        arguments.extend(words.into_iter().map(str::to_owned));
        arguments
    }
}

/// An unsigned index.
fn archive(text: &str) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(text.len() as u64);
    for set in [tar::Header::set_uid, tar::Header::set_gid, tar::Header::set_mtime] {
        set(&mut header, 0);
    }
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    tar.append_data(&mut header, "APKINDEX", text.as_bytes()).unwrap();
    tar.into_inner().unwrap().finish().unwrap()
}

fn options(words: &[&str]) -> Options {
    let mut options = Options::default();
    for word in words {
        match *word {
            "upgrade" => options.upgrade = Upgrade::Yes,
            "available" => options.availability = Availability::Repositories,
            "latest" => options.ambition = Ambition::Latest,
            other => panic!("no option {other}"),
        }
    }
    options
}

/// The index of packages in the notation of the cases.
fn index(lines: &[&str]) -> Index {
    Index::parse("case", index_text(lines).into_bytes()).unwrap()
}

/// The text of that index.
pub(crate) fn index_text(lines: &[&str]) -> String {
    lines.iter().map(|line| stanza(line)).collect()
}

fn stanza(line: &str) -> String {
    let mut words = line.split_whitespace();
    let (name, version) = (words.next().unwrap(), words.next().unwrap());
    let mut fields: Vec<(&str, Vec<&str>)> = Vec::new();
    for word in words {
        let (field, value) = match word.split_once(':') {
            Some((field, value)) if field.len() == 1 => (Some(field), value),
            _ => (None, word),
        };
        fields.extend(field.map(|field| (field, Vec::new())));
        fields.last_mut().unwrap().1.extend(Some(value).filter(|value| !value.is_empty()));
    }
    let value =
        |letter: &str| fields.iter().find(|(field, _)| *field == letter).map(|(_, values)| values.join(" "));
    let seed = format!("{name}-{version}{}", value("C").unwrap_or_default());
    let identity = Identity::new(Sha1::of(seed.as_bytes()));
    let mut stanza = format!("C:{identity}\nP:{name}\nV:{version}\nS:1\nI:1\n");
    writeln!(stanza, "A:{}", value("A").unwrap_or_else(|| "x86_64".to_owned())).unwrap();
    for (field, values) in fields.iter().filter(|(field, _)| !["C", "A"].contains(field)) {
        writeln!(stanza, "{field}:{}", values.join(" ")).unwrap();
    }
    stanza + "\n"
}
