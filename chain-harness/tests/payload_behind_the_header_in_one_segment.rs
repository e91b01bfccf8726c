//! What the client sends behind its PROXY header reaches the backend whole, however header and payload are cut.

use chain_harness::{Backend, Ending, Hop, PATIENCE, Wire, config, eventually, scenario};

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 52953 443\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xce\xd9\x01\xbb";
const PAYLOAD: &[u8] = b"PROXY TCP4 is what a payload may begin with";

fn hop(backend: &Backend) -> Hop {
    Hop::start(&config::inner("", &[&backend.addr()]))
}

#[test]
fn in_two_segments_cut_anywhere() {
    scenario(async {
        let backend = Backend::echo();
        let hop = hop(&backend);
        for header in [V1, V2] {
            let whole = [header, PAYLOAD].concat();
            for cut in 0..=whole.len() {
                let (first, second) = whole.split_at(cut);
                let mut client = Wire::connect(hop.addr()).await;
                client.send(first).await;
                // The first segment has been read before the second is sent, unless the connection has gone on so far
                // that what is read is counted only later.
                if (1..header.len()).contains(&cut) {
                    eventually(PATIENCE, || hop.read_from_clients() == first.len() as u64).await;
                }
                client.send(second).await;
                client.half_close().await;
                let received = client.read_to_end().await;
                assert_eq!(
                    (received.bytes.as_slice(), received.end),
                    (PAYLOAD, Some(Ending::Fin)),
                    "cut at {cut}"
                );
                drop(client);
                hop.settles().await;
            }
        }
    });
}
