//! The `apkcompose` command.

fn main() {}
