use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::*;

/// A server that gives the same answer to whoever asks, and keeps what it was asked.
struct Server {
    _dir: tempfile::TempDir,
    path: PathBuf,
    listener: UnixListener,
}

impl Server {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        Self { listener: UnixListener::bind(&path).unwrap(), path, _dir: dir }
    }

    fn client(&self) -> Client {
        Client::new(Place::Unix(self.path.clone()), Some("s3cret".to_owned()))
    }

    /// Accepts one connection and reads the head of a request.
    async fn accept(&self) -> (UnixStream, Vec<u8>) {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
            asked.push(stream.read_u8().await.unwrap());
        }
        (stream, asked)
    }

    /// Reads one request of so many bytes of body, writes `answer`, and closes.
    async fn answer(&self, body: usize, answer: &str) -> String {
        let (mut stream, mut asked) = self.accept().await;
        let mut rest = vec![0; body];
        stream.read_exact(&mut rest).await.unwrap();
        asked.extend(rest);
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(asked).unwrap()
    }
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

async fn fetched(said: &str) -> Result<Value, ClientError> {
    let server = Server::new();
    let client = server.client();
    let (fetched, _) = tokio::join!(client.fetch("/v1/status"), server.answer(0, said));
    fetched
}

#[tokio::test]
async fn a_request_says_who_asks_and_that_no_web_page_does() {
    let server = Server::new();
    let client = server.client();
    let route = json!({"kind": "route"});
    let asking = client.ask_for::<_, Value>(Method::POST, "/v1/drain", &route);
    let said = answer("200 OK", "{\"left\":3}");
    let (left, asked) = tokio::join!(asking, server.answer(16, &said));
    assert_eq!(left.unwrap(), json!({"left": 3}));
    assert!(
        asked.starts_with("POST /v1/drain HTTP/1.1\r\nhost: localhost\r\nuser-agent: smartproxy/"),
        "{asked}"
    );
    for header in ["authorization: Bearer s3cret", "content-type: application/json", "connection: close"] {
        assert!(asked.contains(&format!("\r\n{header}\r\n")), "{header} is not in {asked}");
    }
    assert!(asked.ends_with("\r\n\r\n{\"kind\":\"route\"}"), "{asked}");
    let (_, asked) =
        tokio::join!(client.ask::<Value>(Method::DELETE, "/v1/connections/a-1"), server.answer(0, &said));
    assert!(asked.contains("\r\ncontent-type: application/json\r\n"), "also without a body: {asked}");
    let (_, asked) = tokio::join!(
        client.ask_about::<Value>("/v1/config/diff", "x = 1".to_owned()),
        server.answer(5, &said)
    );
    assert!(asked.contains("\r\ncontent-type: application/toml\r\n") && asked.ends_with("x = 1"), "{asked}");
}

#[tokio::test]
async fn a_refusal_is_told_as_the_proxy_tells_it() {
    let problem =
        r#"{"type":"/problems/not-found","title":"Not found","status":404,"detail":"no route `x`"}"#;
    let error = fetched(&answer("404 Not Found", problem)).await.unwrap_err();
    assert!(matches!(&error, ClientError::Problem(problem) if problem.status == 404));
    assert_eq!((error.to_string().as_str(), error.is_no_answer()), ("no route `x`", false));
    let token = problem.replace("404", "401");
    let error = fetched(&answer("401 Unauthorized", &token)).await.unwrap_err();
    assert!(
        error.to_string().contains("no route `x`\n  say where the token is with --token-file"),
        "{error}"
    );
    let error = fetched(&answer("502 Bad Gateway", "<html>")).await.unwrap_err();
    assert!(matches!(&error, ClientError::Foreign { why, .. } if why.contains("502")), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_none_is_told_as_such() {
    for foreign in [answer("200 OK", "{"), answer("200 OK", "<html>"), "SSH-2.0-OpenSSH\r\n".to_owned()] {
        let error = fetched(&foreign).await.unwrap_err();
        assert!(matches!(error, ClientError::Foreign { .. }), "{foreign:?}: {error}");
        assert!(error.is_no_answer() && error.to_string().contains("--socket takes what"), "{error}");
    }
    let newer = Server::new();
    let client = newer.client();
    let said = answer("200 OK", "{\"name\": 1}");
    let fetching = client.fetch::<proxy_api::model::Status>("/v1/status");
    let (status, _) = tokio::join!(fetching, newer.answer(0, &said));
    assert!(matches!(status, Err(ClientError::Nonsense { .. })), "{status:?}");
    for broken in ["", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"] {
        let error = fetched(broken).await.unwrap_err();
        assert!(matches!(error, ClientError::Broken { .. }), "{broken:?}: {error}");
        assert!(error.is_no_answer());
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_does_not_answer_is_not_waited_for_for_ever() {
    let server = Server::new();
    let client = server.client();
    let fetched = client.fetch::<Value>("/v1/status");
    let held = async {
        let _stream = server.listener.accept().await.unwrap();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        fetched = fetched => assert!(matches!(fetched, Err(ClientError::Late { .. })), "{fetched:?}"),
        () = held => {}
    }
}

#[tokio::test]
async fn why_nobody_can_be_reached_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("file"), "").unwrap();
    drop(UnixListener::bind(path("dead")).unwrap());
    let error = async |name: &str| {
        Client::new(Place::Unix(path(name)), None).fetch::<Value>("/v1/status").await.unwrap_err()
    };
    assert!(matches!(error("none").await, ClientError::NoSocket(_)));
    assert!(matches!(error("file").await, ClientError::NotASocket(_)));
    assert!(matches!(error("dead").await, ClientError::Refused(_)));
    let denied = ClientError::unreachable(
        &Place::Unix(path("none")),
        proxy_core::DialError {
            attempts: vec![proxy_core::dial::FailedAttempt {
                target: proxy_core::TargetAddr::Unix(path("none")),
                endpoint: None,
                elapsed: Duration::ZERO,
                kind: std::io::Error::from(std::io::ErrorKind::PermissionDenied).into(),
            }],
            within: CONNECT,
            elapsed: Duration::ZERO,
        },
    );
    assert!(denied.to_string().contains("permission denied"), "{denied}");
    assert!(denied.is_no_answer());
}

#[tokio::test]
async fn events_come_one_by_one_until_the_proxy_ends_them() {
    let server = Server::new();
    let client = server.client();
    let (go, gone) = tokio::sync::oneshot::channel();
    let serving = async {
        let (mut stream, _) = server.accept().await;
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: hello\n\nevent: sample\ndata: 1\n\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        gone.await.unwrap();
        stream.write_all(b"event: other\ndata: 0\n\nevent: sample\ndata: 2\n\n").await.unwrap();
    };
    let reading = async {
        let mut events = client.events("/v1/events").await.unwrap();
        assert_eq!(events.next::<u32>("sample").await.unwrap(), Some(1));
        // Looked at in vain and dropped, as `top` does: nothing is lost by it.
        let nothing = tokio::time::timeout(Duration::from_millis(1), events.next::<u32>("sample")).await;
        assert!(nothing.is_err());
        go.send(()).unwrap();
        assert_eq!(events.next::<u32>("sample").await.unwrap(), Some(2));
        assert_eq!(events.next::<u32>("sample").await.unwrap(), None);
    };
    tokio::join!(serving, reading);
    let problem = r#"{"type":"t","title":"t","status":404,"detail":"it has ended"}"#;
    let refused = answer("404 Not Found", problem);
    let (events, _) = tokio::join!(client.events("/v1/connections/a-1/trace"), server.answer(0, &refused));
    assert!(matches!(events.err(), Some(ClientError::Problem(problem)) if problem.detail == "it has ended"));
}

#[tokio::test]
async fn the_table_is_read_page_by_page_and_each_connection_once() {
    let server = Server::new();
    let client = server.client();
    let page = |ids: &[&str], next: Option<u64>| {
        let connections: Vec<_> = ids.iter().map(|id| crate::fixtures::connection(id, "relay")).collect();
        let page = proxy_api::model::Connections { total: 3, matched: 3, connections, next };
        answer("200 OK", &serde_json::to_string(&page).unwrap())
    };
    let ask = crate::list::Ask::default();
    let serving = async {
        let first = server.answer(0, &page(&["a-1", "a-2"], Some(2))).await;
        let second = server.answer(0, &page(&["a-2", "a-3"], None)).await;
        [first, second]
    };
    let (read, asked) = tokio::join!(ask.read(&client, u64::MAX), serving);
    let ids: Vec<_> = read.unwrap().connections.into_iter().map(|connection| connection.id).collect();
    assert_eq!(ids, ["a-1", "a-2", "a-3"]);
    assert!(
        asked[0].contains("limit=10000&offset=0 ") && asked[1].contains("limit=10000&offset=2 "),
        "{asked:?}"
    );
}
