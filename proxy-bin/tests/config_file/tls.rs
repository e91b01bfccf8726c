//! TLS of routes: what the files that it names may be, and what is said where they cannot be used.

use proxy_bin::config::Ink;
use proxy_dataplane::settings::{Greeting, PlainHttp, SendProxy, Truncated};
use proxy_tls::rustls::crypto::CryptoProvider;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa,
    Issuer, KeyIdMethod, KeyPair, SerialNumber, date_time_ymd,
};
use tempfile::TempDir;

use crate::{good, refusal};

/// A folder with a certificate: with its key in one file, and in two; and with keys that are no use.
pub(crate) fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let params = CertificateParams::new(["edge.example".to_owned(), "*.edge.example".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let revoked = revoked_by(&params, &key, 4000);
    let past = revoked_by(&params, &key, 2021);
    let mut stranger = CertificateParams::default();
    stranger.distinguished_name.push(DnType::CommonName, "Another CA");
    let of_stranger = revoked_by(&stranger, &other, 4000);
    let of_other_key = revoked_by(&params, &other, 4000);
    let stranger = stranger.self_signed(&other).unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let mut hop = CertificateParams::default();
    hop.distinguished_name.push(DnType::CommonName, "inner-1");
    let hop = hop.signed_by(&other, &authority).unwrap().pem() + &other.serialize_pem();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (name, text) in [
        ("chain.pem", certificate.pem()),
        ("key.pem", key.serialize_pem()),
        ("both.pem", certificate.pem() + &key.serialize_pem()),
        ("hop.identity", authority.pem() + &hop),
        ("stranger.identity", certificate.pem() + &authority.pem() + &key.serialize_pem()),
        ("revoked.crl", revoked),
        ("past.crl", past),
        ("stranger.crl", of_stranger.clone()),
        ("beside.crl", of_stranger + &stranger.pem()),
        ("other-key.crl", of_other_key.clone()),
        ("other-key.identity", authority.pem() + &hop + &of_other_key),
        ("other.pem", other.serialize_pem()),
        ("encrypted.pem", encrypted.to_owned()),
        ("broken.pem", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n".to_owned()),
        ("empty.pem", String::new()),
        ("eab.txt", "c2VjcmV0\n".to_owned()),
    ] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    std::fs::create_dir_all(dir.path().join("live/edge")).unwrap();
    std::fs::copy(dir.path().join("chain.pem"), dir.path().join("live/edge/fullchain.pem")).unwrap();
    std::fs::copy(dir.path().join("key.pem"), dir.path().join("live/edge/privkey.pem")).unwrap();
    std::fs::create_dir(dir.path().join("none")).unwrap();
    dir
}

/// A list of revoked certificates with nobody on it, the next one of which is due in this year.
fn revoked_by(params: &CertificateParams, key: &KeyPair, next: i32) -> String {
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2020, 1, 1),
        next_update: date_time_ymd(next, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(&Issuer::from_params(params, key)).unwrap().pem().unwrap()
}

pub(crate) fn in_folder(dir: &TempDir, text: &str) -> String {
    text.replace("DIR", &dir.path().to_string_lossy())
}

/// A route with this `tls`.
fn with(tls: &str) -> String {
    format!(
        "[[routes]]\nname = \"edge\"\nmatch = {{ ports = [443] }}\naction = {{ forward = [\"127.0.0.1:80\"] }}\ntls = {tls}\n"
    )
}

#[test]
fn every_key_is_taken_over() {
    let dir = folder();
    let config = good(&in_folder(&dir, include_str!("every_key_of_tls.toml")));
    let tls = |name: &str| {
        let mut routes = config.settings.routes.routes();
        routes.find(|route| route.name() == name).unwrap().payload.tls.clone()
    };
    let edge = tls("edge");
    let terminate = edge.terminate.as_ref().unwrap();
    assert_eq!((terminate.truncated, terminate.plain_http), (Truncated::Reset, PlainHttp::Redirect));
    let spoken = |provider: &CryptoProvider| (provider.cipher_suites.len(), provider.kx_groups.len());
    assert_eq!(spoken(terminate.config.crypto_provider()), (2, 2));
    assert_eq!(terminate.config.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    assert_eq!(terminate.config.send_tls13_tickets, 0);
    let reencrypt = edge.reencrypt.as_ref().unwrap();
    assert_eq!(reencrypt.server_name.as_ref().unwrap().to_str(), "inner.example");
    assert_eq!(reencrypt.config.alpn_protocols, [b"h2".to_vec()]);
    // Of the other version all suites are there, and none is spoken.
    assert_eq!(spoken(reencrypt.config.crypto_provider()), (7, 2));
    assert!(tls("pinned").terminate.is_none() && tls("pinned").reencrypt.is_some());
    assert!(tls("through").is_passthrough());
    let inwards = tls("inwards");
    assert!(inwards.hop.as_ref().is_some_and(|hop| hop.name() == "inner-1"));
    assert!(inwards.reencrypt.is_some_and(|reencrypt| reencrypt.header_inside));
    let listener = config.settings.listeners.iter().find(|at| at.port == 449).unwrap();
    let names: Vec<_> = listener.hop.as_ref().unwrap().names().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["outer-1", "*.edge.example"]);
    assert_eq!(listener.greeting([192, 0, 2, 1].into()), Greeting::Header);
}

#[test]
fn who_is_asked_of_clients_is_written_whole_or_not_at_all() {
    let dir = folder();
    let asked = |clients: &str| {
        let tls = format!(
            "{{ terminate = {{ certificates = [{{ certificate = \"DIR/both.pem\" }}], client_certificates = {clients} }} }}"
        );
        let said = refusal(&in_folder(&dir, &with(&tls)));
        said.replace(&*dir.path().to_string_lossy(), "DIR").lines().next().unwrap().to_owned()
    };
    for (clients, expected) in [
        ("{}", "error: nobody says whose certificates are taken"),
        (
            "{ roots = \"DIR/chain.pem\", pinned = \"DIR/chain.pem\" }",
            "error: either authorities vouch for clients, or their certificates are pinned",
        ),
        (
            "{ pinned = \"DIR/chain.pem\", revoked = \"DIR/revoked.crl\" }",
            "error: certificates that are pinned are revoked by taking them out of the file",
        ),
        (
            "{ roots = \"DIR/chain.pem\", revoked = \"DIR/chain.pem\" }",
            "error: DIR/chain.pem cannot be used: there is no list of revoked certificates in it: it has to have lines with \
             -----BEGIN X509 CRL-----",
        ),
        (
            "{ roots = \"DIR/chain.pem\", revoked = \"DIR/stranger.crl\" }",
            "error: DIR/stranger.crl cannot be used: its list of \"CN=Another CA\" is of none of the authorities, so that it would revoke \
             nothing: take it out, or put that authority's certificate beside it, where it stands between a root and the peers",
        ),
        (
            "{ roots = \"DIR/chain.pem\", revoked = \"DIR/other-key.crl\" }",
            "error: DIR/other-key.crl cannot be used: its list of \"CN=rcgen self signed cert\" is not signed by the key of the authority \
             of that name, so that every peer of it would be refused: get the list of this authority, or the certificate with its new key",
        ),
        (
            "{ roots = \"DIR/chain.pem\" }, tickets = 1",
            "error: no session is resumed where clients have to show certificates",
        ),
    ] {
        assert_eq!(asked(clients), expected);
    }
    assert!(
        asked("{ roots = \"DIR/chain.pem\", names = [\"a*\"] }").contains("`a*` is no name in a certificate")
    );
    assert!(asked("{ roots = \"DIR/chain.pem\", names = [] }").contains("an empty list would let in nobody"));
}

#[test]
fn a_list_of_revoked_certificates_that_is_past_its_time_is_taken_and_told_of() {
    let dir = folder();
    let warnings = |list: &str| {
        let tls = format!(
            "{{ terminate = {{ certificates = [{{ certificate = \"DIR/both.pem\" }}], client_certificates = {{ roots = \"DIR/chain.pem\", revoked = \"DIR/{list}\" }} }} }}"
        );
        good(&in_folder(&dir, &with(&tls))).warnings.render(Ink::Plain)
    };
    for fresh in ["revoked.crl", "beside.crl"] {
        assert_eq!(warnings(fresh), "");
    }
    let said = warnings("past.crl");
    assert!(said.contains("past.crl the list of \"CN=rcgen self signed cert\" is past its time"), "{said}");
    assert!(said.contains("it still counts"), "{said}");
}

#[test]
fn a_list_in_a_hops_file_that_another_key_has_signed_is_refused() {
    let dir = folder();
    let said = refusal(&in_folder(&dir, &(with("\"passthrough\"") + "hop = \"DIR/other-key.identity\"\n")));
    assert!(said.contains("every peer of it would be refused"), "{said}");
}

/// What is said of a file with this in its route, and this listener.
fn of_hops(route: &str, listener: &str) -> String {
    let dir = folder();
    let text = with("\"passthrough\"") + route + "\n[[listeners]]\n" + listener + "\n";
    let said = refusal(&in_folder(&dir, &text));
    said.replace(&*dir.path().to_string_lossy(), "DIR").lines().next().unwrap().to_owned()
}

#[test]
fn what_cannot_be_a_hop_is_named_with_what_to_do() {
    let of_file = |file: &str| of_hops("", &format!("hop = \"DIR/{file}\""));
    for (file, expected) in [
        ("nothing", "error: cannot read DIR/nothing: No such file or directory (os error 2)"),
        (
            "both.pem",
            "error: DIR/both.pem cannot be used: it has no certificate of the hops' authority, so that no other hop would be \
             believed (smartproxy hop-cert makes such files)",
        ),
    ] {
        assert_eq!(of_file(file), expected);
    }
    let stranger = of_file("stranger.identity");
    assert!(
        stranger.contains("the certificate of rcgen self signed cert in it would be refused by every hop"),
        "{stranger}"
    );
}

#[test]
fn what_is_said_beside_hop_is_taken_with_it_or_refused() {
    let hop = "hop = \"DIR/hop.identity\"\n";
    let beside = |more: &str| of_hops(&format!("{hop}{more}"), "");
    assert_eq!(
        beside("send_proxy = \"v1\""),
        "error: hops are sent a PROXY header of version 2, inside of their TLS"
    );
    assert!(beside("proxy_v1 = {}").starts_with("error: `proxy_v1` needs `send_proxy = \"v1\"`"));
    assert_eq!(
        of_hops("", &format!("{hop}accept_proxy = {{ required = [\"10.0.0.0/8\"] }}")),
        "error: `hop` believes the PROXY headers of whoever proves to be a hop, whatever its address"
    );
    let dir = folder();
    let twice = with("{ reencrypt = {} }") + hop;
    assert!(refusal(&in_folder(&dir, &twice)).starts_with("error: TLS is spoken to hops already"));
    let taken = good(&in_folder(&dir, &(with("\"passthrough\"") + hop + "proxy_v2 = { crc32c = true }\n")));
    let route = taken.settings.routes.routes().next().unwrap().payload;
    assert!(
        matches!(route.send_proxy, SendProxy::V2(content) if content.crc32c && content.max_header == 4096)
    );
}

#[test]
fn routes_that_say_the_same_share_what_is_made_of_it() {
    let dir = folder();
    let one = with("{ terminate = { certificates = [{ certificate = \"DIR/both.pem\" }] } }");
    let two = one.replace("edge", "more").replace("443", "444");
    let config = good(&in_folder(&dir, &(one + &two)));
    let tls: Vec<_> = config.settings.routes.routes().map(|route| route.payload.tls.clone()).collect();
    assert!(tls.windows(2).all(|two| two.first() == two.last()));
}

/// What is said of a route whose `certificates` is this, from the first word to the end of the line.
fn of_certificates(list: &str) -> String {
    let dir = folder();
    let said = refusal(&in_folder(&dir, &with(&format!("{{ terminate = {{ certificates = {list} }} }}"))));
    said.replace(&*dir.path().to_string_lossy(), "DIR").lines().next().unwrap().to_owned()
}

#[test]
fn files_that_cannot_be_used_are_named_with_what_to_do() {
    let pair = |certificate: &str, key: &str| {
        of_certificates(&format!("[{{ certificate = \"DIR/{certificate}.pem\", key = \"DIR/{key}.pem\" }}]"))
    };
    for (certificate, key, expected) in [
        ("nothing", "key", "error: cannot read DIR/nothing.pem: No such file or directory (os error 2)"),
        (
            "empty",
            "key",
            "error: DIR/empty.pem cannot be used: there is no certificate in it: it has to have lines with -----BEGIN CERTIFICATE-----",
        ),
        (
            "key",
            "key",
            "error: DIR/key.pem cannot be used: there is no certificate in it: it has to have lines with -----BEGIN CERTIFICATE-----",
        ),
        (
            "chain",
            "chain",
            "error: DIR/chain.pem cannot be used: there is no private key in it: it has to have lines with -----BEGIN PRIVATE KEY-----",
        ),
        (
            "chain",
            "encrypted",
            "error: DIR/encrypted.pem cannot be used: its private key is encrypted: decrypt it (openssl pkey -in FILE -out FILE)",
        ),
        (
            "chain",
            "other",
            "error: DIR/other.pem cannot be used: its private key is not that of its (first) certificate",
        ),
    ] {
        assert_eq!(pair(certificate, key), expected);
    }
    assert!(pair("broken", "key").starts_with("error: DIR/broken.pem cannot be used: it is no PEM: "));
    for (folder, expected) in [
        ("nowhere", "error: cannot read the folder DIR/nowhere: No such file or directory (os error 2)"),
        (
            "none",
            "error: there is no certificate with its key in DIR/none: put NAME.pem with both there, NAME.crt and NAME.key, or NAME/fullchain.pem and NAME/privkey.pem",
        ),
    ] {
        assert_eq!(of_certificates(&format!("[{{ folder = \"DIR/{folder}\" }}]")), expected);
    }
    assert!(
        of_certificates("[{ folder = \"DIR\" }]")
            .starts_with("error: DIR/encrypted.pem cannot be used: there is no certificate in it")
    );
    assert_eq!(of_certificates("[{ key = \"DIR/key.pem\" }]"), "error: there is no certificate in this");
    assert_eq!(
        of_certificates("[{ folder = \"DIR/live\", certificate = \"DIR/both.pem\" }]"),
        "error: this is a file and a folder of certificates at once"
    );
    assert_eq!(of_certificates("[]"), "error: there is no certificate to end TLS with");
}

#[test]
fn words_that_mean_nothing_are_refused_where_they_stand() {
    for (tls, expected) in [
        ("\"terminate\"", "\"terminate\" is not what TLS can be"),
        ("{ terminate = {} }", "certificates"),
        ("{ terminate = { certificates = [], tickets = 9 } }", "expected a number from 0 to 8, found 9"),
        ("{ terminate = { certificates = [], min_version = \"1.1\" } }", "1.1"),
        ("{ terminate = { certificates = [], ciphers = [\"RC4\"] } }", "RC4"),
        (
            "{ reencrypt = { min_version = \"1.3\", max_version = \"1.2\" } }",
            "min_version is above max_version",
        ),
        (
            "{ reencrypt = { min_version = \"1.3\", ciphers = [\"ECDHE-RSA-AES128-GCM-SHA256\"] } }",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 is a cipher suite of TLS 1.2, which min_version or max_version rules out",
        ),
        ("{ reencrypt = { trust = { pinned = \"sha256/AAAA\" } } }", "there have to be 32 bytes in base64"),
        ("{ reencrypt = { trust = { pinned = [] } } }", "there is no certificate to trust"),
        ("{ reencrypt = { trust = \"nobody\" } }", "nobody"),
        ("{ reencrypt = { server_name = \"a b\" } }", "\"a b\" is no name of a server"),
        ("{ reencrypt = { alpn = [\"\"] } }", "a protocol has from 1 to 255 bytes"),
    ] {
        let said = refusal(&with(tls));
        assert!(said.contains(expected) && said.contains(" --> proxy.toml:5:"), "{tls}\n{said}");
    }
}
