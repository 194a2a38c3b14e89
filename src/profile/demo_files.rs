//! The files that the built-in profile `demo` names: its repository and the key of it.
//!
//! Made by `examples/build_demo.rs`; the list is that of `profiles/demo/`, which a test holds it against.

use super::builtin::EmbeddedFile;

macro_rules! embedded {
    ($($path:literal),+ $(,)?) => {
        &[$(EmbeddedFile { path: $path, bytes: include_bytes!(concat!("../../profiles/", $path)) }),+]
    };
}

/// All of them, sorted.
pub(super) const DEMO_FILES: &[EmbeddedFile] = embedded![
    "demo/aarch64/APKINDEX.tar.gz",
    "demo/aarch64/demo-baselayout-1.0-r0.apk",
    "demo/aarch64/demo-docs-1.0-r0.apk",
    "demo/aarch64/demo-hello-1.0-r0.apk",
    "demo/aarch64/demo-hello-doc-1.0-r0.apk",
    "demo/aarch64/demo-message-1.0-r0.apk",
    "demo/demo.rsa.pub",
    "demo/x86_64/APKINDEX.tar.gz",
    "demo/x86_64/demo-baselayout-1.0-r0.apk",
    "demo/x86_64/demo-docs-1.0-r0.apk",
    "demo/x86_64/demo-hello-1.0-r0.apk",
    "demo/x86_64/demo-hello-doc-1.0-r0.apk",
    "demo/x86_64/demo-message-1.0-r0.apk",
];
