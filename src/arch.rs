//! The architectures Alpine builds for, under apk's names and under those of OCI images.
//!
//! Source: apk's `A:` field and the OCI image index specification ("platform"); spec/image, "Config".

use std::fmt;
use std::str::FromStr;

/// A machine architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Arch {
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM v6, hard float.
    Armhf,
    /// 32-bit ARM v7.
    Armv7,
    /// 64-bit `LoongArch`.
    Loongarch64,
    /// 64-bit MIPS, no longer built since 3.15.
    Mips64,
    /// 64-bit little-endian POWER.
    Ppc64le,
    /// 64-bit RISC-V.
    Riscv64,
    /// IBM Z.
    S390x,
    /// 32-bit x86.
    X86,
    /// 64-bit x86.
    X86_64,
}

/// How OCI images name an architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Platform {
    /// `architecture`.
    pub architecture: &'static str,
    /// `variant`, where the architecture has one.
    pub variant: Option<&'static str>,
}

/// As engines take it: `linux/arm64/v8`.
impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "linux/{}", self.architecture)?;
        self.variant.map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

/// A name that is no architecture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an architecture (known: {known})", known = Arch::ALL.map(Arch::as_str).join(", "))]
pub struct UnknownArch(pub String);

impl Arch {
    /// All of them, by name.
    pub const ALL: [Self; 10] = [
        Self::Aarch64,
        Self::Armhf,
        Self::Armv7,
        Self::Loongarch64,
        Self::Mips64,
        Self::Ppc64le,
        Self::Riscv64,
        Self::S390x,
        Self::X86,
        Self::X86_64,
    ];

    /// apk's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64",
            Self::Armhf => "armhf",
            Self::Armv7 => "armv7",
            Self::Loongarch64 => "loongarch64",
            Self::Mips64 => "mips64",
            Self::Ppc64le => "ppc64le",
            Self::Riscv64 => "riscv64",
            Self::S390x => "s390x",
            Self::X86 => "x86",
            Self::X86_64 => "x86_64",
        }
    }

    /// The name in OCI images.
    #[must_use]
    pub const fn platform(self) -> Platform {
        let (architecture, variant) = match self {
            Self::Aarch64 => ("arm64", Some("v8")),
            Self::Armhf => ("arm", Some("v6")),
            Self::Armv7 => ("arm", Some("v7")),
            Self::Loongarch64 => ("loong64", None),
            Self::Mips64 => ("mips64", None),
            Self::Ppc64le => ("ppc64le", None),
            Self::Riscv64 => ("riscv64", None),
            Self::S390x => ("s390x", None),
            Self::X86 => ("386", None),
            Self::X86_64 => ("amd64", None),
        };
        Platform { architecture, variant }
    }

    /// The architecture this program was built for, if Alpine knows it.
    #[must_use]
    pub fn of_this_machine() -> Option<Self> {
        match std::env::consts::ARCH {
            "arm" => Some(Self::Armv7),
            "powerpc64" if cfg!(target_endian = "little") => Some(Self::Ppc64le),
            name => name.parse().ok(),
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Arch {
    type Err = UnknownArch;

    /// Accepts apk's names and the unambiguous ones of OCI (`amd64`, `arm64`).
    fn from_str(text: &str) -> Result<Self, UnknownArch> {
        match text {
            "amd64" => return Ok(Self::X86_64),
            "arm64" => return Ok(Self::Aarch64),
            _ => {}
        }
        Self::ALL.into_iter().find(|arch| arch.as_str() == text).ok_or_else(|| UnknownArch(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_back() {
        for arch in Arch::ALL {
            assert_eq!(arch.as_str().parse(), Ok(arch));
        }
        assert_eq!("arm64".parse(), Ok(Arch::Aarch64));
    }

    #[test]
    fn every_architecture_has_its_name_in_oci_images() {
        // Expected: spec/image, "Config"; GOARCH and GOARM of the OCI image index specification.
        for (arch, platform) in [
            (Arch::X86_64, "linux/amd64"),
            (Arch::Aarch64, "linux/arm64/v8"),
            (Arch::Armhf, "linux/arm/v6"),
            (Arch::Armv7, "linux/arm/v7"),
            (Arch::X86, "linux/386"),
            (Arch::Ppc64le, "linux/ppc64le"),
            (Arch::S390x, "linux/s390x"),
            (Arch::Riscv64, "linux/riscv64"),
            (Arch::Loongarch64, "linux/loong64"),
            (Arch::Mips64, "linux/mips64"),
        ] {
            assert_eq!(arch.platform().to_string(), platform);
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let message = "vax".parse::<Arch>().unwrap_err().to_string();
        assert!(message.contains("`vax`") && message.contains("riscv64"), "{message}");
    }
}
