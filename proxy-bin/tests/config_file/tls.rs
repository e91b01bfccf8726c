//! TLS of routes: what the files that it names may be, and what is said where they cannot be used.

use proxy_dataplane::settings::Truncated;
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use crate::{good, refusal};

/// A folder with a certificate: with its key in one file, and in two; and with keys that are no use.
pub(crate) fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let params = CertificateParams::new(["edge.example".to_owned(), "*.edge.example".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (name, text) in [
        ("chain.pem", certificate.pem()),
        ("key.pem", key.serialize_pem()),
        ("both.pem", certificate.pem() + &key.serialize_pem()),
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
    assert_eq!(terminate.truncated, Truncated::Reset);
    assert_eq!(terminate.config.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    assert_eq!(terminate.config.send_tls13_tickets, 0);
    let reencrypt = edge.reencrypt.as_ref().unwrap();
    assert_eq!(reencrypt.server_name.as_ref().unwrap().to_str(), "inner.example");
    assert_eq!(reencrypt.config.alpn_protocols, [b"h2".to_vec()]);
    assert!(tls("pinned").terminate.is_none() && tls("pinned").reencrypt.is_some());
    assert!(tls("through").is_passthrough());
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
        ("{ reencrypt = { trust = \"nobody\" } }", "nobody"),
        ("{ reencrypt = { server_name = \"a b\" } }", "\"a b\" is no name of a server"),
        ("{ reencrypt = { alpn = [\"\"] } }", "a protocol has from 1 to 255 bytes"),
    ] {
        let said = refusal(&with(tls));
        assert!(said.contains(expected) && said.contains(" --> proxy.toml:5:"), "{tls}\n{said}");
    }
}
