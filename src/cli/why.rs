//! `apkcompose why`.

use std::fmt::Write as _;

use super::args::{AnswerFormat, Why};
use super::dot;
use super::render::{self, Failure, bytes, counted, shown};
use super::session::answer;
use crate::compose::explain::{self, Bond, Link, WhyPackage, WhyPath};

/// The columns that a list may fill.
const WIDTH: usize = 100;
/// How many packages are named that would go too.
const MAX_GOING: usize = 12;
/// How many others are named that keep a package.
const MAX_KEEPING: usize = 16;

pub(super) fn run(arguments: &Why) -> Result<(), Failure> {
    let why =
        answer(&arguments.question, "apkcompose why --profile base busybox", |fetcher, draft, options| {
            explain::why(fetcher, draft, options, &arguments.subject)
        })?;
    match arguments.question.format {
        AnswerFormat::Text => render::data(&text(&why)),
        AnswerFormat::Json => render::data(&render::json(&why)),
        AnswerFormat::Dot => render::data(&dot::text(&why.drawing)),
    }
}

fn text(why: &explain::Why) -> String {
    let mut text = why.path.as_ref().map(|path| path_text(path, &why.packages)).unwrap_or_default();
    for (number, package) in why.packages.iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        text.push_str(&package_text(package));
    }
    text
}

/// What the path is. Where no package has to do with it that is all there is to say.
fn path_text(path: &WhyPath, packages: &[WhyPackage]) -> String {
    let target = path.target.as_ref().map(|target| format!(" -> {target}")).unwrap_or_default();
    let names = packages.iter().map(|package| package.name.as_str()).collect::<Vec<_>>().join(", ");
    let what = match path.origin {
        "profile" => "the profile puts it there".to_owned(),
        "base" | "generated" if !packages.is_empty() => format!("a link, made for {names}"),
        "base" => "it came with the base, and no package owns it".to_owned(),
        "generated" => "it is written when the image is composed".to_owned(),
        _ => format!("of {names}"),
    };
    shown(&format!("{}{target}: {what}", path.path)) + "\n"
}

fn package_text(package: &WhyPackage) -> String {
    let WhyPackage { name, version, repository, .. } = package;
    let tag = if package.tag.is_empty() { String::new() } else { format!("@{}", package.tag) };
    let mut text = String::new();
    let provides = package.provides.as_ref().map(|provides| format!(", as {provides}")).unwrap_or_default();
    let _ = writeln!(text, "{}", shown(&format!("{name}-{version}{tag} from {repository}{provides}")));
    if let Some(at) = &package.pruned {
        let _ = writeln!(text, "{}", shown(&format!("  {at} takes it out of the image again")));
    }
    let ways = package.chains.len() as u64;
    let shortest = match (ways, package.chain_count) {
        (1, 1) => "the shortest way from the profile to it".to_owned(),
        (shown, all) if shown == all => format!("the {all} shortest ways from the profile to it"),
        (shown, all) => format!("{shown} of the {all} shortest ways from the profile to it"),
    };
    let _ = writeln!(text, "{shortest}:");
    for (number, chain) in package.chains.iter().enumerate() {
        if number > 0 && chain.len() > 1 {
            text.push('\n');
        }
        text.push_str(&chain_text(chain));
    }
    if !package.kept_by.is_empty() {
        let _ = writeln!(text, "what else keeps it:");
        for bond in package.kept_by.iter().take(MAX_KEEPING) {
            let _ = writeln!(text, "  {}", shown(&bond_text(bond, None)));
        }
        if let Some(more) = package.kept_by.len().checked_sub(MAX_KEEPING).filter(|more| *more > 0) {
            let _ = writeln!(text, "  and {more} more");
        }
    }
    text.push_str(&cost_text(package));
    text
}

/// A way, a line for each link, each a step further in.
fn chain_text(chain: &[Link]) -> String {
    let mut text = String::new();
    for (depth, link) in chain.iter().enumerate() {
        let line = bond_text(&link.bond, Some(&link.package));
        let _ = writeln!(text, "  {:indent$}{}", "", shown(&line), indent = depth * 2);
    }
    text
}

/// Who needs what, and which package that is, where the name does not say it.
fn bond_text(bond: &Bond, package: Option<&String>) -> String {
    let needs = bond.needs.join(", ");
    let is = package.map(|package| format!(": {package}")).unwrap_or_default();
    match bond.how {
        "world" => {
            let at = bond.at.as_deref().unwrap_or("the base's world");
            format!("{at} asks for {needs}{is}")
        }
        "install_if" => match package {
            Some(package) => format!("with {} comes {package} by itself", bond.by.join(" and ")),
            None => format!("it comes by itself with {}", bond.by.join(" and ")),
        },
        _ => format!("{} needs {needs}{is}", bond.by.join(", ")),
    }
}

fn cost_text(package: &WhyPackage) -> String {
    let own = bytes(package.size);
    let others: Vec<String> = package
        .exclusive
        .iter()
        .filter(|sized| sized.name != package.name)
        .take(MAX_GOING)
        .map(|sized| format!("{}-{} ({})", sized.name, sized.version, bytes(sized.size)))
        .collect();
    let count = (package.exclusive.len() as u64).saturating_sub(1);
    if count == 0 {
        return format!("it takes {own}; nothing else is there for it alone\n");
    }
    let more = count.saturating_sub(others.len() as u64);
    let more = if more > 0 { vec![format!("{more} more")] } else { Vec::new() };
    format!(
        "it takes {own}, {} with {} that only it leads to:\n{}\n",
        bytes(package.exclusive_size),
        counted(count, "package", "packages"),
        render::wrapped(&[others, more].concat(), WIDTH)
    )
}
