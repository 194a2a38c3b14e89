//! What `apkcompose package` and `apkcompose index` take.

use std::path::PathBuf;

use clap::Args;

use super::shared::Format;
use crate::apk::package::ScriptKind;
use crate::apk::sign::SigningAlgorithm;
use crate::arch::Arch;
use crate::compose::author::{KeyFile, OwnerRule};

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  apkcompose package --info PKGINFO --files root/ --script post-install=setup.sh --sign-key me.rsa
      makes NAME-VERSION.apk; PKGINFO has lines like `pkgname = x`, `pkgver = 1.0-r0`, `arch = noarch`")]
pub(in crate::cli) struct Package {
    /// What the package says of itself, as a .PKGINFO without datahash and size
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) info: PathBuf,
    /// The directory whose contents become the package's files
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) files: Option<PathBuf>,
    /// A script (repeatable): pre-install, post-install, pre-upgrade, post-upgrade, pre-deinstall,
    /// post-deinstall, trigger
    #[arg(long, value_name = "KIND=FILE", value_parser = script)]
    pub(in crate::cli) script: Vec<(ScriptKind, PathBuf)>,
    /// Give a path, and what is below it, to an owner (repeatable; root has what is not named):
    /// /var/lib/x=user:group, with numbers as user=100:group=101
    #[arg(long, value_name = "PATH=OWNER")]
    pub(in crate::cli) owner: Vec<OwnerRule>,
    #[command(flatten)]
    pub(in crate::cli) signing: Signing,
    /// The build time, in seconds since 1970 [default: `SOURCE_DATE_EPOCH`, else builddate of the info]
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH")]
    pub(in crate::cli) epoch: Option<i64>,
    /// Where to write it [default: ./NAME-VERSION.apk]
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,
    /// How to print what was made
    #[arg(long, value_enum, default_value_t)]
    pub(in crate::cli) format: Format,
}

/// Which key signs, and how.
#[derive(Debug, Args)]
pub(in crate::cli) struct Signing {
    /// Sign with this private key (PEM)
    #[arg(long, value_name = "FILE", env = "APKCOMPOSE_SIGN_KEY")]
    pub(in crate::cli) sign_key: Option<PathBuf>,
    /// The file name of the public key in /etc/apk/keys [default: the private key's with .pub]
    #[arg(long, value_name = "NAME", requires = "sign_key", env = "APKCOMPOSE_KEY_NAME")]
    pub(in crate::cli) key_name: Option<String>,
    /// The kind of signature: RSA (which every apk accepts), RSA256 or RSA512
    #[arg(long, value_name = "KIND", default_value_t)]
    pub(in crate::cli) signature: SigningAlgorithm,
}

impl Signing {
    /// The key, if there is one.
    pub(in crate::cli) fn key(&self) -> Option<KeyFile> {
        self.sign_key.as_ref().map(|path| KeyFile {
            path: path.clone(),
            public_name: self.key_name.clone(),
            algorithm: self.signature,
        })
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  apkcompose index --sign-key me.rsa -o repo/x86_64/APKINDEX.tar.gz repo/x86_64/*.apk
      makes `repo` a repository: give it to a profile as ./repo, with keys = [\"me.rsa.pub\"]")]
pub(in crate::cli) struct Index {
    /// The package files
    #[arg(required = true)]
    pub(in crate::cli) packages: Vec<PathBuf>,
    /// Refuse packages that none of these keys signed (repeatable)
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) key: Vec<PathBuf>,
    /// What the index says of itself
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) description: Option<String>,
    /// List noarch packages under this architecture, and refuse others
    #[arg(long)]
    pub(in crate::cli) arch: Option<Arch>,
    #[command(flatten)]
    pub(in crate::cli) signing: Signing,
    /// The time of the index, in seconds since 1970 [default: `SOURCE_DATE_EPOCH`, else that of the newest package]
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH")]
    pub(in crate::cli) epoch: Option<i64>,
    /// Where to write it
    #[arg(short, long, value_name = "FILE", default_value = "APKINDEX.tar.gz")]
    pub(in crate::cli) output: PathBuf,
    /// How to print what was made
    #[arg(long, value_enum, default_value_t)]
    pub(in crate::cli) format: Format,
}

fn script(text: &str) -> Result<(ScriptKind, PathBuf), String> {
    let (kind, path) = text.split_once('=').ok_or("write KIND=FILE, as post-install=setup.sh")?;
    let kinds = || ScriptKind::ALL.map(ScriptKind::as_str).join(", ");
    let kind =
        ScriptKind::named(kind).ok_or_else(|| format!("`{kind}` is not a kind of script ({})", kinds()))?;
    Ok((kind, path.into()))
}
