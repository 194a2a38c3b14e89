//! A small HTTP/1.1 server on a loopback address, to be any test's mirror, good or bad.
//!
//! ```text
//! let server = Server::of(Site::directory(&alpine.mirror()));
//! server.plan("APKINDEX.tar.gz", Times::First(1), Fault::status(503));
//! dir.command().args(["--profile", "p.toml", "--mirror", &server.url()]).success();
//! assert_eq!(server.log().paths(), [...]);
//! ```
//!
//! Left alone it does what RFC 9110 and RFC 9112 say of `GET` and `HEAD`: validators, conditional requests, single
//! ranges, persistent connections. What it does wrong is planned in [`fault`], and nothing else is wrong. It is also
//! a proxy: requests in absolute form are answered as if they were for itself, and `CONNECT` is a tunnel.
//!
//! A thread per connection; all of them end when it is dropped, whatever they wait for.
//!
//! | file | what |
//! |---|---|
//! | [`request`] | what came over the wire, and [`log`], which keeps it |
//! | [`site`] | what is served |
//! | [`serve`] | the right answer to a request, an [`answer`]; [`date`] writes its times |
//! | [`fault`] | what is to go wrong, and when |
//! | `connection` | answers on the wire, right and wrong; `tunnel` for `CONNECT` |
//! | [`tls`] | certificates |

pub(crate) mod answer;
mod connection;
pub(crate) mod date;
pub(crate) mod fault;
pub(crate) mod log;
pub(crate) mod request;
pub(crate) mod serve;
pub(crate) mod site;
pub(crate) mod tls;
mod tunnel;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::ServerConfig;

use fault::{Fault, Plan, Times};
use log::Log;
use site::Site;

/// A server that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    is_tls: bool,
    listening: Option<JoinHandle<()>>,
}

/// A server in the making.
#[derive(Debug)]
pub(crate) struct Setup {
    site: Site,
    address: IpAddr,
    latency: Duration,
    tls: Option<Arc<ServerConfig>>,
}

impl Setup {
    /// A server of `site` at 127.0.0.1, at once and without TLS.
    pub(crate) fn of(site: Site) -> Self {
        Self { site, address: Ipv4Addr::LOCALHOST.into(), latency: Duration::ZERO, tls: None }
    }

    /// At another loopback address.
    pub(crate) fn at(self, address: IpAddr) -> Self {
        assert!(address.is_loopback(), "{address} is not this machine's own");
        Self { address, ..self }
    }

    /// Waits that long before it answers a request.
    pub(crate) fn latency(self, latency: Duration) -> Self {
        Self { latency, ..self }
    }

    /// Speaks TLS (see [`tls::Authority`]).
    pub(crate) fn tls(self, config: Arc<ServerConfig>) -> Self {
        Self { tls: Some(config), ..self }
    }

    /// Starts it, at a port that was free.
    pub(crate) fn start(self) -> Server {
        let listener = TcpListener::bind((self.address, 0))
            .unwrap_or_else(|error| panic!("cannot listen at {}: {error}", self.address));
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared {
            site: Mutex::new(self.site),
            plan: Mutex::default(),
            log: Log::default(),
            latency: self.latency,
            open: Mutex::default(),
            is_over: Mutex::new(false),
            over: Condvar::new(),
        });
        let (listened, tls) = (Arc::clone(&shared), self.tls.clone());
        let listening = thread::spawn(move || listened.accept(&listener, tls.as_ref()));
        Server { shared, address, is_tls: self.tls.is_some(), listening: Some(listening) }
    }
}

impl Server {
    /// A server of `site` at 127.0.0.1, at once and without TLS.
    pub(crate) fn of(site: Site) -> Self {
        Setup::of(site).start()
    }

    /// Its URL by its address, without a slash at the end: what `--mirror` takes.
    pub(crate) fn url(&self) -> String {
        self.url_as(&self.address.ip().to_string())
    }

    /// Its URL by `host`, a name or `user:password@name` of its address.
    pub(crate) fn url_as(&self, host: &str) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{host}:{}", self.address.port())
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets requests for paths that end in `path` end in `fault`, as often as `times` says, counted from now. Of
    /// several plans for a request the first that was made is carried out.
    pub(crate) fn plan(&self, path: &str, times: Times, fault: Fault) {
        lock(&self.shared.plan).add(path, times, fault);
    }

    /// Forgets all plans: from now on nothing is wrong.
    pub(crate) fn mend(&self) {
        lock(&self.shared.plan).clear();
    }

    /// Makes `bytes` what is at `path`, which is below the root and without a slash at its beginning.
    pub(crate) fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        lock(&self.shared.site).put(path, bytes);
    }

    /// What was asked of it.
    pub(crate) fn log(&self) -> &Log {
        &self.shared.log
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.end();
        // The one way to end a wait for the next connection.
        drop(TcpStream::connect(self.address));
        let ended = self.listening.take().map(JoinHandle::join);
        if !thread::panicking() {
            assert!(ended.is_none_or(|ended| ended.is_ok()), "a thread of the server panicked");
        }
    }
}

/// What the threads of a server share.
#[derive(Debug)]
struct Shared {
    site: Mutex<Site>,
    plan: Mutex<Plan>,
    log: Log,
    latency: Duration,
    /// The sockets that threads may wait for, by a number of each.
    open: Mutex<BTreeMap<usize, TcpStream>>,
    is_over: Mutex<bool>,
    over: Condvar,
}

impl Shared {
    /// Serves every connection in a thread of its own, until the end.
    fn accept(self: &Arc<Self>, listener: &TcpListener, tls: Option<&Arc<ServerConfig>>) {
        let mut threads = Vec::new();
        for (number, stream) in listener.incoming().enumerate() {
            if self.is_over() {
                break;
            }
            // A client may be gone before it was accepted.
            let Ok(stream) = stream else { continue };
            let (shared, tls) = (Arc::clone(self), tls.cloned());
            threads.push(thread::spawn(move || connection::serve(&shared, stream, number, tls)));
        }
        for thread in threads {
            thread.join().expect("the thread of a connection");
        }
    }

    /// Notes `stream`, so that the end does not have to wait for its peer, as long as the result lives.
    fn watch(&self, stream: &TcpStream) -> Watch<'_> {
        let mut open = lock(&self.open);
        let number = open.last_key_value().map_or(0, |(number, _)| number + 1);
        // Where there is no second handle, there is nothing to be done: the end waits for the peer.
        if let Ok(stream) = stream.try_clone() {
            open.insert(number, stream);
        }
        drop(open);
        let watch = Watch { shared: self, number };
        if self.is_over() {
            drop(stream.shutdown(Shutdown::Both));
        }
        watch
    }

    /// Waits for `time`, or until the end. Whether there is time left to go on.
    fn pause(&self, time: Duration) -> bool {
        let is_over = lock(&self.is_over);
        let waited = self.over.wait_timeout_while(is_over, time, |is_over| !*is_over);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn is_over(&self) -> bool {
        *lock(&self.is_over)
    }

    fn end(&self) {
        *lock(&self.is_over) = true;
        self.over.notify_all();
        for stream in lock(&self.open).values() {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

/// A socket that is noted.
struct Watch<'a> {
    shared: &'a Shared,
    number: usize,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        lock(&self.shared.open).remove(&self.number);
    }
}

/// What the mutex holds, also when another test's thread failed while it had it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
