//! A program that is being measured, with everything that it has started.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

use super::backend::heard;
use super::files::{Files, Kind};
use super::subject::Subject;
use crate::clock;

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long between two looks.
const LOOK: Duration = Duration::from_millis(2);

/// What a command took.
pub(super) struct Spent {
    pub(super) wall: Duration,
    pub(super) cpu: Duration,
}

/// Runs a command to its end, which has to be a good one.
pub(super) fn finished(words: &[PathBuf]) -> anyhow::Result<Spent> {
    let (program, words) = words.split_first().context("a command has words")?;
    let (begin, before) = (clock::now(), of_children()?);
    let output = Command::new(program).args(words).stdin(Stdio::null()).output()?;
    let spent = Spent { wall: begin.elapsed(), cpu: of_children()? - before };
    ensure!(
        output.status.success(),
        "{} {words:?}: {}",
        program.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(spent)
}

/// What an answer took; None where whoever waited for it gave up, which says no more than that it took long.
pub(super) fn in_time(spent: anyhow::Result<Spent>) -> Option<Spent> {
    spent.inspect_err(|error| eprintln!("no answer in time: {error}")).ok()
}

/// The CPU of all commands that have ended and been waited for.
fn of_children() -> anyhow::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}

/// A program that serves. Dropped, it is stopped.
pub(super) struct Started {
    child: Child,
    pub(super) until_served: Duration,
    pub(super) cpu_to_start: Duration,
}

impl Started {
    /// Starts it, and waits until it serves the name in the middle.
    pub(super) fn of(subject: &Subject, files: &Files) -> anyhow::Result<Self> {
        let errors = fs::File::create(files.dir().join("errors"))?;
        let begin = clock::now();
        let mut command = subject.run(files);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).spawn()?;
        let mut started = Self { child, until_served: Duration::ZERO, cpu_to_start: Duration::ZERO };
        let wrote = |error: anyhow::Error| {
            let text = fs::read_to_string(files.dir().join("errors")).unwrap_or_default();
            error.context(text)
        };
        started.until_heard(files, files.says[0], begin).map_err(wrote)?;
        started.until_served = begin.elapsed();
        started.cpu_to_start = started.cpu();
        Ok(started)
    }

    fn until_heard(&mut self, files: &Files, wanted: u8, begin: Instant) -> anyhow::Result<()> {
        while begin.elapsed() < PATIENCE {
            if heard(files.listen, &files.name).is_ok_and(|heard| heard == wanted) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended: {status}");
            }
            pause(LOOK);
        }
        bail!("it does not serve {} within {PATIENCE:?}", files.name)
    }

    /// Changes one route, and waits until it is served as it is now. How long that takes, and what whoever asks for it spends.
    pub(super) fn reload(
        &mut self,
        subject: &Subject,
        files: &Files,
    ) -> anyhow::Result<(Duration, Duration)> {
        files.change()?;
        let begin = clock::now();
        let mut own = Duration::ZERO;
        match (subject.reload(files), subject.kind()) {
            (Some(command), _) => {
                own = in_time(finished(&command)).map(|spent| spent.cpu).unwrap_or_default();
            }
            (None, Kind::Haproxy) => self.signal("USR2")?,
            (None, Kind::Ours | Kind::Nginx) => self.signal("HUP")?,
        }
        self.until_heard(files, files.says[1], begin)?;
        Ok((begin.elapsed(), own))
    }

    fn signal(&self, name: &str) -> anyhow::Result<()> {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status()?;
        ensure!(status.success(), "kill -s {name}: {status}");
        Ok(())
    }

    /// Waits until its memory has not changed by more than a MiB for so long, and tells it in bytes. What processes have in common
    /// is counted once.
    pub(super) fn at_rest(&self, long: Duration) -> anyhow::Result<u64> {
        let begin = clock::now();
        let (mut since, mut last) = (begin, self.resident());
        while begin.elapsed() < PATIENCE {
            pause(Duration::from_millis(100));
            let now = self.resident();
            if now.abs_diff(last) > 1 << 20 {
                (since, last) = (clock::now(), now);
            }
            if since.elapsed() >= long {
                return Ok(now);
            }
        }
        bail!("its memory does not come to rest within {PATIENCE:?}")
    }

    fn pids(&self) -> Vec<u32> {
        chain_harness::tree(self.child.id())
    }

    fn resident(&self) -> u64 {
        self.pids().iter().filter_map(|pid| kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:")).sum()
    }

    /// The most that was ever resident in any of its processes.
    pub(super) fn peak(&self) -> u64 {
        self.pids().iter().filter_map(|pid| kib(&format!("/proc/{pid}/status"), "VmHWM:")).max().unwrap_or(0)
    }

    /// The CPU of all its processes, those too that have ended.
    pub(super) fn cpu(&self) -> Duration {
        let ticks: u64 = self.pids().iter().filter_map(|pid| ticks(*pid)).sum();
        Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let stopped = self.signal("TERM").and_then(|()| Ok(self.child.wait()?));
        if let Err(error) = stopped {
            eprintln!("it could not be stopped: {error:#}");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "between two looks at other programs there is nothing to do")]
fn pause(long: Duration) {
    std::thread::sleep(long);
}

/// A number of KiB of a file below /proc, in bytes.
fn kib(path: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Ticks of a process, and of its children that it has waited for (fields 14 to 17 of proc(5)).
fn ticks(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().skip(11).take(4).map(|field| field.parse::<u64>().ok()).sum()
}
