//! A route that ends its clients' TLS asks who they are: whoever cannot say it costs no backend anything.

use std::path::Path;
use std::time::Duration;

use chain_harness::{
    Backend, EndLine, Hop, Own, PATIENCE, Root, TlsWire, Wire, config, eventually, scenario,
};
use proxy_conn::{Cause, Phase};
use proxy_core::header::{HeaderLimits, Tlvs, decode};
use proxy_core::{Dial as _, Endpoint, TcpDialer};
use proxy_tls::rustls::pki_types::ServerName;
use proxy_tls::{ClientOptions, Trust, certificates_from_pem, client_config};
use tempfile::TempDir;

const NAME: &str = "edge.test";

/// Who signs the server's certificate, who the clients', and the files of a test.
struct Files {
    servers: Root,
    clients: Root,
    dir: TempDir,
}

impl Files {
    fn new() -> Self {
        let files =
            Self { servers: Root::new(), clients: Root::new(), dir: tempfile::tempdir().expect("room") };
        files.write("edge.pem", &files.servers.certificate(&[NAME]));
        files.write("clients.pem", &files.clients.pem());
        files
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("there is room for a file");
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A hop that asks clients so, where `DIR` is the folder of the files.
    fn config(&self, backend: &Backend, asked: &str) -> String {
        let tls = format!(
            "{{ certificates = [{{ certificate = \"DIR/edge.pem\" }}], client_certificates = {asked} }}"
        );
        let tls = tls.replace("DIR", &self.path().to_string_lossy());
        format!(
            "[[listeners]]\nports = [PORT_A]\nbind = [\"127.0.0.1\"]\n[[routes]]\nname = \"edge\"\n\
             match = {{ ports = [PORT_A] }}\naction = {{ forward = [\"{}\"] }}\ntls = {{ terminate = {tls} }}\n",
            backend.addr()
        )
    }

    async fn connect(&self, own: &Own, hop: &Hop) -> TlsWire {
        self.servers.try_connect_as(own, hop.addr(), NAME).await.expect("TLS 1.3 tells a client later")
    }

    /// How the connection of a client ends that is refused.
    async fn refused(&self, own: &Own, hop: &Hop) -> EndLine {
        hop.forget_ends();
        let mut client = self.connect(own, hop).await;
        // What it says at once is for nobody. The alert is an error of the library's, and no end.
        client.try_send("secret").await.unwrap_or_default();
        drop(client);
        let end = hop.the_end().await;
        assert_eq!((end.cause, end.phase), (Cause::TlsFailed, Phase::Tls), "{}", end.detail);
        end
    }
}

/// The names that the only connection of a hop has in `conns`.
fn identity(hop: &Hop) -> Option<String> {
    let all = hop.tracker().snapshot();
    assert_eq!(all.len(), 1);
    all.first()?.facts.tls.as_ref().and_then(|tls| tls.identity.as_deref()).map(str::to_owned)
}

#[test]
fn who_proves_who_it_is_is_served_and_shown_and_nobody_else_costs_a_backend_anything() {
    scenario(async {
        let (files, backend) = (Files::new(), Backend::echo());
        let hop = Hop::start(&files.config(&backend, "{ roots = \"DIR/clients.pem\" }"));
        let alice = files.clients.own("alice", &["alice.clients.test"]);
        let mut client = files.connect(&alice, &hop).await;
        client.send("hello").await;
        client.read_until(|got| got == b"hello").await;
        assert_eq!(identity(&hop).as_deref(), Some("alice"));
        drop(client);
        hop.empties(Duration::from_secs(5)).await;
        let stranger = Root::new().own("alice", &[]);
        assert!(files.refused(&stranger, &hop).await.detail.starts_with("certificate_refused: "));
        hop.forget_ends();
        let mut without = files.servers.connect(hop.addr(), NAME).await;
        without.try_send("secret").await.unwrap_or_default();
        drop(without);
        assert!(hop.the_end().await.detail.starts_with("certificate_missing: "));
        assert_eq!(backend.accepted(), 1);
        hop.empties(Duration::from_secs(5)).await;
    });
}

#[test]
fn names_are_let_in_and_others_of_the_same_authority_are_told_so() {
    scenario(async {
        let (files, backend) = (Files::new(), Backend::echo());
        let asked = "{ roots = \"DIR/clients.pem\", names = [\"billing\", \"*.clients.test\"] }";
        let hop = Hop::start(&files.config(&backend, asked));
        for own in [files.clients.own("Billing", &[]), files.clients.own("x", &["y.test", "a.clients.test"])]
        {
            let mut client = files.connect(&own, &hop).await;
            client.send("hello").await;
            client.read_until(|got| got == b"hello").await;
        }
        hop.empties(Duration::from_secs(5)).await;
        let end = files.refused(&files.clients.own("mallory", &["a.b.clients.test"]), &hop).await;
        let said = "certificate_refused: the certificate of mallory has none of the names that are let in";
        assert!(end.detail.starts_with(said), "{}", end.detail);
        assert_eq!(backend.accepted(), 2);
        hop.empties(Duration::from_secs(5)).await;
    });
}

#[test]
fn who_is_revoked_is_refused_from_the_reload_on_and_who_is_pinned_needs_nobody() {
    scenario(async {
        let (files, backend) = (Files::new(), Backend::echo());
        let (alice, bob) = (files.clients.own("alice", &[]), files.clients.own("bob", &[]));
        files.write("revoked.pem", &files.clients.revoked(&[]));
        let asked = "{ roots = \"DIR/clients.pem\", revoked = \"DIR/revoked.pem\" }";
        let hop = Hop::start(&files.config(&backend, asked));
        let mut before = files.connect(&bob, &hop).await;
        before.send("one").await;
        before.read_until(|got| got == b"one").await;
        files.write("revoked.pem", &files.clients.revoked(&[&bob]));
        assert!(hop.reload(&files.config(&backend, asked)).await.taken);
        let end = files.refused(&bob, &hop).await;
        assert!(end.detail.contains("the peer's certificate is revoked"), "{}", end.detail);
        let mut other = files.connect(&alice, &hop).await;
        other.send("two").await;
        other.read_until(|got| got == b"two").await;
        // Who is connected stays: an operator ends what is to end.
        before.send(" more").await;
        before.read_until(|got| got == b"one more").await;
        let stranger = Root::new().own("own", &[]);
        files.write("pinned.pem", &stranger.pem());
        let pinned = "{ pinned = \"DIR/pinned.pem\", optional = true }";
        assert!(hop.reload(&files.config(&backend, pinned)).await.taken);
        let mut pinned = files.connect(&stranger, &hop).await;
        pinned.send("three").await;
        pinned.read_until(|got| got == b"three").await;
        let mut nobody = files.servers.connect(hop.addr(), NAME).await;
        nobody.send("four").await;
        nobody.read_until(|got| got == b"four").await;
        drop((before, other, pinned, nobody));
        hop.empties(Duration::from_secs(5)).await;
        files.refused(&alice, &hop).await;
        hop.empties(Duration::from_secs(5)).await;
    });
}

/// With TLS 1.3 a server refuses its client after the client's handshake: that is its TLS, and no system call of the proxy's own.
#[test]
fn a_hop_that_is_refused_after_its_handshake_says_so() {
    scenario(async {
        let (files, backend) = (Files::new(), Backend::echo());
        let inner = Hop::start(&files.config(&backend, "{ roots = \"DIR/clients.pem\" }"));
        files.write("servers.pem", &files.servers.pem());
        let outer = Hop::start(&format!(
            "[[listeners]]\nports = [PORT_A]\nbind = [\"127.0.0.1\"]\n[[routes]]\nname = \"outer\"\n\
             match = {{ ports = [PORT_A] }}\naction = {{ forward = [\"{}\"] }}\n\
             tls = {{ reencrypt = {{ trust = {{ roots = \"{}/servers.pem\" }}, server_name = \"{NAME}\" }} }}\n",
            inner.addr(),
            files.path().display()
        ));
        let mut client = Wire::connect(outer.addr()).await;
        client.send("hello").await;
        let end = outer.the_end().await;
        assert_eq!((end.cause, end.phase), (Cause::BackendTls, Phase::Relay), "{}", end.detail);
        assert!(
            end.detail.contains("certificate_missing: the peer sent the alert CertificateRequired"),
            "{}",
            end.detail
        );
        assert!(inner.the_end().await.detail.starts_with("certificate_missing: "));
        drop(client);
        outer.empties(Duration::from_secs(5)).await;
    });
}

/// What a backend was told in the PROXY header of its first visitor.
fn told(backend: &Backend) -> Tlvs {
    let bytes = backend.first().bytes;
    decode(&bytes, &HeaderLimits::default()).expect("it is well formed").expect("it is whole").header.tlvs
}

#[test]
fn the_next_hop_and_the_backend_behind_it_are_told_of_the_clients_tls_and_whose_certificate_it_gave() {
    scenario(async {
        let (files, backend) = (Files::new(), Backend::sink());
        let told_on =
            "send_proxy = \"v2\"\nproxy_v2 = { fields = [\"ssl\", \"alpn\"], max_header = \"4KiB\" }\n";
        let inner = Hop::start(&(config::inner("", &[&backend.addr()]) + told_on));
        let to_inner = files.config(&backend, "{ roots = \"DIR/clients.pem\", optional = true }");
        let to_inner = to_inner.replace(&backend.addr().to_string(), &inner.addr().to_string());
        let outer = Hop::start(&(to_inner + told_on));
        let before = || {
            let facts = inner.tracker().snapshot().into_iter().next().map(|one| one.facts);
            facts.and_then(|facts| facts.tls).and_then(|tls| tls.before.clone()).unwrap_or_default()
        };

        let mut alice = files.connect(&files.clients.own("alice", &["alice.clients.test"]), &outer).await;
        alice.send("hello").await;
        eventually(PATIENCE, || before().ends_with(", certificate of alice")).await;
        alice.close().await;
        alice.read_to_end().await;
        drop(alice);
        assert_eq!(inner.the_end().await.cause, Cause::Finished);
        let ssl = told(&backend).ssl.expect("it is told");
        assert_eq!((ssl.client, ssl.verify, ssl.cn.as_deref()), (7, 0, Some(&b"alice"[..])));
        assert_eq!(ssl.version.as_deref(), Some(&b"TLSv1.3"[..]));
        assert!(ssl.cipher.as_deref().is_some_and(|cipher| cipher.starts_with(b"TLS_AES_")));

        backend.forget_visits();
        // It offers a protocol, and none is agreed upon; and it has no certificate.
        let roots = certificates_from_pem(files.servers.pem().as_bytes()).expect("they are certificates");
        let options = ClientOptions::default().trust(Trust::Roots(roots)).alpn(vec![b"h2".to_vec()]);
        let options = client_config(&options).expect("they are certificates");
        let stream =
            TcpDialer::default().dial((&Endpoint::Ip(outer.addr())).into()).await.expect("it listens");
        let name = ServerName::try_from(NAME).expect("it is a name");
        let client = proxy_tls::connect(stream, options, name).await.expect("it is served");
        eventually(PATIENCE, || before().ends_with(", no certificate")).await;
        proxy_core::stream::finish(client).await.expect("it is open");
        eventually(PATIENCE, || inner.ends().len() == 2).await;
        let tlvs = told(&backend);
        let ssl = tlvs.ssl.expect("it is told");
        assert_eq!((ssl.client, ssl.verify != 0, ssl.cn, tlvs.alpn), (1, true, None, None));
        for hop in [&outer, &inner] {
            hop.empties(PATIENCE).await;
        }
    });
}
