//! A tunnel through a proxy: bytes to another server and back.
//!
//! Source: RFC 9110, section 9.3.6.

use std::io;
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::thread;

/// The connection to `target`, `host:port`, which must be of this machine: nothing here reaches another one.
pub(super) fn open(target: &str) -> io::Result<TcpStream> {
    let addresses: Vec<_> = target.to_socket_addrs()?.filter(|address| address.ip().is_loopback()).collect();
    TcpStream::connect(addresses.as_slice())
}

/// Carries bytes in both directions until both are at an end.
pub(super) fn join(one: &TcpStream, other: &TcpStream) {
    thread::scope(|scope| {
        scope.spawn(|| carry(one, other));
        carry(other, one);
    });
}

fn carry(mut from: &TcpStream, mut to: &TcpStream) {
    // Whichever side fails, there is nothing more to carry this way.
    drop(io::copy(&mut from, &mut to));
    drop(to.shutdown(Shutdown::Write));
}
