//! Chunked compression: a stream cut in pieces that are compressed apart, on all cores, to the same bytes.
//!
//! A stream is a sequence of segments. A segment is cut in chunks of exactly [`CHUNK`] bytes, the last
//! one shorter, and each chunk becomes a gzip member or a zstd frame of its own ([`super::codec`]); pieces in
//! sequence are a stream. So a segment's compressed bytes depend on nothing but the segment, whatever stands
//! around it.
//!
//! Memory is bounded by the chunks in flight, at most 2 × jobs + 2, whose buffers are used again.
//!
//! Source: design, "Bytes".

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Scope};

use super::codec::{Codec, CompressError};

/// The length of a chunk, in bytes, before compression. Part of the format: another length, other bytes.
pub const CHUNK: usize = 1 << 20;

/// A chunk and what became of it. The buffers are used again and again.
#[derive(Default)]
struct Chunk {
    input: Vec<u8>,
    output: Vec<u8>,
    written: usize,
}

impl Chunk {
    fn compress(&mut self, codec: Codec) -> Result<(), CompressError> {
        self.written = codec.compress(&self.input, &mut self.output)?;
        Ok(())
    }

    fn compressed(&self) -> &[u8] {
        self.output.get(..self.written).unwrap_or_default()
    }
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

/// Compresses what `feed` writes and gives the pieces to `sink`, in order, on this thread.
///
/// `feed` runs on a thread of its own, compressing on `jobs` more. Returns what `feed` returned. The first
/// error of `sink` or of the codec ends everything and is returned before one of `feed`; `sink` may
/// have been given a part. A stream of no bytes gives no pieces.
pub fn compress<R, E>(
    codec: Codec,
    jobs: NonZeroUsize,
    feed: impl FnOnce(&mut Chunker) -> Result<R, E> + Send,
    sink: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<R, E>
where
    R: Send,
    E: From<CompressError> + Send,
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
        // First the one without which nothing is done: of workers one is enough.
        let feeder = thread::Builder::new()
            .name("layer".to_owned())
            .spawn_scoped(scope, move || {
                let result = feed(&mut chunker)?;
                // Fails only if the other end has stopped, with an error that is returned below.
                let _ = chunker.end_segment();
                Ok(result)
            })
            .map_err(CompressError::Thread)?;
        start_workers(scope, codec, jobs, &work, &done_sender)?;
        drop(done_sender);
        let written = write_in_order(done, &free_sender, sink);
        // If writing ended early, this is what wakes the feeder.
        drop(free_sender);
        let result = feeder.join().unwrap_or_else(|payload| panic::resume_unwind(payload));
        written?;
        result
    })
}

type Done = (u64, Result<Chunk, CompressError>);

fn start_workers<'scope>(
    scope: &'scope Scope<'scope, '_>,
    codec: Codec,
    jobs: NonZeroUsize,
    work: &'scope Mutex<Receiver<(u64, Chunk)>>,
    done: &SyncSender<Done>,
) -> Result<(), CompressError> {
    for started in 0..jobs.get() {
        let done = done.clone();
        let worker = thread::Builder::new()
            .name(format!("compress-{started}"))
            .spawn_scoped(scope, move || compress_all(codec, work, &done));
        match worker {
            Ok(_) => {}
            Err(error) if started == 0 => return Err(CompressError::Thread(error)),
            // Fewer threads than asked for give the same bytes, later.
            Err(_) => break,
        }
    }
    Ok(())
}

fn compress_all(codec: Codec, work: &Mutex<Receiver<(u64, Chunk)>>, done: &SyncSender<Done>) {
    loop {
        let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, mut chunk)) = next else { return };
        // A chunk that is never done would keep the others waiting for ever.
        let result = panic::catch_unwind(AssertUnwindSafe(|| chunk.compress(codec).map(|()| chunk)))
            .unwrap_or(Err(CompressError::Panicked));
        if done.send((number, result)).is_err() {
            return;
        }
    }
}

/// Takes the channel of finished chunks, so that it closes when this returns, whatever it returns.
fn write_in_order<E: From<CompressError>>(
    done: Receiver<Done>,
    free: &SyncSender<Chunk>,
    mut sink: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut early = BTreeMap::new();
    let mut next = 0;
    for (number, result) in done {
        early.insert(number, result?);
        while let Some(mut chunk) = early.remove(&next) {
            sink(chunk.compressed())?;
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
        Codec,
        Write,
    }

    impl From<CompressError> for Failure {
        fn from(_: CompressError) -> Self {
            Self::Codec
        }
    }

    const GZIP: Codec = Codec::GZIP;
    const ZSTD: Codec = Codec::ZSTD;

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

    fn compressed(codec: Codec, segments: &[&[u8]], count: usize) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        compress(
            codec,
            jobs(count),
            |chunker| {
                for segment in segments {
                    chunker.write_all(segment).map_err(|_| Failure::Write)?;
                    chunker.end_segment().map_err(|_| Failure::Write)?;
                }
                Ok::<_, Failure>(())
            },
            |piece| {
                pieces.push(piece.to_vec());
                Ok(())
            },
        )
        .unwrap();
        pieces
    }

    fn inflated(stream: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        flate2::read::MultiGzDecoder::new(stream).read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_compressed_bytes_are_the_recorded_ones() {
        // Recorded with flate2 1.1.10 over zlib-rs 0.6.8, and with zstd 1.5.7. If this fails, every layer
        // anybody has made with an earlier version has another digest now.
        let input = pattern(5 * CHUNK / 2);
        let whole = [&input, &input[..1000]].concat();
        let gzip = compressed(GZIP, &[&input, &input[..1000]], 2).concat();
        assert!(inflated(&gzip) == whole);
        assert_eq!(
            Sha256::of(&gzip).to_hex(),
            "c2bc86772ab557087c926ec10b4634ab7aeac00ae46cdd3d5e24cc12c6670d54"
        );
        let zstd = compressed(ZSTD, &[&input, &input[..1000]], 2).concat();
        assert!(zstd::decode_all(zstd.as_slice()).unwrap() == whole);
        assert_eq!(
            Sha256::of(&zstd).to_hex(),
            "ea9b0700ed4e50d74cffc9c2e82074d454566230d1759668eaa1f9d4008c4d70"
        );
    }

    #[test]
    fn the_number_of_jobs_does_not_change_a_byte() {
        let input = pattern(20 * CHUNK + 17);
        for codec in [GZIP, ZSTD] {
            assert!(compressed(codec, &[&input], 1) == compressed(codec, &[&input], 8), "{codec:?}");
        }
    }

    #[test]
    fn a_segment_is_cut_in_chunks_and_never_shares_one() {
        let input = pattern(2 * CHUNK + 1);
        let members = compressed(GZIP, &[&input[..10], &[], &input, &input[..CHUNK]], 3);
        let lengths: Vec<usize> = members.iter().map(|member| inflated(member).len()).collect();
        assert_eq!(lengths, [10, CHUNK, CHUNK, 1, CHUNK]);
        assert_eq!(members[1..4].concat(), compressed(GZIP, &[&input], 1).concat());
        // RFC 1952: magic, deflate, no flags, no time, no hint, unknown system.
        assert!(members.iter().all(|member| member[..10] == *b"\x1f\x8b\x08\0\0\0\0\0\0\xff"));
    }

    #[test]
    fn the_way_a_segment_is_written_does_not_change_a_byte() {
        let input = pattern(CHUNK + 12_345);
        let mut pieces = Vec::new();
        compress(
            GZIP,
            jobs(2),
            |chunker| {
                input.chunks(777).try_for_each(|part| chunker.write_all(part).map_err(|_| Failure::Write))
            },
            |piece| {
                pieces.push(piece.to_vec());
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(pieces, compressed(GZIP, &[&input], 2));
    }

    #[test]
    fn no_bytes_give_no_pieces() {
        assert!(compressed(GZIP, &[], 2).is_empty());
        assert!(compressed(ZSTD, &[b""], 2).is_empty());
    }

    #[test]
    fn an_error_of_the_sink_stops_the_feed_and_is_the_one_returned() {
        let input = pattern(CHUNK);
        let result = compress(
            GZIP,
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
            GZIP,
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
            GZIP,
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
