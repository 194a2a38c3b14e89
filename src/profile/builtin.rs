//! The profiles that are compiled in, with the files they name.
//!
//! A built-in profile is a directory that happens to lie in the program: what it names by a relative path
//! is found in [`BuiltIn::files`] as a profile on disk finds it beside itself.

use super::demo_files::DEMO_FILES;

/// The built-in profiles, by name.
pub const BUILT_INS: &[BuiltIn] = &[
    BuiltIn { name: "base", text: include_str!("../../profiles/base.toml"), files: &[] },
    BuiltIn { name: "demo", text: include_str!("../../profiles/demo.toml"), files: DEMO_FILES },
    BuiltIn { name: "nginx", text: include_str!("../../profiles/nginx.toml"), files: &[] },
    BuiltIn { name: "nginx-php-fpm", text: include_str!("../../profiles/nginx-php-fpm.toml"), files: &[] },
    BuiltIn { name: "node", text: include_str!("../../profiles/node.toml"), files: &[] },
    BuiltIn { name: "php-cli", text: include_str!("../../profiles/php-cli.toml"), files: &[] },
    BuiltIn { name: "php-fpm", text: include_str!("../../profiles/php-fpm.toml"), files: &[] },
    BuiltIn {
        name: "php-fpm-distroless",
        text: include_str!("../../profiles/php-fpm-distroless.toml"),
        files: &[],
    },
    BuiltIn { name: "php-swoole", text: include_str!("../../profiles/php-swoole.toml"), files: &[] },
    BuiltIn { name: "python", text: include_str!("../../profiles/python.toml"), files: &[] },
    BuiltIn { name: "static", text: include_str!("../../profiles/static.toml"), files: &[] },
    BuiltIn { name: "valkey", text: include_str!("../../profiles/valkey.toml"), files: &[] },
];

/// A profile that is compiled in.
#[derive(Debug, PartialEq, Eq)]
pub struct BuiltIn {
    /// What it is called: `base`.
    pub name: &'static str,
    /// The text of the profile.
    pub text: &'static str,
    /// The files it names, by their path relative to it, sorted.
    pub files: &'static [EmbeddedFile],
}

/// A file of a built-in profile.
#[derive(Debug, PartialEq, Eq)]
pub struct EmbeddedFile {
    /// Relative to the profile, components joined by `/`.
    pub path: &'static str,
    /// What is in it.
    pub bytes: &'static [u8],
}

impl BuiltIn {
    /// The file at `path`, relative to the profile.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&'static EmbeddedFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The files below the directory `path`, with their paths relative to it; the profile's own directory
    /// is the empty path.
    pub fn files_below<'a>(
        &self,
        path: &'a str,
    ) -> impl Iterator<Item = (&'static str, &'static EmbeddedFile)> + 'a {
        self.files.iter().filter_map(move |file| {
            let below = match path {
                "" => file.path,
                _ => file.path.strip_prefix(path)?.strip_prefix('/')?,
            };
            Some((below, file))
        })
    }
}
