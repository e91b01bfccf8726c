//! What the processes of a proxy use, to the nanosecond where the kernel says so.

use std::fs;
use std::time::Duration;

/// The processes of one proxy, or of a chain of two.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    pids: Vec<u32>,
}

impl Tree {
    pub(crate) const fn new(pids: Vec<u32>) -> Self {
        Self { pids }
    }

    /// This process alone.
    pub(crate) fn own() -> Self {
        Self::new(vec![std::process::id()])
    }

    pub(crate) fn pids(&self) -> &[u32] {
        &self.pids
    }

    /// Time on a processor since the start, of all threads that live. From `schedstat` where the kernel has it (it
    /// counts nanoseconds), else from `stat` (ticks of 10 ms).
    pub(crate) fn cpu(&self) -> Duration {
        self.pids.iter().map(|&pid| of_threads(pid).unwrap_or_else(|| of_stat(pid))).sum()
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = |pid| fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        self.pids.iter().map(|&pid| parse_resident(&status(pid)).unwrap_or(0)).sum()
    }

    /// Open descriptors. Cheap: Linux 6.2 and later say their number as the size of the directory.
    pub(crate) fn descriptors(&self) -> u64 {
        let count = |pid: u32| {
            let dir = format!("/proc/{pid}/fd");
            let size = fs::metadata(&dir).map_or(0, |dir| dir.len());
            if size > 0 { size } else { fs::read_dir(&dir).map_or(0, Iterator::count) as u64 }
        };
        self.pids.iter().map(|&pid| count(pid)).sum()
    }
}

fn of_threads(pid: u32) -> Option<Duration> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let mut all = Duration::ZERO;
    for thread in threads.map_while(Result::ok) {
        match fs::read_to_string(thread.path().join("schedstat")) {
            Ok(text) => all += parse_schedstat(&text)?,
            // A thread that has just ended, or a kernel that has no such file: only the first is fine.
            Err(_) if thread.path().exists() => return None,
            Err(_) => {}
        }
    }
    (!all.is_zero()).then_some(all)
}

/// The first of the three numbers of `schedstat`: nanoseconds on a processor.
fn parse_schedstat(text: &str) -> Option<Duration> {
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

fn of_stat(pid: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let ticks = u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100);
    parse_stat(&text).map_or(Duration::ZERO, |used| Duration::from_secs(used) / ticks.max(1))
}

/// Ticks in user and in kernel mode (fields 14 and 15 of proc(5)), behind the name, which may have anything in it.
fn parse_stat(text: &str) -> Option<u64> {
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11).map(str::parse::<u64>);
    Some(fields.next()?.ok()? + fields.next()?.ok()?)
}

/// `VmRSS` of `/proc/PID/status`, in bytes.
fn parse_resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn schedstat_is_nanoseconds_first() {
        assert_eq!(parse_schedstat("158340060 258275229 63\n"), Some(Duration::from_nanos(158_340_060)));
        assert_eq!(parse_schedstat(""), None);
        assert_eq!(parse_schedstat("x 1 2"), None);
    }

    #[test]
    fn stat_is_read_behind_any_name() {
        let line = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 300 21 0 0 20 0 1 0 9 1000 55";
        assert_eq!(parse_stat(line), Some(321));
        assert_eq!(parse_stat("7 (cut"), None);
    }

    #[test]
    fn resident_is_in_kib() {
        assert_eq!(parse_resident("Name:\tx\nVmRSS:\t    1500 kB\nThreads:\t1\n"), Some(1_536_000));
        assert_eq!(parse_resident("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_uses_something() {
        let own = Tree::own();
        let (cpu, mut rounds) = (own.cpu(), 0_u64);
        while own.cpu() < cpu + Duration::from_millis(1) {
            rounds += 1;
            assert!(rounds < 10_000_000, "the time of this process does not move");
        }
        assert!(own.resident() > 1 << 20);
    }

    #[test]
    fn descriptors_of_a_child_are_counted() {
        let piped = std::process::Stdio::piped;
        let mut command = std::process::Command::new("cat");
        let mut child = command.stdin(piped()).stdout(piped()).spawn().unwrap();
        // Until it answers it is still becoming that program: what was to be closed is being closed, libraries are opened.
        child.stdin.as_mut().unwrap().write_all(b"?").unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let open = Tree::new(vec![child.id()]).descriptors();
        // It may have inherited some beside its three.
        let listed = fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap().count() as u64;
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(open == listed && open >= 3, "{open}, {listed}");
    }
}
