//! The proof that what an image will start can start: it is there, executable, for this machine, and so is
//! whatever interprets it, down to the last interpreter.
//!
//! Everything is looked up inside the tree, links followed there, nothing is run: an aarch64 image is
//! proved on any machine. Only a [`ProvenTree`] is squashed, and only [`prove`] makes one.
//!
//! Source: execve(2); design, "Prove, then ship".

use std::fmt;

use crate::arch::Arch;
use crate::elf::{ElfError, Executable, Machine};
use crate::kind::{Explain, Kind};
use crate::path::TreePath;
use crate::tree::place::Installation;
use crate::tree::{InodeKind, NameError, Tree};

/// Where a command without a slash is looked for if the image sets no `PATH`, as engines do.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How many interpreters may interpret one another; Linux gives up after four scripts.
const MAX_INTERPRETERS: usize = 5;

/// An installation of which is known that what the image starts can start.
#[derive(Debug)]
pub struct ProvenTree(Installation);

impl ProvenTree {
    /// The installation.
    pub fn installation(&self) -> &Installation {
        &self.0
    }

    /// Its tree.
    pub fn tree(&self) -> &Tree {
        &self.0.tree
    }
}

/// Something the image will start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Which setting says so.
    pub setting: Setting,
    /// The program, as a path or as a name to be looked up in `PATH`.
    pub program: String,
}

/// A setting of an image that names a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// `entrypoint`.
    Entrypoint,
    /// `cmd`.
    Command,
    /// `healthcheck.test`.
    Healthcheck,
    /// `smoke`.
    Smoke,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Entrypoint => "entrypoint",
            Self::Command => "cmd",
            Self::Healthcheck => "healthcheck",
            Self::Smoke => "smoke",
        })
    }
}

/// What decides where programs are found.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The image's `PATH`.
    pub path: Option<String>,
    /// The image's working directory.
    pub working_directory: TreePath,
}

/// Why something the image starts cannot start.
#[derive(Debug, thiserror::Error)]
#[error("{setting} `{program}` cannot start in the image\n  {flaw}")]
pub struct ProofError {
    /// The setting that names it.
    pub setting: Setting,
    /// What it names.
    pub program: String,
    /// What is wrong.
    pub flaw: ProofFlaw,
    /// Which package would provide what is missing.
    pub provider: Option<String>,
}

/// What is wrong with something the image starts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofFlaw {
    /// A path is not there.
    #[error("there is no {0}")]
    Missing(TreePath),
    /// A name is in no directory of `PATH`.
    #[error("there is no `{name}` in {path}")]
    NotInPath {
        /// The name.
        name: String,
        /// The directories.
        path: String,
    },
    /// It is no regular file.
    #[error("{0} is not a regular file")]
    NotAFile(TreePath),
    /// It has no bit that allows running it.
    #[error("{path} is not executable (mode {mode:04o})")]
    NotExecutable {
        /// The file.
        path: TreePath,
        /// Its permission bits.
        mode: u32,
    },
    /// It is for another machine.
    #[error("{path} is for {machine}, the image is for {arch}")]
    Machine {
        /// The file.
        path: TreePath,
        /// What it is for.
        machine: String,
        /// What the image is for.
        arch: Arch,
    },
    /// It is neither a program nor a script that says who interprets it.
    #[error("{0} is neither a program nor a script with a `#!` line")]
    NoProgram(TreePath),
    /// What interprets it cannot start either.
    #[error("{path} is run by {interpreter}, and {flaw}")]
    Interpreter {
        /// The file.
        path: TreePath,
        /// Its interpreter.
        interpreter: String,
        /// What is wrong with that.
        flaw: Box<ProofFlaw>,
    },
    /// Interpreters interpret one another without end.
    #[error("{0} is run by programs that are run by others, more than Linux follows, or without end")]
    TooMany(TreePath),
    /// A path leads nowhere a path can lead.
    #[error("{0}")]
    Name(NameError),
    /// A file's headers are malformed.
    #[error("{path}: {error}")]
    Malformed {
        /// The file.
        path: TreePath,
        /// What is wrong.
        error: ElfError,
    },
    /// The text is no path.
    #[error("`{0}` is not a path")]
    NoPath(String),
}

impl Explain for ProofError {
    fn kind(&self) -> Kind {
        match self.flaw.root() {
            ProofFlaw::Malformed { error: ElfError::Content(error), .. } => error.kind(),
            _ => Kind::Profile,
        }
    }

    fn hint(&self) -> Option<String> {
        if let Some(provider) = &self.provider {
            return Some(format!("it comes with {provider}: add it to [packages] runtime"));
        }
        match self.flaw.root() {
            ProofFlaw::NotExecutable { path, .. } => {
                Some(format!("if {path} comes from the profile, give it mode = \"0755\""))
            }
            ProofFlaw::Missing(_) | ProofFlaw::NotInPath { .. } => Some(
                "no index names a package for it: look at the spelling, or put it in with [[files]]"
                    .to_owned(),
            ),
            ProofFlaw::Machine { arch, .. } => Some(format!("put in one that was built for {arch}")),
            ProofFlaw::NoProgram(_) => {
                Some("a script begins with the program that runs it, as in `#!/bin/sh`".to_owned())
            }
            ProofFlaw::NotAFile(_)
            | ProofFlaw::Interpreter { .. }
            | ProofFlaw::TooMany(_)
            | ProofFlaw::Name(_)
            | ProofFlaw::Malformed { .. }
            | ProofFlaw::NoPath(_) => None,
        }
    }
}

impl ProofFlaw {
    /// What is really wrong, below interpreters.
    fn root(&self) -> &Self {
        match self {
            Self::Interpreter { flaw, .. } => flaw.root(),
            other => other,
        }
    }

    /// The names that a package which provides what is missing would provide, likeliest first.
    fn provided_names(&self) -> Vec<String> {
        match self.root() {
            Self::Missing(path) => {
                let name = path.name();
                // The loader is the C library itself, under its other name.
                let library = name.strip_prefix("ld-musl-").map(|rest| format!("so:libc.musl-{rest}"));
                [path.to_string(), format!("cmd:{name}"), format!("so:{name}")]
                    .into_iter()
                    .chain(library)
                    .collect()
            }
            Self::NotInPath { name, .. } => vec![format!("cmd:{name}")],
            _ => Vec::new(),
        }
    }
}

/// Proves that everything the image starts can start. `provider` says which package provides a name
/// (`cmd:php`, `/bin/sh`), for the hint.
pub fn prove(
    mut installation: Installation,
    arch: Arch,
    starts: &[Start],
    surroundings: &Surroundings,
    provider: impl Fn(&str) -> Option<String>,
) -> Result<ProvenTree, ProofError> {
    let proof = Proof { tree: &installation.tree, arch, surroundings };
    for start in starts {
        proof.program(&start.program, MAX_INTERPRETERS).map_err(|flaw| ProofError {
            setting: start.setting,
            program: start.program.clone(),
            provider: flaw.provided_names().iter().find_map(|name| provider(name)),
            flaw,
        })?;
    }
    // Which package has which file is not needed any more; it is a third of the memory of a large tree.
    installation.database.forget_files();
    Ok(ProvenTree(installation))
}

struct Proof<'a> {
    tree: &'a Tree,
    arch: Arch,
    surroundings: &'a Surroundings,
}

impl Proof<'_> {
    fn program(&self, program: &str, interpreters_left: usize) -> Result<(), ProofFlaw> {
        let path = self.find(program)?;
        self.file(&path, interpreters_left)
    }

    /// Where a program is, as execvp looks for it.
    fn find(&self, program: &str) -> Result<TreePath, ProofFlaw> {
        if program.contains('/') {
            return self.located(program);
        }
        let path = self.surroundings.path.as_deref().unwrap_or(DEFAULT_PATH);
        let mut found = path.split(':').filter(|directory| !directory.is_empty()).filter_map(|directory| {
            let candidate = self.located(&format!("{}/{program}", directory.trim_end_matches('/'))).ok()?;
            let resolved = self.tree.resolve(&candidate).ok()?;
            let inode = self.tree.get(&resolved)?;
            let is_file = matches!(inode.kind, InodeKind::File(_));
            is_file.then(|| (inode.mode.bits() & 0o111 != 0, candidate))
        });
        // execvp goes on behind a file that it may not run, and is refused only if there is no other.
        let mut not_executable = None;
        let found = found.find_map(|(is_executable, candidate)| {
            if is_executable {
                return Some(candidate);
            }
            not_executable.get_or_insert(candidate);
            None
        });
        let found = found.or(not_executable);
        found.ok_or_else(|| ProofFlaw::NotInPath { name: program.to_owned(), path: path.to_owned() })
    }

    fn located(&self, text: &str) -> Result<TreePath, ProofFlaw> {
        let absolute = match text.strip_prefix('/') {
            Some(rest) => rest.to_owned(),
            None => format!("{}/{text}", self.surroundings.working_directory.as_str()),
        };
        let parts: Vec<&str> = absolute.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        TreePath::relative(&parts.join("/")).map_err(|_| ProofFlaw::NoPath(text.to_owned()))
    }

    fn file(&self, path: &TreePath, interpreters_left: usize) -> Result<(), ProofFlaw> {
        let resolved = self.tree.resolve(path).map_err(ProofFlaw::Name)?;
        let Some(inode) = self.tree.get(&resolved) else { return Err(ProofFlaw::Missing(resolved)) };
        let InodeKind::File(content) = &inode.kind else { return Err(ProofFlaw::NotAFile(resolved)) };
        if inode.mode.bits() & 0o111 == 0 {
            return Err(ProofFlaw::NotExecutable { path: resolved, mode: inode.mode.bits() });
        }
        let malformed = |error| ProofFlaw::Malformed { path: resolved.clone(), error };
        match Executable::of(content).map_err(malformed)? {
            Executable::Elf(elf) => {
                self.check_machine(&resolved, elf.machine)?;
                elf.interpreter
                    .map_or(Ok(()), |loader| self.interpreter(&resolved, &loader, interpreters_left))
            }
            Executable::Script(line) => {
                self.interpreter(&resolved, &line.interpreter, interpreters_left)?;
                match program_of_env(&line.interpreter, line.argument.as_deref()) {
                    Some(program) => {
                        let left = interpreters_left.checked_sub(1);
                        let left = left.ok_or_else(|| ProofFlaw::TooMany(resolved.clone()))?;
                        interpreted(&resolved, program, self.program(program, left))
                    }
                    None => Ok(()),
                }
            }
            Executable::Other => Err(ProofFlaw::NoProgram(resolved)),
        }
    }

    fn check_machine(&self, path: &TreePath, machine: Machine) -> Result<(), ProofFlaw> {
        if machine.runs_on(self.arch) {
            return Ok(());
        }
        let machine = machine.arch().map_or_else(|| "another machine".to_owned(), |arch| arch.to_string());
        Err(ProofFlaw::Machine { path: path.clone(), machine, arch: self.arch })
    }

    fn interpreter(&self, path: &TreePath, interpreter: &str, left: usize) -> Result<(), ProofFlaw> {
        let left = left.checked_sub(1).ok_or_else(|| ProofFlaw::TooMany(path.clone()))?;
        let outcome = self.located(interpreter).and_then(|located| self.file(&located, left));
        interpreted(path, interpreter, outcome)
    }
}

fn interpreted(path: &TreePath, interpreter: &str, outcome: Result<(), ProofFlaw>) -> Result<(), ProofFlaw> {
    outcome.map_err(|flaw| match flaw {
        // The way there says nothing that the end does not.
        ProofFlaw::TooMany(_) => ProofFlaw::TooMany(path.clone()),
        flaw => ProofFlaw::Interpreter {
            path: path.clone(),
            interpreter: interpreter.to_owned(),
            flaw: Box::new(flaw),
        },
    })
}

/// The program that `#!/usr/bin/env [-S] PROGRAM` runs.
fn program_of_env<'a>(interpreter: &str, argument: Option<&'a str>) -> Option<&'a str> {
    if interpreter.rsplit('/').next() != Some("env") {
        return None;
    }
    let words = argument?.split_ascii_whitespace();
    words.filter(|word| !word.starts_with('-')).find(|word| !word.contains('='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Content;
    use crate::tree::{Inode, Mode, Origin};

    fn installation(files: &[(&str, &str, u32)]) -> Installation {
        let mut installation = Installation::default();
        for (path, text, mode) in files {
            let path = TreePath::absolute(path).unwrap();
            installation.tree.make_parents(&path, &Origin::Profile).unwrap();
            let kind = match text.strip_prefix("-> ") {
                Some(target) => InodeKind::Symlink(target.into()),
                None => InodeKind::File(Content::of_bytes(text.replace("ELF", ELF).as_bytes())),
            };
            installation.tree.insert(path, Inode::new(kind, Mode::new(*mode), Origin::Profile)).unwrap();
        }
        installation
    }

    /// The header of a static `x86_64` program without segments.
    const ELF: &str = "\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0\0\0\0\0\0\0\0\0\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x40\0\x38\0\0\0\x40\0\0\0\0\0";

    fn proof(files: &[(&str, &str, u32)], program: &str) -> Result<(), String> {
        proof_for(Arch::X86_64, files, program)
    }

    fn proof_for(arch: Arch, files: &[(&str, &str, u32)], program: &str) -> Result<(), String> {
        let start = Start { setting: Setting::Command, program: program.to_owned() };
        let provider = |name: &str| (name == "cmd:php").then(|| "php83".to_owned());
        let proven = prove(installation(files), arch, &[start], &Surroundings::default(), provider);
        proven.map(drop).map_err(|error| format!("{error}|{}", error.hint().unwrap_or_default()))
    }

    #[test]
    fn a_program_is_found_by_name_and_path_through_links() {
        let files = [("/usr/bin/run", "ELF", 0o755), ("/bin/alias", "-> ../usr/bin/run", 0o777)];
        assert_eq!(proof(&files, "run"), Ok(()));
        assert_eq!(proof(&files, "alias"), Ok(()));
        assert_eq!(proof(&files, "/bin/alias"), Ok(()));
        assert_eq!(proof(&files, "./usr/bin/run"), Ok(()));
    }

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let refusal = proof(&[], "php").unwrap_err();
        assert!(
            refusal
                .starts_with("cmd `php` cannot start in the image\n  there is no `php` in /usr/local/sbin"),
            "{refusal}"
        );
        assert!(refusal.ends_with("|it comes with php83: add it to [packages] runtime"), "{refusal}");
        assert!(
            proof(&[], "/usr/bin/php").unwrap_err().contains("there is no /usr/bin/php|it comes with php83")
        );
    }

    #[test]
    fn what_is_there_and_cannot_run_is_refused() {
        let files = [
            ("/bin/data", "ELF", 0o644),
            ("/bin/text", "hello", 0o755),
            ("/bin/script", "#!/bin/no-shell\n", 0o755),
            ("/bin/loop", "#!/bin/loop\n", 0o755),
            ("/bin/env", "ELF", 0o755),
            ("/bin/by-env", "#!/bin/env php\n", 0o755),
            ("/bin/env-loop", "#!/bin/env env-loop\n", 0o755),
            ("/usr/bin/shadowed", "ELF", 0o644),
            ("/bin/shadowed", "ELF", 0o755),
        ];
        assert!(proof(&files, "data").unwrap_err().contains("/bin/data is not executable (mode 0644)"));
        assert!(proof(&files, "text").unwrap_err().contains("neither a program nor a script"));
        assert!(
            proof(&files, "script")
                .unwrap_err()
                .contains("run by /bin/no-shell, and there is no /bin/no-shell")
        );
        assert!(proof(&files, "loop").unwrap_err().contains("or without end"));
        assert!(proof(&files, "env-loop").unwrap_err().contains("or without end"));
        assert_eq!(proof(&files, "shadowed"), Ok(()));
        assert!(proof(&files, "by-env").unwrap_err().contains("it comes with php83"));
        assert!(proof(&files, "/bin").unwrap_err().contains("/bin is not a regular file"));
        let other = proof_for(Arch::Aarch64, &files, "env").unwrap_err();
        assert!(other.contains("/bin/env is for x86_64, the image is for aarch64"), "{other}");
    }
}
