//! Where lines end up.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, poll};

use super::LogError;
use super::opening::open;
use crate::privileges::Identity;

/// How long a pipe or a terminal may take nothing before lines are lost: whoever reads it has stopped, not paused.
const STALLED: Duration = Duration::from_secs(1);

/// So many bytes go into a pipe whole, or not at all (`PIPE_BUF`, pipe(7)).
const WHOLE: usize = 4096;

/// A place for lines.
#[derive(Debug)]
pub(super) enum Sink {
    Stderr,
    Stdout,
    File(LogFile),
}

/// A file that may be another one from one write to the next.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    /// Held for as long as it takes to clone or to replace it, never while writing.
    file: Mutex<Arc<Opened>>,
}

/// A file that is open, and does not block.
#[derive(Debug)]
struct Opened {
    file: File,
    pipe: bool,
    /// The last line in it has no end.
    torn: AtomicBool,
}

impl Sink {
    /// A file, which is appended to, and made where there is none; `identity` is who the process is about to become.
    pub(super) fn open(path: &Path, identity: Option<&Identity>) -> Result<Self, LogError> {
        let file = Mutex::new(Arc::new(Opened::new(path, identity)?));
        Ok(Self::File(LogFile { path: path.to_path_buf(), file }))
    }

    /// Writes these lines; how many of them were lost. Called by the log's own threads only: it may take its time.
    pub(super) fn write(&self, lines: &[u8]) -> u64 {
        let written = match self {
            Self::Stderr => io::stderr().lock().write_all(lines),
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(lines).and_then(|()| out.flush())
            }
            Self::File(LogFile { file, .. }) => {
                let file = Arc::clone(&file.lock());
                return file.append(lines);
            }
        };
        if written.is_ok() { 0 } else { count(lines) }
    }

    /// What it is called, where it is not the one that tells of the others.
    pub(super) fn place(&self) -> Option<std::borrow::Cow<'_, str>> {
        match self {
            Self::Stderr => None,
            Self::Stdout => Some("stdout".into()),
            Self::File(LogFile { path, .. }) => Some(path.to_string_lossy()),
        }
    }

    /// Opens the file of that name again. What is being written just now still goes to the one that was open.
    pub(super) fn reopen(&self) -> Result<(), LogError> {
        if let Self::File(LogFile { path, file }) = self {
            let new = Arc::new(Opened::new(path, None)?);
            *file.lock() = new;
        }
        Ok(())
    }
}

impl Opened {
    fn new(path: &Path, identity: Option<&Identity>) -> Result<Self, LogError> {
        let failed = |source| LogError::Open { path: path.to_path_buf(), source };
        let file = open(path, identity).map_err(failed)?;
        let pipe = file.metadata().map_err(failed)?.file_type().is_fifo();
        Ok(Self { file, pipe, torn: AtomicBool::new(false) })
    }

    /// Appends whole lines; how many of them were lost.
    fn append(&self, lines: &[u8]) -> u64 {
        let mut rest = lines;
        while !rest.is_empty() {
            // What is written to a pipe at once arrives whole.
            let (part, more) = rest.split_at(if self.pipe { whole_lines(rest) } else { rest.len() });
            if let Err(written) = self.append_all(part) {
                let complete = part.get(..written).unwrap_or_default();
                self.mend(complete);
                return count(rest) - count(complete);
            }
            rest = more;
        }
        0
    }

    /// Appends all of it, or says how much of it.
    fn append_all(&self, bytes: &[u8]) -> Result<(), usize> {
        if self.torn.load(Ordering::Relaxed) {
            self.wait_for(b"\n").map_err(|_| 0_usize)?;
            self.torn.store(false, Ordering::Relaxed);
        }
        self.wait_for(bytes)
    }

    fn wait_for(&self, bytes: &[u8]) -> Result<(), usize> {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match (&self.file).write(rest) {
                Ok(0) => return Err(written),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.is_read() => {}
                Err(_) => return Err(written),
            }
        }
        Ok(())
    }

    /// Whether whoever reads it goes on within the time.
    fn is_read(&self) -> bool {
        let mut file = [PollFd::new(&self.file, PollFlags::OUT)];
        let within = rustix::time::Timespec::try_from(STALLED).ok();
        poll(&mut file, within.as_ref()).is_ok_and(|ready| ready > 0)
    }

    /// Leaves no line without an end where these were the last bytes that there was room for: takes the torn one back out of a
    /// file, if nobody has written behind it; else it gets its end before the next line.
    fn mend(&self, written: &[u8]) {
        let torn = written.rsplit(|byte| *byte == b'\n').next().map_or(0, |tail| tail.len() as u64);
        if torn == 0 {
            return;
        }
        use std::io::Seek as _;
        let end = (&self.file).stream_position().unwrap_or(0);
        let is_last = self.file.metadata().is_ok_and(|about| about.is_file() && about.len() == end);
        let taken_back = is_last && end.checked_sub(torn).is_some_and(|end| self.file.set_len(end).is_ok());
        self.torn.store(!taken_back, Ordering::Relaxed);
    }
}

/// How many bytes of these lines a pipe takes whole: as many lines as fit, or one that is too long for that.
fn whole_lines(lines: &[u8]) -> usize {
    let most = lines.get(..WHOLE.min(lines.len())).unwrap_or_default();
    if most.len() == lines.len() {
        return lines.len();
    }
    let end = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte == b'\n').map(|last| last + 1);
    let first = || lines.iter().position(|byte| *byte == b'\n').map_or(lines.len(), |first| first + 1);
    end(most).unwrap_or_else(first)
}

fn count(lines: &[u8]) -> u64 {
    lines.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_move_lines_go_to_a_new_file() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("access.log"), dir.path().join("access.log.1"));
        let sink = Sink::open(&path, None).unwrap();
        assert_eq!(sink.write(b"one\n"), 0);
        std::fs::rename(&path, &moved).unwrap();
        assert_eq!(sink.write(b"two\n"), 0);
        sink.reopen().unwrap();
        assert_eq!(sink.write(b"three\n"), 0);
        assert_eq!(std::fs::read_to_string(moved).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "three\n");
    }

    #[test]
    fn what_cannot_be_opened_again_stays_open() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("logs");
        std::fs::create_dir(&inner).unwrap();
        let sink = Sink::open(&inner.join("access.log"), None).unwrap();
        let moved = dir.path().join("moved");
        std::fs::rename(&inner, &moved).unwrap();
        let error = sink.reopen().unwrap_err().to_string();
        assert!(error.contains("access.log") && error.contains("No such file"), "{error}");
        assert_eq!(sink.write(b"one\n"), 0);
        assert_eq!(std::fs::read_to_string(moved.join("access.log")).unwrap(), "one\n");
    }

    #[test]
    fn a_pipe_takes_whole_lines() {
        let lines = |lengths: &[usize]| -> Vec<u8> {
            lengths.iter().flat_map(|length| [vec![b'x'; length - 1], vec![b'\n']].concat()).collect()
        };
        assert_eq!(whole_lines(&lines(&[100, 200])), 300);
        assert_eq!(whole_lines(&lines(&[4000, 96, 1])), 4096);
        assert_eq!(whole_lines(&lines(&[4000, 97, 1])), 4000);
        assert_eq!(whole_lines(&lines(&[5000, 1])), 5000);
    }

    /// A reader that has stopped loses lines, and what it reads later are whole ones.
    #[test]
    fn nobody_waits_for_a_pipe_that_is_not_read() {
        use std::io::Read as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
        let error = Sink::open(&path, None).unwrap_err().to_string();
        assert!(error.ends_with("nobody reads from this pipe"), "{error}");
        let mut reader = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let sink = Sink::open(&path, None).unwrap();
        let line = [vec![b'x'; 99], vec![b'\n']].concat();
        let lines = line.repeat(1000);
        let lost = usize::try_from(sink.write(&lines)).unwrap();
        assert!((300..400).contains(&lost), "{lost}");
        let mut read = vec![0; (1000 - lost) * 100];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(read, line.repeat(1000 - lost));
        assert_eq!(sink.write(&line), 0, "it is read again");
    }

    /// What a full disk leaves of a line is taken out again; where that cannot be, the next one begins on a line of its own.
    #[test]
    fn a_torn_line_is_mended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.log");
        let opened = Opened::new(&path, None).unwrap();
        opened.wait_for(b"one\ntw").unwrap();
        opened.mend(b"one\ntw");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\n");
        opened.wait_for(b"tw").unwrap();
        std::io::Write::write_all(
            &mut std::fs::OpenOptions::new().append(true).open(&path).unwrap(),
            b"other\n",
        )
        .unwrap();
        opened.mend(b"tw");
        assert_eq!(opened.append(b"three\n"), 0);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwother\n\nthree\n");
    }
}
