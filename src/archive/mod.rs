//! Compressed streams and tar framing: what every archive of this field is made of.
//!
//! Bytes in, values out; no file is opened here. Whatever is read is bounded by its caller.

pub mod chunked;
pub mod codec;
pub mod decompress;
pub mod gzip;
pub mod gzip_write;
pub mod rootfs;
pub mod table;
pub mod tar_read;
pub mod tar_write;
