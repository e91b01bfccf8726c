//! Routes by name, and what a client can do about its name.

use super::*;

/// A refusal by name, and a route for all others.
const REFUSED: &str = r#"
[[listeners]]
ports = [8000]
bind = ["127.0.0.1"]
[[routes]]
name = "guard"
match = { ports = [8000], domains = ["admin.test"] }
action = "refuse"
[[routes]]
name = "others"
match = { ports = [8000] }
action = { forward = ["127.0.0.1:9000"] }
"#;

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// A hello that asks for `name`, with `more` extensions, in records of `size` bytes.
fn hello_with(name: &[u8], more: &[u8], size: usize) -> Vec<u8> {
    let entry = [&[0][..], &sized(name)].concat();
    let server_name = [&[0, 0][..], &sized(&sized(&entry))].concat();
    let extensions = sized(&[&server_name, more].concat());
    let body = [&[3, 3][..], &[7; 32], &[0], &sized(&[0x13, 1]), &[1, 0], &extensions].concat();
    let [_, len @ ..] = u32::try_from(body.len()).unwrap().to_be_bytes();
    let message = [&[1], &len[..], &body].concat();
    message.chunks(size).flat_map(|piece| [&[22, 3, 1][..], &sized(piece)].concat()).collect()
}

pub(super) fn hello(name: &[u8]) -> Vec<u8> {
    hello_with(name, &[], 16_384)
}

/// An ALPN extension of so many protocols.
fn protocols(count: usize) -> Vec<u8> {
    [&[0, 16][..], &sized(&sized(&b"\x02h2".repeat(count)))].concat()
}

fn padding(len: usize) -> Vec<u8> {
    [&[0, 21][..], &sized(&vec![0; len])].concat()
}

/// How a connection ends that begins with `bytes`, and why it was taken for one without a name.
async fn sent(config: &str, bytes: &[u8]) -> (String, Option<String>) {
    let rig = Rig::new(config);
    let listener = rig.backend();
    let (client, task) = rig.spawn();
    write_all(&client, bytes).await.unwrap();
    client.shutdown_write().unwrap();
    let nameless = tokio::select! {
        backend = listener.accept() => {
            let (backend, _) = backend.unwrap();
            assert_eq!(read_to_end(&backend).await, (bytes.to_vec(), true), "what is let through is whole");
            let nameless = rig.proxy.tracker.snapshot()[0].facts.nameless.as_deref().map(str::to_owned);
            backend.finish();
            nameless
        }
        () = rig.proxy.tracker.emptied() => None,
    };
    read_to_end(&client).await;
    drop(client);
    task.await.unwrap();
    (rig.end(), nameless)
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_refused_is_refused_however_its_hello_is_made() {
    for bytes in [
        hello(b"admin.test"),
        hello(b"ADMIN.test."),
        hello_with(b"admin.test", &[], 7),
        hello_with(b"admin.test", &protocols(65), 16_384),
        hello_with(b"admin.test", &protocols(4_000), 1_000),
    ] {
        let (end, _) = sent(REFUSED, &bytes).await;
        assert!(end.starts_with("PP route_refused"), "{end}");
    }
    let (end, nameless) = sent(REFUSED, &hello(b"other.test")).await;
    assert!(end.starts_with("-- finished"), "{end}");
    assert_eq!(nameless, None);
}

/// What a backend might read a name in, where the proxy reads none.
fn unreadable() -> Vec<Vec<u8>> {
    vec![
        hello_with(b"admin.test", &padding(17_000), 16_384),
        hello_with(b"admin.test", &[0, 21, 0, 1], 16_384),
        hello_with(b"admin.test", &[padding(1), padding(1)].concat(), 16_384),
        hello(b"admin.test:443"),
        hello(b"-a.admin.test"),
        [&[20, 3, 3, 0, 1, 1][..], &hello(b"admin.test")].concat(),
        [&[22, 3, 1, 0, 0][..], &hello(b"admin.test")].concat(),
        hello(b"admin.test")[..40].to_vec(),
    ]
}

#[tokio::test(start_paused = true)]
async fn what_begins_as_tls_and_cannot_be_read_does_not_go_to_the_fallback() {
    let mut ends = String::new();
    for bytes in unreadable() {
        ends += &(sent(REFUSED, &bytes).await.0 + "\n");
    }
    insta::assert_snapshot!(ends, @r#"
    PP hello_unreadable by client in peek 16384/0: no server name can be told, and unreadable_hello = "refuse": no whole ClientHello fits in 16384 bytes
    PP hello_unreadable by client in peek 75/0: no server name can be told, and unreadable_hello = "refuse": malformed ClientHello: extensions at byte 70
    PP hello_unreadable by client in peek 81/0: no server name can be told, and unreadable_hello = "refuse": malformed ClientHello: extension 21 comes twice
    PP hello_unreadable by client in peek 75/0: no server name can be told, and unreadable_hello = "refuse": its server name is "admin.test:443"
    PP hello_unreadable by client in peek 74/0: no server name can be told, and unreadable_hello = "refuse": its server name is "-a.admin.test"
    PP hello_unreadable by client in peek 77/0: no server name can be told, and unreadable_hello = "refuse": a record of type 20 where one of the ClientHello is due, which has type 22
    PP hello_unreadable by client in peek 76/0: no server name can be told, and unreadable_hello = "refuse": a handshake record is empty
    CP client_left by client in peek 40/0: it closed after 40 bytes of a ClientHello
    "#);
}

#[tokio::test(start_paused = true)]
async fn where_the_listener_lets_it_through_its_line_says_why_it_has_no_name() {
    let config = REFUSED.replace("bind = ", "unreadable_hello = \"unnamed\"\nbind = ");
    let mut reasons = String::new();
    for bytes in unreadable() {
        let (end, nameless) = sent(&config, &bytes).await;
        assert!(end.starts_with("-- finished"), "{end}");
        reasons += &(nameless.unwrap() + "\n");
    }
    insta::assert_snapshot!(reasons, @r#"
    no whole ClientHello fits in 16384 bytes
    malformed ClientHello: extensions at byte 70
    malformed ClientHello: extension 21 comes twice
    its server name is "admin.test:443"
    its server name is "-a.admin.test"
    a record of type 20 where one of the ClientHello is due, which has type 22
    a handshake record is empty
    it ended after 40 bytes of a ClientHello
    "#);
}

#[tokio::test(start_paused = true)]
async fn an_address_is_no_name_and_other_protocols_have_none() {
    for name in [&b"192.0.2.1"[..], b"2001:db8::1"] {
        let (end, nameless) = sent(REFUSED, &hello(name)).await;
        assert!(end.starts_with("-- finished"), "{end}");
        let address = std::str::from_utf8(name).unwrap();
        assert_eq!(nameless.unwrap(), format!("its server name is \"{address}\""));
    }
    for bytes in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16", b"\x16\0\x2f\x09localhost", b"\x80\x2e\x01\x03\x01"]
    {
        let (end, nameless) = sent(REFUSED, bytes).await;
        assert!(end.starts_with("-- finished") && nameless.is_none(), "{end} {nameless:?}");
    }
}
