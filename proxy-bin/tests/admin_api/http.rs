//! As much of an HTTP client as these tests need.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::PATIENCE;

/// Where to ask.
#[derive(Debug, Clone)]
pub(crate) enum At {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl From<&Path> for At {
    fn from(path: &Path) -> Self {
        Self::Unix(path.to_path_buf())
    }
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Reply {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body as a type of the API, which the request was answered with.
    pub(crate) fn says<T: serde::de::DeserializeOwned>(&self) -> T {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/json");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// What is wrong, as problem details say it.
    pub(crate) fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem: proxy_api::model::Problem = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem.status, status);
        assert!(problem.kind.starts_with("/problems/") && !problem.title.is_empty());
        problem.detail
    }
}

/// A request under way.
pub(crate) struct Exchange {
    reader: BufReader<Box<dyn Read>>,
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
}

impl At {
    /// Asks for something. `headers` are lines.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Reply {
        let mut exchange = self.begin(method, path, headers, body);
        let body = exchange.rest();
        Reply { status: exchange.status, headers: exchange.headers, body }
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], "")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Reply {
        self.ask("POST", path, &["content-type: application/json"], body)
    }

    /// Sends a request and reads the head of the answer.
    pub(crate) fn begin(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Exchange {
        let host = match self {
            Self::Unix(_) => "localhost".to_owned(),
            Self::Tcp(addr) => addr.to_string(),
        };
        let mut lines = vec![format!("{method} {path} HTTP/1.1"), "connection: close".to_owned()];
        if !headers.iter().any(|line| line.starts_with("host:")) {
            lines.push(format!("host: {host}"));
        }
        lines.extend(headers.iter().map(|line| (*line).to_owned()));
        lines.push(format!("content-length: {}", body.len()));
        let request = format!("{}\r\n\r\n{body}", lines.join("\r\n"));
        let reader = self.send(request.as_bytes());
        Exchange::read(BufReader::new(reader))
    }

    fn send(&self, request: &[u8]) -> Box<dyn Read> {
        match self {
            Self::Unix(path) => {
                let mut stream = UnixStream::connect(path).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.write_all(request).unwrap();
                Box::new(stream)
            }
            Self::Tcp(addr) => {
                let mut stream = TcpStream::connect(addr).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.write_all(request).unwrap();
                Box::new(stream)
            }
        }
    }
}

impl Exchange {
    fn read(mut reader: BufReader<Box<dyn Read>>) -> Self {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {line:?}"));
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.insert(name.to_lowercase(), value.to_owned());
        }
        Self { reader, status, headers }
    }

    fn is_chunked(&self) -> bool {
        self.headers.get("transfer-encoding").is_some_and(|encoding| encoding == "chunked")
    }

    /// The next chunk; None at the end.
    fn chunk(&mut self) -> Option<String> {
        let mut size = String::new();
        self.reader.read_line(&mut size).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let mut chunk = vec![0; size + 2];
        // Cut off rather than ended: the end all the same.
        self.reader.read_exact(&mut chunk).ok()?;
        chunk.truncate(size);
        (size > 0).then(|| String::from_utf8(chunk).unwrap())
    }

    /// All that is left of the body.
    pub(crate) fn rest(&mut self) -> String {
        let mut body = String::new();
        if self.is_chunked() {
            while let Some(chunk) = self.chunk() {
                body += &chunk;
            }
        } else {
            self.reader.read_to_string(&mut body).unwrap();
        }
        body
    }

    /// The next server-sent event: its name and its data. None at the end.
    pub(crate) fn event(&mut self) -> Option<(String, Value)> {
        assert_eq!((self.status, &*self.headers["content-type"]), (200, "text/event-stream"));
        let mut text = String::new();
        while !text.ends_with("\n\n") {
            text += &self.chunk()?;
        }
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        Some((field("event: ").to_owned(), serde_json::from_str(field("data: ")).unwrap()))
    }
}
