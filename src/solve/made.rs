//! What the unit tests of the solver ask, and of what.

use super::{Options, Repository, Request};
use crate::apk::index::Index;
use crate::arch::Arch;
use crate::digest::Sha1;

/// An index of packages of 10 bytes, each a line of `name version` and further fields after `;`. Packages of the same line
/// are the same.
pub(super) fn index(packages: &[&str]) -> Index {
    let stanzas = packages.iter().map(|package| {
        let identity = Sha1::of(package.as_bytes()).to_q1();
        let (own, fields) = package.split_once(';').unwrap_or((package, ""));
        let (name, version) = own.split_once(' ').unwrap();
        let fields = fields.replace(';', "\n");
        format!("C:{identity}\nP:{name}\nV:{version}\nI:10\n{fields}\n\n").replace("\n\n\n", "\n\n")
    });
    Index::parse("index", stanzas.collect::<String>().into_bytes()).unwrap()
}

/// The only repository.
pub(super) fn repository(index: &Index) -> [Repository<'_>; 1] {
    [Repository { index, tag: None, name: "r".to_owned() }]
}

/// A request for `world`.
pub(super) fn request(world: &[&str]) -> Request {
    Request {
        arch: Arch::X86_64,
        world: world.iter().map(|text| text.parse().unwrap()).collect(),
        requested: Vec::new(),
        options: Options::default(),
    }
}
