//! Solutions in the words of apk's own output, to compare with it.

use apkcompose::solve::{Action, Installed, Repository, Solution, Source, Step};

/// The steps as `install name@tag (version)`, one a line.
pub(crate) fn steps(
    repositories: &[Repository<'_>],
    installed: Option<&Installed<'_>>,
    solution: &Solution,
) -> String {
    solution.steps.iter().map(|step| text(repositories, installed, step) + "\n").collect()
}

fn text(repositories: &[Repository<'_>], installed: Option<&Installed<'_>>, step: &Step) -> String {
    let package = step.source.package(repositories, installed).unwrap();
    let old = |old| Source::Installed(old).package(repositories, installed).unwrap().version();
    let tag = step.tag.as_ref().map(ToString::to_string).unwrap_or_default();
    let name = package.name();
    let version = package.version();
    match step.action {
        Action::Install => format!("install {name}{tag} ({version})"),
        Action::Upgrade { old: number } => format!("upgrade {name}{tag} ({} -> {version})", old(number)),
        Action::Downgrade { old: number } => format!("downgrade {name}{tag} ({} -> {version})", old(number)),
        Action::Replace { old: number } => format!("replace {name}{tag} ({} -> {version})", old(number)),
        Action::Repin => format!("repin {name}{tag} ({version})"),
        Action::Purge => format!("purge {name} ({version})"),
    }
}

/// A step as apk prints it, in the words used here.
pub(crate) fn of_apk(step: &str) -> String {
    let words = [
        ("Installing", "install"),
        ("Upgrading", "upgrade"),
        ("Downgrading", "downgrade"),
        ("Replacing", "replace"),
        ("Updating pinning", "repin"),
        ("Purging", "purge"),
    ];
    let known = words.iter().find_map(|(said, word)| Some((word, step.strip_prefix(said)?)));
    let (word, rest) = known.unwrap_or_else(|| panic!("apk says `{step}`"));
    format!("{word}{rest}")
}

/// What apk blames when it refuses: `name (why):` or `name-version:` in a line of its own.
pub(crate) fn blamed(said: &str) -> impl Iterator<Item = &str> {
    let lines = said.lines().filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'));
    lines.filter(|line| !line.starts_with(' ')).filter_map(|line| line.split(' ').next())
}
