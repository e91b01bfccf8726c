//! A bounded queue of lines, and the thread that writes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};

use tokio::time::Instant;
use tracing::warn;

use super::LogError;
use super::files::Sink;

/// Lines that wait for whoever reads them. Beyond that lines are lost, and counted: a reader that stalls or goes away
/// must not hold up a worker.
const LINES_WAITING: usize = 16_384;

/// Lines that are written with one system call: as many as waited, up to this.
const BATCH: usize = 64 << 10;

/// What else the thread does: called at the time it asked for last, and when it is woken. It says when next.
pub(super) type Tick = Box<dyn FnMut(Instant) -> Option<Instant> + Send>;

/// A way to a place. Clones lead to the same one; its thread ends when the last of them is gone and everything is written.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    jobs: SyncSender<Job>,
    sink: Arc<Sink>,
    lost: Arc<AtomicU64>,
    /// Whether the last lines could not be written.
    fails: Arc<AtomicBool>,
}

enum Job {
    Line(Vec<u8>),
    Wake,
    Flush(SyncSender<()>),
}

impl Writer {
    /// Starts a thread that writes to `sink`.
    pub(super) fn start(
        name: &str,
        sink: Arc<Sink>,
        lost: Arc<AtomicU64>,
        tick: Option<Tick>,
    ) -> Result<Self, LogError> {
        let (jobs, waiting) = sync_channel(LINES_WAITING);
        let fails = Arc::<AtomicBool>::default();
        let thread = Thread {
            waiting,
            sink: Arc::clone(&sink),
            lost: Arc::clone(&lost),
            fails: Arc::clone(&fails),
            tick,
            due: None,
            losing: 0,
        };
        let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(|| thread.run());
        spawned.map_err(LogError::Thread)?;
        Ok(Self { jobs, sink, lost, fails })
    }

    pub(super) fn sink(&self) -> &Sink {
        &self.sink
    }

    /// Where it writes, if the last lines could not be written there.
    pub(super) fn fails(&self) -> Option<String> {
        let fails = self.fails.load(Ordering::Relaxed);
        fails.then(|| self.sink.place().map_or_else(|| "its place".to_owned(), |place| place.to_string()))
    }

    /// Queues a line, or loses it.
    pub(super) fn line(&self, line: &[u8]) {
        if self.jobs.try_send(Job::Line(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Has the thread do what else it does.
    pub(super) fn wake(&self) {
        // A full queue wakes it too, but that is not asked for: it looks after each batch.
        drop(self.jobs.try_send(Job::Wake));
    }

    /// Asks to be told when what was written before is where it goes; None where the queue has no place for that.
    pub(super) fn flush(&self) -> Option<Receiver<()>> {
        let (done, written) = sync_channel(1);
        self.jobs.try_send(Job::Flush(done)).is_ok().then_some(written)
    }
}

struct Thread {
    waiting: Receiver<Job>,
    sink: Arc<Sink>,
    lost: Arc<AtomicU64>,
    fails: Arc<AtomicBool>,
    tick: Option<Tick>,
    due: Option<Instant>,
    /// Lines that were lost since the place last took some.
    losing: u64,
}

/// Lines that are about to be written.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    flushed: Vec<SyncSender<()>>,
}

impl Batch {
    fn add(&mut self, job: Job) {
        match job {
            Job::Line(line) => self.bytes.extend_from_slice(&line),
            Job::Wake => {}
            Job::Flush(done) => self.flushed.push(done),
        }
    }
}

impl Thread {
    fn run(mut self) {
        while let Some(mut batch) = self.next() {
            while batch.bytes.len() < BATCH
                && let Ok(job) = self.waiting.try_recv()
            {
                batch.add(job);
            }
            if !batch.bytes.is_empty() {
                self.write(&batch.bytes);
            }
            if let Some(tick) = &mut self.tick {
                self.due = tick(Instant::now());
            }
            // Nobody may be waiting any more.
            batch.flushed.into_iter().for_each(|done| done.try_send(()).unwrap_or_default());
        }
    }

    /// Writes these lines. That some are lost, and that none is any more, is said elsewhere: a log that fails cannot say so
    /// itself.
    fn write(&mut self, lines: &[u8]) {
        let lost = self.sink.write(lines);
        self.lost.fetch_add(lost, Ordering::Relaxed);
        self.fails.store(lost > 0, Ordering::Relaxed);
        let before = self.losing;
        self.losing = if lost > 0 { before + lost } else { 0 };
        let Some(place) = self.sink.place() else { return };
        if lost > 0 {
            warn!(
                "log lines cannot be written to {place} and are lost: is its disk full, or has its reader stopped?"
            );
        } else if before > 0 {
            warn!(lost = before, "log lines are written to {place} again");
        }
    }

    /// The beginning of the next batch; empty if only the time has come for something else. None at the end.
    fn next(&mut self) -> Option<Batch> {
        let mut batch = Batch::default();
        let job = match self.due {
            None => self.waiting.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(due) => self.waiting.recv_timeout(due.saturating_duration_since(Instant::now())),
        };
        match job {
            Ok(job) => batch.add(job),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        let writer =
            Writer::start("log", Arc::new(Sink::open(&path, None).unwrap()), Arc::default(), None).unwrap();
        let lines: Vec<_> = (0..5000).map(|n| format!("line {n}\n")).collect();
        for line in &lines {
            writer.line(line.as_bytes());
        }
        writer.flush().unwrap().recv().unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), lines.concat());
        assert_eq!(writer.fails(), None);
    }

    /// `/dev/full` takes nothing, like a disk that is full.
    #[test]
    fn lines_that_cannot_be_written_are_counted_as_lost() {
        let lost = Arc::default();
        let sink = Arc::new(Sink::open("/dev/full".as_ref(), None).unwrap());
        let writer = Writer::start("log", sink, Arc::clone(&lost), None).unwrap();
        for _ in 0..3 {
            writer.line(b"line\n");
        }
        writer.flush().unwrap().recv().unwrap();
        assert_eq!(lost.load(Ordering::Relaxed), 3);
        assert_eq!(writer.fails().as_deref(), Some("/dev/full"));
    }

    /// A pipe that nobody reads holds 64 KiB; then the thread stands still, and its queue fills.
    #[test]
    fn a_reader_that_stands_still_loses_lines_and_holds_up_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
        // Open for both, or opening would wait for a reader.
        let _reader = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let lost = Arc::default();
        let writer =
            Writer::start("log", Arc::new(Sink::open(&path, None).unwrap()), Arc::clone(&lost), None)
                .unwrap();
        let line = [b'x'; 64];
        let most = LINES_WAITING + 2 * BATCH / line.len() + 2;
        for _ in 0..2 * most {
            writer.line(&line);
        }
        let lost = lost.load(Ordering::Relaxed);
        assert!(lost >= most as u64, "{lost} of {} lines were lost", 2 * most);
    }
}
