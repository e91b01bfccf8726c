//! What is parsed, at random: it is refused or taken, and neither panics nor hangs; what was altered on its way is never handed out.
//!
//! `PROPTEST_CASES` sets how many cases each has.

use std::sync::{Arc, OnceLock};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{FileFailurePersistence, TestCaseResult};
use proxy_core::mem::{MemStream, pair};
use proxy_core::stream::{read, shutdown, write_all};
use proxy_tls::rustls::version::{TLS12, TLS13};
use proxy_tls::rustls::{ClientConfig, ClientConnection, Connection, ServerConfig};
use proxy_tls::{Certificate, Certificates, TlsStream, accept, certificates_from_pem, connect};

use crate::setup::{Version, all, bytes, configs, name, run};

const VERSIONS: [Version; 2] = [&TLS13, &TLS12];

fn made(version: usize) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    static MADE: OnceLock<Vec<(Arc<ServerConfig>, Arc<ClientConfig>)>> = OnceLock::new();
    MADE.get_or_init(|| VERSIONS.map(configs).to_vec())[version].clone()
}

/// What a client says first.
fn flight(version: usize) -> Vec<u8> {
    let mut tls = Connection::Client(ClientConnection::new(made(version).1, name()).unwrap());
    let mut flight = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut flight).unwrap();
    }
    flight
}

/// What is done to a text or a flight: a byte is set, some are cut out, some are put in, some come twice.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Cut(Index, Index),
    Put(Index, Vec<u8>),
    Twice(Index, Index),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::Cut(from, to)),
        (any::<Index>(), vec(any::<u8>(), 0..40)).prop_map(|(at, bytes)| Change::Put(at, bytes)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::Twice(from, to)),
    ];
    vec(change, 1..4)
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let at = |index: &Index, bytes: &[u8]| index.index(bytes.len() + 1);
        match change {
            Change::Set(index, byte) if !bytes.is_empty() => {
                let n = bytes.len();
                bytes[index.index(n)] = *byte;
            }
            Change::Set(..) => {}
            Change::Cut(one, other) => {
                let (one, other) = (at(one, &bytes), at(other, &bytes));
                bytes.drain(one.min(other)..one.max(other));
            }
            Change::Put(index, more) => {
                let at = at(index, &bytes);
                bytes.splice(at..at, more.iter().copied());
            }
            Change::Twice(one, other) => {
                let (one, other) = (at(one, &bytes), at(other, &bytes));
                let (from, to) = (one.min(other), one.max(other));
                let part = bytes[from..to].to_vec();
                bytes.splice(to..to, part);
            }
        }
    }
    bytes
}

/// A certificate and its key, in PEM.
fn pem() -> String {
    let made = rcgen::generate_simple_self_signed(["test.example".to_owned()]).unwrap();
    made.cert.pem() + &made.signing_key.serialize_pem()
}

/// Whatever comes of it, it can be looked at.
fn read_as_pem(text: &[u8]) {
    if let Ok(certificate) = Certificate::from_pem(text, text) {
        std::hint::black_box(certificate.is_valid_at(std::time::SystemTime::now()));
        let found = Certificates::new(&[certificate], true);
        assert!(found.find(Some("test.example"), &[]).is_some());
    }
    if let Ok(all) = certificates_from_pem(text) {
        assert!(!all.is_empty());
    }
}

/// Says `said` to a side that shakes hands, in pieces of `size`, and then ends.
async fn says(far: &MemStream, said: &[u8], size: usize) {
    for piece in said.chunks(size) {
        if write_all(far, piece).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
    // Where it has been reset already there is nothing to end.
    shutdown(far).await.unwrap_or_default();
}

fn to_a_server(version: usize, said: &[u8], size: usize) -> TestCaseResult {
    let shaken = run(async {
        let (near, far) = pair(1 << 20);
        let accepting = async { accept(far, made(version).0, Vec::new()).await.is_ok() };
        tokio::join!(says(&near, said, size), accepting).1
    });
    // Its own random numbers are in what a client has to say next.
    prop_assert!(!shaken, "a hello alone is no handshake");
    Ok(())
}

fn to_a_client(version: usize, said: &[u8], size: usize) -> TestCaseResult {
    let shaken = run(async {
        let (near, far) = pair(1 << 20);
        let connecting = async { connect(near, made(version).1, name()).await.is_ok() };
        tokio::join!(says(&far, said, size), connecting).1
    });
    prop_assert!(!shaken, "what was said to another client is no handshake with this one");
    Ok(())
}

/// What a server says first to some client.
fn answer(version: usize) -> Vec<u8> {
    run(async {
        let (near, far) = pair(1 << 20);
        write_all(&near, &flight(version)).await.unwrap();
        shutdown(&near).await.unwrap();
        drop(accept(far, made(version).0, Vec::new()).await);
        let mut answer = vec![0; 1 << 16];
        let n = read(&near, &mut answer).await.unwrap();
        answer.truncate(n);
        answer
    })
}

fn cases() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(150);
    let nowhere: Option<Box<FileFailurePersistence>> = None;
    ProptestConfig { cases, failure_persistence: nowhere.map(|kept| kept as _), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn pem_of_any_bytes_is_read_or_refused(text in vec(any::<u8>(), 0..2000)) {
        read_as_pem(&text);
    }

    #[test]
    fn pem_that_was_altered_is_read_or_refused(changes in changes()) {
        read_as_pem(&changed(pem().into_bytes(), &changes));
    }

    #[test]
    fn any_bytes_are_no_hello(said in vec(any::<u8>(), 0..600), version in 0..2_usize, size in 1..100_usize) {
        to_a_server(version, &said, size)?;
        to_a_client(version, &said, size)?;
    }

    #[test]
    fn a_hello_that_was_altered_is_refused_or_answered(
        changes in changes(), version in 0..2_usize, size in 1..400_usize,
    ) {
        to_a_server(version, &changed(flight(version), &changes), size)?;
    }

    #[test]
    fn an_answer_that_was_altered_is_refused(
        changes in changes(), version in 0..2_usize, size in 1..1000_usize,
    ) {
        to_a_client(version, &changed(answer(version), &changes), size)?;
    }

    #[test]
    fn records_that_were_altered_are_never_handed_out(
        changes in changes(), version in 0..2_usize, size in 1..2000_usize, said in 1..40_000_usize,
    ) {
        let said = bytes(said);
        let got = altered(version, &said, &changes, size);
        prop_assert!(said.starts_with(&got), "{} bytes came that were not said", got.len());
    }
}

/// What a server hands out of what a client has said, where that was altered on the wire behind the handshake.
fn altered(version: usize, said: &[u8], changes: &[Change], size: usize) -> Vec<u8> {
    run(async {
        let (client_end, near) = pair(1 << 20);
        let (far, server_end) = pair(1 << 20);
        let shake = async {
            tokio::join!(
                connect(client_end, made(version).1, name()),
                accept(server_end, made(version).0, Vec::new()),
                passes(&near, &far),
            )
        };
        let (client, server, ()) = shake.await;
        let (client, server): (TlsStream<_>, TlsStream<_>) = (client.unwrap(), server.unwrap());
        write_all(&client, said).await.unwrap();
        shutdown(&client).await.unwrap();
        let on_the_wire = all(&near).await.unwrap();
        let on_the_wire = changed(on_the_wire, changes);
        let sends = says(&far, &on_the_wire, size);
        let reads = async {
            let (mut got, mut buf) = (Vec::new(), vec![0; 7000]);
            while let Ok(n @ 1..) = read(&server, &mut buf).await {
                got.extend_from_slice(&buf[..n]);
            }
            got
        };
        tokio::join!(sends, reads).1
    })
}

/// Passes on the flights of a handshake: the client's hello, the server's answer, the client's last, and for TLS 1.2 the server's.
async fn passes(near: &MemStream, far: &MemStream) {
    let mut buf = vec![0; 1 << 16];
    loop {
        // All is quiet when nothing has come for a while of a clock that is paused.
        let quiet = tokio::time::sleep(std::time::Duration::from_secs(1));
        tokio::select! {
            biased;
            n = read(near, &mut buf) => write_all(far, &buf[..n.unwrap()]).await.unwrap(),
            () = quiet => return,
        }
        let quiet = tokio::time::sleep(std::time::Duration::from_secs(1));
        let mut buf = vec![0; 1 << 16];
        tokio::select! {
            biased;
            n = read(far, &mut buf) => write_all(near, &buf[..n.unwrap()]).await.unwrap(),
            () = quiet => return,
        }
    }
}
