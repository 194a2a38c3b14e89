//! The addresses of a host, by the system's own rules (getaddrinfo(3)).
//!
//! The system's call waits, so it has a thread of its own, which ends with its answer. One that cannot be started is an
//! error; the runtime's own threads for this would be a panic.

use std::io;
use std::net::ToSocketAddrs as _;
use std::thread;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::oneshot;

/// Asks the system.
#[derive(Debug)]
pub(super) struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        let (answer, answered) = oneshot::channel();
        let ask = move || {
            let addresses = (name.as_str(), 0).to_socket_addrs();
            // Fails only if nobody waits for it any more.
            let _ = answer.send(addresses.map(Vec::from_iter));
        };
        let started = thread::Builder::new().name("resolve".to_owned()).spawn(ask);
        Box::pin(async move {
            started.map_err(|error| {
                io::Error::other(format!("cannot start a thread that looks up the host's addresses: {error}"))
            })?;
            let addresses: Addrs = Box::new(answered.await??.into_iter());
            Ok(addresses)
        })
    }
}
