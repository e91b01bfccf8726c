//! A ClientHello as small as can be, for those who only look for its name, and any other in pieces.

use std::net::SocketAddr;

use crate::backend::Backend;
use crate::wait::{PATIENCE, eventually};
use crate::wire::Wire;

/// A record with a ClientHello of TLS 1.2 that asks for `name`: under 80 bytes for a short one.
#[must_use]
pub fn client_hello(name: &str) -> Vec<u8> {
    let entry = [&[0], &*sized(name.as_bytes())].concat();
    let names = [&[0, 0], &*sized(&sized(&entry))].concat();
    let versions_and_random = [&[3, 3], &[7; 32][..]].concat();
    // No session; one cipher suite; no compression; one extension: server_name.
    let body = [&*versions_and_random, &[0], &[0, 2, 0x13, 0x01], &[1, 0], &sized(&names)].concat();
    // A handshake message has its length in three bytes.
    let message = [&[1, 0], &*sized(&body)].concat();
    [&[22, 3, 1], &*sized(&message)].concat()
}

/// `bytes` behind their length in two bytes.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a hello of a test is short");
    [&length.to_be_bytes(), bytes].concat()
}

/// Somebody between a client and `target`, who passes what the client sends first (its ClientHello) on in pieces of
/// `size`, each when `read` says that all before have been read.
#[must_use]
pub fn pieces(
    target: SocketAddr,
    size: usize,
    read: impl Fn() -> u64 + Clone + Send + Sync + 'static,
) -> Backend {
    Backend::serving(move |client| pass_on(client, target, size, read.clone()))
}

async fn pass_on(mut client: Wire, target: SocketAddr, size: usize, read: impl Fn() -> u64) {
    let mut server = Wire::connect(target).await;
    let mut sent = 0;
    for piece in client.read_some().await.chunks(size) {
        server.send(piece).await;
        sent += piece.len() as u64;
        eventually(PATIENCE, || read() >= sent).await;
    }
    // Whoever ends first ends both: this is for one request and its answer.
    loop {
        let (to, bytes) = tokio::select! {
            bytes = client.read_some() => (&mut server, bytes),
            bytes = server.read_some() => (&mut client, bytes),
        };
        if bytes.is_empty() || to.try_send(bytes).await.is_err() {
            return;
        }
    }
}
