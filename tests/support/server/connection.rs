//! One connection: requests in, answers out, right or as planned.

use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::answer::Answer;
use super::fault::{Delivery, Point, Then};
use super::log::Logged;
use super::request::Request;
use super::{Shared, lock, serve as right, tunnel};

/// What becomes of the connection after an answer.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Request,
    Close,
}

/// A stream of bytes in both directions.
trait Wire: Read + Write {
    /// Says that nothing more comes, where there is a word for it.
    fn finish(&mut self) {}
}

impl Wire for TcpStream {}

impl Wire for StreamOwned<ServerConnection, TcpStream> {
    fn finish(&mut self) {
        self.conn.send_close_notify();
        // The client may have been faster.
        drop(self.flush());
    }
}

/// Serves the client behind `socket`, until either has had enough.
pub(super) fn serve(shared: &Shared, socket: TcpStream, number: usize, tls: Option<Arc<ServerConfig>>) {
    let watch = shared.watch(&socket);
    // Answers are written whole; waiting for more to send with them would be latency that nobody asked for.
    drop(socket.set_nodelay(true));
    let Ok(raw) = socket.try_clone() else { return };
    let wire: Box<dyn Wire> = match tls {
        None => Box::new(socket),
        Some(config) => {
            let session = ServerConnection::new(config).expect("a configuration that serves");
            Box::new(StreamOwned::new(session, socket))
        }
    };
    let mut connection = Connection { shared, number, raw, wire: BufReader::new(wire) };
    // That the client is gone is how connections end.
    drop(connection.serve());
    drop(watch);
}

struct Connection<'a> {
    shared: &'a Shared,
    number: usize,
    /// The socket below the wire.
    raw: TcpStream,
    wire: BufReader<Box<dyn Wire>>,
}

impl Connection<'_> {
    fn serve(&mut self) -> io::Result<()> {
        while let Some(request) = Request::read(&mut self.wire) {
            if request.method == "CONNECT" {
                return self.tunnel(request);
            }
            if self.answer(request)? == Next::Close {
                break;
            }
        }
        self.wire.get_mut().finish();
        Ok(())
    }

    fn answer(&mut self, request: Request) -> io::Result<Next> {
        let fault = lock(&self.shared.plan).next(&request.path());
        let mut answer = right::answer(&lock(&self.shared.site), &request);
        let mut delivery = &Delivery::Whole;
        if let Some(fault) = fault.as_deref() {
            answer = fault.changed(&request, answer);
            delivery = &fault.delivery;
        }
        if request.method == "HEAD" {
            answer.body.clear();
        }
        let status = (!matches!(delivery, Delivery::Other(_))).then_some(answer.status);
        let is_persistent = request.is_persistent();
        let _answering = self.shared.log.begin(Logged { connection: self.number, request, status });
        if !self.shared.pause(self.shared.latency) {
            return Ok(Next::Close);
        }
        match delivery {
            Delivery::Whole => return self.send(answer, is_persistent),
            Delivery::Broken(point, then) => self.send_until(&answer, *point, then)?,
            Delivery::Dripping { bytes, pause } => self.drip(&answer, *bytes, *pause)?,
            Delivery::Other(encode) => self.write(&encode(&answer))?,
        }
        Ok(Next::Close)
    }

    /// Sends the whole of `answer`.
    fn send(&mut self, answer: Answer, is_persistent: bool) -> io::Result<Next> {
        // Where nothing says how long the body is, the end of the connection does.
        let has_end = answer.header("Content-Length").is_some()
            || answer.header("Transfer-Encoding").is_some()
            || answer.status == 304;
        let is_persistent = is_persistent && has_end && answer.header("Connection") != Some("close");
        // As most servers say it: older clients count on the word.
        let connection = if is_persistent { "keep-alive" } else { "close" };
        let answer = answer.with("Connection", connection);
        self.write(&[answer.head(), answer.body].concat())?;
        Ok(if is_persistent { Next::Request } else { Next::Close })
    }

    fn send_until(&mut self, answer: &Answer, point: Point, then: &Then) -> io::Result<()> {
        let head = answer.head();
        let end = point.offset(head.len(), answer.body.len());
        let whole = [head.as_slice(), &answer.body].concat();
        self.write(&whole[..end])?;
        match then {
            Then::Close => {}
            // Closed with nothing left to wait for: the kernel sends a reset.
            Then::Reset => set_socket_linger(&self.raw, Some(Duration::ZERO))?,
            Then::Stall => self.stall()?,
            Then::Repeat(bytes) => loop {
                self.write(bytes)?;
            },
            Then::Drip(bytes, pause) => {
                while self.shared.pause(*pause) {
                    self.write(bytes)?;
                }
            }
        }
        Ok(())
    }

    /// Waits until the client is gone.
    fn stall(&mut self) -> io::Result<()> {
        let mut ignored = [0; 1024];
        while self.raw.read(&mut ignored)? > 0 {}
        Ok(())
    }

    fn drip(&mut self, answer: &Answer, bytes: usize, pause: Duration) -> io::Result<()> {
        self.write(&answer.head())?;
        for drop in answer.body.chunks(bytes) {
            if !self.shared.pause(pause) {
                break;
            }
            self.write(drop)?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let wire = self.wire.get_mut();
        wire.write_all(bytes)?;
        wire.flush()
    }

    fn tunnel(&mut self, request: Request) -> io::Result<()> {
        let there = tunnel::open(&request.target);
        let status = if there.is_ok() { 200 } else { 502 };
        let answering =
            self.shared.log.begin(Logged { connection: self.number, request, status: Some(status) });
        let Ok(there) = there else { return self.write(&[Answer::page(502).head()].concat()) };
        let watch = self.shared.watch(&there);
        self.write(b"HTTP/1.1 200 Connection Established\r\n\r\n")?;
        tunnel::join(&self.raw, &there);
        drop(self.raw.shutdown(Shutdown::Both));
        drop((watch, answering));
        Ok(())
    }
}
