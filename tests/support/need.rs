//! What a test needs beyond cargo, found or skipped by name in the output.
//!
//! ```text
//! let Some(alpine) = need::alpine("an_index_of_3_19_is_read") else { return };
//! ```
//!
//! A missing need writes `skipped: <test>: needs <what> (<why>)` straight to file descriptor 2, because
//! what goes through the print macros is kept from the reader by the test harness. With
//! `APKCOMPOSE_REQUIRE_ALL=1` a missing need is a failure instead: continuous integration sets it, so that
//! nothing is skipped there in silence.

use std::env;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::buildah::Buildah;
use super::containerd::Containerd;
use super::data::Alpine;
use super::docker::{self, Engine};
use super::podman::Podman;
use super::skopeo::Skopeo;
use super::umoci::Umoci;

/// The environment variable that turns a skip into a failure.
const REQUIRE_ALL: &str = "APKCOMPOSE_REQUIRE_ALL";

/// What is missing and why, in words: `docker (dockerd not found)`.
#[derive(Debug)]
pub(crate) struct Missing(pub(crate) String);

/// The result of looking for a need.
type Found<T> = Result<T, Missing>;

/// What was found, or nothing after the test named `test` was said to be skipped.
pub(crate) fn or_skip<T>(test: &str, found: Found<T>) -> Option<T> {
    let Missing(what) = match found {
        Ok(found) => return Some(found),
        Err(missing) => missing,
    };
    assert!(
        env::var_os(REQUIRE_ALL).is_none_or(|value| value != "1"),
        "{test} needs {what}, and {REQUIRE_ALL} is set"
    );
    say_skipped(test, &what);
    None
}

fn say_skipped(test: &str, what: &str) {
    // Nothing can be done about a standard error that is closed.
    let _ = io::stderr().write_all(format!("skipped: {test}: needs {what}\n").as_bytes());
}

/// The real Alpine data.
pub(crate) fn alpine(test: &str) -> Option<Alpine> {
    or_skip(test, find_alpine())
}

/// The real apk: [`super::reference`] over the real Alpine data.
pub(crate) fn apk(test: &str) -> Option<Alpine> {
    or_skip(test, find_apk())
}

/// A machine that cannot run programs for `arch`. Where a handler for them is registered the machine lacks nothing, so
/// that it is no failure where everything else is there.
pub(crate) fn no_handler(test: &str, arch: &str) -> Option<()> {
    let handler = Path::new("/proc/sys/fs/binfmt_misc").join(format!("qemu-{arch}"));
    if env::consts::ARCH != arch && !handler.exists() {
        return Some(());
    }
    say_skipped(test, &format!("no way to run programs for {arch} (there is one)"));
    None
}

/// The rights of root.
pub(crate) fn root(test: &str) -> Option<()> {
    or_skip(test, find_root())
}

/// Leave to make a network namespace: `unshare --net` as root, so without any interface that is up.
pub(crate) fn network_namespace(test: &str) -> Option<()> {
    or_skip(test, find_root().and_then(|()| find_namespace("network", "--net")))
}

/// Leave to make user namespaces, and in them what the sandbox of package scripts is made of.
pub(crate) fn user_namespaces(test: &str) -> Option<()> {
    or_skip(test, find_namespace("user", "--user"))
}

/// The Docker Engine of this process.
pub(crate) fn docker(test: &str) -> Option<&'static Engine> {
    or_skip(test, docker::engine())
}

/// podman with a storage of its own.
pub(crate) fn podman(test: &str) -> Option<Podman> {
    or_skip(test, Podman::find())
}

/// skopeo.
pub(crate) fn skopeo(test: &str) -> Option<Skopeo> {
    or_skip(test, Skopeo::find())
}

/// umoci.
pub(crate) fn umoci(test: &str) -> Option<Umoci> {
    or_skip(test, Umoci::find())
}

/// buildah with a storage of its own.
pub(crate) fn buildah(test: &str) -> Option<Buildah> {
    or_skip(test, Buildah::find())
}

/// A containerd of the test's own, which has nothing.
pub(crate) fn containerd(test: &str) -> Option<Containerd> {
    or_skip(test, Containerd::start())
}

/// The program `name` on the search path.
pub(crate) fn program(test: &str, name: &str) -> Option<PathBuf> {
    or_skip(test, find_program(name))
}

/// The program `name` on the search path, for what is worth a look where it is there, but no failure where
/// everything else is.
pub(crate) fn program_if_there(test: &str, name: &str) -> Option<PathBuf> {
    find_program(name).map_err(|Missing(what)| say_skipped(test, &what)).ok()
}

/// Looks for the real Alpine data.
pub(crate) fn find_alpine() -> Found<Alpine> {
    Alpine::find().map_err(|looked| Missing(format!("the Alpine data ({} has no mirror)", looked.display())))
}

/// Looks for what [`super::reference`] uses.
pub(crate) fn find_apk() -> Found<Alpine> {
    if env::consts::ARCH != "x86_64" {
        return Err(Missing(format!(
            "the real apk (its binary is for x86_64, this machine is {})",
            env::consts::ARCH
        )));
    }
    find_root()?;
    find_program("tar")?;
    find_namespace("mount", "--mount")?;
    find_alpine()
}

/// Looks at the effective user.
pub(crate) fn find_root() -> Found<()> {
    let user = rustix::process::geteuid();
    if user.is_root() { Ok(()) } else { Err(Missing(format!("root (the user is {})", user.as_raw()))) }
}

/// Looks for `name` on the search path, and where an administrator's programs are.
pub(crate) fn find_program(name: &str) -> Found<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let administration = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(administration)
        .map(|directory| directory.join(name))
        .find(|program| is_executable(program))
        .ok_or_else(|| Missing(format!("{name} ({name} not found)")))
}

/// Whether `path` is a regular file that this user may execute.
fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// Tries to make a namespace of the kind `what` by `unshare option`.
pub(crate) fn find_namespace(what: &str, option: &str) -> Found<()> {
    let unshare = find_program("unshare")?;
    let tried = Command::new(unshare).args([option, "true"]).stdin(Stdio::null()).output();
    match tried {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            Err(Missing(format!("{what} namespaces ({})", String::from_utf8_lossy(&output.stderr).trim())))
        }
        Err(error) => Err(Missing(format!("{what} namespaces ({error})"))),
    }
}
