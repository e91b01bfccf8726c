//! Who has a socket that somebody listens on: as an operator would look for them.

use std::fmt;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use proxy_core::unix::Living;
use serde::Deserialize;
use tokio::time::Instant;

use crate::control::State;

/// How long a proxy that has the socket may take to say its name: it answers in milliseconds, or it stands still.
const PATIENCE: Duration = Duration::from_millis(500);
/// The longest answer that is read for it.
const LONGEST: usize = 1 << 20;

const QUESTION: &[u8] = b"GET /v1/status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// Who listens on a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process, if that is known.
    pub process: Option<u32>,
    /// What it is called, if it is one of ours and says so.
    pub name: Option<String>,
    /// Whether it says that it has been told to stop: it only finishes what it has.
    pub stops: bool,
}

/// What is read of its status.
#[derive(Debug, Deserialize)]
struct Named {
    name: String,
    pid: u32,
    state: String,
}

impl Holder {
    /// Asks. Blocks, for half a second at most.
    pub(super) fn ask(living: Living) -> Self {
        let process = living.process();
        let named = living.into_connection().and_then(|connection| named(&connection));
        match named {
            Some(Named { name, pid, state }) => Self {
                process: process.or(Some(pid)),
                name: Some(name),
                stops: state == State::Draining.name(),
            },
            None => Self { process, name: None, stops: false },
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.process) {
            (Some(name), Some(process)) => write!(f, "smartproxy pid {process} ({name})"),
            (Some(name), None) => write!(f, "smartproxy ({name})"),
            (None, Some(process)) => write!(f, "the process {process}"),
            (None, None) => f.write_str("another process"),
        }
    }
}

fn named(mut connection: &UnixStream) -> Option<Named> {
    let until = Instant::now() + PATIENCE;
    connection.set_nonblocking(false).ok()?;
    connection.set_write_timeout(Some(PATIENCE)).ok()?;
    connection.write_all(QUESTION).ok()?;
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        connection.set_read_timeout(Some(left)).ok()?;
        let read = connection.read(&mut piece).ok()?;
        answer.extend_from_slice(piece.get(..read)?);
        if read == 0 || answer.len() > LONGEST {
            break;
        }
    }
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    serde_json::from_slice(answer.get(head + 4..)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxy_core::unix::who_listens;
    use std::os::unix::net::UnixListener;

    fn asked(answer: Option<&'static str>) -> Holder {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("one.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = vec![0; QUESTION.len()];
            stream.read_exact(&mut question).unwrap();
            assert_eq!(question, QUESTION);
            answer.inspect(|answer| stream.write_all(answer.as_bytes()).unwrap());
            // Until whoever asks has had enough.
            answer.is_none().then(|| stream.read(&mut [0]))
        });
        let holder = Holder::ask(who_listens(&path).unwrap().unwrap());
        thread.join().unwrap();
        holder
    }

    #[test]
    fn one_of_ours_is_told_by_name_and_anybody_else_by_number() {
        let own = std::process::id();
        let named = asked(Some(
            "HTTP/1.1 200 OK\r\n\r\n{\"name\":\"outer\",\"version\":\"1\",\"pid\":7,\"state\":\"running\"}",
        ));
        assert_eq!((named.to_string(), named.stops), (format!("smartproxy pid {own} (outer)"), false));
        for other in [None, Some("SSH-2.0\r\n"), Some("HTTP/1.1 404 Not Found\r\n\r\n{}")] {
            assert_eq!(asked(other).to_string(), format!("the process {own}"));
        }
        assert_eq!(Holder { process: None, name: None, stops: false }.to_string(), "another process");
    }
}
