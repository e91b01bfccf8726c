//! Handshakes that are not done: ended, reset or left at every byte, and larger than there are any.

use std::io;

use proxy_core::mem::{MemStream, pair};
use proxy_core::stream::{read, shutdown, write_all};
use proxy_tls::rustls::version::{TLS12, TLS13};
use proxy_tls::rustls::{ClientConnection, Connection};
use proxy_tls::{Failed, HandshakeError, HandshakeFault, TlsStream, accept};

use crate::setup::{Version, configs, name, run};

/// What a client says first.
fn first_flight(version: Version) -> Vec<u8> {
    let (_, client) = configs(version);
    let mut tls = Connection::Client(ClientConnection::new(client, name()).unwrap());
    let mut flight = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut flight).unwrap();
    }
    flight
}

/// How a client leaves that has said so much of its first flight.
#[derive(Debug, Clone, Copy)]
enum Leaves {
    Ends,
    Resets,
}

async fn served(
    version: Version,
    said: &[u8],
    leaves: Leaves,
) -> Result<TlsStream<MemStream>, Failed<MemStream>> {
    let (server, _) = configs(version);
    let (near, far) = pair(64 * 1024);
    write_all(&near, said).await.unwrap();
    match leaves {
        Leaves::Ends => {
            shutdown(&near).await.unwrap();
            let served = accept(far, server, Vec::new()).await;
            drop(near);
            served
        }
        Leaves::Resets => {
            drop(near);
            accept(far, server, Vec::new()).await
        }
    }
}

#[test]
fn a_client_that_leaves_after_any_byte_of_its_hello_has_left_or_is_lost() {
    for version in [&TLS13, &TLS12] {
        let flight = first_flight(version);
        for n in 0..=flight.len() {
            run(async {
                let ended = served(version, &flight[..n], Leaves::Ends).await.unwrap_err();
                assert_eq!(ended.error.fault(), HandshakeFault::Left, "after {n} bytes: {ended}");
                let reset = served(version, &flight[..n], Leaves::Resets).await.unwrap_err();
                let HandshakeError::Io(error) = &reset.error else { panic!("after {n} bytes: {reset}") };
                let lost = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
                assert!(lost.contains(&error.kind()), "after {n} bytes: {reset}");
            });
        }
    }
}

/// The header of a hello's message of that size, in records of `size` bytes, and zeros behind it.
fn huge(message: u32, size: usize) -> Vec<u8> {
    let mut bytes = vec![1];
    bytes.extend_from_slice(&message.to_be_bytes()[1..]);
    bytes.resize(4 + message as usize, 0);
    let record = |part: &[u8]| {
        let length = u16::try_from(part.len()).unwrap().to_be_bytes();
        [&[22, 3, 1][..], &length, part].concat()
    };
    bytes.chunks(size).flat_map(record).collect()
}

/// A wire that counts how often it is read.
struct Counted<'a>(&'a MemStream, std::sync::atomic::AtomicUsize);

impl proxy_core::Stream for Counted<'_> {
    fn poll_read(
        &self,
        cx: &mut std::task::Context<'_>,
        buf: &mut [u8],
    ) -> std::task::Poll<io::Result<usize>> {
        self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.0.poll_read(cx, buf)
    }

    fn poll_write(&self, cx: &mut std::task::Context<'_>, buf: &[u8]) -> std::task::Poll<io::Result<usize>> {
        self.0.poll_write(cx, buf)
    }

    fn poll_shutdown(&self, cx: &mut std::task::Context<'_>) -> std::task::Poll<io::Result<()>> {
        self.0.poll_shutdown(cx)
    }

    fn poll_gone(&self, cx: &mut std::task::Context<'_>) -> std::task::Poll<io::Error> {
        self.0.poll_gone(cx)
    }

    fn finish(self) {}
}

impl proxy_core::stream::Kernel for Counted<'_> {
    type Splice = proxy_core::stream::NoSplice;
}

/// How a server takes a message that is the largest there may be or larger, and how often it reads for it.
async fn takes(said: Vec<u8>) -> (HandshakeError, usize) {
    let (server, _) = configs(&TLS13);
    let (near, far) = pair(1 << 20);
    write_all(&near, &said).await.unwrap();
    let counted = Counted(&far, 0.into());
    let failed = accept(counted, server, Vec::new()).await.unwrap_err();
    (failed.error, failed.stream.1.into_inner())
}

#[test]
fn a_hello_of_the_largest_size_is_read_in_a_few_reads_and_one_that_is_larger_is_refused_at_once() {
    run(async {
        // What is in it is no hello, which shows when all of it is there.
        let (error, reads) = takes(huge(60_000, 16 * 1024)).await;
        assert_eq!(error.fault(), HandshakeFault::NotTls, "{error}");
        assert!(reads < 10, "{reads} reads");
        let (error, reads) = takes(huge(70_000, 16 * 1024)).await;
        assert_eq!(error.fault(), HandshakeFault::NotTls, "{error}");
        assert!(reads < 3, "{reads} reads");
    });
}

#[test]
fn a_hello_in_records_of_a_byte_that_fills_the_buffer_is_refused_and_not_taken_for_an_end() {
    run(async {
        let (error, _) = takes(huge(60_000, 1)).await;
        assert_eq!(error.fault(), HandshakeFault::Protocol, "{error}");
    });
}

#[test]
fn a_server_that_says_nothing_is_waited_for_and_one_that_ends_has_left() {
    run(async {
        let (_, client) = configs(&TLS13);
        let (near, far) = pair(64 * 1024);
        let shaking = proxy_tls::connect(near, client, name());
        let (failed, ()) = tokio::join!(shaking, async {
            let mut buf = [0; 1000];
            assert!(read(&far, &mut buf).await.unwrap() > 100);
            tokio::time::sleep(std::time::Duration::from_secs(30)).await;
            shutdown(&far).await.unwrap();
        });
        assert_eq!(failed.unwrap_err().error.fault(), HandshakeFault::Left);
    });
}
