//! Who has to send a header, who may, and what becomes of those that say nothing.

use super::*;

const HEADER: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 52953 443\r\n";

/// A hop that peers of 10.0.0.0/8 meet so, and that sends no header on.
fn hop(mode: &str) -> Rig {
    let text = CHAINED.replace("send_proxy = \"v1\"\n", "").replace("required =", &format!("{mode} ="));
    Rig::new(&text)
}

/// What the backend gets of a peer that says `parts`, a pause between each two; and who the client is.
async fn served(rig: &Rig, parts: &[&[u8]]) -> (Vec<u8>, Option<SocketAddr>) {
    let (listener, (client, task)) = (rig.backend(), rig.spawn());
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        write_all(&client, part).await.unwrap();
    }
    client.shutdown_write().unwrap();
    let (backend, _) = listener.accept().await.unwrap();
    let known = rig.proxy.tracker.snapshot().remove(0).facts.client.map(proxy_core::ClientAddr::socket_addr);
    let (got, fin) = read_to_end(&backend).await;
    assert!(fin);
    backend.finish();
    task.await.unwrap();
    assert!(rig.end().starts_with("-- finished"));
    (got, known)
}

#[tokio::test(start_paused = true)]
async fn where_it_is_optional_a_peer_with_one_is_believed_however_it_arrives() {
    let with_request = [HEADER, b"request"].concat();
    let client = Some("192.0.2.7:52953".parse().unwrap());
    for parts in [&[with_request.as_slice()][..], &[&HEADER[..4], &HEADER[4..], b"request"]] {
        assert_eq!(served(&hop("optional"), parts).await, (b"request".to_vec(), client));
    }
}

#[tokio::test(start_paused = true)]
async fn where_it_is_optional_a_peer_without_one_is_its_own_client() {
    let peer = Some("10.0.0.1:4000".parse().unwrap());
    // The last two only begin like a header.
    for request in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01", b"PROXIMA", b"\r\n\r\n!"] {
        assert_eq!(served(&hop("optional"), &[request]).await, (request.to_vec(), peer));
    }
    assert_eq!(served(&hop("optional"), &[b"PRO"]).await, (b"PRO".to_vec(), peer), "ends before it is one");
}

#[tokio::test(start_paused = true)]
async fn where_it_is_optional_a_peer_that_waits_for_the_server_is_served_when_a_header_would_have_been_due() {
    let (rig, started) = (hop("optional"), Instant::now());
    let (listener, (client, task)) = (rig.backend(), rig.spawn());
    let (backend, _) = listener.accept().await.unwrap();
    assert_eq!(started.elapsed(), Duration::from_secs(5), "proxy_header_timeout");
    write_all(&backend, b"220 ready\r\n").await.unwrap();
    assert_eq!(read(&client, &mut [0; 64]).await.unwrap(), 11);
    write_all(&client, b"QUIT").await.unwrap();
    client.shutdown_write().unwrap();
    assert_eq!(read_to_end(&backend).await, (b"QUIT".to_vec(), true));
    backend.finish();
    task.await.unwrap();
    assert!(rig.end().starts_with("-- finished"));
}

#[tokio::test(start_paused = true)]
async fn where_it_is_optional_a_header_that_comes_too_late_never_reaches_the_backend() {
    for late in [HEADER, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xce\xd9\x01\xbb"]
    {
        let rig = hop("optional");
        let (listener, (client, task)) = (rig.backend(), rig.spawn());
        let (backend, _) = listener.accept().await.unwrap();
        write_all(&client, late).await.unwrap();
        task.await.unwrap();
        assert_eq!(read_to_end(&backend).await, (Vec::new(), false));
        assert_eq!(
            rig.end(),
            "PD header_untrusted by client in relay 0/0: 10.0.0.1 sent a PROXY header, but is in no network of \
             accept_proxy, or sent it after proxy_header_timeout"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn where_it_is_optional_a_header_that_was_begun_has_to_end_in_time() {
    let (rig, started) = (hop("optional"), Instant::now());
    let (client, task) = rig.spawn();
    write_all(&client, &HEADER[..20]).await.unwrap();
    task.await.unwrap();
    assert_eq!(started.elapsed(), Duration::from_secs(5));
    assert!(rig.end().starts_with("cH header_timeout by client in header"));
}

/// HAProxy's and Envoy's plain checks: the first resets, the second closes.
#[tokio::test(start_paused = true)]
async fn a_check_that_says_nothing_has_left_and_is_no_fault() {
    for mode in ["required", "required_from", "optional"] {
        for how in ["fin", "rst"] {
            let rig = hop(mode);
            let (client, task) = rig.spawn();
            tokio::time::sleep(Duration::from_millis(10)).await;
            if how == "fin" {
                client.finish();
            } else {
                drop(client);
            }
            task.await.unwrap();
            assert_eq!(rig.end(), "CH client_left by client in header 0/0", "{mode}, {how}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_closes_within_its_header_has_left_and_said_nothing_wrong() {
    for mode in ["required", "optional"] {
        let rig = hop(mode);
        let (client, task) = rig.spawn();
        write_all(&client, &HEADER[..9]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
        client.finish();
        task.await.unwrap();
        let end = rig.end();
        assert!(end.starts_with("CH client_left by client in header 9/0: "), "{mode}: {end}");
        assert!(end.ends_with(" closed after 9 bytes of a PROXY header"), "{mode}: {end}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_resets_within_its_header_has_not_just_left() {
    for mode in ["required", "optional"] {
        let rig = hop(mode);
        let (client, task) = rig.spawn();
        write_all(&client, &HEADER[..9]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
        drop(client);
        task.await.unwrap();
        assert_eq!(rig.end(), "CH client_reset by client in header 9/0");
    }
}

#[tokio::test(start_paused = true)]
async fn where_it_is_required_from_some_all_others_are_clients_and_must_send_none() {
    let rig = hop("required_from");
    let listener = rig.backend();
    let (client, serving) = rig.connect_from([192, 0, 2, 9]);
    #[expect(clippy::disallowed_methods, reason = "the test stands in for the accept loop")]
    let task = tokio::spawn(serving);
    let (backend, _) = listener.accept().await.unwrap();
    write_all(&client, HEADER).await.unwrap();
    task.await.unwrap();
    assert_eq!(read_to_end(&backend).await, (Vec::new(), false));
    assert!(rig.end().starts_with("PD header_untrusted by client in relay"));
}

/// What was read in search of a header is what the hello is read from.
#[tokio::test(start_paused = true)]
async fn where_it_is_optional_a_port_with_names_reads_on_from_there() {
    let listener = "bind = [\"127.0.0.1\"]\naccept_proxy = { optional = [\"10.0.0.0/8\"] }\n";
    let (rig, started) = (Rig::new(&BY_NAME.replace("bind = [\"127.0.0.1\"]\n", listener)), Instant::now());
    let (client, task) = rig.spawn();
    write_all(&client, b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    task.await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert!(rig.end().starts_with("PP no_route by proxy in peek 18/0"));
}
