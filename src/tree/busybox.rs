//! The links by which BusyBox is called under the names of its commands.
//!
//! They belong to no package: the post-install script of busybox makes them, its trigger makes those that are
//! missing later, and its post-upgrade script takes those away that a new version has not. What they do is certain (a
//! fixed list, existing names stay), so it is done here on the tree, for every architecture and without running
//! anything, as long as the scripts are those that are known here: see [`BusyboxScript`].
//! apk leaves the links of a busybox that is removed, leading nowhere; here they go with it.
//!
//! Source: spec apk v2, "Busybox links"; measured on busybox 1.36.1 and busybox-suid 1.36.1.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use super::account_script::Applied;
use super::{Inode, InodeKind, Mode, NameError, Origin, Tree};
use crate::apk::package::ScriptKind;
use crate::content::ContentError;
use crate::kind::{Explain, Kind};
use crate::path::TreePath;

/// The name of the package whose scripts make the links.
const PACKAGE: &str = "busybox";
/// What interprets a script that does not need the link `/bin/sh`.
const OWN_SHELL: &str = "#!/bin/busybox sh";
/// What interprets the others.
const USUAL_SHELL: &str = "#!/bin/sh";
/// The post-install script, without comments.
const POST_INSTALL: &str = r#"
/bin/busybox mkdir -p "/bin" "/sbin" "/usr/bin" "/usr/sbin"
exec /bin/busybox --install -s
"#;
/// The post-upgrade script, without comments; some send the errors of `stat` nowhere.
const POST_UPGRADE: &str = r#"
cd /
( find bin sbin usr/bin usr/sbin -maxdepth 1 -type l; busybox --list-all) \
| sort | uniq -u \
| xargs -r stat -c "%N" \
| awk "\$3 == \"'/bin/busybox'\" {print \$1}" \
| sed "s/^'//; s/'$//" \
| xargs -r rm
for link in /bin/ping /bin/ping6; do
if [ -L "$link" ] && [ "$(readlink $link)" = "/bin/bbsuid" ]; then
rm "$link"
fi
done
exec /bin/busybox --install -s
"#;
/// The trigger, without comments.
const TRIGGER: &str = r#"
do_bb_install=
for i in "$@"; do
case "$i" in
/lib/modules/*)
target=$(readlink -f "$(command -v depmod || true)")
if [ -d "$i" ] && [ "$target" = "/bin/busybox" ]; then
/bin/busybox depmod ${i#/lib/modules/}
fi
;;
*) do_bb_install=yes;;
esac
done
if [ -n "$do_bb_install" ]; then
[ -e /bin/bbsuid ] && /bin/bbsuid --install
[ -e /bin/busybox-extras ] && /bin/busybox-extras --install -s
/bin/busybox --install -s
fi
"#;
/// What the links lead to.
const BUSYBOX: &str = "/bin/busybox";
/// What the links of set-user-ID commands lead to.
const BBSUID: &str = "/bin/bbsuid";
/// More commands, of which there is no list.
const EXTRAS: &str = "bin/busybox-extras";
/// Commands that were set-user-ID ones and are not any more.
const FORMER_SUID_COMMANDS: [&str; 2] = ["bin/ping", "bin/ping6"];
/// What runs a script.
const SHELL: &str = "bin/sh";
/// What lists a kernel's modules, if it is busybox.
const DEPMOD: &str = "sbin/depmod";
/// Where the modules of kernels are.
const MODULES: &str = "lib/modules/";
/// The directories that busybox's post-install makes first.
const DIRECTORIES: [&str; 4] = ["bin", "sbin", "usr/bin", "usr/sbin"];
/// The commands that `bbsuid --install` links to the set-user-ID `/bin/bbsuid`, in place of busybox's own.
const SUID_COMMANDS: [&str; 8] = [
    "bin/mount",
    "bin/su",
    "bin/umount",
    "usr/bin/crontab",
    "usr/bin/passwd",
    "usr/bin/traceroute",
    "usr/bin/traceroute6",
    "usr/bin/vlock",
];
/// The list of commands is no longer than this, in bytes.
const MAX_LIST: u64 = 1 << 20;

/// Why the links cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusyboxError {
    /// The list of commands cannot be read.
    #[error("the links of busybox cannot be made: {0}")]
    List(#[from] ContentError),
    /// A link cannot be made.
    #[error("the links of busybox cannot be made: {0}")]
    Name(#[from] NameError),
}

impl Explain for BusyboxError {
    fn kind(&self) -> Kind {
        match self {
            Self::List(error) => error.kind(),
            Self::Name(error) => error.kind(),
        }
    }
}

/// A script of busybox whose effect is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusyboxScript {
    effect: Effect,
    shell: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    InstallLinks,
    RenewLinks,
    Trigger,
}

impl BusyboxScript {
    /// The script of `package` with that `text`, if it is one of those that are known. Comments, empty lines and
    /// indentation do not count.
    pub fn of(package: &str, kind: ScriptKind, text: &[u8]) -> Option<Self> {
        if package != PACKAGE {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        let shell = [OWN_SHELL, USUAL_SHELL].into_iter().find(|shell| text.lines().next() == Some(shell))?;
        let lines = |text: &str| -> Vec<String> {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            lines.map(|line| line.replace(" 2>/dev/null", "")).collect()
        };
        let (effect, known) = match kind {
            ScriptKind::PostInstall => (Effect::InstallLinks, POST_INSTALL),
            ScriptKind::PostUpgrade => (Effect::RenewLinks, POST_UPGRADE),
            ScriptKind::Trigger => (Effect::Trigger, TRIGGER),
            ScriptKind::PreInstall
            | ScriptKind::PreUpgrade
            | ScriptKind::PreDeinstall
            | ScriptKind::PostDeinstall => return None,
        };
        (lines(text) == lines(known)).then_some(Self { effect, shell })
    }

    /// Does what it does in `tree`, given its arguments. Where that is not certain, links may have been made, which it
    /// would make too: without its shell it fails, and the modules of a kernel are listed by a program.
    pub fn apply(self, tree: &mut Tree, arguments: &[String]) -> Result<Applied, BusyboxError> {
        let needed = if self.shell == USUAL_SHELL { SHELL } else { "bin/busybox" };
        // Old versions have no list of their commands, and say them only when they are run.
        let has_list = !is_there(tree, "bin/busybox")? || tree.get(&list()).is_some();
        if !is_there(tree, needed)? || !has_list {
            return Ok(Applied::NotCertain);
        }
        match self.effect {
            Effect::InstallLinks => install_links(tree).map(|()| Applied::Done),
            Effect::RenewLinks => renew_links(tree).map(|()| Applied::Done),
            Effect::Trigger => {
                let pulled = arguments.iter().filter_map(|argument| TreePath::absolute(argument).ok());
                trigger(tree, &pulled.collect::<Vec<_>>())
            }
        }
    }
}

fn is_there(tree: &Tree, path: &str) -> Result<bool, NameError> {
    let path = tree.resolve(&TreePath::relative(path).unwrap_or_default())?;
    Ok(tree.get(&path).is_some())
}

/// Makes the links of every busybox in the tree: those that `busybox --install -s` would make, then those
/// that `bbsuid --install` would.
fn install_links(tree: &mut Tree) -> Result<(), BusyboxError> {
    let path = |text: &str| TreePath::relative(text).unwrap_or_default();
    let busybox = tree.resolve(&path("bin/busybox"))?;
    if tree.get(&busybox).is_some() {
        for directory in DIRECTORIES.map(path) {
            tree.make_parents(&directory, &Origin::Generated)?;
            if tree.get(&directory).is_none() {
                tree.insert(directory, Inode::directory(Origin::Generated))?;
            }
        }
        // BusyBox asks the kernel where it lies, so links of a merged /usr lead there.
        let target = busybox.to_string();
        for command in commands(tree, &list())? {
            link(tree, &command, &target, Existing::Stays)?;
        }
    }
    if tree.get(&tree.resolve(&path("bin/bbsuid"))?).is_some() {
        for command in SUID_COMMANDS.map(path) {
            link(tree, &command, BBSUID, Existing::BusyboxLinkGoes)?;
        }
    }
    Ok(())
}

/// Does what the post-upgrade script does: takes the links to busybox away that are not in the list of commands, and
/// makes those that are missing.
fn renew_links(tree: &mut Tree) -> Result<(), BusyboxError> {
    let commands: HashSet<TreePath> = commands(tree, &list())?.into_iter().collect();
    let is_old = |path: &TreePath, target: &str| match target {
        BUSYBOX => !commands.contains(path),
        BBSUID => FORMER_SUID_COMMANDS.contains(&path.as_str()),
        _ => false,
    };
    remove_links(tree, is_old);
    install_links(tree)
}

/// Does what the trigger does for the directories `pulled`. The modules of a kernel are listed by a program, unless
/// another one than busybox does that, and further commands are linked by one too.
fn trigger(tree: &mut Tree, pulled: &[TreePath]) -> Result<Applied, BusyboxError> {
    let resolve = |tree: &Tree, text: &str| tree.resolve(&TreePath::relative(text).unwrap_or_default());
    let (modules, commands): (Vec<&TreePath>, Vec<&TreePath>) =
        pulled.iter().partition(|path| path.as_str().starts_with(MODULES));
    if !commands.is_empty() {
        install_links(tree)?;
        if is_there(tree, EXTRAS)? {
            return Ok(Applied::NotCertain);
        }
    }
    let lists_modules = resolve(tree, DEPMOD)? == resolve(tree, "bin/busybox")?;
    let has_modules = modules.into_iter().any(|path| tree.is_directory(path));
    Ok(if lists_modules && has_modules { Applied::NotCertain } else { Applied::Done })
}

/// Takes away the links to a busybox or a bbsuid that is not there any more.
pub fn remove_dangling_links(tree: &mut Tree) {
    let is_there = |target: &str| {
        let path = tree.resolve(&TreePath::absolute(target).unwrap_or_default());
        path.is_ok_and(|path| tree.get(&path).is_some())
    };
    // On a merged /usr the links lead there.
    let targets = [BUSYBOX, "/usr/bin/busybox", BBSUID];
    let gone: Vec<&str> = targets.into_iter().filter(|target| !is_there(target)).collect();
    remove_links(tree, |_, target| gone.contains(&target));
}

/// Takes away those links of nobody's among the commands that `is_old`, given path and target.
fn remove_links(tree: &mut Tree, is_old: impl Fn(&TreePath, &str) -> bool) {
    let mut old = Vec::new();
    for directory in DIRECTORIES.map(|text| TreePath::relative(text).unwrap_or_default()) {
        let Ok(directory) = tree.resolve(&directory) else { continue };
        for path in tree.children(&directory) {
            if let Some(Inode { kind: InodeKind::Symlink(target), origin, .. }) = tree.get(path)
                && matches!(origin, Origin::Base | Origin::Generated)
                && is_old(path, target)
            {
                old.push(path.clone());
            }
        }
    }
    for path in old {
        tree.remove_all(&path);
    }
}

/// The paths that links to a busybox of this tree may have.
pub fn link_paths(tree: &Tree) -> Result<HashSet<TreePath>, ContentError> {
    let path = |text: &str| TreePath::relative(text).unwrap_or_default();
    let mut paths: HashSet<TreePath> = commands(tree, &list())?.into_iter().collect();
    paths.extend(SUID_COMMANDS.map(path));
    Ok(paths)
}

/// What happens to something that has a link's name already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Stays,
    BusyboxLinkGoes,
}

fn link(tree: &mut Tree, command: &TreePath, target: &str, existing: Existing) -> Result<(), NameError> {
    let physical = tree.physical(command)?;
    let has_directory = physical.parent().is_some_and(|parent| tree.is_directory(&parent));
    let makes_room = match tree.get(&physical).map(|inode| &inode.kind) {
        None => true,
        Some(InodeKind::Symlink(there)) => existing == Existing::BusyboxLinkGoes && &**there == BUSYBOX,
        Some(_) => false,
    };
    if has_directory && makes_room {
        let link = Inode::new(InodeKind::Symlink(target.into()), Mode::SYMLINK, Origin::Generated);
        tree.insert(physical, link)?;
    }
    Ok(())
}

/// Where the list of a busybox is.
fn list() -> TreePath {
    TreePath::relative("etc/busybox-paths.d/busybox").unwrap_or_default()
}

/// The paths that the list of a busybox states, one per line.
fn commands(tree: &Tree, list: &TreePath) -> Result<Vec<TreePath>, ContentError> {
    let Some(InodeKind::File(content)) = tree.get(list).map(|inode| &inode.kind) else {
        return Ok(Vec::new());
    };
    if content.length() > MAX_LIST {
        return Ok(Vec::new());
    }
    let text = content.to_vec()?;
    Ok(String::from_utf8_lossy(&text).lines().filter_map(|line| TreePath::relative(line).ok()).collect())
}
