//! The program of the helper, as a copy that nothing inside the sandbox can change.
//!
//! The file that a process was started from can be reached from inside the sandbox: a script that begins with
//! `#!/proc/self/exe` is executed by it. So the helper is never started from the file on the host. It is started from a
//! copy in memory, sealed so that it cannot be written, truncated or unsealed; or, where the system refuses to execute
//! a file in memory, from an unlinked copy on disk. The mode, owner and times of a copy do not matter.
//!
//! Source: `memfd_create(2)`, fcntl(2) "File Sealing", execve(2); the kernel's documentation of `vm.memfd_noexec`.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;

use super::protocol::Failure;
use crate::root;

/// The name of the copy in memory, as `/proc` shows it.
const NAME: &str = env!("CARGO_PKG_NAME");
/// The mode of a copy: it can be read and executed.
const MODE: Mode = Mode::from_raw_mode(0o555);

/// A copy of a program.
#[derive(Debug)]
pub(super) struct Executable {
    file: OwnedFd,
}

impl Executable {
    /// A sealed copy of `program` in memory.
    pub(super) fn in_memory(program: &Path) -> Result<Self, Failure> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = match rustix::fs::memfd_create(NAME, flags | MemfdFlags::EXEC) {
            // Linux before 6.3 does not have that flag, and executes every such file.
            Err(Errno::INVAL) => rustix::fs::memfd_create(NAME, flags),
            made => made,
        };
        let mut copy = File::from(file.map_err(Failure::at("make a file in memory"))?);
        fill(&mut copy, program)?;
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&copy, seals).map_err(Failure::at("seal a file in memory"))?;
        Ok(Self { file: copy.into() })
    }

    /// A copy of `program` on disk, on the file system of `directory`, without a name.
    pub(super) fn on_disk(program: &Path, directory: &Path) -> Result<Self, Failure> {
        let made = root::nameless_file(directory);
        let mut copy = made.map_err(|error| Failure::at("make a file")(io::Error::other(error)))?;
        fill(&mut copy, program)?;
        // The kernel refuses to execute a file that is open for writing.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let reading = rustix::fs::open(path_of(copy.as_raw_fd()), flags, Mode::empty());
        Ok(Self { file: reading.map_err(Failure::at("open a copy of the program"))? })
    }

    /// The path to execute it by, valid in this process and its children as long as this value lives.
    pub(super) fn path(&self) -> PathBuf {
        path_of(self.file.as_raw_fd())
    }
}

fn path_of(descriptor: i32) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{descriptor}"))
}

fn fill(copy: &mut File, program: &Path) -> Result<(), Failure> {
    let attempt = || format!("copy {}", program.display());
    let mut original = root::open_file(program)
        .map_err(|error| Failure::at(format!("copy {}", program.display()))(io::Error::other(error)))?;
    io::copy(&mut original, copy).map_err(Failure::at(attempt()))?;
    copy.seek(SeekFrom::Start(0)).map_err(Failure::at(attempt()))?;
    rustix::fs::fchmod(copy.as_fd(), MODE).map_err(Failure::at(attempt()))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use super::*;

    const PROGRAM: &str = "/bin/true";

    fn copies() -> [Executable; 2] {
        let program = Path::new(PROGRAM);
        [
            Executable::in_memory(program).unwrap_or_else(|error| panic!("{error}")),
            Executable::on_disk(program, &std::env::temp_dir()).unwrap_or_else(|error| panic!("{error}")),
        ]
    }

    #[test]
    fn a_copy_has_the_bytes_of_the_program_and_runs() {
        for copy in copies() {
            let (mut expected, mut bytes) = (Vec::new(), Vec::new());
            File::open(PROGRAM).unwrap().read_to_end(&mut expected).unwrap();
            File::open(copy.path()).unwrap().read_to_end(&mut bytes).unwrap();
            assert!(bytes == expected);
            assert!(Command::new(copy.path()).status().unwrap().success());
        }
    }

    #[test]
    fn a_copy_in_memory_cannot_be_written_to_truncated_or_unsealed() {
        let [copy, _] = copies();
        // Its owner can change the mode.
        rustix::fs::fchmod(&copy.file, Mode::from_raw_mode(0o777)).unwrap();
        let mut file = File::options().write(true).open(copy.path()).unwrap();
        assert_eq!(file.write(b"x").unwrap_err().raw_os_error(), Some(libc::EPERM));
        assert_eq!(file.set_len(1).unwrap_err().raw_os_error(), Some(libc::EPERM));
        assert_eq!(file.set_len(1 << 40).unwrap_err().raw_os_error(), Some(libc::EPERM));
        assert_eq!(rustix::fs::fcntl_add_seals(&file, SealFlags::empty()), Err(Errno::PERM));
    }

    #[test]
    fn a_copy_on_disk_has_no_name_and_the_program_keeps_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let before = std::fs::metadata(PROGRAM).unwrap().permissions().mode();
        let copy =
            Executable::on_disk(Path::new(PROGRAM), directory.path()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        rustix::fs::fchmod(&copy.file, Mode::from_raw_mode(0o4777)).unwrap();
        assert_eq!(std::fs::metadata(PROGRAM).unwrap().permissions().mode(), before);
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let error = Executable::in_memory(Path::new("/no/such/program")).unwrap_err().to_string();
        assert!(
            error.starts_with("cannot copy /no/such/program: ") && error.contains("No such file"),
            "{error}"
        );
    }
}
