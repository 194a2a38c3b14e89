//! Chunked deflate: a stream cut in pieces that are compressed apart, on all cores, to the same bytes.
//!
//! A stream is a sequence of segments. A segment is cut in chunks of exactly [`CHUNK`] bytes, the last
//! one shorter, and each chunk becomes a gzip member of its own; members in sequence are a gzip stream.
//! So a segment's compressed bytes depend on nothing but the segment, whatever stands around it.
//!
//! A chunk is deflated at level 6 by *one* call into an output buffer of constant, sufficient size: given
//! smaller buffers the deflater cuts its blocks elsewhere. Nor is a deflater used twice. The header is
//! constant: no name, no time, unknown system. `flate2` and `zlib-rs` are pinned, and a test holds their
//! output against a recorded digest.
//!
//! Memory is bounded by the chunks in flight, at most 2 × jobs + 2, whose buffers are used again.
//!
//! Source: design, "Bytes"; RFC 1952.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Scope};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use crate::kind::{Explain, Kind};

/// The length of a chunk, in bytes, before compression. Part of the format: another length, other bytes.
pub const CHUNK: usize = 1 << 20;

/// The compression level. Part of the format.
const LEVEL: u32 = 6;

/// RFC 1952: magic, deflate, no flags, no time, no hint, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Room for the worst a chunk can become.
const WORST: usize = zlib_rs::compress_bound(CHUNK);

/// Why a stream could not be compressed. None of these is the fault of the data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeflateError {
    /// A chunk does not fit where its worst case should.
    #[error("deflating {length} bytes did not end within {WORST} bytes")]
    Unfinished {
        /// The chunk's length, in bytes.
        length: usize,
    },
    /// The deflater refused to work.
    #[error("cannot deflate {length} bytes: {error}")]
    Refused {
        /// The chunk's length, in bytes.
        length: usize,
        /// What it said.
        error: flate2::CompressError,
    },
    /// The deflater broke off by a panic, whose message is on standard error.
    #[error("the deflater broke off")]
    Panicked,
    /// The system gives no thread.
    #[error("cannot start a thread for compression: {0}")]
    Thread(io::Error),
}

impl Explain for DeflateError {
    fn kind(&self) -> Kind {
        match self {
            Self::Unfinished { .. } | Self::Refused { .. } | Self::Panicked => Kind::Internal,
            Self::Thread(_) => Kind::Limit,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unfinished { .. } | Self::Refused { .. } | Self::Panicked => None,
            Self::Thread(_) => Some("use fewer threads with --jobs".to_owned()),
        }
    }
}

/// A chunk and what became of it. The buffers are used again and again.
#[derive(Default)]
struct Chunk {
    input: Vec<u8>,
    output: Vec<u8>,
    written: usize,
}

impl Chunk {
    fn compress(&mut self) -> Result<(), DeflateError> {
        let length = self.input.len();
        if self.output.is_empty() {
            // Zeroed by the system, page by page as they are used: the worst case is address space only.
            self.output = vec![0; HEADER.len() + WORST];
        }
        let (header, body) = self.output.split_at_mut(HEADER.len());
        header.copy_from_slice(&HEADER);

        let mut deflater = Compress::new(Compression::new(LEVEL), false);
        let status = deflater
            .compress(&self.input, body, FlushCompress::Finish)
            .map_err(|error| DeflateError::Refused { length, error })?;
        if status != Status::StreamEnd {
            return Err(DeflateError::Unfinished { length });
        }

        let end = HEADER.len().saturating_add(usize::try_from(deflater.total_out()).unwrap_or(WORST));
        let trailer = trailer(&self.input);
        self.written = end + trailer.len();
        self.output
            .get_mut(end..self.written)
            .ok_or(DeflateError::Unfinished { length })?
            .copy_from_slice(&trailer);
        Ok(())
    }

    fn member(&self) -> &[u8] {
        self.output.get(..self.written).unwrap_or_default()
    }
}

fn trailer(input: &[u8]) -> [u8; 8] {
    let mut crc = Crc::new();
    crc.update(input);
    let mut trailer = [0; 8];
    let (sum, length) = trailer.split_at_mut(4);
    sum.copy_from_slice(&crc.sum().to_le_bytes());
    length.copy_from_slice(&crc.amount().to_le_bytes());
    trailer
}

/// Where a stream is written to be cut in chunks.
///
/// When the other end has stopped, writing fails with [`io::ErrorKind::BrokenPipe`]; the other end's
/// error is the one that counts.
pub struct Chunker {
    current: Option<Chunk>,
    next: u64,
    free: Receiver<Chunk>,
    work: SyncSender<(u64, Chunk)>,
}

impl Chunker {
    /// Ends a segment: what is written next begins a chunk of its own. Empty segments leave no trace.
    pub fn end_segment(&mut self) -> io::Result<()> {
        let Some(chunk) = self.current.take() else { return Ok(()) };
        self.work.send((self.next, chunk)).map_err(|_| stopped())?;
        self.next += 1;
        Ok(())
    }

    fn chunk(&mut self) -> io::Result<&mut Chunk> {
        let chunk = match self.current.take() {
            Some(chunk) => chunk,
            None => self.free.recv().map_err(|_| stopped())?,
        };
        Ok(self.current.insert(chunk))
    }
}

impl Write for Chunker {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let chunk = self.chunk()?;
        let taken = bytes.len().min(CHUNK - chunk.input.len());
        chunk.input.reserve_exact(CHUNK - chunk.input.len());
        chunk.input.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        if chunk.input.len() == CHUNK {
            self.end_segment()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn stopped() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "compression has stopped")
}

/// Compresses what `feed` writes and gives the members to `sink`, in order, on this thread.
///
/// `feed` runs on a thread of its own, deflating on `jobs` more. Returns what `feed` returned. The first
/// error of `sink` or of the deflater ends everything and is returned before one of `feed`; `sink` may
/// have been given a part. A stream of no bytes gives no members.
pub fn compress<R, E>(
    jobs: NonZeroUsize,
    feed: impl FnOnce(&mut Chunker) -> Result<R, E> + Send,
    sink: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<R, E>
where
    R: Send,
    E: From<DeflateError> + Send,
{
    let in_flight = jobs.get().saturating_mul(2).saturating_add(2);
    // There are `in_flight` chunks and no more, so no channel ever blocks its sender; the feeder waits
    // for a free chunk. Every end belongs to the one who uses it, so who leaves, by an error too, wakes
    // the others.
    let (free_sender, free) = mpsc::sync_channel(in_flight);
    let (work_sender, work) = mpsc::sync_channel(in_flight);
    let (done_sender, done) = mpsc::sync_channel(in_flight);
    for _ in 0..in_flight {
        // Cannot fail: the receiver is in scope and there is room.
        let _ = free_sender.send(Chunk::default());
    }
    let work = Mutex::new(work);
    let mut chunker = Chunker { current: None, next: 0, free, work: work_sender };

    thread::scope(|scope| {
        start_workers(scope, jobs, &work, &done_sender)?;
        drop(done_sender);
        let feeder = thread::Builder::new()
            .name("layer".to_owned())
            .spawn_scoped(scope, move || {
                let result = feed(&mut chunker)?;
                // Fails only if the other end has stopped, with an error that is returned below.
                let _ = chunker.end_segment();
                Ok(result)
            })
            .map_err(DeflateError::Thread)?;
        let written = write_in_order(done, &free_sender, sink);
        // If writing ended early, this is what wakes the feeder.
        drop(free_sender);
        let result = feeder.join().unwrap_or_else(|payload| panic::resume_unwind(payload));
        written?;
        result
    })
}

type Done = (u64, Result<Chunk, DeflateError>);

fn start_workers<'scope>(
    scope: &'scope Scope<'scope, '_>,
    jobs: NonZeroUsize,
    work: &'scope Mutex<Receiver<(u64, Chunk)>>,
    done: &SyncSender<Done>,
) -> Result<(), DeflateError> {
    for started in 0..jobs.get() {
        let done = done.clone();
        let worker = thread::Builder::new()
            .name(format!("deflate-{started}"))
            .spawn_scoped(scope, move || deflate_all(work, &done));
        match worker {
            Ok(_) => {}
            Err(error) if started == 0 => return Err(DeflateError::Thread(error)),
            // Fewer threads than asked for give the same bytes, later.
            Err(_) => break,
        }
    }
    Ok(())
}

fn deflate_all(work: &Mutex<Receiver<(u64, Chunk)>>, done: &SyncSender<Done>) {
    loop {
        let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, mut chunk)) = next else { return };
        // A chunk that is never done would keep the others waiting for ever.
        let result = panic::catch_unwind(AssertUnwindSafe(|| chunk.compress().map(|()| chunk)))
            .unwrap_or(Err(DeflateError::Panicked));
        if done.send((number, result)).is_err() {
            return;
        }
    }
}

/// Takes the channel of finished chunks, so that it closes when this returns, whatever it returns.
fn write_in_order<E: From<DeflateError>>(
    done: Receiver<Done>,
    free: &SyncSender<Chunk>,
    mut sink: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut early = BTreeMap::new();
    let mut next = 0;
    for (number, result) in done {
        early.insert(number, result?);
        while let Some(mut chunk) = early.remove(&next) {
            sink(chunk.member())?;
            chunk.input.clear();
            // The feeder may be through already; then nobody needs the chunk.
            let _ = free.send(chunk);
            next += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::digest::Sha256;

    #[derive(Debug)]
    enum Failure {
        Feed,
        Sink,
        Deflate,
        Write,
    }

    impl From<DeflateError> for Failure {
        fn from(_: DeflateError) -> Self {
            Self::Deflate
        }
    }

    fn jobs(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).unwrap()
    }

    /// Bytes between text and noise, the same everywhere.
    fn pattern(length: usize) -> Vec<u8> {
        let mut state: u32 = 1;
        (0..length)
            .map(|at| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = (state >> 24) as u8;
                if at % 4096 < 3072 { b'a' + noise % 7 } else { noise }
            })
            .collect()
    }

    fn compressed(segments: &[&[u8]], count: usize) -> Vec<Vec<u8>> {
        let mut members = Vec::new();
        compress(
            jobs(count),
            |chunker| {
                for segment in segments {
                    chunker.write_all(segment).map_err(|_| Failure::Write)?;
                    chunker.end_segment().map_err(|_| Failure::Write)?;
                }
                Ok::<_, Failure>(())
            },
            |member| {
                members.push(member.to_vec());
                Ok(())
            },
        )
        .unwrap();
        members
    }

    fn inflated(stream: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        flate2::read::MultiGzDecoder::new(stream).read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_compressed_bytes_are_the_recorded_ones() {
        // Recorded with flate2 1.1.10 over zlib-rs 0.6.8. If this fails, every layer anybody has made
        // with an earlier version has another digest now.
        let input = pattern(5 * CHUNK / 2);
        let stream = compressed(&[&input, &input[..1000]], 2).concat();
        assert_eq!(inflated(&stream), [&input, &input[..1000]].concat());
        assert_eq!(
            Sha256::of(&stream).to_hex(),
            "c2bc86772ab557087c926ec10b4634ab7aeac00ae46cdd3d5e24cc12c6670d54"
        );
    }

    #[test]
    fn the_number_of_jobs_does_not_change_a_byte() {
        let input = pattern(20 * CHUNK + 17);
        assert_eq!(compressed(&[&input], 1), compressed(&[&input], 8));
    }

    #[test]
    fn a_segment_is_cut_in_chunks_and_never_shares_one() {
        let input = pattern(2 * CHUNK + 1);
        let members = compressed(&[&input[..10], &[], &input, &input[..CHUNK]], 3);
        let lengths: Vec<usize> = members.iter().map(|member| inflated(member).len()).collect();
        assert_eq!(lengths, [10, CHUNK, CHUNK, 1, CHUNK]);
        assert_eq!(members[1..4].concat(), compressed(&[&input], 1).concat());
        assert!(members.iter().all(|member| member[..10] == HEADER));
    }

    #[test]
    fn the_way_a_segment_is_written_does_not_change_a_byte() {
        let input = pattern(CHUNK + 12_345);
        let mut members = Vec::new();
        compress(
            jobs(2),
            |chunker| {
                input.chunks(777).try_for_each(|part| chunker.write_all(part).map_err(|_| Failure::Write))
            },
            |member| {
                members.push(member.to_vec());
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(members, compressed(&[&input], 2));
    }

    #[test]
    fn noise_fits_where_the_worst_case_should() {
        let mut state: u64 = 88_172_645_463_325_252;
        let noise: Vec<u8> = (0..CHUNK)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[4]
            })
            .collect();
        assert_eq!(inflated(&compressed(&[&noise], 1).concat()), noise);
    }

    #[test]
    fn no_bytes_give_no_members() {
        assert!(compressed(&[], 2).is_empty());
        assert!(compressed(&[b""], 2).is_empty());
    }

    #[test]
    fn an_error_of_the_sink_stops_the_feed_and_is_the_one_returned() {
        let input = pattern(CHUNK);
        let result = compress(
            jobs(2),
            |chunker| loop {
                chunker.write_all(&input).map_err(|_| Failure::Write)?;
            },
            |_| Err::<(), _>(Failure::Sink),
        );
        let result: Result<(), Failure> = result;
        assert!(matches!(result, Err(Failure::Sink)), "{result:?}");
    }

    #[test]
    fn an_error_of_the_feed_is_returned() {
        let result = compress(
            jobs(2),
            |chunker| {
                chunker.write_all(b"begun").map_err(|_| Failure::Write)?;
                Err::<(), _>(Failure::Feed)
            },
            |_| Ok(()),
        );
        assert!(matches!(result, Err(Failure::Feed)), "{result:?}");
    }

    #[test]
    fn the_feed_is_never_further_ahead_than_the_chunks_in_flight() {
        let input = pattern(CHUNK);
        let begun = AtomicUsize::new(0);
        let mut written = 0;
        compress(
            jobs(2),
            |chunker| {
                for _ in 0..40 {
                    chunker.write_all(&input).map_err(|_| Failure::Write)?;
                    begun.fetch_add(1, Ordering::SeqCst);
                }
                Ok::<_, Failure>(())
            },
            |_| {
                assert!(begun.load(Ordering::SeqCst) - written <= 6);
                written += 1;
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(written, 40);
    }
}
