//! apk's formats, pure: bytes in, values out.
//!
//! [`version`] and [`dependency`] are the small words; [`index`] is what a repository offers.
//!
//! Nothing here touches a disk, and nothing decides what is installed: that is [`crate::solve`].

pub mod data;
pub mod dependency;
pub mod index;
pub mod index_file;
mod index_names;
mod index_read;
pub mod installed;
pub mod keys;
mod members;
pub mod package;
pub mod package_info;
pub mod sign;
pub mod signature;
pub mod version;
pub mod write_index;
pub mod write_info;
pub mod write_package;
