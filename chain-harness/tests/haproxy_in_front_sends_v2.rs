//! HAProxy in front of us sends PROXY v2 with a unique id, a checksum, what it knows of the client's TLS and the name
//! that the client asked for; the backend behind us gets on what is meant to go on.

use chain_harness::{
    Backend, Certificate, Handshake, Hop, PATIENCE, Peer, Wire, config, eventually, scenario,
};
use proxy_conn::{By, Cause};
use proxy_core::header::{Decoded, HeaderLimits, decode};

const DEFAULTS: &str = "defaults\n mode tcp\n timeout connect 5s\n timeout client 9s\n timeout server 9s\n";

fn hop(backend: &Backend) -> Hop {
    Hop::start(
        &(config::inner("", &[&backend.addr()])
            + "send_proxy = \"v2\"\nproxy_v2 = { fields = [\"unique_id\", \"authority\"], \
               crc32c = true, pass_unknown_tlvs = true, max_header = \"4KiB\" }"),
    )
}

/// What our hop told the backend, and what came behind it.
fn told(backend: &Backend) -> (Decoded, Vec<u8>) {
    let bytes = backend.first().bytes;
    let decoded = decode(&bytes, &HeaderLimits::default()).expect("it is well formed").expect("it is whole");
    let payload = bytes.get(decoded.len..).unwrap_or_default().to_vec();
    (decoded, payload)
}

#[test]
fn the_client_address_and_the_unique_id_reach_our_log_and_the_backend() {
    scenario(async {
        let backend = Backend::sink();
        let hop = hop(&backend);
        let config = format!(
            "{DEFAULTS}listen front\n bind 127.0.0.1:PORT_A\n unique-id-format req-%ci-%cp\n \
             server us {} send-proxy-v2 proxy-v2-options unique-id,crc32c\n",
            hop.addr()
        );
        let Some(haproxy) = Peer::haproxy(&config).await else { return };
        let mut client = Wire::connect(haproxy.addr()).await;
        client.send("hello").await;
        client.half_close().await;
        client.read_to_end().await;
        let (addr, end) = (client.local_addr(), hop.the_end().await);
        assert_eq!((end.cause, end.client), (Cause::Finished, Some(addr)));
        let id = format!("req-127.0.0.1-{}", addr.port());
        assert_eq!(end.previous, id);
        let (Decoded { header, .. }, payload) = told(&backend);
        assert_eq!(payload, b"hello");
        assert_eq!(header.endpoints.source(), Some(addr));
        assert_eq!(header.tlvs.unique_id, Some(format!("{id}/{}", end.id).into_bytes()));
        assert!(header.tlvs.crc32c.is_some());
        hop.empties(PATIENCE).await;
    });
}

#[test]
fn what_it_knows_of_the_clients_tls_goes_on_to_the_backend() {
    scenario(async {
        let Some(certificate) = Certificate::for_name("front.test").await else { return };
        let backend = Backend::answers("hello");
        let hop = hop(&backend);
        let config = format!(
            "global\n tune.ssl.default-dh-param 2048\n\
             {DEFAULTS}listen front\n bind 127.0.0.1:PORT_A ssl crt {} alpn http/1.1\n \
             server us {} send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,authority,crc32c\n",
            certificate.both().display(),
            hop.addr()
        );
        let Some(haproxy) = Peer::haproxy(&config).await else { return };
        let handshake = Handshake::at(haproxy.addr(), Some("asked.test")).await;
        assert_eq!(handshake.reached, "front.test");
        assert_eq!(hop.the_end().await.cause, Cause::Finished);
        let tlvs = told(&backend).0.header.tlvs;
        assert_eq!(tlvs.authority_str(), Some("asked.test"));
        let ssl = tlvs.ssl.expect("it is passed on");
        assert_eq!((ssl.client, ssl.version.as_deref()), (1, Some(&b"TLSv1.3"[..])));
        hop.empties(PATIENCE).await;
    });
}

/// A health check comes with a LOCAL header: the peer speaks for itself, and is no client of anybody's.
#[test]
fn its_health_checks_speak_for_themselves_and_find_us_well() {
    scenario(async {
        let backend = Backend::silent();
        let hop = hop(&backend);
        let config = format!(
            "{DEFAULTS}listen front\n bind 127.0.0.1:PORT_A\n \
             server us {} send-proxy-v2 check check-send-proxy inter 100ms fall 1\n",
            hop.addr()
        );
        let Some(haproxy) = Peer::haproxy(&config).await else { return };
        eventually(PATIENCE, || hop.ends().len() >= 3).await;
        assert!(!haproxy.process.output().contains("DOWN"), "{}", haproxy.process.output());
        for end in hop.ends() {
            assert_eq!((end.client, end.by), (Some(end.peer), By::Client));
            let fine = [Cause::Finished, Cause::ClientLeft, Cause::ClientReset];
            assert!(fine.contains(&end.cause), "{end:?}");
        }
        drop(haproxy);
        hop.empties(PATIENCE).await;
    });
}
