//! A backend on a Unix socket.

use chain_harness::{Chain, Ending, Hop, PATIENCE, Wire, config, scenario, within};
use proxy_conn::{Cause, Phase};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

#[test]
fn is_reached_with_half_close_both_ways() {
    scenario(async {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("backend.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let target = format!("unix:{}", path.display());
        let chain = Chain::to(&target);
        let mut client = chain.connect().await;
        client.send("request").await;
        client.half_close().await;
        let (mut backend, _) = within(PATIENCE, listener.accept()).await.unwrap();
        let mut request = String::new();
        within(PATIENCE, backend.read_to_string(&mut request)).await.unwrap();
        assert_eq!(request, "request");
        backend.write_all(b"answer").await.unwrap();
        drop(backend);
        let received = client.read_to_end().await;
        assert_eq!((received.text().as_str(), received.end), ("answer", Some(Ending::Fin)));
        drop(client);
        let end = chain.inner.the_end().await;
        assert_eq!((end.cause, end.target), (Cause::Finished, Some(target)));
        chain.settles().await;
    });
}

#[test]
fn that_is_not_there_is_named() {
    scenario(async {
        let dir = tempfile::tempdir().unwrap();
        let target = format!("unix:{}", dir.path().join("nobody.sock").display());
        let chain = Chain::to(&target);
        let mut client = chain.connect().await;
        assert!(client.read_to_end().await.is_only_a_reset());
        drop(client);
        let end = chain.inner.the_end().await;
        assert_eq!(end.phase, Phase::Dial);
        assert!(end.detail.contains(&target), "{}", end.detail);
        chain.settles().await;
    });
}

/// It sees no address of ours, so a client that nobody knows is told of as the address at which we were reached: a bare
/// UNKNOWN would be refused by some over a Unix socket too.
#[test]
fn is_told_an_address_of_ours_where_the_client_is_unknown() {
    scenario(async {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("backend.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let target = format!("unix:{}", path.display());
        let hop = Hop::start(&(config::inner("", &[&target]) + "send_proxy = \"v1\"\n"));
        let mut client = Wire::connect(hop.addr()).await;
        client.send("PROXY UNKNOWN\r\nrequest").await;
        client.half_close().await;
        let (mut backend, _) = within(PATIENCE, listener.accept()).await.unwrap();
        let mut request = String::new();
        within(PATIENCE, backend.read_to_string(&mut request)).await.unwrap();
        let (ip, port) = (hop.addr().ip(), hop.addr().port());
        assert_eq!(request, format!("PROXY TCP4 {ip} {ip} {port} {port}\r\nrequest"));
        drop(backend);
        client.read_to_end().await;
        drop(client);
        hop.settles().await;
    });
}
