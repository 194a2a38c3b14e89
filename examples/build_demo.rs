//! Builds the signed repository of the `demo` profile, `profiles/demo/`, from its sources in `demo/`.
//!
//!     cargo run --example build_demo
//!
//! Each run makes a new key, signs everything with it and forgets it: the private key is never written
//! anywhere, so nobody can sign for this repository again. Needed after every change of the sources.

use std::error::Error;
use std::fs;
use std::path::Path;

use apkcompose::apk::sign::SigningKey;
use apkcompose::root;

// The program alone is what a test asks for.
#[allow(dead_code, unused_imports, reason = "shared with the test, which uses another part of it")]
#[path = "../demo/mod.rs"]
mod demo;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/demo");
    let key = SigningKey::generate(demo::KEY)?;
    fs::create_dir_all(&directory)?;
    root::write_file(&directory.join(demo::KEY), key.public_key().pem())?;
    for arch in demo::ARCHITECTURES {
        let directory = directory.join(arch.as_str());
        if directory.is_dir() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(&directory)?;
        for (name, bytes) in demo::repository(arch, Some(&key))? {
            root::write_file(&directory.join(name), &bytes)?;
        }
    }
    Ok(())
}
