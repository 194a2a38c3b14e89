//! Small packages made for a rule, and the step that brings them into both trees: the real apk's and ours, which
//! must be equal.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use apkcompose::apk::package::{ScriptKind, Scripts};
use apkcompose::apk::package_info::PackageInfo;
use apkcompose::apk::write_package::{PackageFile, PackageFileKind, PackageOwner, write_package};
use apkcompose::content::Content;
use apkcompose::path::TreePath;
use flate2::write::GzEncoder;

use super::{LATE, OurTree, Ours, assert_equal};
use crate::made::{self, Made};
use crate::support::command::Dir;
use crate::support::data::Alpine;
use crate::support::exceptions::{
    CACHE, DEVICES, GENERATED_TIMES, INITIALISED, LOCK, REPOSITORIES, SCRIPTS_ARCHIVE,
};
use crate::support::listing::{Exception, Listing};
use crate::support::reference::{self, Reference, ReferenceTree};
use crate::support::{files, installed, need};

/// When the packages were built.
const BUILT: i64 = 1_700_000_000;

/// What differs from a tree of made packages from nothing.
const FRESH: [Exception; 7] =
    [DEVICES, LOCK, CACHE, REPOSITORIES, SCRIPTS_ARCHIVE, GENERATED_TIMES, INITIALISED];
/// What differs from a tree of made packages over another one.
const OVER: [Exception; 5] = [LOCK, CACHE, SCRIPTS_ARCHIVE, GENERATED_TIMES, INITIALISED];

/// The package with the directory without which apk 2.14 does not open a database.
const GROUND: &str = "ground";

/// A package in the making.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    info: PackageInfo,
    files: BTreeMap<TreePath, PackageFile>,
    scripts: Scripts,
}

/// The package `name` 1-r0, without files.
pub(crate) fn package(name: &str) -> Package {
    let info = PackageInfo {
        name: name.to_owned(),
        version: "1-r0".to_owned(),
        arch: "x86_64".to_owned(),
        description: format!("what {name} is"),
        url: "https://example.org".to_owned(),
        license: "MIT".to_owned(),
        origin: name.to_owned(),
        build_time: Some(BUILT),
        ..PackageInfo::default()
    };
    Package { info, files: BTreeMap::new(), scripts: Scripts::new() }
}

impl Package {
    pub(super) fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.info.version);
        self
    }

    pub(super) fn origin(mut self, origin: &str) -> Self {
        origin.clone_into(&mut self.info.origin);
        self
    }

    pub(super) fn depends(mut self, dependency: &str) -> Self {
        self.info.depends.push(dependency.to_owned());
        self
    }

    pub(super) fn provides(mut self, provided: &str) -> Self {
        self.info.provides.push(provided.to_owned());
        self
    }

    pub(super) fn replaces(mut self, replaced: &str) -> Self {
        self.info.replaces.push(replaced.to_owned());
        self
    }

    pub(super) fn priority(mut self, priority: u32) -> Self {
        self.info.replaces_priority = priority;
        self
    }

    pub(super) fn install_if(mut self, condition: &str) -> Self {
        self.info.install_if.push(condition.to_owned());
        self
    }

    pub(super) fn trigger(mut self, glob: &str) -> Self {
        self.info.triggers.push(glob.to_owned());
        self
    }

    pub(crate) fn script(mut self, kind: ScriptKind, text: &str) -> Self {
        self.scripts.insert(kind, text.as_bytes().to_vec());
        self
    }

    pub(crate) fn entry(mut self, path: &str, kind: PackageFileKind, mode: u32) -> Self {
        let path = TreePath::relative(path).unwrap();
        for above in path.ancestors().filter(|above| !above.is_root()) {
            self.files.entry(above.clone()).or_insert_with(|| file(above, PackageFileKind::Directory, 0o755));
        }
        self.files.insert(path.clone(), file(path, kind, mode));
        self
    }

    pub(super) fn directory(self, path: &str, mode: u32) -> Self {
        self.entry(path, PackageFileKind::Directory, mode)
    }

    pub(super) fn file(self, path: &str, text: &str) -> Self {
        self.entry(path, PackageFileKind::File(Content::of_bytes(text.as_bytes())), 0o644)
    }

    pub(super) fn link(self, path: &str, target: &str) -> Self {
        self.entry(path, PackageFileKind::Symlink(target.into()), 0o777)
    }

    pub(super) fn hard_link(self, path: &str, target: &str) -> Self {
        self.entry(path, PackageFileKind::HardLink(TreePath::relative(target).unwrap()), 0o644)
    }

    /// Changes what was put in last at `path`.
    pub(super) fn with(mut self, path: &str, change: impl FnOnce(&mut PackageFile)) -> Self {
        change(self.files.get_mut(&TreePath::relative(path).unwrap()).unwrap());
        self
    }

    /// Gives what is at `path` to a user and a group, by names and, in case those are not known, by numbers.
    pub(super) fn owned(self, path: &str, (user, uid): (&str, u32), (group, gid): (&str, u32)) -> Self {
        let owner = PackageOwner { user: user.into(), group: group.into(), uid, gid };
        self.with(path, |file| file.owner = owner)
    }

    pub(crate) fn made(&self) -> Made {
        let mut files: Vec<PackageFile> = self.files.values().cloned().collect();
        let bytes = write_package(&self.info, &self.scripts, &mut files, Some(made::key())).unwrap();
        made::of_bytes(bytes)
    }
}

fn file(path: TreePath, kind: PackageFileKind, mode: u32) -> PackageFile {
    PackageFile { path, kind, mode, owner: PackageOwner::root(), mtime: BUILT, xattrs: BTreeMap::new() }
}

/// A place with repositories of made packages and their key.
pub(super) struct Workshop {
    pub(super) alpine: Alpine,
    dir: Dir,
}

/// One step, in which both trees were equal.
pub(super) struct Both {
    pub(super) ours: OurTree,
    /// Our tree's file, for the next step.
    pub(super) tar: PathBuf,
    /// Keeps the file.
    _run: Ours,
}

impl Workshop {
    pub(super) fn new(alpine: Alpine) -> Self {
        let workshop = Self { alpine, dir: Dir::new() };
        files::write(&workshop.key(), made::key().public_key().pem());
        workshop
    }

    pub(super) fn key(&self) -> PathBuf {
        self.dir.join("test.rsa.pub")
    }

    /// A repository of `packages` and of the one that every tree needs.
    pub(super) fn repository(&self, name: &str, packages: &[Package]) -> PathBuf {
        let ground = package(GROUND).directory("var/cache", 0o755);
        let made: Vec<Made> = packages.iter().chain([&ground]).map(Package::made).collect();
        let directory = self.dir.join(name);
        made::repository(&directory, "made", &made.iter().collect::<Vec<_>>(), made::key());
        directory
    }

    pub(super) fn ours(&self, base: &str, repository: &Path, world: &[&str]) -> Ours {
        let table = format!(
            "base = '{base}'\nrepositories = ['{}']\nkeys = ['{}']\narch = ['x86_64']",
            repository.display(),
            self.key().display()
        );
        Ours::new(&table, world.iter().copied().chain([GROUND]))
    }

    pub(super) fn apk(&self, reference: Reference, repository: &Path) -> Reference {
        reference.repository(repository).key(self.key()).no_scripts()
    }

    /// The real apk over `reference` with what is asked for.
    pub(super) fn add_to(&self, reference: Reference, repository: &Path, world: &[&str]) -> ReferenceTree {
        self.apk(reference, repository).try_add(&[world, &[GROUND]].concat())
    }

    /// Our tree of `packages` alone, where apk 2.14 does otherwise than apk 3.
    pub(super) fn ours_alone(&self, packages: &[Package], world: &[&str]) -> Listing {
        let repository = self.repository("first", packages);
        self.ours("scratch", &repository, world).tree().listing
    }

    /// Installs `world` into nothing from a repository of `packages`, twice.
    pub(super) fn install(&self, packages: &[Package], world: &[&str]) -> Both {
        self.install_except(packages, world, &[])
    }

    /// As [`Self::install`], with more that may differ.
    pub(super) fn install_except(&self, packages: &[Package], world: &[&str], more: &[Exception]) -> Both {
        let repository = self.repository("first", packages);
        let reference = self.add_to(reference::scratch(&self.alpine, "x86_64"), &repository, world);
        assert_eq!(reference.status, 0, "{}", reference.apk_output);
        let ours = self.ours("scratch", &repository, world);
        Both::of(&reference, ours, &[&FRESH, more].concat(), &repository)
    }

    /// What both say when they cannot install `world` into nothing.
    pub(super) fn refuse(&self, packages: &[Package], world: &[&str]) -> (String, String) {
        let repository = self.repository("first", packages);
        let reference = self.add_to(reference::scratch(&self.alpine, "x86_64"), &repository, world);
        let outcome = self.ours("scratch", &repository, world).run();
        assert_ne!(reference.status, 0, "{}", reference.apk_output);
        assert_eq!(outcome.code(), Some(5), "{outcome}");
        (reference.apk_output, outcome.stderr_text())
    }

    /// Our tree of `packages` with what the profile's `lines` add: what somebody has changed before the next step.
    pub(super) fn changed(&self, packages: &[Package], world: &[&str], lines: &str) -> Ours {
        let repository = self.repository("first", packages);
        let ours = self.ours("scratch", &repository, world).with(lines);
        ours.tree();
        ours
    }

    /// Brings the packages in the tree `base` to the versions in a repository of `packages`, twice.
    pub(super) fn upgrade(&self, base: &Path, packages: &[Package], more: &[Exception]) -> Both {
        let repository = self.repository("second", packages);
        let tar = self.compressed(base);
        let reference = self.apk(reference::over_tar(&self.alpine, &tar, "x86_64"), &repository).upgrade();
        let ours = self.ours(&tar.display().to_string(), &repository, &[]);
        Both::of(&reference, ours, &[&OVER, more].concat(), &repository)
    }

    /// Installs `world` over the tree `base` from a repository of `packages`, twice.
    pub(super) fn add(&self, base: &Path, packages: &[Package], world: &[&str], more: &[Exception]) -> Both {
        let repository = self.repository("second", packages);
        let tar = self.compressed(base);
        let base = reference::over_tar(&self.alpine, &tar, "x86_64");
        let reference = self.add_to(base, &repository, world);
        assert_eq!(reference.status, 0, "{}", reference.apk_output);
        let ours = self.ours(&tar.display().to_string(), &repository, world);
        Both::of(&reference, ours, &[&OVER, more].concat(), &repository)
    }

    /// Takes `names`, which the world has, out of the tree `base`, twice.
    pub(super) fn remove(&self, base: &Path, names: &[&str], more: &[Exception]) -> Both {
        let repository = self.repository("second", &[]);
        let tar = self.compressed(base);
        let reference = self.apk(reference::over_tar(&self.alpine, &tar, "x86_64"), &repository).purge(names);
        let ours = self.ours(&tar.display().to_string(), &repository, &[]);
        let ours = ours.without(names);
        Both::of(&reference, ours, &[&OVER, more].concat(), &repository)
    }

    /// The real apk's tree after `names` were taken out of the tree `base` without `--purge`.
    pub(super) fn delete(&self, base: &Path, names: &[&str]) -> ReferenceTree {
        let repository = self.repository("second", &[]);
        let tar = self.compressed(base);
        self.apk(reference::over_tar(&self.alpine, &tar, "x86_64"), &repository).delete(names)
    }

    /// The tree `base` after a shell `script` has been run in its root directory. What that touched has the time of
    /// the packages.
    pub(super) fn edited(&self, base: &Path, script: &str) -> PathBuf {
        let root = Dir::new();
        let edited = self.dir.join("edited.tar");
        let whole = format!(
            "tar -xpf '{}' --numeric-owner && ({script}) && find . -newermt @{LATE} -exec touch -h -d @{BUILT} {{}} + && \
             tar -cf '{}' --numeric-owner .",
            base.display(),
            edited.display()
        );
        let shell = Command::new("sh").args(["-euc", &whole]).current_dir(root.path()).output();
        let shell = shell.unwrap_or_else(|error| panic!("cannot run sh: {error}"));
        assert!(shell.status.success(), "{script}: {}", String::from_utf8_lossy(&shell.stderr));
        edited
    }

    pub(super) fn compressed(&self, tar: &Path) -> PathBuf {
        let mut compressed = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        compressed.write_all(&files::read(tar)).unwrap();
        let path = self.dir.join("base.tar.gz");
        files::write(&path, &compressed.finish().unwrap());
        path
    }
}

impl Both {
    pub(super) fn of(
        reference: &ReferenceTree,
        ours: Ours,
        exceptions: &[Exception],
        repository: &Path,
    ) -> Self {
        let tree = ours.tree();
        assert_equal(reference, &tree, exceptions, &[&repository.join("x86_64")]);
        let tar = ours.dir.join("tree.tar");
        Self { ours: tree, tar, _run: ours }
    }

    pub(super) fn text(&self, path: &str) -> &str {
        self.ours.listing.text(path)
    }

    pub(super) fn mode(&self, path: &str) -> u32 {
        self.ours.listing.entry(path).mode
    }

    /// The package that has the file in the database.
    pub(super) fn owner(&self, path: &str) -> Option<String> {
        let packages = installed::parse(self.text(installed::PATH));
        packages.into_iter().find(|(_, package)| package.files.contains_key(path)).map(|(name, _)| name)
    }
}

pub(super) fn workshop(test: &str) -> Option<Workshop> {
    need::apk(test).map(Workshop::new)
}
