//! Certificates that are obtained: for which names, and what is said where that is not clear.

use std::os::unix::fs::PermissionsExt as _;

use proxy_bin::config::Ink;

use crate::tls::{folder, in_folder};
use crate::{good, refusal};

const ACME: &str = "[acme]\nterms_agreed = true\nauthorities = [{ directory = \"https://ca.example/dir\", roots = \"DIR/chain.pem\" }]\n";

/// A file with this table and a route for `domains` whose certificates are these.
fn with(acme: &str, domains: &str, certificates: &str) -> String {
    format!(
        "{acme}[[routes]]\nname = \"edge\"\nmatch = {{ ports = [443]{domains} }}\naction = {{ forward = [\"127.0.0.1:80\"] }}\n\
         tls = {{ terminate = {{ certificates = {certificates} }} }}\n"
    )
}

const NAMED: &str = ", domains = [\"www.example\"]";

/// The first line of what is said, and the help.
fn said(text: &str) -> String {
    let said = refusal(&in_folder(&folder(), text));
    let lines = said.lines().filter(|line| line.starts_with("error") || line.contains("help: "));
    lines.map(str::trim).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_key_is_taken_over() {
    let dir = folder();
    let config = good(&in_folder(&dir, include_str!("every_key_of_tls.toml")));
    let acme = config.acme.as_ref().unwrap();
    let options = &acme.wanted.options;
    assert_eq!(options.contacts, ["mailto:admin@edge.example"]);
    assert_eq!(options.folder, dir.path().join("acme"));
    let kinds: Vec<_> = options.kinds.iter().map(|kind| kind.name()).collect();
    assert_eq!((options.shared, kinds), (true, vec!["tls-alpn-01", "http-01"]));
    let hosts: Vec<_> = options.authorities.iter().map(proxy_acme::Authority::host).collect();
    assert_eq!(hosts, ["acme-v02.api.letsencrypt.org", "ca.edge.example"]);
    let names: Vec<_> = acme.wanted.names.iter().map(|name| (&*name.name, name.on_demand)).collect();
    let expected = [
        ("one.shops.example", true),
        ("shops.example", false),
        ("two.shops.example", true),
        ("www.edge.example", false),
    ];
    assert_eq!(names, expected);
    let answering = config.settings.answering.as_ref().unwrap();
    assert_eq!((answering.http_port, answering.http_alone), (Some(80), true));
    assert!(config.settings.listeners.iter().any(|at| at.port == 80), "it is listened on");
}

#[test]
fn by_default_it_is_lets_encrypt_by_handshakes_alone() {
    let config = good(&with("[acme]\nterms_agreed = true\n", NAMED, "\"auto\""));
    let options = &config.acme.as_ref().unwrap().wanted.options;
    assert_eq!(options.authorities[0].directory(), "https://acme-v02.api.letsencrypt.org/directory");
    assert_eq!(options.kinds.len(), 1);
    assert!(config.settings.listeners.iter().all(|at| at.port == 443));
}

#[test]
fn what_is_missing_is_named_with_what_to_write() {
    for (text, expected) in [
        (
            with("", NAMED, "\"auto\""),
            "error: there is no `[acme]` table that says from whom certificates are obtained",
        ),
        (with(ACME, "", "\"auto\""), "error: no name is known to obtain a certificate for"),
        (
            with(ACME, ", domains = [\"*.example\"]", "\"auto\""),
            "error: no certificate can be obtained for *.example: an authority certifies no star in these ways",
        ),
        (
            with("[acme]\n", NAMED, "\"auto\""),
            "error: an authority certifies nothing before its terms of service are agreed to",
        ),
        (
            with(&format!("{ACME}challenges = [\"http-01\"]\n"), NAMED, "\"auto\""),
            "error: \"http-01\" needs the port on which requests come",
        ),
        (
            with(&format!("{ACME}http_port = 80\nchallenges = [\"tls-alpn-01\"]\n"), NAMED, "\"auto\""),
            "error: no request is answered here",
        ),
        (
            with(&format!("{ACME}storage = \"acme\"\n"), NAMED, "\"auto\""),
            "error: the folder of certificates is no absolute path",
        ),
        (
            with(ACME, NAMED, "[{ auto = [\"a.example\"], certificate = \"DIR/both.pem\" }]"),
            "error: these are files and obtained certificates at once",
        ),
    ] {
        let said = said(&text);
        assert!(said.starts_with(expected) && said.contains("help: "), "{said}");
    }
}

#[test]
fn words_that_are_none_are_refused() {
    for (text, expected) in [
        (with(ACME, NAMED, "\"automatic\""), "\"automatic\" is not what certificates can be"),
        (with(ACME, NAMED, "[{ auto = [\"*.example\"] }]"), "\"*.example\" has a star"),
        (
            with(&format!("{ACME}contacts = [\"admin\"]\n"), NAMED, "\"auto\""),
            "\"admin\" is no address of mail",
        ),
        (
            with(&format!("{ACME}http_port = 0\n"), NAMED, "\"auto\""),
            "expected a port from 1 to 65535, found 0",
        ),
        (
            with(&ACME.replace("https://", "http://"), NAMED, "\"auto\""),
            "\"http://ca.example/dir\" is no directory of an authority",
        ),
    ] {
        let said = refusal(&in_folder(&folder(), &text));
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_table_that_no_route_makes_use_of_is_a_warning() {
    let text = format!("{ACME}{}", crate::ROUTE);
    let config = good(&in_folder(&folder(), &text));
    assert!(config.acme.is_none());
    let titles: Vec<_> = config.warnings.iter().map(|one| one.title.as_str()).collect();
    assert_eq!(titles, ["no certificate is obtained by `[acme]`"]);
}

#[test]
fn a_folder_that_others_may_enter_is_told_of_before_a_start_fails_with_it() {
    let (dir, files) = (tempfile::tempdir().unwrap(), folder());
    let told = |mode: u32| {
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        let storage = format!("{ACME}storage = \"{}\"\n", dir.path().display());
        good(&in_folder(&files, &with(&storage, NAMED, "\"auto\""))).warnings.render(Ink::Plain)
    };
    assert_eq!(told(0o700), "");
    let said = told(0o755);
    assert!(said.contains("mode 0755") && said.contains("chmod 700 it"), "{said}");
}
